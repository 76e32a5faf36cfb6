/**
 * How the shipper waits: for a time, for a call that there is work, or for its end.
 */
import type { Clock } from "../../../core/clock.ts";

export class Pause {
  readonly #clock: Pick<Clock, "setTimer" | "clearTimer">;
  /** Ends of waits; those in the second list are ended by {@link wake}, too. */
  readonly #ends = new Set<() => void>();
  readonly #wakeable = new Set<() => void>();
  #isWorkAnnounced = false;
  #isOver = false;

  constructor(clock: Pick<Clock, "setTimer" | "clearTimer">) {
    this.#clock = clock;
  }

  /** Resolves after the time, or at {@link finish}. */
  async rest(ms: number): Promise<void> {
    await this.#wait(ms, { isWakeable: false });
  }

  /** Resolves at {@link wake}, at once when that was called since the last time, or as {@link rest}. */
  async untilWork(ms: number): Promise<void> {
    if (!this.#isWorkAnnounced) await this.#wait(ms, { isWakeable: true });
    this.#isWorkAnnounced = false;
  }

  wake(): void {
    this.#isWorkAnnounced = true;
    for (const end of this.#wakeable) end();
  }

  /** Ends all waits of now. */
  hurry(): void {
    this.#isWorkAnnounced = true;
    for (const end of this.#ends) end();
  }

  /** Ends all waits, and those to come. */
  finish(): void {
    this.#isOver = true;
    this.hurry();
  }

  async #wait(ms: number, { isWakeable }: { readonly isWakeable: boolean }): Promise<void> {
    if (this.#isOver) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(resolve, ms);
    this.#ends.add(resolve);
    if (isWakeable) this.#wakeable.add(resolve);
    try {
      await promise;
    } finally {
      this.#clock.clearTimer(timer);
      this.#ends.delete(resolve);
      this.#wakeable.delete(resolve);
    }
  }
}
