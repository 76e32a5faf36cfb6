/**
 * The clock interface.
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

/** Handle of a timer, valid for the clock that made it. */
export type TimerId = object;
