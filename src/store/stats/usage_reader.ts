/**
 * Reads the tables `usage_stats` and `client_totals`: requests by model, by client and by upstream, and each client's since
 * ever; and what each has cost, by days of UTC.
 *
 * Owns which names are shown by themselves. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import { prepared } from "../database/statements.ts";
import { asBlobs, text } from "../database/values.ts";
import { Histogram } from "./histogram.ts";
import { floorTo, type Plan, planOf, type StatsSpan } from "./span_plan.ts";
import {
  addSums,
  DIMENSIONS,
  SUM_COLUMNS,
  sumsOfRow,
  USAGE_RESOLUTIONS,
  type UsageSums,
} from "./usage_tally.ts";

export interface Usage extends Readonly<UsageSums> {
  /** 95 % of the answers took no longer; null where nothing was measured, and of the others. */
  readonly p95Ms: number | null;
  /** One value for each step of {@link UsageStats.steps}. */
  readonly series: {
    readonly requests: readonly number[];
    /** Input and output, without those that are estimated. */
    readonly tokens: readonly number[];
    /** In 1e-9 US dollars. */
    readonly costNano: readonly number[];
    /** Requests whose cost is not known. */
    readonly unpriced: readonly number[];
  };
}

export interface NamedUsage extends Usage {
  /** null: requests without a model, of a client without a name, or that no upstream answered. */
  readonly name: string | null;
}

export interface UsageTable {
  /** Most requests (or money) first, at most {@link Selection.maxRows}. */
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
  /** Named by their numbers. */
  readonly upstreams: UsageTable;
}

export interface ClientTotals {
  /** Since when requests are counted; null: since ever. */
  readonly sinceMs: number | null;
  readonly clients:
    readonly (Readonly<UsageSums> & { readonly client: string; readonly lastUsedMs: number })[];
}

/** Which names are shown by themselves, and what of them. */
export interface Selection {
  readonly maxRows: number;
  readonly orderBy: "requests" | "cost_nano";
  readonly hasLatencies: boolean;
}

export const USAGE_SELECTION: Selection = { maxRows: 20, orderBy: "requests", hasLatencies: true };
/** All clients and upstreams of a day; of other times those that cost most. */
export const COST_SELECTION: Selection = { maxRows: 100, orderBy: "cost_nano", hasLatencies: false }; // docs/tuning.md#store-search-and-statistics

const DAY_SECONDS = 86_400;

/** For spans of the overview, which shows nothing of earlier times than the time series go back to. */
export const SPAN_RESOLUTIONS = USAGE_RESOLUTIONS.filter(({ stepSeconds }) => stepSeconds < DAY_SECONDS);

const KEPT = { table: "usage_stats", resolutions: SPAN_RESOLUTIONS } as const;
const WITHIN = "step_seconds = ? AND at >= ? AND at < ? AND dimension = ?";

/** Adds up the rows of one name. */
class UsageAdder implements UsageSums {
  requests = 0;
  errors = 0;
  inputTokens = 0;
  outputTokens = 0;
  cachedTokens = 0;
  costNano = 0;
  unpriced = 0;
  estimatedTokens = 0;
  readonly #latencies = new Histogram();
  readonly #series: Record<keyof Usage["series"], number[]>;

  constructor(steps: number) {
    const zeros = () => new Array<number>(steps).fill(0);
    this.#series = { requests: zeros(), tokens: zeros(), costNano: zeros(), unpriced: zeros() };
  }

  /** `latencies` of the row: null or absent for none. */
  add(row: Record<string, unknown>, step: number): void {
    const sums = sumsOfRow(row);
    const { requests, tokens, costNano, unpriced } = this.#series;
    addSums(this, sums);
    requests[step] = (requests[step] ?? 0) + sums.requests;
    tokens[step] = (tokens[step] ?? 0) + sums.inputTokens + sums.outputTokens;
    costNano[step] = (costNano[step] ?? 0) + sums.costNano;
    unpriced[step] = (unpriced[step] ?? 0) + sums.unpriced;
    const { latencies } = row;
    if (typeof latencies === "string") this.#latencies.addAll(Histogram.fromText(latencies));
  }

  usage(): Usage {
    const { requests, errors, inputTokens, outputTokens, cachedTokens } = this;
    const { costNano, unpriced, estimatedTokens } = this;
    return {
      ...{ requests, errors, inputTokens, outputTokens, cachedTokens },
      ...{ costNano, unpriced, estimatedTokens },
      p95Ms: this.#latencies.percentile(0.95),
      series: this.#series,
    };
  }
}

/** @param nowMs milliseconds since the Unix epoch */
export function readUsage(db: DatabaseSync, span: StatsSpan, nowMs: number): UsageStats {
  return readTables(db, planOf(db, KEPT, { span, nowMs }), { nowMs, selection: USAGE_SELECTION });
}

/** What was spent, by days. @param span both ends are moved outwards to whole days of UTC */
export function readCosts(db: DatabaseSync, span: DaySpan, nowMs: number): UsageStats {
  return readTables(db, dayPlan(span, nowMs), { nowMs, selection: COST_SELECTION });
}

/** Milliseconds since the Unix epoch. */
export interface DaySpan {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Whole days (UTC), no more than are kept. */
export function dayPlan({ sinceMs, untilMs }: DaySpan, nowMs: number): Plan {
  const keepSeconds = Math.max(...USAGE_RESOLUTIONS.map((each) => each.keepSeconds));
  const now = nowMs / 1000;
  const within = (ms: number) => floorTo(Math.min(now, Math.max(now - keepSeconds, ms / 1000)), DAY_SECONDS);
  const [one, other] = [within(sinceMs), within(untilMs)];
  const days = { keptSeconds: DAY_SECONDS, stepSeconds: DAY_SECONDS };
  return { ...days, firstAt: Math.min(one, other), lastAt: Math.max(one, other) };
}

function readTables(
  db: DatabaseSync,
  plan: Plan,
  { nowMs, selection }: { readonly nowMs: number; readonly selection: Selection },
): UsageStats {
  const [models, clients, upstreams] = DIMENSIONS.map((each) => readTable(db, { plan, selection }, each));
  return usageOf({ plan, nowMs, since: readSince(db), models, clients, upstreams });
}

/** What was read of a span. @param read.since when counting by names began, in milliseconds; null: since ever */
export function usageOf({ plan, nowMs, since, models, clients, upstreams }: {
  readonly plan: Plan;
  readonly nowMs: number;
  readonly since: number | null;
  readonly models: UsageTable | undefined;
  readonly clients: UsageTable | undefined;
  readonly upstreams: UsageTable | undefined;
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
    upstreams: upstreams ?? none,
  };
}

function stepsOf({ stepSeconds, firstAt, lastAt }: Plan): number {
  return (lastAt - firstAt) / stepSeconds + 1;
}

/** Histograms are read of the names that are shown alone: there may be a hundred thousand others. */
function readTable(
  db: DatabaseSync,
  { plan, selection }: { readonly plan: Plan; readonly selection: Selection },
  dimension: string,
): UsageTable {
  const { keptSeconds, stepSeconds, firstAt, lastAt } = plan;
  const { maxRows, hasLatencies } = selection;
  const within = [keptSeconds, firstAt, lastAt + stepSeconds, dimension];
  const names = topNames(db, within, selection);
  // One statement for any number of names; an unused place repeats one.
  const places = Array.from({ length: maxRows }, (_, index) => names[index] ?? names[0] ?? "");
  const marks = places.map(() => "?").join(", ");
  const rows = prepared(
    db,
    `SELECT at, ${asBlobs(["name"])}, ${SUM_COLUMNS.join(", ")}${
      hasLatencies ? ", latencies" : ""
    } FROM usage_stats
      WHERE ${WITHIN} AND is_rest = 0 AND usage_stats.name IN (${marks})`,
  ).all(...within, ...places);
  const others = prepared(
    db,
    `SELECT at, ${SUM_COLUMNS.map((name) => `sum(${name}) AS ${name}`).join(", ")} FROM usage_stats
      WHERE ${WITHIN} AND (is_rest = 1 OR name NOT IN (${marks})) GROUP BY at`,
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
    others: rest.requests === 0 && rest.costNano === 0 ? null : rest.usage(),
  };
}

/** What has no name comes after those with as many. */
function topNames(
  db: DatabaseSync,
  within: readonly (string | number)[],
  { maxRows, orderBy }: Selection,
): string[] {
  const rows = prepared(
    db,
    `SELECT ${asBlobs(["name"])} FROM usage_stats WHERE ${WITHIN} AND is_rest = 0
      GROUP BY usage_stats.name
      ORDER BY sum(${orderBy}) DESC, sum(requests) DESC, usage_stats.name = '', usage_stats.name LIMIT ${maxRows}`,
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
      ...sumsOfRow(row),
      lastUsedMs: Number(row["last_used_ms"]),
    })),
  };
}

function readSince(db: DatabaseSync): number | null {
  const since = prepared(db, "SELECT since_ms FROM usage_progress").get()?.["since_ms"] ?? null;
  return since === null ? null : Number(since);
}
