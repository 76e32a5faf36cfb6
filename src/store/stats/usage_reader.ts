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
  /** 95 % of the answers took no longer; null where nothing was measured. */
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
const SUM_COLUMNS = "requests, errors, input_tokens, output_tokens, cached_tokens";

/** Adds up the rows of one name. */
class UsageAdder implements UsageSums {
  requests = 0;
  errors = 0;
  inputTokens = 0;
  outputTokens = 0;
  cachedTokens = 0;
  readonly #latencies = new Histogram();
  readonly #requestSeries: number[];
  readonly #tokenSeries: number[];

  constructor(steps: number) {
    this.#requestSeries = new Array<number>(steps).fill(0);
    this.#tokenSeries = new Array<number>(steps).fill(0);
  }

  add(row: Record<string, unknown>, step: number): void {
    const sums = sumsOf(row);
    addSums(this, sums);
    this.#latencies.addAll(Histogram.fromText(String(row["latencies"])));
    this.#requestSeries[step] = (this.#requestSeries[step] ?? 0) + sums.requests;
    this.#tokenSeries[step] = (this.#tokenSeries[step] ?? 0) + sums.inputTokens + sums.outputTokens;
  }

  addAll(other: UsageAdder): void {
    addSums(this, other);
    this.#latencies.addAll(other.#latencies);
    other.#requestSeries.forEach((value, step) =>
      this.#requestSeries[step] = (this.#requestSeries[step] ?? 0) + value
    );
    other.#tokenSeries.forEach((value, step) =>
      this.#tokenSeries[step] = (this.#tokenSeries[step] ?? 0) + value
    );
  }

  usage(): Usage {
    const { requests, errors, inputTokens, outputTokens, cachedTokens } = this;
    return {
      requests,
      errors,
      inputTokens,
      outputTokens,
      cachedTokens,
      p95Ms: this.#latencies.percentile(0.95),
      series: { requests: this.#requestSeries, tokens: this.#tokenSeries },
    };
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

function readTable(
  db: DatabaseSync,
  { plan, dimension, steps }: { readonly plan: Plan; readonly dimension: string; readonly steps: number },
): UsageTable {
  const { keptSeconds, stepSeconds, firstAt, lastAt } = plan;
  const rows = prepared(
    db,
    `SELECT at, is_rest, ${asBlobs(["name"])}, ${SUM_COLUMNS}, latencies FROM usage_stats
      WHERE step_seconds = ? AND at >= ? AND at < ? AND dimension = ?`,
  ).all(keptSeconds, firstAt, lastAt + stepSeconds, dimension);
  const names = new Map<string, UsageAdder>();
  let rest: UsageAdder | null = null;
  for (const row of rows) {
    const name = text(row["name"]) ?? "";
    const adder = row["is_rest"] === 1
      ? rest ??= new UsageAdder(steps)
      : names.get(name) ?? new UsageAdder(steps);
    if (adder !== rest) names.set(name, adder);
    adder.add(row, (floorTo(Number(row["at"]), stepSeconds) - firstAt) / stepSeconds);
  }
  const byRequests = [...names].sort(([aName, a], [bName, b]) =>
    b.requests - a.requests || Number(aName === "") - Number(bName === "") || (aName < bName ? -1 : 1)
  );
  for (const [, adder] of byRequests.slice(MAX_ROWS)) (rest ??= new UsageAdder(steps)).addAll(adder);
  return {
    rows: byRequests.slice(0, MAX_ROWS).map(([name, adder]) => ({
      name: name === "" ? null : name,
      ...adder.usage(),
    })),
    others: rest?.usage() ?? null,
  };
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
