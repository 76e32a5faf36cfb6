/**
 * The writing side of one database: prepared statements, one transaction per batch.
 *
 * Owns the only connection that writes records. Runs in the worker thread; knows nothing of messages.
 */
import type { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../core/types.ts";
import { dayIn } from "../../core/days.ts";
import type { LeaseAnswer, LeaseRequest } from "../../core/spend.ts";
import { Instances } from "../database/instances.ts";
import { ReopeningConnection } from "../database/reopening_connection.ts";
import { type BatchStatements, prepareBatch } from "./batch_statements.ts";
import {
  attemptParams,
  callsParams,
  DELETE_ATTEMPTS,
  partParams,
  progressParams,
  recordParams,
} from "./record_statements.ts";
import { prepared } from "../database/statements.ts";
import { inTransaction } from "../database/transaction.ts";
import { WrittenRows } from "./written_rows.ts";
import { DELETE_RECORD, Retention, type RetentionStep } from "./retention.ts";
import { SearchIndex } from "../search/index.ts";
import { isRecordFault } from "../database/errors.ts";
import { type Counting, StatsWriter } from "../stats/writer.ts";
import { mergeSpend, renewLeases } from "../spend/spend_ledger.ts";
import { StoreError, type UpstreamStateNote } from "../store.ts";
import { putOwnedIds } from "../config/owned_ids.ts";
import { putUpstreamStates } from "../config/upstream_states.ts";
import type { DeletionResult, OpenMessage } from "./messages.ts";

/** Places in a batch that were left out. */
export interface LeftOut {
  /** No database could store them. */
  readonly invalid: readonly number[];
  /** Parts of replies whose row is not there, or no longer in flight: the whole has to be written. */
  readonly unplaced: readonly number[];
}

/** What works on one connection. */
interface Parts {
  readonly db: DatabaseSync;
  readonly statements: BatchStatements;
  readonly instances: Instances;
  readonly search: SearchIndex;
  readonly retention: Retention;
  readonly stats: StatsWriter;
  readonly rows: WrittenRows;
}

type SessionOptions = Omit<OpenMessage, "type" | "isSearched">;

export class WriterSession {
  readonly #connection: ReopeningConnection;
  readonly #options: SessionOptions;
  #made: Parts | null = null;
  #upstreamStates: readonly UpstreamStateNote[] = [];
  #isJournalLost = false;
  /** See {@link LeftOut}, of the batch that is being committed. */
  #unplaced: number[] = [];

  /** @throws StoreError when the database cannot be opened */
  constructor(options: SessionOptions) {
    this.#options = options;
    this.#connection = new ReopeningConnection(options.path, {
      busyTimeoutMs: options.busyTimeoutMs,
      isRecreating: true,
      onOpen: (db) => db.exec(`PRAGMA synchronous = ${options.durability === "full" ? "FULL" : "NORMAL"}`),
    });
    this.#made = this.#makeParts();
  }

  /**
   * Commits the records; of two with one `requestId` the later wins.
   * @returns what was left out
   * @throws what SQLite throws, with nothing of the batch committed
   */
  write(records: readonly RequestRecord[]): LeftOut & { readonly isReopened: boolean } {
    const { result: invalid, isReopened } = this.#lasting(() => this.#commit(records));
    return { invalid, unplaced: this.#unplaced, isReopened };
  }

  /** Notes what tokens have spent, and renews their leases. @throws what SQLite throws, with nothing changed */
  renewSpend(
    requests: readonly LeaseRequest[],
  ): { readonly answers: readonly LeaseAnswer[]; readonly isReopened: boolean } {
    const source = this.#options.instance;
    const { result: answers, isReopened } = this.#lasting(() =>
      renewLeases(this.#connection.db, requests, { source, nowMs: Date.now() })
    );
    return { answers, isReopened };
  }

  /** Merges what is old of what tokens have spent; due now and then. @throws what SQLite throws */
  mergeSpend(): void {
    const { db } = this.#connection;
    inTransaction(db, () => mergeSpend(db, Date.now()));
  }

  /** Commits, and once more when the file was replaced: a commit into an unlinked file is lost. */
  #lasting<Result>(commit: () => Result): { readonly result: Result; readonly isReopened: boolean } {
    let result = commit();
    const isReopened = this.reopenIfReplaced();
    if (isReopened) result = commit();
    else if (this.#isJournalLost) this.#connection.checkpoint();
    return { result, isReopened };
  }

  /** When the file was replaced, opens the one that is at the path now and returns true. */
  reopenIfReplaced(): boolean {
    if (!this.#connection.reopenIfReplaced()) return false;
    this.beat();
    return true;
  }

  /** Due after opening and then every `HEARTBEAT_MS`. */
  beat(): void {
    this.#connection.ensureWal();
    this.#parts.instances.beat();
    // Another process may have taken this one for dead, or a write may have failed.
    this.#writeUpstreamStates();
  }

  /** Closes the rows of processes that have died since the last beat; cheap when none has. */
  reap(): void {
    if (this.#parts.instances.hasDeadOther()) this.#parts.instances.beat();
  }

  /**
   * Moves the journal into the file as far as possible, and returns whether this process's row is there, without which
   * a mark must not be set (see database/leftover_journal.ts).
   */
  anchor(): boolean {
    const row = this.#connection.db.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
    return row?.["busy"] === 0 && row["log"] === row["checkpointed"];
  }

  /** Whether somebody has deleted the journal. */
  hasLostJournal(): boolean {
    return this.#connection.hasLostJournal();
  }

  /** From now on everything that is committed goes into the file at once, until {@link reopen}. */
  saveJournal(): void {
    this.#isJournalLost = true;
    this.#connection.checkpoint();
  }

  /** Opens the database anew. @throws StoreError or what SQLite throws; call it again then */
  reopen(): void {
    if (this.#made !== null) {
      this.#made.stats.flush();
      if (!this.#connection.checkpoint()) {
        throw new StoreError("locked", "Another program reads what is in the deleted journal");
      }
      this.#made = null;
    }
    this.#connection.reopen();
    this.#isJournalLost = false;
  }

  /** Replaces this process's notes on upstreams, which others read. Kept, because heartbeats write them again. */
  noteUpstreamStates(notes: readonly UpstreamStateNote[]): void {
    this.#upstreamStates = notes;
    this.#writeUpstreamStates();
  }

  /** Writes something that others read and that is no record. */
  note(write: (db: DatabaseSync) => void): void {
    write(this.#connection.db);
  }

  #writeUpstreamStates(): void {
    putUpstreamStates(this.#connection.db, this.#options.instance, this.#upstreamStates);
  }

  /** One small step of keeping the full-text index up to date; false when it is. */
  index(): boolean {
    return this.#parts.search.step();
  }

  /** One small step of keeping the statistics; false when there is nothing more to do for now. */
  count(): boolean {
    return this.#parts.stats.step();
  }

  /** One small step of deleting what need not be kept any longer. */
  retain(): RetentionStep {
    return this.#parts.retention.step();
  }

  /** Deletes one record with its attempts; the search index follows by its triggers. @throws what SQLite throws */
  deleteRecord(id: number): DeletionResult {
    this.reopenIfReplaced();
    const { db } = this.#connection;
    return inTransaction(db, () => {
      if (prepared(db, DELETE_RECORD).run(id).changes > 0) {
        prepared(db, DELETE_ATTEMPTS).run(id);
        return "deleted";
      }
      return prepared(db, "SELECT 1 FROM records WHERE id = ?").get(id) === undefined
        ? "not_found"
        : "in_flight";
    });
  }

  close(): void {
    try {
      this.#parts.stats.flush();
      this.#parts.instances.leave();
      this.#connection.db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    } finally {
      this.#connection.close();
    }
  }

  /** Made anew with each connection, and once more when that failed. */
  get #parts(): Parts {
    if (this.#made?.db !== this.#connection.db) this.#made = this.#makeParts();
    return this.#made;
  }

  #makeParts(): Parts {
    const { db } = this.#connection;
    const { path, instance, pid, retention, timeZone } = this.#options;
    const stats = new StatsWriter(db, Date.now);
    return {
      db,
      statements: prepareBatch(db),
      stats,
      rows: new WrittenRows(db),
      instances: new Instances(db, { path, self: { id: instance, pid }, stats, dayOf: dayIn(timeZone) }),
      search: new SearchIndex(db, pid),
      retention: new Retention(db, {
        limits: retention,
        walBytes: () => this.#connection.walBytes(),
        now: Date.now,
      }),
    };
  }

  /** Starts over without each record that turns out to be unstorable. */
  #commit(records: readonly RequestRecord[]): number[] {
    const invalid = new Set<number>();
    for (;;) {
      const culprit = this.#tryCommit(records, invalid);
      if (culprit === null) return [...invalid];
      invalid.add(culprit);
    }
  }

  /** Returns the place of a record that cannot be stored, null when all was committed. */
  #tryCommit(records: readonly RequestRecord[], skipped: ReadonlySet<number>): number | null {
    const { begin, commit, rollback } = this.#parts.statements;
    begin.run();
    this.#unplaced = [];
    let place = 0;
    try {
      const settled: { readonly record: RequestRecord; readonly counting: Counting }[] = [];
      for (const record of records) {
        const counting = skipped.has(place) ? null : this.#put(record, place);
        if (counting !== null) settled.push({ record, counting });
        place++;
      }
      commit.run();
      this.#parts.rows.committed();
      for (const { record, counting } of settled) this.#parts.stats.count(record, counting);
      return null;
    } catch (error) {
      this.#parts.rows.rolledBack();
      // SQLite ends the transaction by itself after some errors (a full disk, for one).
      if (this.#connection.db.isTransaction) rollback.run();
      if (place < records.length && isRecordFault(error)) return place;
      throw error;
    }
  }

  /** Returns where the request, which is settled now, has to be counted; null: nowhere. */
  #put(record: RequestRecord, place: number): Counting | null {
    if (record.ownedIds !== undefined) putOwnedIds(this.#connection.db, record.ownedIds);
    if (record.part !== undefined) {
      if (!this.#putPart(record, record.part)) this.#unplaced.push(place);
      return null;
    }
    const { deleteAttempts, deleteParts, insertAttempt } = this.#parts.statements;
    const { requestId } = record;
    if (this.#parts.rows.isProgress(record) && this.#rewrite(record)) return null;
    const isOpen = record.outcome === "in_flight";
    // Another process may have settled it in the meantime.
    const isKnown = this.#parts.rows.isOpen(requestId);
    const wasOpen = isKnown && this.#parts.stats.isUnsettled(requestId);
    const id = this.#putRow(record, isKnown);
    if (id === null) return null;
    const wasThere = this.#parts.rows.note(id, record);
    if (wasThere) {
      deleteAttempts.run(id);
      deleteParts.run(id);
    }
    for (const attempt of record.attempts) insertAttempt.run(...attemptParams(attempt, id));
    return !isOpen && (wasOpen || !wasThere) ? this.#parts.stats.counting(id) : null;
  }

  /** Returns the row's id; null: the record is an older version than the row. */
  #putRow(record: RequestRecord, isKnown: boolean): number | null {
    const { insert, upsert } = this.#parts.statements;
    const values = recordParams(record, this.#options.instance);
    if (!isKnown) {
      const { changes, lastInsertRowid } = insert.run(...values);
      if (changes > 0) return Number(lastInsertRowid);
    }
    const row = upsert.get(...values);
    return row === undefined ? null : Number(row["id"]);
  }

  /** Writes the texts of a row in flight anew; false when there is none. */
  #rewrite(record: RequestRecord): boolean {
    const { progress, deletePartsOfRequest } = this.#parts.statements;
    if (progress.run(...progressParams(record)).changes === 0) return false;
    deletePartsOfRequest.run(record.requestId);
    return true;
  }

  /** False when there is no row in flight that it continues. */
  #putPart(record: RequestRecord, part: number): boolean {
    const { isInFlight, putPart, putCalls } = this.#parts.statements;
    const id = this.#parts.rows.idOfProgress(record);
    if (id === null || isInFlight.get(id) === undefined) return false;
    putPart.run(...partParams(record, id, part));
    if (record.toolCalls.length > 0) putCalls.run(...callsParams(record, id));
    return true;
  }
}
