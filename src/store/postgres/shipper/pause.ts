/**
 * How the shipper waits: for a time, for a call that there is work, or for its end.
 */
import type { Clock } from "../../../core/clock.ts";

export class Pause {
  readonly #clock: Pick<Clock, "setTimer" | "clearTimer">;
  #end: (() => void) | null = null;
  #isWakeable = false;
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
    if (this.#isWakeable) this.#end?.();
  }

  /** Ends the wait, if there is one. */
  hurry(): void {
    this.#isWorkAnnounced = true;
    this.#end?.();
  }

  /** Ends the wait and all others to come. */
  finish(): void {
    this.#isOver = true;
    this.#end?.();
  }

  async #wait(ms: number, { isWakeable }: { readonly isWakeable: boolean }): Promise<void> {
    if (this.#isOver) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.setTimer(resolve, ms);
    this.#end = resolve;
    this.#isWakeable = isWakeable;
    try {
      await promise;
    } finally {
      this.#clock.clearTimer(timer);
      this.#end = null;
    }
  }
}
