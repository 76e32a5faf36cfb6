/**
 * The days whose costs are asked for. Days are those of UTC. Pure.
 */
import { DAY_MS } from "../core/units.ts";
import type { DaySpan } from "../store/stats/usage_reader.ts";

export type { DaySpan };

/** Days and months up to now, and the month before. */
export const COST_RANGES = ["today", "7d", "30d", "month", "last_month", "365d"] as const;
export type CostRange = typeof COST_RANGES[number];

export type CostSpan = CostRange | DaySpan;

const DAYS = { today: 1, "7d": 7, "30d": 30, "365d": 365 } as const;

/** Both ends are included. @param nowMs milliseconds since the Unix epoch */
export function daysOf(span: CostSpan, nowMs: number): DaySpan {
  if (typeof span !== "string") return span;
  if (span === "month") return { sinceMs: monthStart(nowMs), untilMs: nowMs };
  if (span === "last_month") {
    const untilMs = monthStart(nowMs) - 1;
    return { sinceMs: monthStart(untilMs), untilMs };
  }
  return { sinceMs: nowMs - (DAYS[span] - 1) * DAY_MS, untilMs: nowMs };
}

function monthStart(ms: number): number {
  const date = new Date(ms);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth());
}
