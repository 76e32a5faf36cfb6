/**
 * Reads the table `request_stats` as a time series.
 *
 * Owns the percentiles; which resolution serves which span: span_plan.ts. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import { COST_SUMS } from "../database/cost_columns.ts";
import { addCosts, type CostSums, costSumsOfRow } from "./counted_costs.ts";
import { Histogram } from "./histogram.ts";
import { prepared } from "../database/statements.ts";
import { floorTo, type Plan, planOf, type StatsSpan } from "./span_plan.ts";
import { RESOLUTIONS } from "./tally.ts";

export { STATS_RANGES, type StatsRange, type StatsSpan } from "./span_plan.ts";

/** null where nothing was measured. */
export interface StatsSums extends Readonly<CostSums> {
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
    /** What its answers and its failed attempts cost, as far as it is known, in 1e-9 US dollars. */
    readonly costNano: number;
  }[];
}

const KEPT = { table: "request_stats", resolutions: RESOLUTIONS } as const;

/** Adds up rows of one step, or of all. */
class Adder implements CostSums {
  costNano = 0;
  unpriced = 0;
  estimatedTokens = 0;
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
    addCosts(this, costSumsOfRow(row));
    this.#latencies.addAll(latencies);
    this.#firstTokens.addAll(firstTokens);
  }

  sums(): StatsSums {
    const { requests, errors, inputTokens, outputTokens, costNano, unpriced, estimatedTokens } = this;
    return {
      requests,
      errors,
      p50Ms: this.#latencies.percentile(0.5),
      p95Ms: this.#latencies.percentile(0.95),
      firstTokenP50Ms: this.#firstTokens.percentile(0.5),
      firstTokenP95Ms: this.#firstTokens.percentile(0.95),
      inputTokens,
      outputTokens,
      ...{ costNano, unpriced, estimatedTokens },
    };
  }
}

interface UpstreamAdder {
  readonly id: number;
  requests: number;
  failures: number;
  costNano: number;
  readonly latencies: Histogram;
}

/** @param nowMs milliseconds since the Unix epoch */
export function readStats(db: DatabaseSync, span: StatsSpan, nowMs: number): RequestStats {
  const plan = planOf(db, KEPT, { span, nowMs });
  const { keptSeconds, stepSeconds, firstAt, lastAt } = plan;
  const rows = prepared(
    db,
    `SELECT at, upstream_id, ${STATS_COLUMNS.join(", ")}, latencies, first_tokens
      FROM request_stats WHERE step_seconds = ? AND at >= ? AND at < ?`,
  ).all(keptSeconds, firstAt, lastAt + stepSeconds);
  return statsOf(rows, plan, nowMs);
}

/** Numbers of a row of `request_stats`. */
export const STATS_COLUMNS = [
  ...["requests", "errors", "failures", "input_tokens", "output_tokens"],
  ...Object.keys(COST_SUMS),
];

/**
 * Adds up rows of `request_stats`, of which there may be several of one step and upstream.
 *
 * @param nowMs milliseconds since the Unix epoch
 */
export function statsOf(
  rows: readonly Record<string, unknown>[],
  { stepSeconds, firstAt, lastAt }: Plan,
  nowMs: number,
): RequestStats {
  const endAt = lastAt + stepSeconds;
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
    const upstream = upstreams.get(id) ??
      { id, requests: 0, failures: 0, costNano: 0, latencies: new Histogram() };
    upstreams.set(id, upstream);
    upstream.requests += Number(row["requests"]);
    upstream.failures += Number(row["failures"]);
    upstream.costNano += Number(row["cost_nano"]);
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
