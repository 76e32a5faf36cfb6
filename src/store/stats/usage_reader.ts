/**
 * Reads the tables `usage_stats` and `client_totals`: requests by model, by client, and each client's since ever.
 *
 * Owns which names are shown by themselves. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import { prepared } from "../database/statements.ts";
import { asBlobs, text } from "../database/values.ts";
import { Histogram } from "./histogram.ts";
import { floorTo, type Plan, planOf, type StatsSpan } from "./span_plan.ts";
import { addSums, DIMENSIONS, USAGE_RESOLUTIONS, type UsageSums } from "./usage_tally.ts";

export interface Usage extends Readonly<UsageSums> {
  /** 95 % of the answers took no longer; null where nothing was measured, and of the others. */
  readonly p95Ms: number | null;
  /** One value for each step of {@link UsageStats.steps}. */
  readonly series: {
    readonly requests: readonly number[];
    /** Input and output. */
    readonly tokens: readonly number[];
  };
}

export interface NamedUsage extends Usage {
  /** null: requests without a model, or of a client without a name. */
  readonly name: string | null;
}

export interface UsageTable {
  /** Most requests first, at most {@link MAX_ROWS}. */
  readonly rows: readonly NamedUsage[];
  /** All others together; null when there are none. */
  readonly others: Usage | null;
}

export interface UsageStats {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
  /** Since when requests are counted by model and client; null: for the whole span. */
  readonly sinceMs: number | null;
  /** Starts of the steps, oldest first. */
  readonly steps: readonly number[];
  readonly models: UsageTable;
  readonly clients: UsageTable;
}

export interface ClientTotals {
  /** Since when requests are counted; null: since ever. */
  readonly sinceMs: number | null;
  readonly clients:
    readonly (Readonly<UsageSums> & { readonly client: string; readonly lastUsedMs: number })[];
}

/** Names that a table shows by themselves. */
export const MAX_ROWS = 20;

const KEPT = { table: "usage_stats", resolutions: USAGE_RESOLUTIONS } as const;
const WITHIN = "step_seconds = ? AND at >= ? AND at < ? AND dimension = ?";
const PLACES = Array.from({ length: MAX_ROWS }, () => "?").join(", ");
/** Numbers of a row of `usage_stats` and of `client_totals`. */
export const SUM_COLUMNS = ["requests", "errors", "input_tokens", "output_tokens", "cached_tokens"];

/** Adds up the rows of one name. */
class UsageAdder implements UsageSums {
  requests = 0;
  errors = 0;
  inputTokens = 0;
  outputTokens = 0;
  cachedTokens = 0;
  readonly #latencies = new Histogram();
  readonly #series: { readonly requests: number[]; readonly tokens: number[] };

  constructor(steps: number) {
    const zeros = () => new Array<number>(steps).fill(0);
    this.#series = { requests: zeros(), tokens: zeros() };
  }

  /** `latencies` of the row: null or absent for none. */
  add(row: Record<string, unknown>, step: number): void {
    const sums = sumsOf(row);
    const { requests, tokens } = this.#series;
    addSums(this, sums);
    requests[step] = (requests[step] ?? 0) + sums.requests;
    tokens[step] = (tokens[step] ?? 0) + sums.inputTokens + sums.outputTokens;
    const { latencies } = row;
    if (typeof latencies === "string") this.#latencies.addAll(Histogram.fromText(latencies));
  }

  usage(): Usage {
    const { requests, errors, inputTokens, outputTokens, cachedTokens } = this;
    const p95Ms = this.#latencies.percentile(0.95);
    return { requests, errors, inputTokens, outputTokens, cachedTokens, p95Ms, series: this.#series };
  }
}

/** @param nowMs milliseconds since the Unix epoch */
export function readUsage(db: DatabaseSync, span: StatsSpan, nowMs: number): UsageStats {
  const plan = planOf(db, KEPT, { span, nowMs });
  const [models, clients] = DIMENSIONS.map((dimension) => readTable(db, plan, dimension));
  return usageOf({ plan, nowMs, since: readSince(db), models, clients });
}

/** What was read of a span. @param read.since when counting by names began, in milliseconds; null: since ever */
export function usageOf({ plan, nowMs, since, models, clients }: {
  readonly plan: Plan;
  readonly nowMs: number;
  readonly since: number | null;
  readonly models: UsageTable | undefined;
  readonly clients: UsageTable | undefined;
}): UsageStats {
  const { stepSeconds, firstAt, lastAt } = plan;
  const none = { rows: [], others: null };
  return {
    fromMs: firstAt * 1000,
    toMs: Math.min(nowMs, (lastAt + stepSeconds) * 1000),
    stepMs: stepSeconds * 1000,
    sinceMs: since !== null && since > firstAt * 1000 ? since : null,
    steps: Array.from({ length: stepsOf(plan) }, (_, index) => (firstAt + index * stepSeconds) * 1000),
    models: models ?? none,
    clients: clients ?? none,
  };
}

function stepsOf({ stepSeconds, firstAt, lastAt }: Plan): number {
  return (lastAt - firstAt) / stepSeconds + 1;
}

/** Histograms are read of the names that are shown alone: there may be a hundred thousand others. */
function readTable(db: DatabaseSync, plan: Plan, dimension: string): UsageTable {
  const { keptSeconds, stepSeconds, firstAt, lastAt } = plan;
  const within = [keptSeconds, firstAt, lastAt + stepSeconds, dimension];
  const names = topNames(db, within);
  // One statement for any number of names; an unused place repeats one.
  const places = Array.from({ length: MAX_ROWS }, (_, index) => names[index] ?? names[0] ?? "");
  const rows = prepared(
    db,
    `SELECT at, ${asBlobs(["name"])}, ${SUM_COLUMNS.join(", ")}, latencies FROM usage_stats
      WHERE ${WITHIN} AND is_rest = 0 AND usage_stats.name IN (${PLACES})`,
  ).all(...within, ...places);
  const others = prepared(
    db,
    `SELECT at, ${SUM_COLUMNS.map((name) => `sum(${name}) AS ${name}`).join(", ")} FROM usage_stats
      WHERE ${WITHIN} AND (is_rest = 1 OR name NOT IN (${PLACES})) GROUP BY at`,
  ).all(...within, ...places);
  return tableOf({ names, rows: rows.map((row) => ({ ...row, name: text(row["name"]) })), others }, plan);
}

/** Rows of `usage_stats`, of which there may be several of one step and name. */
export interface UsageRows {
  /** Shown by themselves, in this order. */
  readonly names: readonly string[];
  readonly rows: readonly Record<string, unknown>[];
  /** Sums of all others. */
  readonly others: readonly Record<string, unknown>[];
}

export function tableOf({ names, rows, others }: UsageRows, plan: Plan): UsageTable {
  const { stepSeconds, firstAt } = plan;
  const indexOf = (row: Record<string, unknown>) =>
    (floorTo(Number(row["at"]), stepSeconds) - firstAt) / stepSeconds;
  const adders = new Map(names.map((name) => [name, new UsageAdder(stepsOf(plan))]));
  for (const row of rows) adders.get(String(row["name"] ?? ""))?.add(row, indexOf(row));
  const rest = new UsageAdder(stepsOf(plan));
  for (const row of others) rest.add(row, indexOf(row));
  return {
    rows: [...adders].map(([name, adder]) => ({ name: name === "" ? null : name, ...adder.usage() })),
    others: rest.requests === 0 ? null : rest.usage(),
  };
}

/** Most requests first; what has no name comes after those with as many. */
function topNames(db: DatabaseSync, within: readonly (string | number)[]): string[] {
  const rows = prepared(
    db,
    `SELECT ${asBlobs(["name"])} FROM usage_stats WHERE ${WITHIN} AND is_rest = 0
      GROUP BY usage_stats.name ORDER BY sum(requests) DESC, usage_stats.name = '', usage_stats.name LIMIT ${MAX_ROWS}`,
  ).all(...within);
  return rows.map((row) => text(row["name"]) ?? "");
}

/** Of every client that was counted, whether it has a token or not. */
export function readClientTotals(db: DatabaseSync): ClientTotals {
  const columns = `${asBlobs(["client"])}, ${SUM_COLUMNS.join(", ")}, last_used_ms`;
  const rows = prepared(db, `SELECT ${columns} FROM client_totals`).all();
  return totalsOf(rows.map((row) => ({ ...row, client: text(row["client"]) })), readSince(db));
}

export function totalsOf(rows: readonly Record<string, unknown>[], sinceMs: number | null): ClientTotals {
  return {
    sinceMs,
    clients: rows.map((row) => ({
      client: String(row["client"] ?? ""),
      ...sumsOf(row),
      lastUsedMs: Number(row["last_used_ms"]),
    })),
  };
}

function readSince(db: DatabaseSync): number | null {
  const since = prepared(db, "SELECT since_ms FROM usage_progress").get()?.["since_ms"] ?? null;
  return since === null ? null : Number(since);
}

function sumsOf(row: Record<string, unknown>): UsageSums {
  return {
    requests: Number(row["requests"]),
    errors: Number(row["errors"]),
    inputTokens: Number(row["input_tokens"]),
    outputTokens: Number(row["output_tokens"]),
    cachedTokens: Number(row["cached_tokens"]),
  };
}
