/**
 * The reading side of one database, for the admin page: lists, searches, statistics.
 *
 * Owns a connection of its own that cannot write. Runs in the worker thread; knows nothing of messages.
 */
import type { SpendQuery, SpentDays } from "../../core/spend.ts";
import { UNBLAMED_CLASSES } from "../../core/types.ts";
import { fromGoTime } from "../database/go_time.ts";
import { ReopeningConnection } from "../database/reopening_connection.ts";
import type {
  LastFailure,
  Neighbours,
  NeighboursQuery,
  RecordCount,
  RecordQueries,
  RecordWithAttempts,
  SummaryPage,
  SummaryQuery,
  WholePage,
} from "./messages.ts";
import { SqliteRecordReader } from "./record_reader.ts";
import { number, text } from "../database/values.ts";
import { toStoreError } from "../database/errors.ts";
import { prepared } from "../database/statements.ts";
import type { RecordFilter } from "../store.ts";
import { readStats, type RequestStats, type StatsSpan } from "../stats/reader.ts";
import {
  type ClientTotals,
  type DaySpan,
  readCosts,
  readUsage,
  type UsageStats,
} from "../stats/usage_reader.ts";

/** Only the one who searches waits for this thread. */
const MAX_SCANNED_LENGTH = 16 * 1024 * 1024; // docs/tuning.md#store-search-and-statistics

/** As SQL text. */
const UNBLAMED = [...UNBLAMED_CLASSES].map((errorClass) => `'${errorClass}'`).join(", ");

export class ReaderSession implements RecordQueries {
  readonly #connection: ReopeningConnection;
  readonly #records: SqliteRecordReader;

  /** @throws StoreError when the database cannot be opened */
  constructor(path: string) {
    this.#connection = new ReopeningConnection(path, { isReadOnly: true });
    this.#records = new SqliteRecordReader(this.#connection, { maxScannedLength: MAX_SCANNED_LENGTH });
  }

  /** Call it before each query: when the file was replaced, opens the one that is at the path now. */
  reopenIfReplaced(): void {
    this.#connection.reopenIfReplaced();
  }

  close(): void {
    this.#records.close();
    this.#connection.close();
  }

  summaries(query: SummaryQuery): SummaryPage {
    return this.#records.summaries(query);
  }

  whole(query: SummaryQuery): WholePage {
    return this.#records.whole(query);
  }

  count(filter: RecordFilter): RecordCount {
    return this.#records.countInTime(filter);
  }

  neighbours(query: NeighboursQuery): Neighbours {
    return this.#records.neighbours(query);
  }

  record(requestIdOrId: string | number): RecordWithAttempts | null {
    const record = this.#records.get(requestIdOrId);
    return record === null ? null : { record, attempts: this.#records.attempts(record.id) };
  }

  stats(span: StatsSpan): RequestStats {
    try {
      return readStats(this.#connection.db, span, Date.now());
    } catch (error) {
      throw toStoreError(error, "Cannot read the statistics");
    }
  }

  usage(span: StatsSpan): UsageStats {
    try {
      return readUsage(this.#connection.db, span, Date.now());
    } catch (error) {
      throw toStoreError(error, "Cannot read the statistics");
    }
  }

  costs(span: DaySpan): UsageStats {
    try {
      return readCosts(this.#connection.db, span, Date.now());
    } catch (error) {
      throw toStoreError(error, "Cannot read the statistics");
    }
  }

  clientTotals(): ClientTotals {
    return this.#records.clientTotals();
  }

  spend(query: SpendQuery): SpentDays {
    return this.#records.spend(query);
  }

  lastFailures(upstreamIds: readonly number[]): LastFailure[] {
    try {
      return upstreamIds.flatMap((id) => this.#lastFailure(id) ?? []);
    } catch (error) {
      throw toStoreError(error, "Cannot read the attempts");
    }
  }

  #lastFailure(upstreamId: number): LastFailure | null {
    const statement = prepared(
      this.#connection.db,
      `SELECT status, CAST(started_at AS BLOB) AS started_at, CAST(error_class AS BLOB) AS error_class,
        CAST(error AS BLOB) AS error
        FROM attempts INDEXED BY idx_attempts_failed
        WHERE upstream_id = ? AND error_class IS NOT NULL AND error_class NOT IN (${UNBLAMED})
        ORDER BY record_id DESC LIMIT 1`,
    );
    statement.setReadBigInts(true);
    const row = statement.get(upstreamId);
    if (row === undefined) return null;
    const status = number(row["status"]);
    return {
      upstreamId,
      atMs: fromGoTime(text(row["started_at"]) ?? "") ?? 0,
      errorClass: text(row["error_class"]) ?? "",
      message: text(row["error"]) ?? (status === null ? "" : `HTTP ${status}`),
    };
  }
}
