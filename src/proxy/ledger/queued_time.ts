/**
 * How long a request has waited for an upstream that had room, over all of its waits.
 */
import type { Clock } from "../../core/clock.ts";

export class QueuedTime {
  readonly #clock: Pick<Clock, "monotonic">;
  #overMs = 0;
  #sinceMs: number | null = null;

  constructor(clock: Pick<Clock, "monotonic">) {
    this.#clock = clock;
  }

  begin(): void {
    this.#sinceMs = this.#clock.monotonic();
  }

  end(): void {
    this.#overMs = this.ms;
    this.#sinceMs = null;
  }

  get isWaiting(): boolean {
    return this.#sinceMs !== null;
  }

  /** Until now, if it still waits. */
  get ms(): number {
    return this.#overMs + (this.#sinceMs === null ? 0 : this.#clock.monotonic() - this.#sinceMs);
  }
}
