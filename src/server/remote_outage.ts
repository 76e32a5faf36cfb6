/**
 * When people are told that PostgreSQL cannot be used, and that it can be again.
 *
 * Owns the patience: a statement that was late once is no news.
 */
import type { Clock, TimerId } from "../core/clock.ts";
import { getLog } from "../observe/log.ts";
import type { Notifier } from "../notify/notifier.ts";

const PATIENCE_MS = 5_000; // docs/tuning.md#postgresql

export class RemoteOutage {
  readonly #notifier: Pick<Notifier, "raise">;
  readonly #clock: Pick<Clock, "setTimer" | "clearTimer">;
  #timer: TimerId | null = null;
  #message = "";
  #isTold = false;

  constructor(
    { notifier, clock }: {
      readonly notifier: Pick<Notifier, "raise">;
      readonly clock: Pick<Clock, "setTimer" | "clearTimer">;
    },
  ) {
    this.#notifier = notifier;
    this.#clock = clock;
  }

  /** Call with each failure. */
  trouble(message: string): void {
    this.#message = message;
    if (this.#isTold) return;
    this.#timer ??= this.#clock.setTimer(() => this.#tell(), PATIENCE_MS);
  }

  resumed(): void {
    this.stop();
    if (!this.#isTold) return;
    this.#isTold = false;
    getLog("postgres").info("PostgreSQL can be used again");
    this.#notifier.raise({ type: "postgres_resumed" });
  }

  /** Nobody is to be told any more. */
  stop(): void {
    if (this.#timer !== null) this.#clock.clearTimer(this.#timer);
    this.#timer = null;
  }

  #tell(): void {
    this.#timer = null;
    this.#isTold = true;
    const message = this.#message;
    getLog("postgres").error(
      "PostgreSQL cannot be used; requests go on, records wait in the journal: {message}",
      { message },
    );
    this.#notifier.raise({ type: "postgres_down", reason: message });
  }
}
