/**
 * How the rest of the store talks to PostgreSQL: interfaces only.
 */

/**
 * Runs one statement and gives its rows; of several statements (allowed only without values), the rows of the last.
 *
 * Columns come as text but for `bool` (boolean), `int2`, `int4`, `float4`, `float8`, `int8` (number; an `int8` beyond 2^53
 * is an error) and `timestamptz` (milliseconds since the Unix epoch, rounded down). Values may be text, numbers, booleans,
 * null, `Uint8Array`, and arrays of these; a time is sent as {@link pgTime} writes it.
 *
 * @throws PgError
 */
export type PgQuery = <Row = Record<string, unknown>>(
  text: string,
  values?: readonly unknown[],
) => Promise<Row[]>;

export interface PgCallOptions {
  /** Bound of each statement; longer ones are cancelled. */
  readonly timeoutMs?: number;
}

/** What may be asked of a database. @see pool.ts */
export interface PgStore {
  /**
   * One transaction: `body` runs between BEGIN and COMMIT, on the one connection for writes; calls wait for each other.
   * Rolls back when it throws, and throws the same. Never runs `body` twice.
   *
   * @throws PgError with `isOutcomeUnknown` when the connection was lost in COMMIT
   */
  write<Result>(body: (query: PgQuery) => Promise<Result>, options?: PgCallOptions): Promise<Result>;
  /** One statement of a read-only transaction, on one of the connections for reads. */
  read<Row = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
    options?: PgCallOptions,
  ): Promise<Row[]>;
  /**
   * One statement outside of a transaction, for those that must be (CREATE INDEX CONCURRENTLY), on a connection of its own:
   * it may wait for others' transactions for long.
   */
  execute(text: string, options?: PgCallOptions): Promise<void>;
  /**
   * Calls back with each notification's text, and with `""` whenever it begins to listen (anew): some may have been missed.
   * Behind PgBouncer in transaction mode none ever comes. The callback must not throw.
   *
   * @returns ends it
   */
  listen(channel: string, callback: (payload: string) => void): () => void;
  /** Ends all connections; what runs fails. */
  close(): Promise<void>;
}

/** The year 1: PostgreSQL writes earlier ones in another form. */
const FIRST_MS = -62_135_596_800_000;

/** A time as a parameter; earlier than the year 1 counts as that. @param ms milliseconds since the Unix epoch */
export function pgTime(ms: number): string {
  return new Date(Math.max(ms, FIRST_MS)).toISOString().replace(/^\+0*/, "");
}
