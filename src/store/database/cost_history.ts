/**
 * What the statistics can say of the time before requests had costs, written once when the columns of costs are added.
 *
 * Owns that requests of that time are without a price, instead of free.
 */
import type { DatabaseSync } from "node:sqlite";
import { addMissingColumns } from "./columns.ts";
import { COST_SUMS } from "./cost_columns.ts";

const DAY_SECONDS = 86_400;
const COARSEST_SECONDS = 21_600;

/** Steps of usage by upstream, in seconds, and the steps of `request_stats` that they are added up from. */
const BY_UPSTREAM = [[10, 10], [600, 600], [3_600, 600], [21_600, 21_600], [DAY_SECONDS, 21_600]] as const;

const COLUMNS = `step_seconds, at, dimension, is_rest, name,
  requests, errors, input_tokens, output_tokens, cached_tokens, unpriced, latencies`;

/** Adds the columns of costs to the tables of statistics, where they are not. */
export function addCostSums(db: DatabaseSync): void {
  const added = ["request_stats", "usage_stats", "client_totals"].filter((table) =>
    addMissingColumns(db, table, COST_SUMS).length > 0
  );
  for (const table of added) db.exec(`UPDATE ${table} SET unpriced = requests - errors`);
  if (added.includes("usage_stats") && isCounted(db)) addUpToNow(db);
}

/** Whether nothing is left to be counted; else the days are counted with it. */
function isCounted(db: DatabaseSync): boolean {
  return db.prepare("SELECT 1 FROM usage_progress WHERE low = 0").get() !== undefined;
}

/** Days of all that is kept, and usage by upstream. */
function addUpToNow(db: DatabaseSync): void {
  const sums = (names: string) => names.split(" ").map((name) => `sum(${name})`).join(", ");
  db.exec(`
    INSERT OR IGNORE INTO usage_stats(${COLUMNS})
      SELECT ${DAY_SECONDS}, at - at % ${DAY_SECONDS} AS day, dimension, is_rest, name,
        ${sums("requests errors input_tokens output_tokens cached_tokens unpriced")}, '{}'
      FROM usage_stats WHERE step_seconds = ${COARSEST_SECONDS} GROUP BY day, dimension, is_rest, name
  `);
  for (const [to, from] of BY_UPSTREAM) {
    db.exec(`
      INSERT OR IGNORE INTO usage_stats(${COLUMNS})
        SELECT ${to}, at - at % ${to} AS step, 'upstream', 0,
          CASE upstream_id WHEN 0 THEN '' ELSE CAST(upstream_id AS text) END,
          ${sums("requests errors input_tokens output_tokens")}, 0, sum(unpriced), '{}'
        FROM request_stats WHERE step_seconds = ${from} AND requests > 0 GROUP BY step, upstream_id
    `);
  }
}
