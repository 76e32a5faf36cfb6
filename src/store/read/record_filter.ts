/**
 * Turns a {@link RecordFilter} into an SQL condition.
 *
 * Owns everything but `text`, which is the search's (search/query.ts). Pure. Every value is a parameter, and
 * every column of the condition is in the index `idx_records_list`, so that no body is read to decide.
 */
import { DAY_MS } from "../../core/units.ts";
import { toGoTime } from "../database/go_time.ts";
import type { RecordFilter } from "../store.ts";

export interface Condition {
  /** Terms that are joined with `AND`; `1` when there is none. */
  readonly sql: string;
  readonly params: readonly (string | number)[];
}

const MIN_TIME_MS = Date.UTC(1, 0, 1);
const MAX_TIME_MS = Date.UTC(9998, 11, 31);
/** SQLite refuses patterns that are longer than 50,000 bytes; no model has such a name. */
const MAX_MODEL_LENGTH = 1_000;

/** The condition of every part of the filter but `text`. */
export function filterCondition(filter: RecordFilter): Condition {
  const terms: string[] = [];
  const params: (string | number)[] = [];
  const add = (sql: string, ...values: (string | number)[]): void => {
    terms.push(sql);
    params.push(...values);
  };
  const { sinceMs, untilMs, model, upstreamId, status, outcome, client } = filter;
  if (sinceMs !== undefined) add(comparedTime(">="), textOf(sinceMs), sinceMs);
  if (untilMs !== undefined) add(comparedTime("<="), textOf(untilMs), untilMs);
  if (model !== undefined) {
    if (model.length > MAX_MODEL_LENGTH) add("0");
    else if (/[*?]/.test(model)) add("model GLOB ?", toSqliteGlob(model));
    else add("model = ?", model);
  }
  if (upstreamId !== undefined) add("upstream_id = ?", upstreamId);
  if (status !== undefined) {
    if (status >= 1 && status <= 5) add("status BETWEEN ? AND ?", status * 100, status * 100 + 99);
    else add("status = ?", status);
  }
  if (outcome !== undefined) add("outcome = ?", outcome);
  if (client !== undefined) add("client = ?", client);
  return { sql: terms.length === 0 ? "1" : terms.join(" AND "), params };
}

/**
 * Compares with a moment, given as text and as number. Our own times are all of one form, and sort as text;
 * those of the Go program have any offset, which SQLite's slower date functions understand.
 */
function comparedTime(operator: ">=" | "<="): string {
  return `CASE WHEN created_at GLOB '????-??-?? *+00:00' THEN created_at ${operator} ?
    ELSE CAST(round(unixepoch(created_at, 'subsec') * 1000) AS INTEGER) ${operator} ? END`;
}

/** Bounds for `created_at` as text. */
export interface DayWindow {
  /** `created_at >= from` holds for every row that the filter lets through; null: no bound. */
  readonly from: string | null;
  /** `created_at < to`, likewise. */
  readonly to: string | null;
}

/**
 * A rough cut that the index on `created_at` can make: a day as text sorts before every time of that day,
 * however it is written, and two days of margin around a moment cover every offset.
 */
export function dayWindow({ sinceMs, untilMs }: RecordFilter): DayWindow {
  return {
    from: sinceMs === undefined ? null : textOf(sinceMs - 2 * DAY_MS).slice(0, 10),
    to: untilMs === undefined ? null : textOf(untilMs + 2 * DAY_MS).slice(0, 10),
  };
}

function textOf(ms: number): string {
  return toGoTime(Math.min(Math.max(ms, MIN_TIME_MS), MAX_TIME_MS));
}

/** Ours has only `*` and `?`; SQLite's also has character classes, which begin with `[`. */
function toSqliteGlob(glob: string): string {
  return glob.replaceAll(/\*+/g, "*").replaceAll("[", "[[]");
}
