/**
 * Reads `records` and `attempts`.
 *
 * Owns the statements: narrow indexes decide which rows are on a page (record_page.ts, search/record_search.ts), and only
 * those rows are read whole. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import type { SpendQuery, SpentDays } from "../../core/spend.ts";
import type { ReopeningConnection } from "../database/reopening_connection.ts";
import { countIds, firstIds, listIds, type Order, type Page, pageOf } from "./record_page.ts";
import { RecordSearch, type RecordSearchOptions } from "../search/record_search.ts";
import type {
  Neighbours,
  NeighboursQuery,
  RecordCount,
  SummaryPage,
  SummaryQuery,
  WholePage,
} from "./messages.ts";
import { readSummaries } from "./record_summary.ts";
import { toStoreError } from "../database/errors.ts";
import { prepared } from "../database/statements.ts";
import { readSpend } from "../spend/spend_reader.ts";
import {
  type ClientTotals,
  type DaySpan,
  readClientTotals,
  readCosts,
  type UsageStats,
} from "../stats/usage_reader.ts";
import type { RecordFilter, RecordReader, StoredAttempt, StoredRecord } from "../store.ts";
import { type Row, SEARCH_SIZE, SELECT_RECORDS, toAttempt, toStoredRecord } from "./record_decoding.ts";

/** After this long, a page of {@link SqliteRecordReader.summaries} is returned as it is. */
const WALK_MS = 40; // docs/tuning.md#store-read
/** A count comes with a page, which must not wait long for it. */
const COUNT_MS = 25;
const FIRST_PART_IDS = 16_384;
const QUICK_PART_MS = 8; // docs/tuning.md#store-read
const PART_GROWTH = 4;
const MAX_COUNT = Number.MAX_SAFE_INTEGER;
/** A search gathers the ids that it finds. */
const MAX_COUNTED_HITS = 10_000;
/** Texts of one page of whole records; a larger record comes alone. */
const MAX_WHOLE_BYTES = 4 * 1024 * 1024;

export class SqliteRecordReader implements RecordReader {
  readonly #connection: ReopeningConnection;
  readonly #search: RecordSearch;

  constructor(connection: ReopeningConnection, options: RecordSearchOptions) {
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

  clientTotals(): ClientTotals {
    return this.#reading(readClientTotals);
  }

  spend(query: SpendQuery): SpentDays {
    try {
      return readSpend(this.#connection.db, query);
    } catch (error) {
      throw toStoreError(error, "Cannot read what was spent");
    }
  }

  costs(span: DaySpan, nowMs: number): UsageStats {
    return this.#reading((db) => readCosts(db, span, nowMs));
  }

  attempts(recordId: number): StoredAttempt[] {
    const rows = this.#query(
      `SELECT a.n, a.upstream_id, a.duration_ms, a.status, a.key_n, a.changed, a.cost_nano,
        CAST(a.started_at AS BLOB) AS started_at,
        CAST(a.error_class AS BLOB) AS error_class, CAST(a.error AS BLOB) AS error,
        CAST(a.partial AS BLOB) AS partial, CAST(a.usage AS BLOB) AS usage,
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
   * A page like {@link list}, newest first, without the texts. Its time is limited, so it may be short or empty although
   * older records match; `nextBeforeId` is null only when there are none.
   */
  summaries({ limit, beforeId, filter = {} }: SummaryQuery): SummaryPage {
    return this.#reading((db) => {
      const text = filter.text ?? "";
      const startId = beforeId ?? Number.MAX_SAFE_INTEGER;
      const { ids, nextStartId } = this.#walk(
        db,
        pageOf(db, { order: "DESC", startId, limit: limit + 1 }, filter),
        text,
      );
      const shown = ids.slice(0, limit);
      return {
        records: readSummaries(db, shown, text),
        nextBeforeId: ids.length > limit ? shown.at(-1) ?? null : nextStartId,
      };
    });
  }

  count(filter: RecordFilter): number {
    return this.#count(filter, Number.POSITIVE_INFINITY).count;
  }

  /** How many records match, or how many were found until time was up. */
  countInTime(filter: RecordFilter): RecordCount {
    return this.#count(filter, COUNT_MS);
  }

  #count(filter: RecordFilter, limitMs: number): RecordCount {
    return this.#reading((db) => {
      const text = filter.text ?? "";
      const isSearch = text.trim() !== "";
      const maxHits = limitMs === Number.POSITIVE_INFINITY ? limitMs : MAX_COUNTED_HITS;
      const whole = pageOf(db, { order: "DESC", startId: Number.MAX_SAFE_INTEGER, limit: MAX_COUNT }, filter);
      let count = 0;
      const nextStartId = this.#inParts(db, { whole, limitMs }, (page) => {
        count += isSearch ? this.#search.find(db, page, text)?.length ?? 0 : countIds(db, page);
        return isSearch && count >= maxHits;
      });
      return { count, isComplete: nextStartId === null };
    });
  }

  /** Whole records, newest first, with a bound on their texts; like {@link summaries} it may be short or empty. */
  whole({ limit, beforeId, filter = {} }: SummaryQuery): WholePage {
    return this.#reading((db) => {
      const startId = beforeId ?? Number.MAX_SAFE_INTEGER;
      const page = pageOf(db, { order: "DESC", startId, limit: limit + 1 }, filter);
      const { ids, nextStartId } = this.#walk(db, page, filter.text ?? "");
      const shown = idsWithin(db, ids.slice(0, limit), MAX_WHOLE_BYTES);
      const hasMore = ids.length > shown.length;
      return {
        records: this.#whole(shown, "DESC"),
        nextBeforeId: hasMore ? shown.at(-1) ?? null : nextStartId,
      };
    });
  }

  /** The next records that match, on both sides of one; null also when none was found in time. */
  neighbours({ id, filter = {} }: NeighboursQuery): Neighbours {
    return this.#reading((db) => {
      const next = (order: Order): number | null =>
        this.#walk(db, pageOf(db, { order, startId: id, limit: 1 }, filter), filter.text ?? "").ids[0] ??
          null;
      return { newerId: next("ASC"), olderId: next("DESC") };
    });
  }

  /** Searches parts of the table, small ones first, until the page is full, the table has ended, or time is up. */
  #walk(
    db: DatabaseSync,
    whole: Page,
    text: string,
  ): { readonly ids: readonly number[]; readonly nextStartId: number | null } {
    const ids: number[] = [];
    const nextStartId = this.#inParts(db, { whole, limitMs: WALK_MS }, (part) => {
      const page = { ...part, limit: whole.limit - ids.length };
      ids.push(...this.#search.find(db, page, text) ?? listIds(db, page));
      return ids.length === whole.limit;
    });
    return { ids, nextStartId };
  }

  /**
   * Visits parts of a page, small ones first, until the visitor says that it is enough, or time is up.
   *
   * @returns where the next part would begin; null when the page has ended
   */
  #inParts(
    db: DatabaseSync,
    { whole, limitMs }: { readonly whole: Page; readonly limitMs: number },
    visit: (part: Page) => boolean,
  ): number | null {
    const startedMs = performance.now();
    let { startId } = whole;
    for (let partIds = FIRST_PART_IDS;;) {
      const partStartedMs = performance.now();
      const { page, nextStartId } = firstIds(db, { ...whole, startId }, partIds);
      const isEnough = visit(page);
      const nowMs = performance.now();
      if (isEnough || nextStartId === null || nowMs - startedMs > limitMs) return nextStartId;
      startId = nextStartId;
      if (nowMs - partStartedMs < QUICK_PART_MS) partIds *= PART_GROWTH;
    }
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
      return this.#whole(ids, asked.order);
    });
  }

  #whole(ids: readonly number[], order: Order): StoredRecord[] {
    return this.#query(
      `${SELECT_RECORDS} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id ${order}`,
      JSON.stringify(ids),
    ).map(toStoredRecord);
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

/** The first of the ids whose records have no more bytes of text than this together, at least one. */
function idsWithin(db: DatabaseSync, ids: readonly number[], maxBytes: number): number[] {
  const size = prepared(db, `SELECT ${SEARCH_SIZE} AS bytes FROM records WHERE id = ?`);
  let bytes = 0;
  const within = ids.findIndex((id, place) => {
    bytes += Number(size.get(id)?.["bytes"] ?? 0);
    return bytes > maxBytes && place > 0;
  });
  return within < 0 ? [...ids] : ids.slice(0, within);
}
