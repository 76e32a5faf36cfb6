/**
 * One memory limit for all replies that are held back before their choice is final.
 *
 * Each gate has a limit of its own; this one bounds thousands of them together. Beyond it nothing fails: replies are
 * relayed as they come instead of being assessed first.
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

  /** Opens an account for one reply; its `release` returns everything it took. */
  open(): HeldAccount {
    let taken = 0;
    return {
      take: (bytes) => {
        taken += bytes;
        this.#heldBytes += bytes;
      },
      give: (bytes) => {
        taken -= bytes;
        this.#heldBytes -= bytes;
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
  /** Returns some of what was taken. */
  give(bytes: number): void;
  /** Returns everything. Idempotent. */
  release(): void;
}
