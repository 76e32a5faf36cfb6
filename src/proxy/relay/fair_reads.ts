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

/** Calls back when the runtime has looked at all connections. Only one call at a time. */
export type AfterTurn = (callback: () => void) => void;

/** Pieces between two reads of the clock. */
const LOOK_PIECES = 64; // docs/tuning.md#fair-reads
/** At fewer pieces than this implies (4,000 a second), turns are not counted. */
const BUSY_LOOK_MS = 16; // docs/tuning.md#fair-reads
/** How long turns are counted then; counting costs as much as a piece. */
const COUNT_MS = 1; // docs/tuning.md#fair-reads
/** How long they are counted after a turn that was full: the thread is behind. */
const BEHIND_MS = 16; // docs/tuning.md#fair-reads
/** Pieces per turn. Each takes two of the 128 operations; requests that begin or end need the rest. */
const TURN_PIECES = 36; // docs/tuning.md#fair-reads
/** Fewer pieces per turn for each request that begins: it takes about six turns, which must be short then. */
const BEGINNING_PIECES = 8; // docs/tuning.md#fair-reads
/** More requests than this count as that many, so that the turns are as before soon after the last of them. */
const MAX_BEGINNING = 16; // docs/tuning.md#fair-reads
/** Streams go on, however many requests begin. */
const MIN_TURN_PIECES = 8; // docs/tuning.md#fair-reads

export class FairReadScheduler {
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #afterTurn: AfterTurn;
  #pieces = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** Turns are counted. */
  #isCounting = false;
  #countUntilMs = 0;
  #isTurnCounted = false;
  #turnPieces = 0;
  /** Streams from the line that read in this turn. */
  #called = 0;
  /** Pieces that this turn has room for. */
  #room = TURN_PIECES;
  /** Requests that began in this turn; those of each turn before count half. */
  #beginning = 0;
  /** Resumes the waiting streams, first in first out. */
  readonly #line: (() => void)[] = [];
  readonly #onTurnEnd = (): void => this.#endTurn();

  /** @param afterTurn default: a timer, which takes a millisecond and more */
  constructor(
    clock: Pick<Clock, "monotonic">,
    afterTurn: AfterTurn = (callback) => setTimeout(callback, 0),
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
      if (!this.#isCounting) return null;
      this.#countTurn();
    }
    if (++this.#turnPieces < this.#room && this.#line.length === 0) return null;
    return new Promise((resolve) => this.#line.push(resolve));
  }

  /** Call when a request begins. */
  begun(): void {
    if (this.#beginning < MAX_BEGINNING) this.#beginning++;
  }

  #look(): void {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#lookedAtMs < BUSY_LOOK_MS) this.#countFor(COUNT_MS, nowMs);
    this.#lookedAtMs = nowMs;
  }

  #countFor(ms: number, nowMs: number): void {
    this.#isCounting = true;
    this.#countUntilMs = Math.max(this.#countUntilMs, nowMs + ms);
  }

  #countTurn(): void {
    this.#isTurnCounted = true;
    this.#turnPieces = 0;
    this.#afterTurn(this.#onTurnEnd);
  }

  #endTurn(): void {
    const nowMs = this.#clock.monotonic();
    if (this.#turnPieces >= this.#room) this.#countFor(BEHIND_MS, nowMs);
    this.#room = Math.max(MIN_TURN_PIECES, TURN_PIECES - Math.round(this.#beginning * BEGINNING_PIECES));
    this.#beginning /= 2;
    // Pieces of streams that did not come from the line count first; those streams join the line from now on.
    const unasked = Math.max(0, this.#turnPieces - this.#called);
    const next = this.#line.splice(0, Math.max(0, this.#room - unasked));
    this.#called = next.length;
    this.#isTurnCounted = false;
    if (next.length > 0 || this.#line.length > 0) this.#countTurn();
    else if (nowMs >= this.#countUntilMs) this.#isCounting = false;
    for (const read of next) read();
  }
}
