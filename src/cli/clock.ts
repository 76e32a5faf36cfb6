/**
 * The system's clock and timers, for everything that takes a {@link Clock}.
 */
import type { Clock } from "../core/types.ts";

/** Deno's timers are objects with a numeric id; {@link Clock} speaks of the id. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer: (callback, delayMs) => Number(setTimeout(callback, delayMs)),
  clearTimer: (id) => clearTimeout(id),
};
