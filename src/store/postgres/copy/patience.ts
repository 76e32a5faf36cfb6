/**
 * Repeats what PostgreSQL could not do for now: a restart or a failover must not end a copy that takes an hour.
 */
import type { Clock } from "../../../core/clock.ts";
import { classify } from "../errors.ts";
import { RemoteTrouble } from "../shipper/remote.ts";
import { throwIfStopped } from "./copied.ts";

const MIN_PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;
/** About half a minute of pauses. */
const MAX_FAILURES = 9;

export class Patience {
  readonly #clock: Pick<Clock, "setTimer">;
  readonly #signal: AbortSignal;
  #failures = 0;

  constructor(clock: Pick<Clock, "setTimer">, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
  }

  /** The body's result; repeats the body, which must allow for it. @throws its error, when that does not pass */
  async repeat<Result>(body: () => Promise<Result>): Promise<Result> {
    while (true) {
      try {
        const result = await body();
        this.succeeded();
        return result;
      } catch (error) {
        await this.failed(error);
      }
    }
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Waits, longer each time. @throws the error, when waiting does not help or has been tried for long */
  async failed(error: unknown): Promise<void> {
    throwIfStopped(this.#signal);
    const kind = error instanceof RemoteTrouble ? error.kind : classify(error);
    if (kind !== "retry" || !isRemote(error) || this.#failures === MAX_FAILURES) throw error;
    const pauseMs = Math.min(MIN_PAUSE_MS * 2 ** this.#failures++, MAX_PAUSE_MS);
    await new Promise<void>((resolve) => void this.#clock.setTimer(resolve, pauseMs));
    throwIfStopped(this.#signal);
  }
}

/** Errors of SQLite are not PostgreSQL's. */
function isRemote(error: unknown): boolean {
  return error instanceof Error && ["PgError", "RemoteTrouble"].includes(error.name);
}
