/**
 * Long work in short turns, between which other requests run.
 */
import type { Clock } from "../core/clock.ts";

/** How long one body may be received, scanned, decoded or joined before other requests get a turn. */
const MAX_TURN_MS = 4; // docs/tuning.md#request-bodies
/**
 * The pause between two turns. Not 0: the runtime (tokio) polls other connections only when it is idle, or after 61
 * turns, which would be a quarter of a second.
 */
const REST_MS = 1; // docs/tuning.md#request-bodies

export class Turns {
  readonly #clock: Clock;
  /** When this turn began. */
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonic();
  }

  get isOver(): boolean {
    return this.#clock.monotonic() - this.#sinceMs >= MAX_TURN_MS;
  }

  /** Lets other requests run: reads that need no waiting would all come before them. */
  async next(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, REST_MS));
    this.#sinceMs = this.#clock.monotonic();
  }
}
