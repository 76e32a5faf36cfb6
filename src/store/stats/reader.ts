/**
 * Reads the table `request_stats` as a time series.
 *
 * Owns which resolution serves which span, and the percentiles. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import { Histogram } from "./histogram.ts";
import { prepared } from "../database/statements.ts";
import { RESOLUTIONS } from "./tally.ts";

/** Lengths of time up to now. */
export const STATS_RANGES = ["15m", "1h", "24h", "7d", "30d"] as const;
export type StatsRange = typeof STATS_RANGES[number];

/** A length of time up to now, or any time; milliseconds since the Unix epoch. */
export type StatsSpan = StatsRange | { readonly sinceMs: number; readonly untilMs: number };

/** null where nothing was measured. */
export interface StatsSums {
  readonly requests: number;
  /** Requests that did not end well, client's own mistakes and departures left out. */
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly firstTokenP50Ms: number | null;
  readonly firstTokenP95Ms: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

export interface RequestStats {
  readonly fromMs: number;
  readonly toMs: number;
  /** Length of one step. */
  readonly stepMs: number;
  /** Every step of the span, oldest first, empty ones included; the last one is not over yet. */
  readonly points: readonly (StatsSums & { readonly atMs: number })[];
  /** The whole span at once. */
  readonly total: StatsSums;
  /** Without the requests that no upstream answered. */
  readonly upstreams: readonly {
    readonly id: number;
    readonly requests: number;
    /** Attempts that failed there, and that it is to blame for. */
    readonly failures: number;
    /** Those, and the ones that answered well. */
    readonly attempts: number;
    /** Of the requests that it answered well; null when there were none. */
    readonly p95Ms: number | null;
  }[];
}

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
const LONGEST_KEPT_SECONDS = Math.max(...RESOLUTIONS.map(({ keepSeconds }) => keepSeconds));

/** Which rows are read, and the steps to which they are added up; in seconds since the Unix epoch. */
interface Plan {
  readonly keptSeconds: number;
  readonly stepSeconds: number;
  readonly firstAt: number;
  readonly lastAt: number;
}

function planOf(db: DatabaseSync, span: StatsSpan, nowMs: number): Plan {
  const now = nowMs / 1000;
  const { since, until, wanted } = typeof span === "string"
    ? { since: null, until: now, wanted: SPANS[span].stepSeconds }
    : {
      // Nothing is kept of earlier times.
      since: Math.max(now - LONGEST_KEPT_SECONDS, Math.min(span.sinceMs, span.untilMs) / 1000),
      until: Math.min(now, span.untilMs / 1000),
      wanted: 0,
    };
  // A span up to now ends with the step that is not over; its first step is whole.
  const firstWith = (step: number): number =>
    since === null && typeof span === "string"
      ? floorTo(now, step) - SPANS[span].seconds + step
      : floorTo(since ?? 0, step);
  const kept = RESOLUTIONS.find(({ stepSeconds, keepSeconds }) => {
    const firstAt = firstWith(Math.max(stepSeconds, wanted));
    return firstAt >= now - keepSeconds && isKeptSince(db, stepSeconds, firstAt);
  }) ?? RESOLUTIONS[RESOLUTIONS.length - 1];
  const keptSeconds = kept?.stepSeconds ?? 6 * HOUR_SECONDS;
  const length = until - firstWith(keptSeconds);
  const stepSeconds = typeof span === "string"
    ? Math.max(keptSeconds, wanted)
    : STEPS_SECONDS.find((step) => step >= keptSeconds && length / step <= MAX_STEPS) ?? 6 * HOUR_SECONDS;
  const lastAt = floorTo(until, stepSeconds);
  const firstAt = firstWith(stepSeconds);
  return { keptSeconds, stepSeconds, firstAt, lastAt: Math.max(firstAt, lastAt) };
}

function floorTo(seconds: number, step: number): number {
  return Math.floor(seconds / step) * step;
}

/** A database of an older version has kept its fine steps for a shorter time; the next coarser ones tell. */
function isKeptSince(db: DatabaseSync, stepSeconds: number, at: number): boolean {
  const oldest = "SELECT min(at) AS at FROM request_stats WHERE step_seconds = ?";
  const from = prepared(db, oldest).get(stepSeconds)?.["at"] ?? null;
  if (from !== null && Number(from) <= at) return true;
  const older = prepared(
    db,
    "SELECT 1 FROM request_stats WHERE step_seconds > ? AND at >= ? AND at + step_seconds <= ? LIMIT 1",
  ).get(stepSeconds, at, from === null ? Number.MAX_SAFE_INTEGER : Number(from));
  return older === undefined;
}

/** Adds up rows of one step, or of all. */
class Adder {
  requests = 0;
  errors = 0;
  inputTokens = 0;
  outputTokens = 0;
  readonly #latencies = new Histogram();
  readonly #firstTokens = new Histogram();

  add(row: Record<string, unknown>, latencies: Histogram, firstTokens: Histogram): void {
    this.requests += Number(row["requests"]);
    this.errors += Number(row["errors"]);
    this.inputTokens += Number(row["input_tokens"]);
    this.outputTokens += Number(row["output_tokens"]);
    this.#latencies.addAll(latencies);
    this.#firstTokens.addAll(firstTokens);
  }

  sums(): StatsSums {
    const { requests, errors, inputTokens, outputTokens } = this;
    return {
      requests,
      errors,
      p50Ms: this.#latencies.percentile(0.5),
      p95Ms: this.#latencies.percentile(0.95),
      firstTokenP50Ms: this.#firstTokens.percentile(0.5),
      firstTokenP95Ms: this.#firstTokens.percentile(0.95),
      inputTokens,
      outputTokens,
    };
  }
}

interface UpstreamAdder {
  readonly id: number;
  requests: number;
  failures: number;
  readonly latencies: Histogram;
}

/** @param nowMs milliseconds since the Unix epoch */
export function readStats(db: DatabaseSync, span: StatsSpan, nowMs: number): RequestStats {
  const { keptSeconds, stepSeconds, firstAt, lastAt } = planOf(db, span, nowMs);
  const endAt = lastAt + stepSeconds;
  const rows = prepared(
    db,
    `SELECT at, upstream_id, requests, errors, failures, input_tokens, output_tokens, latencies, first_tokens
      FROM request_stats WHERE step_seconds = ? AND at >= ? AND at < ?`,
  ).all(keptSeconds, firstAt, endAt);
  const total = new Adder();
  const steps = new Map<number, Adder>();
  const upstreams = new Map<number, UpstreamAdder>();
  for (const row of rows) {
    const latencies = Histogram.fromText(String(row["latencies"]));
    const firstTokens = Histogram.fromText(String(row["first_tokens"]));
    const at = floorTo(Number(row["at"]), stepSeconds);
    const step = steps.get(at) ?? new Adder();
    steps.set(at, step);
    for (const adder of [step, total]) adder.add(row, latencies, firstTokens);
    const id = Number(row["upstream_id"]);
    const upstream = upstreams.get(id) ?? { id, requests: 0, failures: 0, latencies: new Histogram() };
    upstreams.set(id, upstream);
    upstream.requests += Number(row["requests"]);
    upstream.failures += Number(row["failures"]);
    upstream.latencies.addAll(latencies);
  }
  const empty = new Adder().sums();
  const points = Array.from({ length: (lastAt - firstAt) / stepSeconds + 1 }, (_, index) => {
    const at = firstAt + index * stepSeconds;
    return { atMs: at * 1000, ...(steps.get(at)?.sums() ?? empty) };
  });
  upstreams.delete(0);
  return {
    fromMs: firstAt * 1000,
    toMs: Math.min(nowMs, endAt * 1000),
    stepMs: stepSeconds * 1000,
    points,
    total: total.sums(),
    upstreams: [...upstreams.values()]
      .sort((a, b) => b.requests - a.requests || b.failures - a.failures)
      .map(({ latencies, ...rest }) => ({
        ...rest,
        attempts: rest.failures + latencies.total,
        p95Ms: latencies.percentile(0.95),
      })),
  };
}
