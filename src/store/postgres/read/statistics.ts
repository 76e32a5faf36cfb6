/**
 * Statistics and usage of all replicas: what each journal has counted, added up.
 *
 * Owns these statements; what is made of the rows is that of ../../stats/.
 */
import { type RequestStats, STATS_COLUMNS, statsOf } from "../../stats/reader.ts";
import { candidatesOf, type Plan, planWith, type StatsSpan } from "../../stats/span_plan.ts";
import { type Resolution, RESOLUTIONS } from "../../stats/tally.ts";
import {
  type ClientTotals,
  COST_SELECTION,
  dayPlan,
  type DaySpan,
  type Selection,
  SPAN_RESOLUTIONS,
  tableOf,
  totalsOf,
  USAGE_SELECTION,
  usageOf,
  type UsageStats,
  type UsageTable,
} from "../../stats/usage_reader.ts";
import { type Dimension, SUM_COLUMNS } from "../../stats/usage_tally.ts";
import type { PgStore } from "../query.ts";
import { UNPRICED } from "../schema.ts";

type Db = Pick<PgStore, "read">;

interface Asked {
  readonly span: StatsSpan;
  /** Milliseconds since the Unix epoch. */
  readonly nowMs: number;
}

/** Sums of `bigint` are `numeric`, which would come as text. */
const SUMS = SUM_COLUMNS.map((name) => `sum(${counted(name)})::float8 AS ${name}`).join(", ");

/** Requests that a server of an older version counted have no known price. */
function counted(name: string): string {
  return name === "unpriced" ? UNPRICED : name;
}

/** @throws PgError */
export async function readStats(db: Db, { span, nowMs }: Asked): Promise<RequestStats> {
  const plan = await planOf(db, "request_stats", { span, nowMs, resolutions: RESOLUTIONS });
  const columns = ["at", "upstream_id", ...STATS_COLUMNS].map((name) =>
    `${counted(name)}::float8 AS ${name}`
  );
  const rows = await db.read(
    `SELECT ${columns.join(", ")}, latencies, first_tokens FROM oar.request_stats
      WHERE step_seconds = $1::bigint AND at >= $2::bigint AND at < $3::bigint`,
    [plan.keptSeconds, plan.firstAt, plan.lastAt + plan.stepSeconds],
  );
  return statsOf(rows, plan, nowMs);
}

/** @throws PgError */
export async function readUsage(db: Db, { span, nowMs }: Asked): Promise<UsageStats> {
  const plan = await planOf(db, "usage_stats", { span, nowMs, resolutions: SPAN_RESOLUTIONS });
  return await readTables(db, plan, { nowMs, selection: USAGE_SELECTION });
}

/** @throws PgError */
export async function readCosts(db: Db, span: DaySpan, nowMs: number): Promise<UsageStats> {
  return await readTables(db, dayPlan(span, nowMs), { nowMs, selection: COST_SELECTION });
}

async function readTables(
  db: Db,
  plan: Plan,
  { nowMs, selection }: { readonly nowMs: number; readonly selection: Selection },
): Promise<UsageStats> {
  const table = (dimension: Dimension) => readTable(db, { plan, selection }, dimension);
  const [models, clients, upstreams, since] = await Promise.all([
    table("model"),
    table("client"),
    table("upstream"),
    readSince(db),
  ]);
  return usageOf({ plan, nowMs, since, models, clients, upstreams });
}

/** @throws PgError */
export async function readClientTotals(db: Db): Promise<ClientTotals> {
  const rows = await db.read(
    `SELECT client, ${SUMS}, max(last_used_ms)::float8 AS last_used_ms FROM oar.client_totals GROUP BY client`,
  );
  return totalsOf(rows, await readSince(db));
}

async function planOf(
  db: Db,
  table: "request_stats" | "usage_stats",
  request: Asked & { readonly resolutions: readonly Resolution[] },
): Promise<Plan> {
  for (const candidate of candidatesOf(request)) {
    if (await isKeptSince(db, table, [candidate.stepSeconds, candidate.firstAt])) {
      return planWith(request, candidate);
    }
  }
  return planWith(request, null);
}

/** Fine steps may have been kept for a shorter time once; the next coarser ones tell. */
async function isKeptSince(
  db: Db,
  table: "request_stats" | "usage_stats",
  values: readonly [stepSeconds: number, at: number],
): Promise<boolean> {
  const [row] = await db.read<{ is_kept: boolean }>(
    `SELECT coalesce(oldest.at <= $2::bigint, false) OR NOT EXISTS (
        SELECT 1 FROM oar.${table} coarse WHERE coarse.step_seconds > $1::bigint AND coarse.at >= $2::bigint
          AND (oldest.at IS NULL OR coarse.at + coarse.step_seconds <= oldest.at)) AS is_kept
      FROM (SELECT min(at) AS at FROM oar.${table} WHERE step_seconds = $1::bigint) oldest`,
    values,
  );
  return row?.is_kept ?? true;
}

const WITHIN = "step_seconds = $1::bigint AND at >= $2::bigint AND at < $3::bigint AND dimension = $4::text";

async function readTable(
  db: Db,
  { plan, selection: { maxRows, orderBy, hasLatencies } }: {
    readonly plan: Plan;
    readonly selection: Selection;
  },
  dimension: Dimension,
): Promise<UsageTable> {
  const within = [plan.keptSeconds, plan.firstAt, plan.lastAt + plan.stepSeconds, dimension];
  const top = await db.read<{ name: string }>(
    `SELECT name FROM oar.usage_stats WHERE ${WITHIN} AND is_rest = 0
      GROUP BY name
      ORDER BY sum(${orderBy}) DESC, sum(requests) DESC, name = '', name COLLATE "C" LIMIT ${maxRows}`,
    within,
  );
  const names = top.map(({ name }) => name);
  const columns = ["at", ...SUM_COLUMNS].map((name) => `${counted(name)}::float8 AS ${name}`).join(", ");
  const rows = await db.read(
    `SELECT name, ${columns}${hasLatencies ? ", latencies" : ""} FROM oar.usage_stats
      WHERE ${WITHIN} AND is_rest = 0 AND name = ANY ($5::text[])`,
    [...within, names],
  );
  const others = await db.read(
    `SELECT at::float8 AS at, ${SUMS} FROM oar.usage_stats
      WHERE ${WITHIN} AND (is_rest = 1 OR name <> ALL ($5::text[])) GROUP BY at`,
    [...within, names],
  );
  return tableOf({ names, rows, others }, plan);
}

/** Since when all journals have counted; null: since ever. */
async function readSince(db: Db): Promise<number | null> {
  const [row] = await db.read<{ since: number | null }>(
    "SELECT max(since_ms)::float8 AS since FROM oar.usage_progress",
  );
  return row?.since ?? null;
}
