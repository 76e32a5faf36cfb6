/**
 * Work of the database thread that can wait, done in small steps between batches.
 *
 * Owns its share of the thread's time: after each step it rests for a multiple of the step's duration, a larger one while
 * records are being written, because a batch that arrives during a step waits for its end.
 */
import type { Clock, TimerId } from "../../core/clock.ts";

export interface BackgroundTaskOptions {
  readonly clock: Pick<Clock, "monotonic" | "setTimer" | "clearTimer">;
  /** One step, of a few milliseconds; returns whether there may be more to do. */
  readonly step: () => boolean;
  /** Records have been written just now. */
  readonly isBusy: () => boolean;
  /** The rest after a step, as a multiple of its duration. */
  readonly rest: { readonly busy: number; readonly idle: number };
}

export class BackgroundTask {
  readonly #options: BackgroundTaskOptions;
  #timer: TimerId | null = null;

  constructor(options: BackgroundTaskOptions) {
    this.#options = options;
  }

  /** Goes on step by step until nothing is left to do; then waits to be called again. */
  begin(delayMs: number): void {
    this.#timer ??= this.#options.clock.setTimer(() => this.#doStep(), delayMs);
  }

  stop(): void {
    if (this.#timer !== null) this.#options.clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #doStep(): void {
    const { clock, step, isBusy, rest } = this.#options;
    this.#timer = null;
    const startedAtMs = clock.monotonic();
    if (step()) this.begin((clock.monotonic() - startedAtMs) * (isBusy() ? rest.busy : rest.idle));
  }
}
