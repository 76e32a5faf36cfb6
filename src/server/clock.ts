/**
 * The system's clock and timers, for everything that takes a {@link Clock}.
 */
import type { Clock } from "../core/clock.ts";
import { CoarseTimers } from "./coarse_timers.ts";

const monotonic = (): number => performance.now();
const timers = new CoarseTimers(monotonic);

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic,
  setTimer: (callback, delayMs) => timers.set(callback, delayMs),
  clearTimer: (id) => timers.clear(id),
};
