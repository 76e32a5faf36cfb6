/**
 * Time, as the program gets it.
 */

/** Wall and monotonic time, and timers; injected so that tests drive them. */
export interface Clock {
  /** Milliseconds since the Unix epoch. May jump. */
  now(): number;
  /** Milliseconds from an arbitrary start. Never jumps. */
  monotonic(): number;
  setTimer(callback: () => void, delayMs: number): TimerId;
  clearTimer(id: TimerId): void;
}

/** What a clock gives for a timer; means nothing to another clock. */
export type TimerId = object;
