/**
 * Which records are on a page of a list, by every filter but the text.
 *
 * Owns the walk over `idx_records_list`, the narrow index of all that is filtered by, in the order of ids.
 */
import type { DatabaseSync } from "node:sqlite";
import { type Condition, dayWindow, filterCondition, narrowIds } from "./record_filter.ts";
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
  /** A SELECT of candidates, see {@link narrowIds}; null: every row is one. */
  readonly narrow: Condition | null;
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
  return { order, limit, condition: filterCondition(filter), narrow: narrowIds(filter), ...range };
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
  const low = Number(row?.["low"] ?? 0);
  const high = Number(row?.["high"] ?? 0);
  if (page.order === "ASC") {
    const endId = Math.max(page.startId, low - 1) + maxIds + 1;
    if (endId > Math.min(page.endId - 1, high)) return { page, nextStartId: null };
    return { page: { ...page, endId }, nextStartId: endId - 1 };
  }
  const endId = Math.min(page.startId, high + 1) - maxIds - 1;
  if (endId < Math.max(page.endId + 1, low)) return { page, nextStartId: null };
  return { page: { ...page, endId }, nextStartId: endId + 1 };
}

/** Ids in the page's order. */
export function listIds(db: DatabaseSync, page: Page): number[] {
  const { sql, params } = matching(page);
  const rows = prepared(db, `${sql} ORDER BY id ${page.order} LIMIT ?`).all(...params, page.limit);
  return rows.map((row) => Number(row["id"]));
}

/** How many rows are on the page, at most its limit. */
export function countIds(db: DatabaseSync, page: Page): number {
  const { sql, params } = matching(page);
  const row = prepared(db, `SELECT count(*) AS n FROM (${sql} LIMIT ?)`).get(...params, page.limit);
  return Number(row?.["n"] ?? 0);
}

/** The rows of a page as a SELECT of `id`, without order and limit. */
function matching(page: Page): Condition {
  const { condition, narrow } = page;
  const between = betweenEnds("r.id", page);
  if (narrow === null) {
    return {
      sql: `SELECT r.id AS id FROM records r INDEXED BY idx_records_list
        WHERE ${between.sql} AND ${condition.sql}`,
      params: [...between.params, ...condition.params],
    };
  }
  const ends = [Math.min(page.startId, page.endId), Math.max(page.startId, page.endId)];
  return {
    sql: `SELECT n.id AS id FROM (${narrow.sql}) n
      CROSS JOIN records r INDEXED BY idx_records_list ON r.id = n.id WHERE ${condition.sql}`,
    params: [...narrow.params, ...ends, ...condition.params],
  };
}

/** The condition that a column lies within the page. */
export function betweenEnds(
  column: string,
  { order, startId, endId }: Pick<Page, "order" | "startId" | "endId">,
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
