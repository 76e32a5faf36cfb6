/**
 * Turns a {@link RecordFilter} into an SQL condition on `records r`.
 *
 * Owns everything but `text`, which is the search's (search/query.ts). Pure. Every value is a parameter, and
 * every column of the condition is in a narrow index, so that no body is read to decide.
 */
import { isFailure } from "../../core/outcome.ts";
import { OUTCOMES, UNBLAMED_CLASSES } from "../../core/types.ts";
import { DAY_MS, NANOSECONDS_PER_MS } from "../../core/units.ts";
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
export const MAX_MODEL_LENGTH = 1_000;

const WITHOUT = { model: "coalesce(model, '') = ''", client: "coalesce(client, '') = ''" } as const;

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
  if (filter.without !== undefined) add(WITHOUT[filter.without]);
  if (filter.isFailure) add(FAILURE);
  for (const { sql, params: values } of [...attemptTerms(filter), ...durationTerms(filter)]) {
    add(sql, ...values);
  }
  return { sql: terms.length === 0 ? "1" : terms.join(" AND "), params };
}

/** Attempts of which the upstream is to blame, as the statistics count them. */
export const isBlamed = (attempt: string): string =>
  `${attempt}.error_class NOT IN (${[...UNBLAMED_CLASSES].map((name) => `'${name}'`).join(", ")})`;

/** Each is in the index `idx_attempts_failed`. */
const FAILED_ATTEMPT = `a.upstream_id = ? AND a.error_class IS NOT NULL AND ${isBlamed("a")}`;

/** An attempt that did not fail is the one that answered. */
function attemptTerms({ triedUpstreamId, failedUpstreamId }: RecordFilter): Condition[] {
  const isThere = (which: string): string =>
    `EXISTS (SELECT 1 FROM attempts a INDEXED BY idx_attempts_failed WHERE a.record_id = r.id AND ${which})`;
  const terms: Condition[] = [];
  if (triedUpstreamId !== undefined) {
    const failed = isThere("a.upstream_id = ? AND a.error_class IS NOT NULL");
    terms.push({ sql: `(upstream_id = ? OR ${failed})`, params: [triedUpstreamId, triedUpstreamId] });
  }
  if (failedUpstreamId !== undefined) {
    terms.push({ sql: isThere(FAILED_ATTEMPT), params: [failedUpstreamId] });
  }
  return terms;
}

function durationTerms(filter: RecordFilter): Condition[] {
  const took = tookCondition(filter);
  if (took === null) return [];
  const sql =
    `EXISTS (SELECT 1 FROM records t INDEXED BY idx_records_took WHERE t.id = r.id AND ${took.sql})`;
  return [{ sql, params: took.params }];
}

/** The part of the filter that the index `idx_records_took` answers, on `records t`; null: it asks for none of it. */
function tookCondition({ attempts, slowerThanMs }: RecordFilter): Condition | null {
  if (attempts === undefined && slowerThanMs === undefined) return null;
  const terms = ["t.outcome IS NOT 'in_flight'"];
  const params: number[] = [];
  const { min = null, max = null } = attempts ?? {};
  for (const [term, value] of [["t.attempts >= ?", min], ["t.attempts <= ?", max]] as const) {
    if (value === null) continue;
    terms.push(term);
    params.push(value);
  }
  if (slowerThanMs !== undefined) {
    terms.push("t.elapsed_time > ?");
    params.push(Math.min(slowerThanMs * NANOSECONDS_PER_MS, Number.MAX_SAFE_INTEGER));
  }
  return { sql: terms.join(" AND "), params };
}

/**
 * A narrower index than that of all records, to walk through instead, for filters that few records meet.
 *
 * @returns a SELECT of the ids (as `id`) strictly between two parameters; null when there is none
 */
export function narrowIds(filter: RecordFilter): Condition | null {
  const { failedUpstreamId } = filter;
  if (failedUpstreamId !== undefined) {
    return {
      // Each record once, without DISTINCT: it would gather all of them before the first is given.
      sql: `SELECT a.record_id AS id FROM attempts a INDEXED BY idx_attempts_failed
        WHERE ${FAILED_ATTEMPT} AND NOT EXISTS (SELECT 1 FROM attempts b WHERE b.record_id = a.record_id
          AND b.n < a.n AND b.upstream_id = a.upstream_id AND ${isBlamed("b")})
          AND a.record_id > ? AND a.record_id < ?`,
      params: [failedUpstreamId],
    };
  }
  const took = tookCondition(filter);
  return took === null ? null : {
    sql: `SELECT t.id AS id FROM records t INDEXED BY idx_records_took
      WHERE ${took.sql} AND t.id > ? AND t.id < ?`,
    params: took.params,
  };
}

const MAX_STATUS = 999;

/** `isFailure` in SQL, made of its answers: which statuses it names, for each outcome. */
export const FAILURE = `(${
  [null, ...OUTCOMES].flatMap((outcome) => {
    const statuses = failingStatuses(outcome);
    if (statuses.length === 0) return [];
    const name = outcome === null ? "outcome IS NULL" : `outcome = '${outcome}'`;
    const isEvery = statuses[0]?.[0] === 0 && statuses[0][1] === MAX_STATUS;
    if (isEvery) return [`(${name})`];
    const ranges = statuses.map(([from, to]) => `coalesce(status, 0) BETWEEN ${from} AND ${to}`);
    return [`(${name} AND (${ranges.join(" OR ")}))`];
  }).join(" OR ")
})`;

/** Both ends included. */
function failingStatuses(outcome: string | null): [from: number, to: number][] {
  const ranges: [number, number][] = [];
  for (let status = 0; status <= MAX_STATUS; status++) {
    if (!isFailure(outcome, status)) continue;
    const last = ranges.at(-1);
    if (last?.[1] === status - 1) last[1] = status;
    else ranges.push([status, status]);
  }
  return ranges;
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
