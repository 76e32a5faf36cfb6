/**
 * Keeps the full-text index in step with `records`.
 *
 * Owns what goes into the index and when it is done. Indexed are the rows with `low < id <= high` in
 * `search_progress`, except those in `search_queue`, which triggers fill when such a row changes. New rows
 * raise `high`; rows that were there before the index lower `low`. Every step is one small transaction, so
 * that a crash at any point leaves the three tables in agreement. Runs on the writer's connection.
 *
 * A large row is claimed first: its entry in the queue names the process (a negative `is_gone`, see {@link claimOf}).
 * Then its text is prepared outside a transaction, and indexed unless the row, and with it the entry, has changed since.
 * A row that was claimed by a process that died may be the cause, and is left out of the index.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { SEARCH_COLUMNS, SEARCH_SIZE, toSearchSource } from "../read/record_decoding.ts";
import { type SearchText, searchText } from "./text.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";

const MAX_STEP_MS = 2; // docs/tuning.md#store-search-and-statistics
const MAX_STEP_ROWS = 64; // docs/tuning.md#store-search-and-statistics
const MAX_STEP_DELETIONS = 500; // docs/tuning.md#store-search-and-statistics
/** Rows that hold more bytes of text are claimed. */
const MAX_PLAIN_BYTES = 32 * 1024; // docs/tuning.md#store-search-and-statistics
/** Pages that one call of FTS5's `merge` may write; about a millisecond. */
const MERGE_PAGES = 16; // docs/tuning.md#store-search-and-statistics

/** `is_gone` of a row that is to be indexed. */
const CHANGED = 0;

/** `is_gone` of a row that a process has claimed; never one of the two that triggers set. */
function claimOf(pid: number): number {
  return -Math.max(1, pid);
}

interface Candidate {
  readonly id: number;
  readonly isSettled: boolean;
}

export class SearchIndex {
  readonly #db: DatabaseSync;
  readonly #claim: number;
  readonly #put: StatementSync;
  readonly #read: StatementSync;
  readonly #readPlain: StatementSync;
  readonly #isThere: StatementSync;
  readonly #remove: StatementSync;
  readonly #enqueue: StatementSync;
  readonly #dequeue: StatementSync;
  readonly #release: StatementSync;
  #isMergeDue = true;
  #isAfterStart = true;
  /** A row that this process has claimed and not indexed yet. */
  #claimedId: number | null = null;

  /** @param pid of this process */
  constructor(db: DatabaseSync, pid: number) {
    this.#db = db;
    this.#claim = claimOf(pid);
    this.#put = db.prepare("INSERT OR REPLACE INTO records_search(rowid, request, reply) VALUES (?, ?, ?)");
    this.#read = db.prepare(`SELECT ${SEARCH_COLUMNS} FROM records WHERE id = ?`);
    this.#readPlain = db.prepare(
      `SELECT ${SEARCH_COLUMNS} FROM records WHERE id = ? AND ${SEARCH_SIZE} <= ${MAX_PLAIN_BYTES}`,
    );
    this.#isThere = db.prepare("SELECT 1 FROM records WHERE id = ?");
    this.#remove = db.prepare("DELETE FROM records_search WHERE rowid = ?");
    this.#enqueue = db.prepare("INSERT OR REPLACE INTO search_queue(id, is_gone) VALUES (?, ?)");
    this.#dequeue = db.prepare("DELETE FROM search_queue WHERE id = ?");
    this.#release = db.prepare("DELETE FROM search_queue WHERE id = ? AND is_gone = ?");
  }

  /**
   * Does a few milliseconds of work (more only for a single large record).
   * @returns whether there may be more to do
   * @throws what SQLite throws, with nothing of the step done
   */
  step(): boolean {
    if (this.#isMergeDue) {
      this.#isMergeDue = this.#merge();
      return this.#isMergeDue || this.#hasWork();
    }
    if (this.#isAfterStart) this.#skipLeftClaims();
    if (this.#claimedId === null && this.#hasWork()) this.#indexSome();
    else if (this.#claimedId === null) return false;
    if (this.#claimedId !== null) this.#indexClaimed(this.#claimedId);
    this.#isMergeDue = true;
    return true;
  }

  #hasWork(): boolean {
    const { low, high } = this.#progress();
    return this.#rows("SELECT 1 FROM search_queue WHERE is_gone = 1 LIMIT 1").length > 0 ||
      this.#changed(1).length > 0 || this.#newer(high, 1).length > 0 || this.#older(low, 1).length > 0;
  }

  #indexSome(): void {
    const endMs = performance.now() + MAX_STEP_MS;
    let claimedId: number | null = null;
    inTransaction(this.#db, () => {
      const isTimeLeft = (): boolean => claimedId === null && performance.now() < endMs;
      const take = ({ id, isSettled }: Candidate): void => {
        // A row that is not settled yet comes back through the queue when it is.
        if (!isSettled) return void this.#enqueue.run(id, CHANGED);
        const plain = this.#readPlain.get(id);
        if (plain === undefined && this.#isThere.get(id) !== undefined) {
          this.#enqueue.run(id, this.#claim);
          claimedId = id;
        } else this.#index(id, plain === undefined ? null : searchText(toSearchSource(plain)));
      };
      this.#removeGone();
      for (const row of this.#changed(MAX_STEP_ROWS)) {
        take(row);
        if (claimedId === null) this.#dequeue.run(row.id);
        if (!isTimeLeft()) break;
      }
      let { low, high } = this.#progress();
      for (const row of isTimeLeft() ? this.#newer(high, MAX_STEP_ROWS) : []) {
        take(row);
        high = row.id;
        if (!isTimeLeft()) break;
      }
      for (const row of isTimeLeft() ? this.#older(low, MAX_STEP_ROWS) : []) {
        take(row);
        low = row.id - 1;
        if (!isTimeLeft()) break;
      }
      prepared(this.#db, "UPDATE search_progress SET low = ?, high = ?").run(low, high);
    });
    this.#claimedId = claimedId;
  }

  /** When it fails, the next step tries again. */
  #indexClaimed(id: number): void {
    const text = this.#textOf(id);
    inTransaction(this.#db, () => {
      // A change of the row since then has put it into the queue again.
      if (this.#release.run(id, this.#claim).changes > 0) this.#index(id, text);
    });
    this.#claimedId = null;
  }

  /** Claims of other living processes stay. */
  #skipLeftClaims(): void {
    inTransaction(this.#db, () => {
      const left = this.#rows(
        "SELECT id FROM search_queue WHERE is_gone = ? OR (is_gone < 0 AND -is_gone NOT IN (SELECT pid FROM instances WHERE pid IS NOT NULL))",
        this.#claim,
      );
      for (const { id } of left) {
        this.#index(Number(id), null);
        this.#dequeue.run(Number(id));
      }
    });
    this.#isAfterStart = false;
  }

  #index(id: number, text: SearchText | null): void {
    if (text === null) this.#remove.run(id);
    else this.#put.run(id, text.request, text.reply);
  }

  #textOf(id: number): SearchText | null {
    const row = this.#read.get(id);
    return row === undefined ? null : searchText(toSearchSource(row));
  }

  #removeGone(): void {
    const gone = this.#rows("SELECT id FROM search_queue WHERE is_gone = 1 LIMIT ?", MAX_STEP_DELETIONS);
    for (const { id } of gone) {
      this.#remove.run(Number(id));
      this.#dequeue.run(Number(id));
    }
  }

  /** Rows whose indexed text is out of date, as far as they are settled. */
  #changed(limit: number): Candidate[] {
    return this.#candidates(
      `SELECT q.id, 1 AS is_settled FROM search_queue q
        LEFT JOIN records r INDEXED BY idx_records_list ON r.id = q.id
        WHERE q.is_gone = 0 AND r.outcome IS NOT 'in_flight' ORDER BY q.id LIMIT ?`,
      limit,
    );
  }

  #newer(high: number, limit: number): Candidate[] {
    return this.#candidates(
      `SELECT id, outcome IS NOT 'in_flight' AS is_settled FROM records INDEXED BY idx_records_list
        WHERE id > ? ORDER BY id LIMIT ?`,
      high,
      limit,
    );
  }

  #older(low: number, limit: number): Candidate[] {
    return this.#candidates(
      `SELECT id, outcome IS NOT 'in_flight' AS is_settled FROM records INDEXED BY idx_records_list
        WHERE id <= ? ORDER BY id DESC LIMIT ?`,
      low,
      limit,
    );
  }

  #progress(): { low: number; high: number } {
    const [row] = this.#rows("SELECT low, high FROM search_progress");
    return { low: Number(row?.["low"]), high: Number(row?.["high"]) };
  }

  #candidates(sql: string, ...params: number[]): Candidate[] {
    return this.#rows(sql, ...params).map((row) => ({
      id: Number(row["id"]),
      isSettled: row["is_settled"] === 1,
    }));
  }

  #rows(sql: string, ...params: number[]): Record<string, unknown>[] {
    return prepared(this.#db, sql).all(...params);
  }

  /** Returns whether there is more to merge; FTS5 tells by `total_changes()` (its section 6.8). */
  #merge(): boolean {
    const endMs = performance.now() + MAX_STEP_MS;
    do {
      const before = this.#totalChanges();
      this.#db.exec(`INSERT INTO records_search(records_search, rank) VALUES ('merge', ${MERGE_PAGES})`);
      if (this.#totalChanges() - before < 2) return false;
    } while (performance.now() < endMs);
    return true;
  }

  #totalChanges(): number {
    return Number(this.#rows("SELECT total_changes() AS n")[0]?.["n"]);
  }
}
