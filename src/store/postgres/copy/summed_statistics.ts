/**
 * The statistics of all journals, added up as one database has them.
 *
 * Owns the sums. Rows hold what SQLite takes.
 */
import type { SQLInputValue } from "node:sqlite";
import { Histogram } from "../../stats/histogram.ts";
import type { PgStore } from "../query.ts";
import { UNPRICED } from "../schema.ts";
import { STATISTICS_TABLES, type StatisticsTable } from "../shipper/statistics_changes.ts";

type SummedTable = Exclude<StatisticsTable["name"], "usage_progress">;

export interface SummedStatistics {
  /** In the order of the tables' columns, keys first. */
  readonly rows: Readonly<Record<SummedTable, readonly (readonly SQLInputValue[])[]>>;
  /** Since when all requests are counted by model and client; null: since ever. */
  readonly sinceMs: number | null;
}

const TIMEOUT_MS = 120_000;

/** @throws PgError */
export async function summedStatistics(db: Pick<PgStore, "read">): Promise<SummedStatistics> {
  const [progress] = await db.read<{ since: number | null }>(
    "SELECT max(since_ms)::float8 AS since FROM oar.usage_progress",
  );
  return {
    rows: {
      request_stats: await sumsOf(db, "request_stats"),
      usage_stats: await sumsOf(db, "usage_stats"),
      client_totals: await sumsOf(db, "client_totals"),
    },
    sinceMs: progress?.since ?? null,
  };
}

async function sumsOf(db: Pick<PgStore, "read">, name: SummedTable): Promise<SQLInputValue[][]> {
  const table = STATISTICS_TABLES.find((each) => each.name === name);
  if (table === undefined) return [];
  const keys = Object.entries(table.keys);
  const values = Object.entries(table.values);
  const list = [
    ...keys.map(([column]) => `${column}::text AS ${column}`),
    ...values.map(([column, type]) => `${sumOf(column, type)} AS ${column}`),
  ];
  const names = keys.map(([column]) => column).join(", ");
  const rows = await db.read<Record<string, string | null>>(
    `SELECT ${list.join(", ")} FROM oar.${name} GROUP BY ${names}`,
    [],
    { timeoutMs: TIMEOUT_MS },
  );
  return rows.map((row) => [
    ...keys.map(([column, type]) => type === "bigint" ? BigInt(row[column] ?? "0") : row[column] ?? ""),
    ...values.map(([column, type]) =>
      type === "bigint" ? BigInt(row[column] ?? "0") : mergedHistogram(row[column] ?? "[]")
    ),
  ]);
}

function sumOf(column: string, type: "bigint" | "text"): string {
  if (type === "text") return `json_agg(${column})::text`;
  if (column === "unpriced") return `sum(${UNPRICED})::text`;
  return column === "last_used_ms" ? `max(${column})::text` : `sum(${column})::text`;
}

/** @param json texts of histograms, as a list */
function mergedHistogram(json: string): string {
  const histogram = new Histogram();
  const texts: unknown = JSON.parse(json);
  if (Array.isArray(texts)) {
    for (const text of texts) histogram.addAll(Histogram.fromText(String(text)));
  }
  return histogram.toText();
}
