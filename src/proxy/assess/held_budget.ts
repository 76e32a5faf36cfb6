/**
 * One bound on the memory that all replies together may hold before their choice is final.
 *
 * Each gate is bounded by itself; thousands of them at once are bounded here. Over the bound nothing fails:
 * a reply is then relayed as it comes instead of being proved first.
 */
export class HeldBudget {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get isExceeded(): boolean {
    return this.#heldBytes > this.#limitBytes;
  }

  /** An account for one reply; `release` gives back all that it took. */
  open(): HeldAccount {
    let taken = 0;
    return {
      take: (bytes) => {
        taken += bytes;
        this.#heldBytes += bytes;
      },
      release: () => {
        this.#heldBytes -= taken;
        taken = 0;
      },
    };
  }
}

export interface HeldAccount {
  take(bytes: number): void;
  release(): void;
}
