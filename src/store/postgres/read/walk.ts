/**
 * Walks through the records in parts, small ones first, so that a filter that matches almost nothing is answered in time.
 *
 * Owns the parts, and what time allows.
 */
import type { PgStore } from "../query.ts";
import { isTimeUp, isWithoutAnswer } from "./errors.ts";
import { type Order, orderBy, type Place, type Span, SpanTerms } from "./span.ts";
import { Parameters } from "./statement.ts";
import { timeText } from "./columns.ts";

export interface WalkOptions {
  /** Together; infinite: each part may take {@link PATIENT_MS}, and then it is an error. */
  readonly limitMs: number;
  /**
   * Rows of the parts, in turn; the last one is repeated. Infinite: all that is left, in most of the time that is left
   * where other parts follow, which are tried if that was too little.
   */
  readonly partRows: readonly number[];
}

/** Where each row is looked at. */
export const PLAIN_PARTS = [4_096, 65_536, 131_072]; // docs/tuning.md#postgresql-read
/** Where the index of the words can answer for all at once; small ones first, because common words are everywhere. */
export const SEARCH_PARTS = [512, 16_384, Infinity, 16_384]; // docs/tuning.md#postgresql-read
/** Where all rows are wanted anyway. */
export const COUNT_PARTS = [4_096, 65_536, Infinity]; // docs/tuning.md#postgresql-read
/** Where every row is one of the page. */
export const ONE_PART = [Infinity];

/** Of a statement that no page waits for. */
export const PATIENT_MS = 60_000;
/** Something is found even on a busy server; a page that is asked for again must go on from somewhere. */
const FIRST_PART_MS = 2_000; // docs/tuning.md#postgresql-read
const MIN_PART_MS = 20;
const TRIAL_SHARE = 0.6;

/**
 * Visits parts of a span until the visitor says that it is enough, or time is up.
 *
 * @returns whether the end was reached, and else the last record that was looked at: null for none
 * @throws PgError
 */
export async function inParts(
  db: Pick<PgStore, "read">,
  { span, limitMs, partRows }: WalkOptions & { readonly span: Span },
  visit: (part: Span, timeoutMs: number) => Promise<boolean>,
): Promise<{ readonly isWhole: boolean; readonly next: Place | null }> {
  const endMs = performance.now() + limitMs;
  let { start } = span;
  for (let number = 0;; number++) {
    const leftMs = endMs - performance.now();
    if (number > 0 && leftMs <= 0) return { isWhole: false, next: start };
    const rows = partRows[Math.min(number, partRows.length - 1)] ?? Infinity;
    const isTrial = rows === Infinity && number < partRows.length - 1;
    const timeoutMs = number === 0
      ? Math.min(Math.max(limitMs, FIRST_PART_MS), PATIENT_MS)
      : Math.min(Math.max(isTrial ? TRIAL_SHARE * leftMs : leftMs, MIN_PART_MS), PATIENT_MS);
    try {
      const end = rows === Infinity ? null : await lastOf(db, { ...span, start }, { rows, timeoutMs });
      const isEnough = await visit({ ...span, start, end }, timeoutMs);
      if (end === null) return { isWhole: true, next: null };
      start = end;
      if (isEnough) return { isWhole: false, next: start };
    } catch (error) {
      // The first part has had time enough, so that a server that does not answer then is an error.
      if (!isTimeUp(error) && (number === 0 || !isWithoutAnswer(error))) throw error;
      if (isTrial) continue;
      if (limitMs === Number.POSITIVE_INFINITY) throw error;
      return { isWhole: false, next: start };
    }
  }
}

/** The last record of so many; null: there are not as many. */
async function lastOf(
  db: Pick<PgStore, "read">,
  span: Span,
  { rows, timeoutMs }: { readonly rows: number; readonly timeoutMs: number },
): Promise<Place | null> {
  const parameters = new Parameters();
  const terms = new SpanTerms(span, parameters).records();
  const [row] = await db.read<Place>(
    // The text of the time is not made of the rows that are passed over.
    `SELECT ${timeText("created_at")} AS at, id FROM (
      SELECT r.created_at, r.id FROM oar.records r ${where(terms)}
        ORDER BY ${orderBy(span)} OFFSET ${rows - 1} LIMIT 1) part_end`,
    parameters.values,
    { timeoutMs },
  );
  return row ?? null;
}

/** The condition that all of the terms hold. */
export function where(terms: readonly string[]): string {
  return terms.length === 0 ? "" : `WHERE ${terms.join(" AND ")}`;
}

/**
 * Where a page begins that continues after a record: at the record, or at the next one if it has gone; null: at the first.
 */
export async function placeOf(
  db: Pick<PgStore, "read">,
  id: number,
  order: Order,
): Promise<Place | null> {
  const [row] = await db.read<Place>(
    `SELECT ${timeText("created_at")} AS at, id FROM oar.records
      WHERE id ${order === "DESC" ? ">=" : "<="} $1::bigint
      ORDER BY id ${order === "DESC" ? "ASC" : "DESC"} LIMIT 1`,
    [Math.trunc(Math.min(Math.max(id, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER))],
  );
  return row ?? null;
}
