/**
 * A clock that a test advances by hand.
 */
import type { Clock, TimerId } from "../../src/core/clock.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FakeClock implements Clock {
  #elapsedMs = 0;
  readonly #timers = new Map<TimerId, Timer>();
  readonly #waiting: { readonly delayMs: number; readonly resolve: () => void }[] = [];

  constructor(readonly startMs = Date.UTC(2026, 0, 2, 3, 4, 5)) {}

  now(): number {
    return this.startMs + this.#elapsedMs;
  }

  monotonic(): number {
    return this.#elapsedMs;
  }

  setTimer(callback: () => void, delayMs: number): TimerId {
    const id = {};
    this.#timers.set(id, { atMs: this.#elapsedMs + delayMs, callback });
    for (const waiting of this.#waiting.splice(0)) {
      if (waiting.delayMs === delayMs) waiting.resolve();
      else this.#waiting.push(waiting);
    }
    return id;
  }

  clearTimer(id: TimerId): void {
    this.#timers.delete(id);
  }

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Resolves when a timer with exactly this delay is set after this call. */
  timerSet(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ delayMs, resolve });
    return promise;
  }

  /** Advances time, firing timers in order. */
  advance(ms: number): void {
    const end = this.#elapsedMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, timer]) => timer.atMs <= end)
        .sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#elapsedMs = due[1].atMs;
      due[1].callback();
    }
    this.#elapsedMs = end;
  }
}
