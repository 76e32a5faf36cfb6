/**
 * Reads `records` and `attempts`.
 *
 * Owns the statements: which rows a page has is decided on narrow indexes (record_page.ts, record_search.ts),
 * and only the rows of the page itself are read whole. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Attempt } from "../core/types.ts";
import type { LiveConnection } from "./live_connection.ts";
import { listIds, type Order, pageOf } from "./record_page.ts";
import { RecordSearch, type RecordSearchOptions } from "./record_search.ts";
import { readSummaries, type StoredSummary } from "./record_summary.ts";
import { toStoreError } from "./sqlite_errors.ts";
import { prepared } from "./statements.ts";
import type { RecordFilter, RecordReader, StoredRecord } from "./store.ts";
import { type Row, SELECT_RECORDS, toAttempt, toStoredRecord } from "./stored_row.ts";

interface AskedPage {
  readonly order: Order;
  readonly startId: number;
  readonly limit: number;
}

export class SqliteRecordReader implements RecordReader {
  readonly #connection: LiveConnection;
  readonly #search: RecordSearch;

  constructor(connection: LiveConnection, options: RecordSearchOptions) {
    this.#connection = connection;
    this.#search = new RecordSearch(options);
  }

  get(requestIdOrId: string | number): StoredRecord | null {
    const [byRequestId] = this.#query(`${SELECT_RECORDS} WHERE request_id = ?`, String(requestIdOrId));
    if (byRequestId !== undefined) return toStoredRecord(byRequestId);
    const id = Number(requestIdOrId);
    if (!Number.isSafeInteger(id)) return null;
    const [byId] = this.#query(`${SELECT_RECORDS} WHERE id = ?`, id);
    return byId === undefined ? null : toStoredRecord(byId);
  }

  attempts(recordId: number): Attempt[] {
    const rows = this.#query(
      `SELECT a.n, a.upstream_id, a.duration_ms, a.status, CAST(a.started_at AS BLOB) AS started_at,
        CAST(a.error_class AS BLOB) AS error_class, CAST(a.error AS BLOB) AS error,
        CAST(u.name AS BLOB) AS name, CAST(u.endpoint AS BLOB) AS endpoint
        FROM attempts a LEFT JOIN openai_upstreams u ON u.id = a.upstream_id
        WHERE a.record_id = ? ORDER BY a.n`,
      recordId,
    );
    return rows.map(toAttempt);
  }

  list(
    { limit, beforeId, filter }: {
      readonly limit: number;
      readonly beforeId?: number;
      readonly filter?: RecordFilter;
    },
  ): StoredRecord[] {
    return this.#page({ order: "DESC", startId: beforeId ?? Number.MAX_SAFE_INTEGER, limit }, filter ?? {});
  }

  /** A page like {@link list}, without the texts; `hasMore` tells whether older records match too. */
  summaries(
    { limit, beforeId, filter }: {
      readonly limit: number;
      readonly beforeId?: number;
      readonly filter?: RecordFilter;
    },
  ): { readonly records: StoredSummary[]; readonly hasMore: boolean } {
    const startId = beforeId ?? Number.MAX_SAFE_INTEGER;
    return this.#inPage({ order: "DESC", startId, limit: limit + 1 }, filter ?? {}, (db, ids) => ({
      records: readSummaries(db, ids.slice(0, limit), filter?.text ?? ""),
      hasMore: ids.length > limit,
    }));
  }

  listAfter(
    { limit, afterId, filter }: {
      readonly limit: number;
      readonly afterId: number;
      readonly filter?: RecordFilter;
    },
  ): StoredRecord[] {
    return this.#page({ order: "ASC", startId: afterId, limit }, filter ?? {});
  }

  lastId(): number {
    return Number(this.#query("SELECT max(id) AS id FROM records")[0]?.["id"] ?? 0);
  }

  /** Closes what the search keeps, not the connection. */
  close(): void {
    this.#search.close();
  }

  #page(asked: AskedPage, filter: RecordFilter): StoredRecord[] {
    return this.#inPage(asked, filter, (_, ids) =>
      this.#query(
        `${SELECT_RECORDS} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id ${asked.order}`,
        JSON.stringify(ids),
      ).map(toStoredRecord));
  }

  /** One transaction, so that nothing is indexed or deleted between its statements. */
  #inPage<Result>(
    asked: AskedPage,
    filter: RecordFilter,
    read: (db: DatabaseSync, ids: readonly number[]) => Result,
  ): Result {
    const { db } = this.#connection;
    try {
      db.exec("BEGIN");
      try {
        const page = pageOf(db, asked, filter);
        return read(db, this.#search.find(db, page, filter.text ?? "") ?? listIds(db, page));
      } finally {
        if (db.isTransaction) db.exec("COMMIT");
      }
    } catch (error) {
      throw toStoreError(error, "Cannot read the records");
    }
  }

  #query(sql: string, ...params: (string | number)[]): Row[] {
    try {
      const statement = prepared(this.#connection.db, sql);
      statement.setReadBigInts(true);
      return statement.all(...params);
    } catch (error) {
      throw toStoreError(error, "Cannot read the records");
    }
  }
}
