/**
 * Writes the statistics of one journal to PostgreSQL, and reads what is there of them.
 *
 * Owns these statements. Only the replica of a journal writes its rows.
 */
import type { PgQuery } from "../query.ts";
import {
  digestOf,
  idOf,
  STATISTICS_TABLES,
  type StatisticsChanges,
  type StatisticsRow,
  type StatisticsTable,
} from "./statistics_changes.ts";

/** Within a transaction. @throws PgError */
export async function putStatistics(
  query: PgQuery,
  journal: string,
  changes: StatisticsChanges,
): Promise<void> {
  for (const table of STATISTICS_TABLES) {
    const ofTable = changes.filter((change) => change.table === table.name);
    const gone = ofTable.filter(({ values }) => values === null);
    const kept = ofTable.filter(({ values }) => values !== null);
    if (gone.length > 0) await query(deletion(table), [journal, ...keyColumns(table, gone)]);
    if (kept.length === 0) continue;
    const values = Object.keys(table.values).map((_, place) =>
      kept.map((row) => row.values?.[place] ?? null)
    );
    await query(upsert(table), [journal, ...keyColumns(table, kept), ...values]);
  }
}

/** Digests of the rows of a journal, by table and key. @throws PgError */
export async function readStatistics(query: PgQuery, journal: string): Promise<Map<string, string>> {
  const digests = new Map<string, string>();
  for (const table of STATISTICS_TABLES) {
    const keys = Object.keys(table.keys);
    const values = Object.keys(table.values);
    const numbers = values.filter((name) => table.values[name] === "bigint");
    const columns = [...keys, ...numbers].map((name) => `${name}::text AS ${name}`);
    const rows = await query<Record<string, string | null>>(
      `SELECT ${columns.join(", ")} FROM oar.${table.name} WHERE journal = $1`,
      [journal],
    );
    for (const row of rows) {
      const key = keys.map((name) => row[name] ?? "");
      digests.set(idOf(table.name, key), digestOf(table, values.map((name) => row[name] ?? null)));
    }
  }
  return digests;
}

function upsert({ name, keys, values }: StatisticsTable): string {
  const columns = { ...keys, ...values };
  const names = Object.keys(columns).join(", ");
  const updates = Object.keys(values).map((column) => `${column} = excluded.${column}`).join(", ");
  return `INSERT INTO oar.${name} (journal, ${names}) SELECT $1, ${names} FROM ${unnested(columns)}
    ON CONFLICT (journal${Object.keys(keys).map((key) => `, ${key}`).join("")}) DO UPDATE SET ${updates}`;
}

function deletion({ name, keys }: StatisticsTable): string {
  if (Object.keys(keys).length === 0) return `DELETE FROM oar.${name} WHERE journal = $1`;
  const isSame = Object.keys(keys).map((key) => `old.${key} = gone.${key}`).join(" AND ");
  return `DELETE FROM oar.${name} old USING ${unnested(keys, "gone")} WHERE old.journal = $1 AND ${isSame}`;
}

/** Parameters from the second on. */
function unnested(columns: Readonly<Record<string, string>>, alias = "new"): string {
  const arrays = Object.values(columns).map((type, place) => `$${place + 2}::${type}[]`).join(", ");
  return `unnest(${arrays}) AS ${alias} (${Object.keys(columns).join(", ")})`;
}

function keyColumns({ keys }: StatisticsTable, rows: readonly StatisticsRow[]): (string | null)[][] {
  return Object.keys(keys).map((_, place) => rows.map(({ key }) => key[place] ?? null));
}
