/**
 * Which kept steps serve a span of time, and the steps in which it is shown.
 *
 * Reads only which steps there are.
 */
import type { DatabaseSync } from "node:sqlite";
import { prepared } from "../database/statements.ts";
import type { Resolution } from "./tally.ts";

/** Lengths of time up to now. */
export const STATS_RANGES = ["15m", "1h", "24h", "7d", "30d"] as const;
export type StatsRange = typeof STATS_RANGES[number];

/** A length of time up to now, or any time; milliseconds since the Unix epoch. */
export type StatsSpan = StatsRange | { readonly sinceMs: number; readonly untilMs: number };

const MINUTE_SECONDS = 60;
const HOUR_SECONDS = 60 * MINUTE_SECONDS;
const DAY_SECONDS = 24 * HOUR_SECONDS;
/** Seconds, and the step in which they are shown; kept steps are added up to it. */
const SPANS = {
  "15m": { seconds: 15 * MINUTE_SECONDS, stepSeconds: 10 },
  "1h": { seconds: HOUR_SECONDS, stepSeconds: MINUTE_SECONDS },
  "24h": { seconds: DAY_SECONDS, stepSeconds: 10 * MINUTE_SECONDS },
  "7d": { seconds: 7 * DAY_SECONDS, stepSeconds: HOUR_SECONDS },
  "30d": { seconds: 30 * DAY_SECONDS, stepSeconds: 6 * HOUR_SECONDS },
} as const satisfies Record<StatsRange, unknown>;

/** Steps of any time: the shortest with which there are not too many. */
const STEPS_SECONDS = [
  10,
  MINUTE_SECONDS,
  10 * MINUTE_SECONDS,
  HOUR_SECONDS,
  6 * HOUR_SECONDS,
];
const MAX_STEPS = 180;

/** A table with the columns `step_seconds` and `at`. */
export interface KeptSteps {
  readonly table: "request_stats" | "usage_stats";
  /** Finest first. */
  readonly resolutions: readonly Resolution[];
}

/** Which rows are read, and the steps to which they are added up; in seconds since the Unix epoch. */
export interface Plan {
  readonly keptSeconds: number;
  readonly stepSeconds: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

/** `nowMs`: milliseconds since the Unix epoch. */
export function planOf(
  db: DatabaseSync,
  { table, resolutions }: KeptSteps,
  { span, nowMs }: { readonly span: StatsSpan; readonly nowMs: number },
): Plan {
  const now = nowMs / 1000;
  const longestKept = Math.max(...resolutions.map(({ keepSeconds }) => keepSeconds));
  const { since, until, wanted } = typeof span === "string"
    ? { since: null, until: now, wanted: SPANS[span].stepSeconds }
    : {
      // Nothing is kept of earlier times.
      since: Math.max(now - longestKept, Math.min(span.sinceMs, span.untilMs) / 1000),
      until: Math.min(now, span.untilMs / 1000),
      wanted: 0,
    };
  // A span up to now ends with the step that is not over; its first step is whole.
  const firstWith = (step: number): number =>
    since === null && typeof span === "string"
      ? floorTo(now, step) - SPANS[span].seconds + step
      : floorTo(since ?? 0, step);
  const kept = resolutions.find(({ stepSeconds, keepSeconds }) => {
    const firstAt = firstWith(Math.max(stepSeconds, wanted));
    return firstAt >= now - keepSeconds && isKeptSince(db, table, { stepSeconds, at: firstAt });
  }) ?? resolutions[resolutions.length - 1];
  const keptSeconds = kept?.stepSeconds ?? 6 * HOUR_SECONDS;
  const length = until - firstWith(keptSeconds);
  const stepSeconds = typeof span === "string"
    ? Math.max(keptSeconds, wanted)
    : STEPS_SECONDS.find((step) => step >= keptSeconds && length / step <= MAX_STEPS) ?? 6 * HOUR_SECONDS;
  const lastAt = floorTo(until, stepSeconds);
  const firstAt = firstWith(stepSeconds);
  return { keptSeconds, stepSeconds, firstAt, lastAt: Math.max(firstAt, lastAt) };
}

export function floorTo(seconds: number, step: number): number {
  return Math.floor(seconds / step) * step;
}

/** A database of an older version has kept its fine steps for a shorter time; the next coarser ones tell. */
function isKeptSince(
  db: DatabaseSync,
  table: KeptSteps["table"],
  { stepSeconds, at }: { readonly stepSeconds: number; readonly at: number },
): boolean {
  const oldest = `SELECT min(at) AS at FROM ${table} WHERE step_seconds = ?`;
  const from = prepared(db, oldest).get(stepSeconds)?.["at"] ?? null;
  if (from !== null && Number(from) <= at) return true;
  const older = prepared(
    db,
    `SELECT 1 FROM ${table} WHERE step_seconds > ? AND at >= ? AND at + step_seconds <= ? LIMIT 1`,
  ).get(stepSeconds, at, from === null ? Number.MAX_SAFE_INTEGER : Number(from));
  return older === undefined;
}
