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

/** A span at a moment, and how finely its table is kept, finest first. */
export interface PlanRequest {
  readonly span: StatsSpan;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
  readonly resolutions: readonly Resolution[];
}

/** Steps that would serve a span. */
export interface Candidate {
  readonly stepSeconds: number;
  /** Where the span begins in them, in seconds since the Unix epoch. */
  readonly firstAt: number;
}

/** `nowMs`: milliseconds since the Unix epoch. */
export function planOf(
  db: DatabaseSync,
  { table, resolutions }: KeptSteps,
  { span, nowMs }: { readonly span: StatsSpan; readonly nowMs: number },
): Plan {
  const request = { span, nowMs, resolutions };
  const kept = candidatesOf(request).find(({ stepSeconds, firstAt }) =>
    isKeptSince(db, table, { stepSeconds, at: firstAt })
  );
  return planWith(request, kept ?? null);
}

/** Finest first. The first one that is really there from its beginning on is the right one, see {@link planWith}. */
export function candidatesOf(request: PlanRequest): Candidate[] {
  const { now, wanted, firstWith } = boundsOf(request);
  return request.resolutions.flatMap(({ stepSeconds, keepSeconds }) => {
    const firstAt = firstWith(Math.max(stepSeconds, wanted));
    return firstAt >= now - keepSeconds ? [{ stepSeconds, firstAt }] : [];
  });
}

/** @param kept null: none is, and the coarsest has to do */
export function planWith(request: PlanRequest, kept: Candidate | null): Plan {
  const { span, resolutions } = request;
  const { until, wanted, firstWith } = boundsOf(request);
  const keptSeconds = kept?.stepSeconds ?? resolutions.at(-1)?.stepSeconds ?? 6 * HOUR_SECONDS;
  const length = until - firstWith(keptSeconds);
  const stepSeconds = typeof span === "string"
    ? Math.max(keptSeconds, wanted)
    : STEPS_SECONDS.find((step) => step >= keptSeconds && length / step <= MAX_STEPS) ?? 6 * HOUR_SECONDS;
  const lastAt = floorTo(until, stepSeconds);
  const firstAt = firstWith(stepSeconds);
  return { keptSeconds, stepSeconds, firstAt, lastAt: Math.max(firstAt, lastAt) };
}

interface Bounds {
  readonly now: number;
  readonly until: number;
  /** The step in which it is shown at least. */
  readonly wanted: number;
  readonly firstWith: (step: number) => number;
}

/** In seconds. */
function boundsOf({ span, nowMs, resolutions }: PlanRequest): Bounds {
  const now = nowMs / 1000;
  if (typeof span === "string") {
    const { seconds, stepSeconds: wanted } = SPANS[span];
    // A span up to now ends with the step that is not over; its first step is whole.
    return { now, until: now, wanted, firstWith: (step) => floorTo(now, step) - seconds + step };
  }
  // Nothing is kept of earlier times.
  const longestKept = Math.max(...resolutions.map(({ keepSeconds }) => keepSeconds));
  const since = Math.max(now - longestKept, Math.min(span.sinceMs, span.untilMs) / 1000);
  return {
    now,
    until: Math.min(now, span.untilMs / 1000),
    wanted: 0,
    firstWith: (step) => floorTo(since, step),
  };
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
