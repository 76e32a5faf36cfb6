/**
 * Timers for deadlines: many are set, nearly all are cleared again, and none needs to be exact.
 *
 * One timer of the runtime serves them all; set and clear are O(1), firing is linear in the timers that wait. A timer
 * never fires early; it may be 10 ms late, and above a second up to a tenth of its length.
 */
import type { TimerId } from "../core/clock.ts";

class Timer {
  /** Index in the list; -1: it has fired, or was cleared. */
  place = -1;

  constructor(readonly callback: () => void, readonly dueMs: number) {}
}

export class CoarseTimers {
  readonly #now: () => number;
  /** In no order. An array, not a map by due time: timers come and go with every request (see LinkedList). */
  readonly #timers: Timer[] = [];
  #armed: { readonly dueMs: number; readonly timer: ReturnType<typeof setTimeout> } | null = null;

  /** @param now monotonic, in milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  set(callback: () => void, delayMs: number): TimerId {
    const stepMs = delayMs < 1_000 ? 10 : delayMs < 10_000 ? 100 : 1_000;
    const dueMs = Math.ceil((this.#now() + Math.max(0, delayMs)) / stepMs) * stepMs;
    const timer = new Timer(callback, dueMs);
    timer.place = this.#timers.push(timer) - 1;
    if (dueMs < this.#armedDueMs()) this.#arm(dueMs);
    return timer;
  }

  clear(id: TimerId): void {
    if (!(id instanceof Timer) || id.place < 0) return;
    const last = this.#timers.pop();
    if (last !== undefined && last !== id) {
      this.#timers[id.place] = last;
      last.place = id.place;
    }
    id.place = -1;
    // An armed timer of the runtime would keep the process alive.
    if (this.#timers.length === 0) this.#disarm();
  }

  #armedDueMs(): number {
    return this.#armed?.dueMs ?? Number.POSITIVE_INFINITY;
  }

  #arm(dueMs: number): void {
    this.#disarm();
    const timer = setTimeout(() => this.#fire(), Math.max(0, dueMs - this.#now()));
    this.#armed = { dueMs, timer };
  }

  #disarm(): void {
    if (this.#armed !== null) clearTimeout(this.#armed.timer);
    this.#armed = null;
  }

  #fire(): void {
    this.#armed = null;
    const nowMs = this.#now();
    const due = this.#timers.filter(({ dueMs }) => dueMs <= nowMs).sort((a, b) => a.dueMs - b.dueMs);
    try {
      for (const timer of due) this.#call(timer);
    } finally {
      let nextMs = Number.POSITIVE_INFINITY;
      for (const { dueMs } of this.#timers) nextMs = Math.min(nextMs, dueMs);
      // A callback may have armed a timer that is later than others that still wait.
      if (nextMs < this.#armedDueMs()) this.#arm(nextMs);
    }
  }

  /** A timer that an earlier callback has cleared is not called. */
  #call(timer: Timer): void {
    if (timer.place < 0) return;
    this.clear(timer);
    timer.callback();
  }
}
