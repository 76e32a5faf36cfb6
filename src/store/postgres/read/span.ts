/**
 * A stretch of the records in the order of time, as a condition on `oar.records r` and the tables beside it.
 *
 * Records of several replicas arrive late now and then, so that their numbers do not follow time; the partitions do. So
 * lists go by `created_at`, then `id`: the order of the primary key, which reads a partition only when it comes to it. Pure.
 */
import { pgTime } from "../query.ts";
import type { RecordFilter } from "../../store.ts";
import type { Parameters } from "./statement.ts";

/** `DESC`: newest first. */
export type Order = "ASC" | "DESC";

/** Where a record is in the order. */
export interface Place {
  /** Exact, as `timeText` (columns.ts) gives it. */
  readonly at: string;
  readonly id: number;
}

export interface Span {
  readonly order: Order;
  /** `id`: by number, where the times of {@link start} and {@link end} do not count. */
  readonly by: "time" | "id";
  /** Comes after this one; null: from the first. */
  readonly start: Place | null;
  /** The last one; null: to the end. */
  readonly end: Place | null;
  /** Not before; null: no bound. */
  readonly since: string | null;
  /** Before; null: no bound. */
  readonly until: string | null;
}

const MIN_TIME_MS = Date.UTC(1, 0, 1);
const MAX_TIME_MS = Date.UTC(9998, 11, 31);

/** The times of a filter, both ends included, to the millisecond. */
export function spanOf({ sinceMs, untilMs }: RecordFilter, order: Order): Span {
  return {
    order,
    by: "time",
    start: null,
    end: null,
    since: sinceMs === undefined ? null : pgTime(Math.ceil(bounded(sinceMs))),
    until: untilMs === undefined ? null : pgTime(Math.floor(bounded(untilMs)) + 1),
  };
}

function bounded(ms: number): number {
  return Math.min(Math.max(ms, MIN_TIME_MS), MAX_TIME_MS);
}

/** A span in one statement. */
export class SpanTerms {
  readonly #span: Span;
  readonly #startAt: string | null;
  readonly #endAt: string | null;
  readonly #since: string | null;
  readonly #until: string | null;
  readonly #startId: string | null;
  readonly #endId: string | null;

  constructor(span: Span, parameters: Parameters) {
    const time = (text: string | null | undefined) =>
      text === null || text === undefined ? null : parameters.add(text, "timestamptz");
    this.#span = span;
    const isByTime = span.by === "time";
    this.#startAt = isByTime ? time(span.start?.at) : null;
    this.#endAt = isByTime ? time(span.end?.at) : null;
    this.#since = time(span.since);
    this.#until = time(span.until);
    this.#startId = span.start === null ? null : parameters.add(span.start.id, "bigint");
    this.#endId = span.end === null ? null : parameters.add(span.end.id, "bigint");
  }

  /** Bounds of a table's `created_at`, by which the partitions are chosen that are read. */
  times(alias: string): string[] {
    const column = `${alias}.created_at`;
    const [first, last] = this.#span.order === "ASC" ? [">=", "<="] : ["<=", ">="];
    return [
      this.#startAt === null ? null : `${column} ${first} ${this.#startAt}`,
      this.#endAt === null ? null : `${column} ${last} ${this.#endAt}`,
      this.#since === null ? null : `${column} >= ${this.#since}`,
      this.#until === null ? null : `${column} < ${this.#until}`,
    ].filter((term) => term !== null);
  }

  /** All that holds for the records of the span, of `oar.records r` or of another table's rows for them. */
  records(alias = "r", idColumn = "id"): string[] {
    const [after, to] = this.#span.order === "ASC" ? [">", "<="] : ["<", ">="];
    const isByTime = this.#span.by === "time";
    const id = `${alias}.${idColumn}`;
    const key = isByTime ? `(${alias}.created_at, ${id})` : id;
    const value = (at: string | null, id: string) => isByTime ? `(${at}, ${id})` : id;
    return [
      ...this.times(alias),
      ...(this.#startId === null ? [] : [`${key} ${after} ${value(this.#startAt, this.#startId)}`]),
      ...(this.#endId === null ? [] : [`${key} ${to} ${value(this.#endAt, this.#endId)}`]),
    ];
  }
}

/** Of records `r`, or of rows with such columns. */
export function orderBy({ order, by }: Span, prefix = "r."): string {
  const id = `${prefix}id ${order}`;
  return by === "id" ? id : `${prefix}created_at ${order}, ${id}`;
}
