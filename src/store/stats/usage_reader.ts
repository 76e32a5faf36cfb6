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
const SUM_COLUMNS = "requests, errors, input_tokens, output_tokens, cached_tokens";

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
  const { stepSeconds, firstAt, lastAt } = plan;
  const steps = Array.from(
    { length: (lastAt - firstAt) / stepSeconds + 1 },
    (_, index) => (firstAt + index * stepSeconds) * 1000,
  );
  const [models, clients] = DIMENSIONS.map((dimension) =>
    readTable(db, { plan, dimension, steps: steps.length })
  );
  const since = readSince(db);
  const none = { rows: [], others: null };
  return {
    fromMs: firstAt * 1000,
    toMs: Math.min(nowMs, (lastAt + stepSeconds) * 1000),
    stepMs: stepSeconds * 1000,
    sinceMs: since !== null && since > firstAt * 1000 ? since : null,
    steps,
    models: models ?? none,
    clients: clients ?? none,
  };
}

interface TableQuery {
  readonly plan: Plan;
  readonly dimension: string;
  readonly steps: number;
}

/** Histograms are read of the names that are shown alone: there may be a hundred thousand others. */
function readTable(db: DatabaseSync, { plan, dimension, steps }: TableQuery): UsageTable {
  const { keptSeconds, stepSeconds, firstAt, lastAt } = plan;
  const within = [keptSeconds, firstAt, lastAt + stepSeconds, dimension];
  const indexOf = (row: Record<string, unknown>) =>
    (floorTo(Number(row["at"]), stepSeconds) - firstAt) / stepSeconds;
  const names = topNames(db, within);
  // One statement for any number of names; an unused place repeats one.
  const places = Array.from({ length: MAX_ROWS }, (_, index) => names[index] ?? names[0] ?? "");
  const adders = new Map(names.map((name) => [name, new UsageAdder(steps)]));
  const rows = prepared(
    db,
    `SELECT at, ${asBlobs(["name"])}, ${SUM_COLUMNS}, latencies FROM usage_stats
      WHERE ${WITHIN} AND is_rest = 0 AND usage_stats.name IN (${PLACES})`,
  ).all(...within, ...places);
  for (const row of rows) adders.get(text(row["name"]) ?? "")?.add(row, indexOf(row));
  const others = new UsageAdder(steps);
  const sums = prepared(
    db,
    `SELECT at, ${
      SUM_COLUMNS.split(", ").map((name) => `sum(${name}) AS ${name}`).join(", ")
    } FROM usage_stats
      WHERE ${WITHIN} AND (is_rest = 1 OR name NOT IN (${PLACES})) GROUP BY at`,
  ).all(...within, ...places);
  for (const row of sums) others.add(row, indexOf(row));
  return {
    rows: [...adders].map(([name, adder]) => ({ name: name === "" ? null : name, ...adder.usage() })),
    others: others.requests === 0 ? null : others.usage(),
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
  const rows = prepared(db, `SELECT ${asBlobs(["client"])}, ${SUM_COLUMNS}, last_used_ms FROM client_totals`)
    .all();
  return {
    sinceMs: readSince(db),
    clients: rows.map((row) => ({
      client: text(row["client"]) ?? "",
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
