/**
 * How often streams are read while there are more events than one thread can relay one by one.
 *
 * Relaying an event costs this thread the same however long it is, so that a thread that cannot keep up is helped by
 * reading each stream less often: what has come meanwhile goes out together. Without that, the runtime's order of work
 * lets some streams wait for seconds while others run on time. Knows nothing of streams but when they had a piece.
 */
import { setImmediate } from "node:timers";
import type { Clock } from "../core/types.ts";

/** Pieces between two looks at the clock. */
const LOOK_PIECES = 64;
/** With fewer pieces a second (4,000) there is nothing to watch, and turns of the event loop are not timed. */
const BUSY_LOOK_MS = 16;
/** Pieces in one turn of the event loop from which on the turn counts as full. */
const FULL_TURN_PIECES = 64;
/** Shares of the time in full turns. */
const OVERLOAD = 0.6;
const RELIEF = 0.2;
/** A judgement takes this long at least, or a pause, whose effect shows only after it. */
const MIN_WINDOW_MS = 100;
const MIN_PAUSE_MS = 16;
const MAX_PAUSE_MS = 960;
/** After so long without a piece, what was judged before says nothing of now. */
const REST_MS = 2 * MAX_PAUSE_MS;
/** A piece of this many bytes is worth a read of its own. */
const SMALL_PIECE_BYTES = 4 * 1024;

export class ReadPace {
  readonly #clock: Pick<Clock, "monotonic" | "setTimer">;
  #pauseMs = 0;
  #isWatching = false;
  #pieces = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** The turn of the event loop that is under way, once it had a piece. */
  #turn: { readonly startedAtMs: number; pieces: number } | null = null;
  #turnEndedAtMs = 0;
  #windowStartedAtMs = 0;
  #fullMs = 0;

  constructor(clock: Pick<Clock, "monotonic" | "setTimer">) {
    this.#clock = clock;
  }

  /** Call when a stream has something to relay, before {@link relayed}. */
  woken(): void {
    if (!this.#isWatching || this.#turn !== null) return;
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#turnEndedAtMs > REST_MS) {
      this.#pauseMs = 0;
      this.#startWindow(nowMs);
    }
    this.#turn = { startedAtMs: nowMs, pieces: 0 };
    setImmediate(() => this.#endTurn());
  }

  /**
   * Call after each piece of a stream that was relayed. Null, nearly always: the stream may be read at once; else it
   * is to be read again when the promise resolves.
   */
  relayed(bytes: number): Promise<void> | null {
    if (++this.#pieces % LOOK_PIECES === 0) this.#look();
    if (this.#turn === null) return null;
    this.#turn.pieces++;
    if (this.#pauseMs === 0 || bytes > SMALL_PIECE_BYTES) return null;
    return new Promise((resolve) => this.#clock.setTimer(resolve, this.#pauseMs));
  }

  #look(): void {
    const nowMs = this.#clock.monotonic();
    const isBusy = nowMs - this.#lookedAtMs < BUSY_LOOK_MS;
    this.#lookedAtMs = nowMs;
    if (isBusy && !this.#isWatching) this.#startWindow(nowMs);
    // While streams pause there are fewer pieces, and the watch goes on.
    this.#isWatching = isBusy || this.#pauseMs > 0;
  }

  #endTurn(): void {
    const turn = this.#turn;
    this.#turn = null;
    if (turn === null) return;
    const nowMs = this.#clock.monotonic();
    if (turn.pieces >= FULL_TURN_PIECES) {
      const lengthMs = nowMs - turn.startedAtMs;
      // The runtime's own work comes before a turn; a longer time before it was rest.
      this.#fullMs += lengthMs + Math.min(lengthMs, turn.startedAtMs - this.#turnEndedAtMs);
    }
    this.#turnEndedAtMs = nowMs;
    if (nowMs - this.#windowStartedAtMs >= Math.max(MIN_WINDOW_MS, this.#pauseMs)) this.#judge(nowMs);
  }

  #judge(nowMs: number): void {
    const share = this.#fullMs / (nowMs - this.#windowStartedAtMs);
    if (share > OVERLOAD) this.#pauseMs = Math.min(MAX_PAUSE_MS, Math.max(MIN_PAUSE_MS, this.#pauseMs * 2));
    else if (share < RELIEF) this.#pauseMs = this.#pauseMs > MIN_PAUSE_MS ? this.#pauseMs * 0.8 : 0;
    this.#startWindow(nowMs);
  }

  #startWindow(nowMs: number): void {
    this.#windowStartedAtMs = nowMs;
    this.#fullMs = 0;
  }
}
