/**
 * The journal as the shipper sees it: the local database in which records are committed first.
 *
 * Owns what is read of it and what is deleted from it, in short steps, because the writing thread waits for each. Never
 * touches what is still under way; never deletes a version that PostgreSQL does not have.
 */
import type { DatabaseSync } from "node:sqlite";
import { DELETE_PARTS } from "../../database/record_parts.ts";
import { ReopeningConnection } from "../../database/reopening_connection.ts";
import { prepared } from "../../database/statements.ts";
import { fromGoTime, toGoTime } from "../../database/go_time.ts";
import { inTransaction } from "../../database/transaction.ts";
import type { Row } from "../../read/record_decoding.ts";
import { StoreError } from "../../store.ts";
import { DELETE_ATTEMPTS } from "../../write/record_statements.ts";
import { prepareJournal } from "./journal_tables.ts";
import { SELECT_ATTEMPTS, SELECT_SHIPPED, SELECT_WITHOUT_BODY, toShipped, VERSION } from "./journal_rows.ts";
import { dayOf, type JournalVersion, type ShippedRecord } from "./shipped_record.ts";

/** Of one step of deleting; the writing thread waits for it. */
const MAX_STEP_ROWS = 200; // docs/tuning.md#shipper
const MAX_STEP_MS = 2; // docs/tuning.md#shipper
/** A step does so many even if it takes longer. */
const MIN_STEP_ROWS = 4;
/** Of one batch: each may need partitions, which take locks until the transaction that makes them ends. */
const MAX_BATCH_DAYS = 8;

export interface JournalOptions {
  /** How long a statement waits for the writing thread, which blocks this one. */
  readonly busyTimeoutMs: number;
  readonly newId: () => string;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
}

export interface BatchLimits {
  readonly maxRows: number;
  /** One larger record is a batch by itself. */
  readonly maxBytes: number;
}

export interface JournalBatch {
  readonly records: readonly ShippedRecord[];
  /** Rows that have no place in PostgreSQL, with the reason. */
  readonly unfit: readonly (JournalVersion & { readonly reason: string })[];
  /** The last row that was looked at; the same as before: there is no other. */
  readonly lastId: number;
  /** There may be more rows. */
  readonly isFull: boolean;
}

export interface OpenBatch extends Omit<JournalBatch, "isFull"> {
  /** All that were looked at. */
  readonly ids: readonly number[];
  /** There is none after them. */
  readonly isEnd: boolean;
}

/** What is still to be shipped. */
export interface Backlog {
  /** Settled records that wait. */
  readonly waiting: number;
  /** When the oldest of them came, in milliseconds since the Unix epoch; null: none waits, or it has no time. */
  readonly oldestMs: number | null;
  /** Records that PostgreSQL refuses, which stay. */
  readonly rejected: number;
}

/** Rows that history.ts has not counted yet stay until it has. */
const COUNTED_ABOVE = `SELECT max(low) AS low FROM
  (SELECT low FROM request_stats_progress UNION ALL SELECT low FROM usage_progress)`;

const NEXT_SETTLED = `SELECT id FROM records INDEXED BY idx_records_list
  WHERE id > ? AND outcome IS NOT 'in_flight'
    AND NOT EXISTS (SELECT 1 FROM temp.journal_held WHERE record_id = records.id)
    AND NOT EXISTS (SELECT 1 FROM journal_rejected WHERE record_id = records.id)
  ORDER BY id LIMIT ?`;

const NEXT_OPEN = `SELECT id, ${VERSION} AS version FROM records INDEXED BY idx_records_in_flight
  WHERE outcome = 'in_flight' AND id > ? ORDER BY id LIMIT ?`;

const DELETE_VERSION = `DELETE FROM records WHERE id = ? AND outcome IS NOT 'in_flight' AND ${VERSION} = ?`;

const COUNT = `SELECT (SELECT count(*) FROM records) AS rows,
  (SELECT count(*) FROM records INDEXED BY idx_records_in_flight WHERE outcome = 'in_flight') AS open,
  (SELECT count(*) FROM journal_rejected) AS rejected, (SELECT count(*) FROM temp.journal_held) AS held`;

const SELECT_SETTLED = "SELECT id FROM records WHERE request_id = ? AND outcome IS NOT 'in_flight'";

const HOLD = "INSERT OR IGNORE INTO temp.journal_held(record_id) VALUES (?)";
const LET_GO = "DELETE FROM temp.journal_held WHERE record_id = ?";

const FORGET_OUTDATED = `DELETE FROM journal_rejected WHERE NOT EXISTS (
  SELECT 1 FROM records WHERE id = record_id AND ${VERSION} = version)`;

const NO_TIME = "the record has no time";

export class Journal {
  readonly #connection: ReopeningConnection;
  readonly #options: JournalOptions;
  #id = "";
  #isReleased = false;

  /** @throws StoreError when it cannot be opened */
  constructor(path: string, options: JournalOptions) {
    this.#options = options;
    this.#connection = new ReopeningConnection(path, {
      busyTimeoutMs: options.busyTimeoutMs,
      onOpen: (db) => this.#id = prepareJournal(db, options.newId),
    });
  }

  /** Random, made with the file. */
  get id(): string {
    return this.#id;
  }

  /** For those who read other tables of it. @throws StoreError between {@link release} and {@link resume} */
  get db(): DatabaseSync {
    if (this.#isReleased) throw new StoreError("locked", "The journal is being opened anew");
    return this.#connection.db;
  }

  /**
   * To be called before anything else is asked.
   *
   * @returns whether the file at the path is another one now
   * @throws StoreError when it has gone, or between {@link release} and {@link resume}
   */
  refresh(): boolean {
    return this.db !== null && this.#connection.reopenIfReplaced();
  }

  /** Lets go of the file, until {@link resume}: somebody has deleted its WAL. */
  release(): void {
    this.#isReleased = true;
    this.#connection.detach();
  }

  resume(): void {
    this.#connection.attach();
    this.#isReleased = false;
  }

  /** Settled records after a row, oldest first. @throws what SQLite throws */
  settled(afterId: number, { maxRows, maxBytes }: BatchLimits): JournalBatch {
    const counted = Number(this.#all(COUNTED_ABOVE)[0]?.["low"] ?? 0);
    const ids = this.#all(NEXT_SETTLED, Math.max(afterId, counted), maxRows).map(({ id }) => Number(id));
    const batch = this.#batch(ids, { afterId, maxBytes, hasBody: () => false });
    return { ...batch, isFull: ids.length === maxRows || batch.lastId !== (ids.at(-1) ?? afterId) };
  }

  /**
   * Records under way that are not in the state that is known, after a row.
   *
   * @param known the versions that PostgreSQL has; of these, the body is left out
   */
  open(
    afterId: number,
    { known, maxRows, maxBytes }: BatchLimits & { readonly known: ReadonlyMap<number, string> },
  ): OpenBatch {
    const rows = this.#all(NEXT_OPEN, afterId, maxRows).map((row) => ({
      id: Number(row["id"]),
      version: String(row["version"]),
    }));
    const ids = rows.filter(({ id, version }) => known.get(id) !== version).map(({ id }) => id);
    const batch = this.#batch(ids, { afterId, maxBytes, hasBody: (id) => known.has(id) });
    const isWhole = batch.lastId === (ids.at(-1) ?? afterId);
    const lastId = isWhole ? rows.at(-1)?.id ?? afterId : batch.lastId;
    return {
      ...batch,
      lastId,
      ids: rows.map(({ id }) => id).filter((id) => id <= lastId),
      isEnd: isWhole && rows.length < maxRows,
    };
  }

  /** They have been shipped: they are not read again, and do not wait, until {@link remove} or {@link letGo}. */
  hold(sent: readonly JournalVersion[]): void {
    for (const { id } of sent) prepared(this.db, HOLD).run(id);
  }

  /** All that are held are to be shipped again. */
  letGo(): void {
    prepared(this.db, "DELETE FROM temp.journal_held").run();
  }

  /**
   * Deletes some of these, two milliseconds' work (more only for a single large record). A row that has changed stays, to be shipped again.
   *
   * @returns how many, from the first, have been done
   * @throws what SQLite throws, with nothing of it done
   */
  remove(sent: readonly JournalVersion[]): number {
    const { db } = this;
    const endMs = performance.now() + MAX_STEP_MS;
    let done = 0;
    inTransaction(db, () => {
      for (const { id, version } of sent) {
        if (done === MAX_STEP_ROWS || (done >= MIN_STEP_ROWS && performance.now() > endMs)) break;
        if (prepared(db, DELETE_VERSION).run(id, version).changes > 0) {
          prepared(db, DELETE_ATTEMPTS).run(id);
          prepared(db, DELETE_PARTS).run(id);
        }
        prepared(db, LET_GO).run(id);
        done++;
      }
    });
    return done;
  }

  /** Deletes a settled record that somebody does not want any more. @throws what SQLite throws */
  forget(requestId: string): void {
    const { db } = this;
    inTransaction(db, () => {
      for (const row of this.#all(SELECT_SETTLED, requestId)) {
        const id = Number(row["id"]);
        prepared(db, "DELETE FROM records WHERE id = ?").run(id);
        prepared(db, DELETE_ATTEMPTS).run(id);
        prepared(db, DELETE_PARTS).run(id);
        prepared(db, LET_GO).run(id);
      }
    });
  }

  /** The row stays, and is not read again as it is. @param reason for people; holds none of its values */
  reject({ id, version }: JournalVersion, reason: string): void {
    prepared(
      this.db,
      "INSERT OR REPLACE INTO journal_rejected(record_id, version, rejected_at, reason) VALUES (?, ?, ?, ?)",
    ).run(id, version, toGoTime(this.#options.now()), reason);
  }

  /** Rejected rows that have changed since, or have gone, are rejected no longer. */
  forgetOutdated(): void {
    if (this.#all("SELECT 1 FROM journal_rejected LIMIT 1").length > 0) {
      prepared(this.db, FORGET_OUTDATED).run();
    }
  }

  /** All are to be tried again. */
  retryRejected(): void {
    prepared(this.db, "DELETE FROM journal_rejected").run();
  }

  backlog(): Backlog {
    const [count = {}] = this.#all(COUNT);
    const rejected = Number(count["rejected"]);
    const waiting = Math.max(
      0,
      Number(count["rows"]) - Number(count["open"]) - Number(count["held"]) - rejected,
    );
    const [first] = waiting === 0 ? [] : this.#all(NEXT_SETTLED, 0, 1);
    const [oldest] = first === undefined
      ? []
      : this.#all("SELECT created_at FROM records WHERE id = ?", Number(first["id"]));
    return { waiting, oldestMs: fromGoTime(String(oldest?.["created_at"] ?? "")), rejected };
  }

  close(): void {
    this.#connection.close();
  }

  #batch(
    ids: readonly number[],
    { afterId, maxBytes, hasBody }: {
      readonly afterId: number;
      readonly maxBytes: number;
      readonly hasBody: (id: number) => boolean;
    },
  ): Omit<JournalBatch, "isFull"> {
    const records: ShippedRecord[] = [];
    const unfit: (JournalVersion & { reason: string })[] = [];
    const requestIds = new Set<string>();
    const days = new Set<string>();
    let lastId = afterId;
    let bytes = 0;
    for (const id of ids) {
      const [row] = this.#all(hasBody(id) ? SELECT_WITHOUT_BODY : SELECT_SHIPPED, id);
      const record = row === undefined ? null : toShipped(row, this.#all(SELECT_ATTEMPTS, id));
      if (record !== null) {
        bytes += record.bytes;
        days.add(dayOf(record));
        const isFull = bytes > maxBytes || days.size > MAX_BATCH_DAYS;
        // Two ids may become one when they are cleaned, and one statement takes each only once.
        if ((isFull && records.length > 0) || requestIds.has(record.requestId)) break;
        requestIds.add(record.requestId);
        records.push(record);
      } else if (row !== undefined) {
        unfit.push({ id, version: String(row["version"]), reason: NO_TIME });
      }
      lastId = id;
    }
    return { records, unfit, lastId };
  }

  #all(sql: string, ...params: (string | number)[]): Row[] {
    const statement = prepared(this.db, sql);
    statement.setReadBigInts(true);
    return statement.all(...params);
  }
}
