/**
 * Decides in which order streams are read while more events arrive than one thread can relay.
 *
 * The runtime alone is unfair then: its scheduler (tokio) lets a task do 128 operations a turn, and resumes the rest in
 * reverse order, behind whatever has become ready since, so some streams wait for seconds while others run on time.
 * Here streams queue in a line: each turn reads the next few, each with all that has arrived for it.
 *
 * @see https://docs.rs/tokio/latest/tokio/task/coop/
 */
import type { Clock } from "../../core/clock.ts";

/** Pieces between two reads of the clock. */
const LOOK_PIECES = 64; // docs/tuning.md#fair-reads
/** At fewer pieces than this implies (4,000 a second), turns are not counted. */
const BUSY_LOOK_MS = 16; // docs/tuning.md#fair-reads
/** Pieces per turn. Each takes two of the 128 operations; requests that begin or end need the rest. */
const TURN_PIECES = 36; // docs/tuning.md#fair-reads

export class FairReadScheduler {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #afterTurn: (callback: () => void) => void;
  #pieces = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #isBusy = false;
  #isTurnCounted = false;
  #turnPieces = 0;
  /** Streams from the line that read in this turn. */
  #called = 0;
  /** Resumes the waiting streams, first in first out. */
  readonly #line: (() => void)[] = [];
  readonly #onTurnEnd = (): void => this.#endTurn();

  /**
   * @param afterTurn calls back when the runtime has polled all connections. By default a timer: an immediate often
   * runs before that (in seven of eight cases)
   */
  constructor(
    clock: Pick<Clock, "monotonic">,
    afterTurn: (callback: () => void) => void = (callback) => setTimeout(callback, 0),
  ) {
    this.#clock = clock;
    this.#afterTurn = afterTurn;
  }

  /**
   * Call after each piece that was relayed. Null, nearly always: the stream may be read at once; otherwise, wait for
   * the promise before reading on.
   */
  relayed(): Promise<void> | null {
    if (++this.#pieces % LOOK_PIECES === 0) this.#look();
    if (!this.#isTurnCounted) {
      if (!this.#isBusy) return null;
      this.#countTurn();
    }
    if (++this.#turnPieces < TURN_PIECES && this.#line.length === 0) return null;
    return new Promise((resolve) => this.#line.push(resolve));
  }

  #look(): void {
    const nowMs = this.#clock.monotonic();
    this.#isBusy = nowMs - this.#lookedAtMs < BUSY_LOOK_MS;
    this.#lookedAtMs = nowMs;
  }

  #countTurn(): void {
    this.#isTurnCounted = true;
    this.#turnPieces = 0;
    this.#afterTurn(this.#onTurnEnd);
  }

  #endTurn(): void {
    // Pieces of streams that did not come from the line count first; those streams join the line from now on.
    const unasked = Math.max(0, this.#turnPieces - this.#called);
    const next = this.#line.splice(0, Math.max(0, TURN_PIECES - unasked));
    this.#called = next.length;
    this.#isTurnCounted = false;
    if (next.length > 0 || this.#line.length > 0) this.#countTurn();
    for (const read of next) read();
  }
}
