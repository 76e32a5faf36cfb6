/**
 * Which records are on a page of a list, by every filter but the text.
 *
 * Owns the walk over `idx_records_list`, the narrow index of all that is filtered by, in the order of ids.
 */
import type { DatabaseSync } from "node:sqlite";
import { type Condition, dayWindow, filterCondition } from "./record_filter.ts";
import { prepared } from "../database/statements.ts";
import type { RecordFilter } from "../store.ts";

export type Order = "ASC" | "DESC";

/** Rows strictly between two ids, from `startId` on in the order. */
export interface Page {
  readonly order: Order;
  readonly startId: number;
  readonly endId: number;
  readonly limit: number;
  readonly condition: Condition;
}

/** The page that was asked for, narrowed to the ids of the days in question: the rest is not walked through. */
export function pageOf(
  db: DatabaseSync,
  { order, startId, limit }: Pick<Page, "order" | "startId" | "limit">,
  filter: RecordFilter,
): Page {
  const { from, to } = dayWindow(filter);
  const low = from === null ? Number.MIN_SAFE_INTEGER : firstIdSince(db, from) - 1;
  const high = to === null ? Number.MAX_SAFE_INTEGER : lastIdBefore(db, to) + 1;
  const range = order === "ASC"
    ? { startId: Math.max(startId, low), endId: high }
    : { startId: Math.min(startId, high), endId: low };
  return { order, limit, condition: filterCondition(filter), ...range };
}

/**
 * The page cut to its first `maxIds` ids, so that a filter that matches almost nothing is answered in time.
 *
 * @returns the page, and where the next one begins when rows were cut off; null when none were
 */
export function firstIds(
  db: DatabaseSync,
  page: Page,
  maxIds: number,
): { readonly page: Page; readonly nextStartId: number | null } {
  // As min() and max() of one SELECT, SQLite would walk the table.
  const ends = "SELECT (SELECT min(id) FROM records) AS low, (SELECT max(id) FROM records) AS high";
  const row = prepared(db, ends).get();
  const endId = Math.min(page.startId, Number(row?.["high"] ?? 0) + 1) - maxIds - 1;
  if (page.order === "ASC" || endId < Math.max(page.endId + 1, Number(row?.["low"] ?? 0))) {
    return { page, nextStartId: null };
  }
  return { page: { ...page, endId }, nextStartId: endId + 1 };
}

/** Ids in the page's order. */
export function listIds(db: DatabaseSync, page: Page): number[] {
  const { order, limit, condition } = page;
  const between = betweenEnds("id", page);
  const rows = prepared(
    db,
    `SELECT id FROM records INDEXED BY idx_records_list
      WHERE ${between.sql} AND ${condition.sql} ORDER BY id ${order} LIMIT ?`,
  ).all(...between.params, ...condition.params, limit);
  return rows.map((row) => Number(row["id"]));
}

/** The condition that a column lies within the page. */
export function betweenEnds(
  column: string,
  { order, startId, endId }: Omit<Page, "limit" | "condition">,
): Condition {
  const [before, after] = order === "ASC" ? [">", "<"] : ["<", ">"];
  // Numbers are bound as REAL, and FTS5 takes no notice of bounds on its rowid that are not INTEGER.
  const end = "CAST(? AS INTEGER)";
  return { sql: `${column} ${before} ${end} AND ${column} ${after} ${end}`, params: [startId, endId] };
}

/** `+id` keeps SQLite from walking the table by id until it finds such a day. */
function firstIdSince(db: DatabaseSync, day: string): number {
  const row = prepared(db, "SELECT min(+id) AS id FROM records WHERE created_at >= ?").get(day);
  return Number(row?.["id"] ?? Number.MAX_SAFE_INTEGER);
}

function lastIdBefore(db: DatabaseSync, day: string): number {
  const row = prepared(db, "SELECT max(+id) AS id FROM records WHERE created_at < ?").get(day);
  return Number(row?.["id"] ?? Number.MIN_SAFE_INTEGER);
}
