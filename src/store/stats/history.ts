/**
 * Counts the rows that were in `records` before a table of counts was: newest first, a few at a time.
 *
 * Owns the table's progress: rows above `low` have been counted. A row that is settled later counts at once when it is above,
 * else when its turn comes. Runs on the writer's connection.
 */
import type { DatabaseSync } from "node:sqlite";
import { DAY_MS } from "../../core/units.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { text } from "../database/values.ts";
import type { Row } from "../read/record_decoding.ts";
import { attemptsOf, COUNTED_COLUMNS, toCounted } from "./counted.ts";
import type { CountedRequest } from "./tally.ts";

const MAX_STEP_ROWS = 256; // docs/tuning.md#store-search-and-statistics
const MAX_STEP_MS = 2;
/** Rows older than this are not looked at: 31 days, with a margin for the offsets of local times. */
const OLDEST_DAYS = 33;

export interface HistoryOptions {
  /** Has one row, with the column `low`. */
  readonly progressTable: "request_stats_progress" | "usage_progress";
  /** Adds to the table of counts, within the transaction of a step. */
  readonly write: (requests: readonly CountedRequest[]) => void;
  /** Within the same transaction; `isWhole`: every record has been counted now. */
  readonly onProgress?: (progress: { readonly oldestMs: number | null; readonly isWhole: boolean }) => void;
}

export class History {
  readonly #db: DatabaseSync;
  readonly #options: HistoryOptions;
  #low: number | null = null;

  constructor(db: DatabaseSync, options: HistoryOptions) {
    this.#db = db;
    this.#options = options;
  }

  /** Whether a row that is being settled counts now; else {@link step} counts it. */
  shouldCount(id: number): boolean {
    // It only ever falls, and at zero there is nothing left to ask.
    if (this.#low !== 0) this.#low = this.#readLow();
    return id > this.#low;
  }

  /**
   * Counts some rows; a few milliseconds.
   * @returns whether there may be more
   * @throws what SQLite throws, with nothing of the step done
   */
  step(nowMs: number): boolean {
    if (this.#low === 0) return false;
    const low = this.#readLow();
    this.#low = low === 0 ? 0 : inTransaction(this.#db, () => this.#countBelow(low, nowMs));
    return this.#low !== 0;
  }

  /** The new `low`. */
  #countBelow(low: number, nowMs: number): number {
    const endMs = performance.now() + MAX_STEP_MS;
    const rows = this.#rows(
      `SELECT ${COUNTED_COLUMNS} FROM records WHERE id <= ? ORDER BY id DESC LIMIT ?`,
      low,
      MAX_STEP_ROWS,
    );
    const requests: CountedRequest[] = [];
    let reached = 0;
    let isAllOld = true;
    for (const row of rows) {
      reached = Number(row["id"]) - 1;
      const counted = this.#counted(row);
      if (counted !== null) {
        requests.push(counted);
        if (nowMs - counted.createdAtMs < OLDEST_DAYS * DAY_MS) isAllOld = false;
      }
      if (performance.now() > endMs) {
        isAllOld = false;
        break;
      }
    }
    this.#options.write(requests);
    // Ids nearly follow time: below a whole step of rows that are too old, all are.
    const newLow = isAllOld ? 0 : Math.max(reached, 0);
    prepared(this.#db, `UPDATE ${this.#options.progressTable} SET low = ?`).run(newLow);
    const times = requests.map(({ createdAtMs }) => createdAtMs);
    this.#options.onProgress?.({
      oldestMs: times.length === 0 ? null : Math.min(...times),
      isWhole: newLow === 0 && (reached <= 0 || rows.length < MAX_STEP_ROWS),
    });
    return newLow;
  }

  /** null: in flight, or without a time. */
  #counted(row: Row): CountedRequest | null {
    if (text(row["outcome"]) === "in_flight") return null;
    return toCounted(row, attemptsOf(this.#db, Number(row["id"])));
  }

  #readLow(): number {
    return Number(this.#rows(`SELECT low FROM ${this.#options.progressTable}`)[0]?.["low"] ?? 0);
  }

  #rows(sql: string, ...params: (string | number)[]): Row[] {
    const statement = prepared(this.#db, sql);
    statement.setReadBigInts(true);
    return statement.all(...params);
  }
}
