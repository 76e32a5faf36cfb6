/**
 * In which order streams are read while more events come than one thread can relay.
 *
 * Left to itself the runtime is unfair then: its scheduler (tokio) lets a task do 128 operations a turn, and takes those
 * that are left up again in reverse order, behind whatever has become ready since, so that some streams wait for
 * seconds while others run on time. Here they stand in line: each turn the next few are read, each with all that has
 * come for it meanwhile. Knows nothing of streams but when they had a piece.
 *
 * @see https://docs.rs/tokio/latest/tokio/task/coop/
 */
import type { Clock } from "../../core/clock.ts";

/** Pieces between two looks at the clock. */
const LOOK_PIECES = 64;
/** With fewer pieces a second (4,000) there is nothing to watch, and turns are not counted. */
const BUSY_LOOK_MS = 16;
/** Pieces in a turn. Each takes two of the 128 operations; requests that begin or end need the others. */
const TURN_PIECES = 36;

export class FairReadScheduler {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #afterTurn: (callback: () => void) => void;
  #pieces = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  #isBusy = false;
  #isTurnCounted = false;
  #turnPieces = 0;
  /** Streams that were let read in this turn. */
  #called = 0;
  /** Lets the streams that stand in line read, the first one first. */
  readonly #line: (() => void)[] = [];
  readonly #onTurnEnd = (): void => this.#endTurn();

  /**
   * @param afterTurn calls back when the runtime has looked at all connections. By default a timer: before an immediate
   * the runtime need not have looked at them (it did one time in eight)
   */
  constructor(
    clock: Pick<Clock, "monotonic">,
    afterTurn: (callback: () => void) => void = (callback) => setTimeout(callback, 0),
  ) {
    this.#clock = clock;
    this.#afterTurn = afterTurn;
  }

  /**
   * Call after each piece of a stream that was relayed. Null, nearly always: the stream may be read at once; else it
   * is to be read again when the promise resolves.
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
    // Of streams that had not stood in line: what comes by itself goes first, and will stand in line from then on.
    const unasked = Math.max(0, this.#turnPieces - this.#called);
    const next = this.#line.splice(0, Math.max(0, TURN_PIECES - unasked));
    this.#called = next.length;
    this.#isTurnCounted = false;
    if (next.length > 0 || this.#line.length > 0) this.#countTurn();
    for (const read of next) read();
  }
}
