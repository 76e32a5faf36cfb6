/**
 * The statistics of a journal, and what of them has changed since they were sent.
 *
 * Owns their tables' columns. Rows of statistics are sums that only grow, but they also go: steps grow old, and a name that
 * counts little joins the rest; so what is gone here goes there.
 */
import type { DatabaseSync } from "node:sqlite";
import type { COST_SUMS } from "../../database/cost_columns.ts";
import { prepared } from "../../database/statements.ts";
import { cleanString } from "./clean_text.ts";

/** A table with a row for each key; the names are those of both databases. */
export interface StatisticsTable {
  readonly name: "request_stats" | "usage_stats" | "client_totals" | "usage_progress";
  readonly keys: Readonly<Record<string, "bigint" | "text">>;
  readonly values: Readonly<Record<string, "bigint" | "text">>;
}

const SUMS = { requests: "bigint", errors: "bigint" } as const;
/** Values of them are numbers, and 0 by default. */
const COSTS: Readonly<Record<keyof typeof COST_SUMS, "bigint">> = {
  cost_nano: "bigint",
  unpriced: "bigint",
  estimated_tokens: "bigint",
};
const TOKENS = { input_tokens: "bigint", output_tokens: "bigint" } as const;

export const STATISTICS_TABLES: readonly StatisticsTable[] = [
  {
    name: "request_stats",
    keys: { step_seconds: "bigint", at: "bigint", upstream_id: "bigint" },
    values: { ...SUMS, failures: "bigint", ...TOKENS, ...COSTS, latencies: "text", first_tokens: "text" },
  },
  {
    name: "usage_stats",
    keys: { step_seconds: "bigint", at: "bigint", dimension: "text", is_rest: "bigint", name: "text" },
    values: { ...SUMS, ...TOKENS, cached_tokens: "bigint", ...COSTS, latencies: "text" },
  },
  {
    name: "client_totals",
    keys: { client: "text" },
    values: { ...SUMS, ...TOKENS, cached_tokens: "bigint", ...COSTS, last_used_ms: "bigint" },
  },
  { name: "usage_progress", keys: {}, values: { since_ms: "bigint" } },
];

export interface StatisticsRow {
  readonly table: StatisticsTable["name"];
  /** In the order of the table's keys. */
  readonly key: readonly string[];
  /** In the order of the table's values; null: the row is gone. */
  readonly values: readonly (string | null)[] | null;
}

export type StatisticsChanges = readonly StatisticsRow[];

/** What differs between two states of a row: its numbers. Latencies change only with them. */
export function digestOf({ values }: StatisticsTable, row: readonly (string | null)[]): string {
  const types = Object.values(values);
  return row.filter((_, place) => types[place] === "bigint").map((value) => value ?? "-").join(",");
}

/** One text for a row of any table. */
export function idOf(table: StatisticsTable["name"], key: readonly string[]): string {
  return JSON.stringify([table, ...key]);
}

/**
 * What has to be sent so that PostgreSQL has what the journal has.
 *
 * @param known digests by {@link idOf}, of what it has
 */
export function changedStatistics(db: DatabaseSync, known: ReadonlyMap<string, string>): StatisticsChanges {
  const changes: StatisticsRow[] = [];
  const seen = new Set<string>();
  for (const table of STATISTICS_TABLES) {
    for (const { key, values } of rowsOf(db, table)) {
      const id = idOf(table.name, key);
      // Two names that become one when they are cleaned: the first stays.
      if (seen.has(id)) continue;
      seen.add(id);
      if (known.get(id) !== digestOf(table, values)) changes.push({ table: table.name, key, values });
    }
  }
  for (const id of known.keys()) {
    if (!seen.has(id)) changes.push(goneRow(id));
  }
  return changes;
}

/** Digests of what was sent are put into `known`. */
export function noteSent(known: Map<string, string>, changes: StatisticsChanges): void {
  for (const { table: name, key, values } of changes) {
    const table = STATISTICS_TABLES.find((each) => each.name === name);
    if (values === null || table === undefined) known.delete(idOf(name, key));
    else known.set(idOf(name, key), digestOf(table, values));
  }
}

function goneRow(id: string): StatisticsRow {
  const [table, ...key]: [StatisticsTable["name"], ...string[]] = JSON.parse(id);
  return { table, key, values: null };
}

function rowsOf(
  db: DatabaseSync,
  { name, keys, values }: StatisticsTable,
): { readonly key: readonly string[]; readonly values: readonly (string | null)[] }[] {
  const columns = { ...keys, ...values };
  const statement = prepared(
    db,
    `SELECT ${
      Object.entries(columns).map(([column, type]) =>
        type === "text" ? `CAST(${column} AS BLOB) AS ${column}` : column
      ).join(", ")
    } FROM ${name}`,
  );
  statement.setReadBigInts(true);
  const keyCount = Object.keys(keys).length;
  return statement.all().map((row) => {
    const cells = Object.keys(columns).map((column) => cellText(row[column]));
    return { key: cells.slice(0, keyCount).map((cell) => cell ?? ""), values: cells.slice(keyCount) };
  });
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function cellText(value: unknown): string | null {
  if (value instanceof Uint8Array) return cleanString(decoder.decode(value));
  return value === null || value === undefined ? null : String(value);
}
