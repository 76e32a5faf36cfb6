/**
 * A SQLite database that is being made as a copy: `FILE.unfinished` until it is whole, so that no server opens half of one.
 *
 * Owns the file, and the table `copy_unfinished`, which says what it is a copy of and goes at the end.
 */
import { dirname } from "node:path";
import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { SpentDays } from "../../../core/spend.ts";
import type { OwnedId } from "../../../core/types.ts";
import { putOwnedIds } from "../../config/owned_ids.ts";
import { openConnection } from "../../database/connection.ts";
import { toStoreError } from "../../database/errors.ts";
import { databaseFile } from "../../database/file.ts";
import { CRASH_MESSAGE } from "../../database/instances.ts";
import { RECORD_COLUMNS } from "../../database/record_columns.ts";
import { prepared } from "../../database/statements.ts";
import { inTransaction } from "../../database/transaction.ts";
import { text } from "../../database/values.ts";
import { recreateSearchTables } from "../../search/tables.ts";
import { replaceSpend } from "../../spend/spend_ledger.ts";
import { StoreError } from "../../store.ts";
import { INSERT_ATTEMPT } from "../../write/record_statements.ts";
import { putConfigRows } from "../config/local_rows.ts";
import type { LoadedConfig } from "../config/remote_config.ts";
import { STATISTICS_TABLES } from "../shipper/statistics_changes.ts";
import type { RemoteKey, RemoteRecord } from "./remote_source.ts";
import { type OwnIdentity, putOwnIdentity } from "./source_identity.ts";
import type { SummedStatistics } from "./summed_statistics.ts";

const NAMES = Object.keys(RECORD_COLUMNS);
const PLACE = {
  requestId: NAMES.indexOf("request_id"),
  outcome: NAMES.indexOf("outcome"),
  error: NAMES.indexOf("error"),
};

const INSERT = `INSERT INTO records(id, ${NAMES.join(", ")})
  VALUES (?, ${NAMES.map(() => "?").join(", ")}) ON CONFLICT DO NOTHING RETURNING id`;
const FIND = "SELECT CAST(created_at AS BLOB) AS created_at FROM records WHERE request_id = ?";

export class SqliteTarget {
  readonly #db: DatabaseSync;
  readonly #file: string;
  readonly #unfinished: string;
  readonly #action: string;
  readonly #identity: OwnIdentity;

  /**
   * Makes the file, or goes on with one of an earlier copy.
   *
   * @param options.source tells PostgreSQL databases apart
   * @param options.ownId of the new database, see source_identity.ts
   * @throws StoreError `invalid` when the file is there, or is a copy of something else
   */
  constructor(path: string, { source, ownId }: { readonly source: string; readonly ownId: string }) {
    this.#identity = { id: ownId, origin: source };
    this.#action = `Cannot copy to "${path}"`;
    this.#file = databaseFile(path);
    this.#unfinished = `${this.#file}.unfinished`;
    this.#requireNew();
    this.#db = openConnection(this.#unfinished).db;
    try {
      this.#claim(source);
    } catch (error) {
      this.#db.close();
      throw toStoreError(error, this.#action);
    }
  }

  /** Whether the record has been copied. */
  has({ requestId, at, id }: RemoteKey): boolean {
    const found = prepared(this.#db, FIND).get(requestId);
    if (found === undefined) return false;
    return text(found["created_at"]) === at ||
      prepared(this.#db, FIND).get(renamed(requestId, id)) !== undefined;
  }

  /** Commits all of them. @returns how many got another request id. @throws StoreError */
  put(records: readonly RemoteRecord[]): number {
    return this.#commit(() => {
      let count = 0;
      for (const record of records) {
        if (this.#putOne(record)) count++;
      }
      return count;
    });
  }

  /** Replaces all upstreams and settings. @throws StoreError */
  putConfig({ rows, lastIds }: Pick<LoadedConfig, "rows" | "lastIds">): void {
    try {
      putConfigRows(this.#db, rows);
    } catch (error) {
      throw toStoreError(error, this.#action);
    }
    this.#commit(() => {
      // Numbers are not given twice.
      for (const [table, lastId] of Object.entries(lastIds)) {
        this.#db.prepare("DELETE FROM sqlite_sequence WHERE name = ? AND seq < ?").run(table, lastId);
        this.#db.prepare(
          `INSERT INTO sqlite_sequence(name, seq) SELECT ?1, ?2
            WHERE ?2 > 0 AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = ?1)`,
        ).run(table, lastId);
      }
    });
  }

  /** Replaces all statistics. @throws StoreError */
  putStatistics({ rows, sinceMs }: SummedStatistics): void {
    this.#commit(() => {
      for (const { name, keys, values } of STATISTICS_TABLES) {
        if (name === "usage_progress") continue;
        const columns = Object.keys({ ...keys, ...values });
        this.#db.exec(`DELETE FROM ${name}`);
        const insert = this.#db.prepare(
          `INSERT INTO ${name}(${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
        );
        for (const row of rows[name]) insert.run(...row);
      }
      this.#db.prepare("UPDATE usage_progress SET since_ms = ?").run(sinceMs);
    });
  }

  /** Replaces all that tokens have spent. @throws StoreError */
  putSpend(days: SpentDays): void {
    this.#commit(() => replaceSpend(this.#db, days));
  }

  /** @throws StoreError */
  putOwnedIds(ids: readonly OwnedId[]): void {
    this.#commit(() => putOwnedIds(this.#db, ids));
  }

  /** The copy is whole: it gets its name. The full-text index is made by the first server. @throws StoreError */
  finish(): void {
    this.#requireNew();
    this.#commit(() => {
      recreateSearchTables(this.#db);
      putOwnIdentity(this.#db, this.#identity);
      this.#db.exec("DROP TABLE copy_unfinished");
    });
    try {
      const checkpoint = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
      if (checkpoint?.["busy"] === 1) {
        throw new StoreError(
          "locked",
          `${this.#action}: another program has ${this.#unfinished} open; close it, and rename the file then`,
        );
      }
      this.#db.close();
      this.#requireNew();
      Deno.renameSync(this.#unfinished, this.#file);
      syncFolder(dirname(this.#file));
    } catch (error) {
      throw toStoreError(error, this.#action);
    }
  }

  close(): void {
    if (this.#db.isOpen) this.#db.close();
  }

  /** A journal that is left from another file would be taken for the copy's. */
  #requireNew(): void {
    for (const suffix of ["", "-wal", "-journal"]) {
      if (!isThere(this.#file + suffix)) continue;
      throw new StoreError(
        "invalid",
        suffix === ""
          ? `${this.#action}: the file exists; name a new one`
          : `${this.#action}: there is the journal of another file, ${this.#file}${suffix}; name another file`,
      );
    }
  }

  #claim(source: string): void {
    const isOurs = this.#db.prepare(
      "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'copy_unfinished'",
    ).get();
    const known = isOurs &&
      this.#db.prepare("SELECT source FROM copy_unfinished WHERE id = 1").get()?.["source"];
    if (known === source) return;
    const isEmpty = ["records", "openai_upstreams", "config_kvs"].every((table) =>
      this.#db.prepare(`SELECT 1 FROM ${table} LIMIT 1`).get() === undefined
    );
    if (!isEmpty) {
      throw new StoreError(
        "invalid",
        `${this.#action}: ${this.#unfinished} is no unfinished copy of this database; delete it, or name another file`,
      );
    }
    inTransaction(this.#db, () => {
      this.#db.exec(
        "CREATE TABLE IF NOT EXISTS copy_unfinished (id integer PRIMARY KEY CHECK (id = 1), source text NOT NULL)",
      );
      this.#db.prepare("INSERT OR REPLACE INTO copy_unfinished(id, source) VALUES (1, ?)").run(source);
    });
  }

  /** Whether it got another request id. */
  #putOne(record: RemoteRecord): boolean {
    const { id, requestId, attempts } = record;
    const values = settled(record);
    const isTaken = prepared(this.#db, FIND).get(requestId) !== undefined;
    if (isTaken) values[PLACE.requestId] = renamed(requestId, id);
    // A number that is there twice in PostgreSQL: the second gets a new one.
    const stored = this.#insert(id, values) ?? this.#insert(null, values);
    if (stored === null) throw new StoreError("unreadable", `${this.#action}: a record was not taken`);
    for (const attempt of attempts) prepared(this.#db, INSERT_ATTEMPT).run(stored, ...attempt);
    return isTaken;
  }

  #insert(id: bigint | null, values: readonly SQLInputValue[]): bigint | null {
    const statement = prepared(this.#db, INSERT);
    statement.setReadBigInts(true);
    const stored = statement.get(id, ...values)?.["id"];
    return typeof stored === "bigint" ? stored : null;
  }

  #commit<Result>(body: () => Result): Result {
    try {
      return inTransaction(this.#db, body);
    } catch (error) {
      throw toStoreError(error, this.#action);
    }
  }
}

/** Unique, because the number is. */
function renamed(requestId: string, id: bigint): string {
  return `${requestId}~${id}`;
}

function settled({ values, isInFlight }: RemoteRecord): SQLInputValue[] {
  const copy = [...values];
  if (!isInFlight) return copy;
  copy[PLACE.outcome] = "crashed";
  copy[PLACE.error] ??= CRASH_MESSAGE;
  return copy;
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

/** So that the new name is there after a power failure, too. */
function syncFolder(folder: string): void {
  try {
    using opened = Deno.openSync(folder, { read: true });
    opened.syncSync();
  } catch {
    // Not every system opens folders.
  }
}
