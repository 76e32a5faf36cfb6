/**
 * Reads `records` and `attempts`.
 *
 * Owns the statements: which rows a page has is decided on narrow indexes (record_page.ts, record_search.ts),
 * and only the rows of the page itself are read whole. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import type { Attempt } from "../core/types.ts";
import type { LiveConnection } from "./live_connection.ts";
import { firstIds, listIds, type Order, pageOf } from "./record_page.ts";
import { RecordSearch, type RecordSearchOptions } from "./record_search.ts";
import type { SummaryPage, SummaryQuery } from "./reader_messages.ts";
import { readSummaries } from "./record_summary.ts";
import { toStoreError } from "./sqlite_errors.ts";
import { prepared } from "./statements.ts";
import type { RecordFilter, RecordReader, StoredRecord } from "./store.ts";
import { type Row, SELECT_RECORDS, toAttempt, toStoredRecord } from "./stored_row.ts";

/** What one page of {@link SqliteRecordReader.summaries} looks at: some 25 ms on a slow machine. */
const MAX_WALKED_IDS = 200_000;

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

  /**
   * A page like {@link list}, without the texts, newest first. Only so many records are looked at for one page; it may
   * be short, or empty, and older ones match all the same: `nextBeforeId` tells, null means that there are none.
   */
  summaries({ limit, beforeId, filter = {} }: SummaryQuery): SummaryPage {
    const asked = { order: "DESC", startId: beforeId ?? Number.MAX_SAFE_INTEGER, limit: limit + 1 } as const;
    return this.#reading((db) => {
      const text = filter.text ?? "";
      const whole = pageOf(db, asked, filter);
      // The index of words finds what is rare by itself.
      const { page, nextStartId } = text.trim() === ""
        ? firstIds(db, whole, MAX_WALKED_IDS)
        : { page: whole, nextStartId: null };
      const ids = this.#search.find(db, page, text) ?? listIds(db, page);
      const shown = ids.slice(0, limit);
      return {
        records: readSummaries(db, shown, text),
        nextBeforeId: ids.length > limit ? shown.at(-1) ?? null : nextStartId,
      };
    });
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

  #page(
    asked: { readonly order: Order; readonly startId: number; readonly limit: number },
    filter: RecordFilter,
  ): StoredRecord[] {
    return this.#reading((db) => {
      const page = pageOf(db, asked, filter);
      const ids = this.#search.find(db, page, filter.text ?? "") ?? listIds(db, page);
      return this.#query(
        `${SELECT_RECORDS} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id ${asked.order}`,
        JSON.stringify(ids),
      ).map(toStoredRecord);
    });
  }

  /** One transaction, so that nothing is indexed or deleted between its statements. */
  #reading<Result>(read: (db: DatabaseSync) => Result): Result {
    const { db } = this.#connection;
    try {
      db.exec("BEGIN");
      try {
        return read(db);
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
