/**
 * A connection that reopens when the file at its path was removed or replaced.
 *
 * Owns noticing it: SQLite goes on "succeeding" on an unlinked file, and what is written there is lost. Must not decide
 * when to look; its users call {@link ReopeningConnection.reopenIfReplaced}.
 */
import { resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { type Connection, type ConnectionOptions, openConnection } from "./connection.ts";
import { columnsOf } from "./migrations.ts";
import { inTransaction } from "./transaction.ts";
import { StoreError } from "../store.ts";

export interface ReopeningConnectionOptions extends ConnectionOptions {
  /** When the file has gone, make a new one with the configuration of the old. Default: throw. */
  readonly isRecreating?: boolean;
  /** Prepares every connection: pragmas, statements. */
  readonly onOpen?: (db: DatabaseSync) => void;
}

export class ReopeningConnection {
  readonly opened: Connection;
  #db: DatabaseSync;
  #identity: FileIdentity;
  readonly #path: string;
  readonly #options: ReopeningConnectionOptions;

  /** @throws StoreError as {@link openConnection} */
  constructor(path: string, options: ReopeningConnectionOptions = {}) {
    this.#path = resolve(path);
    this.#options = options;
    this.opened = openConnection(path, options);
    this.#db = this.opened.db;
    try {
      options.onOpen?.(this.#db);
      this.#identity = identify(this.#path);
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  get db(): DatabaseSync {
    return this.#db;
  }

  /**
   * Checks whether the path still leads to the open file, and if not, opens what is there.
   * @returns true when the connection is another one now
   * @throws StoreError `unreadable` when the file has gone, or as {@link openConnection} for its replacement;
   *   the old connection stays open then
   */
  reopenIfReplaced(): boolean {
    if (inodeOf(this.#path) === this.#identity.file) {
      // The WAL exists from the first use on, and stays the same.
      if (this.#identity.wal === null) this.#identity = identify(this.#path);
      return false;
    }
    const found = identify(this.#path);
    const isGone = found.file === null;
    if (isGone && !this.#options.isRecreating) {
      throw new StoreError(
        "unreadable",
        `The database file "${this.#path}" has gone; put it back, or restart`,
      );
    }
    if (!this.#options.isReadOnly) this.#detachSidecars(found);
    const fresh = openConnection(this.#path, this.#options);
    try {
      if (isGone) copyConfiguration(this.#db, fresh.db);
      this.#options.onOpen?.(fresh.db);
    } catch (error) {
      fresh.db.close();
      throw error;
    }
    const old = this.#db;
    this.#db = fresh.db;
    this.#identity = identify(this.#path);
    old.close();
    return true;
  }

  /** Size of the WAL beside the file; 0 when there is none. */
  walBytes(): number {
    try {
      return Deno.statSync(`${this.#path}-wal`).size;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    }
  }

  close(): void {
    this.#db.close();
  }

  /**
   * A `-wal` that is left from the old file would be replayed into the new one
   * (https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use).
   */
  #detachSidecars(found: FileIdentity): void {
    if (found.wal === null || found.wal !== this.#identity.wal) return;
    this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    for (const suffix of ["-wal", "-shm"]) {
      try {
        Deno.removeSync(this.#path + suffix);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
}

/** Device and inode; null when there is no such file. Comparable only while the old file is held open. */
interface FileIdentity {
  readonly file: string | null;
  readonly wal: string | null;
}

function identify(path: string): FileIdentity {
  return { file: inodeOf(path), wal: inodeOf(`${path}-wal`) };
}

function inodeOf(path: string): string | null {
  try {
    const info = Deno.statSync(path);
    return `${info.dev}:${info.ino}`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function copyConfiguration(from: DatabaseSync, to: DatabaseSync): void {
  inTransaction(to, () => {
    for (const table of ["openai_upstreams", "config_kvs"]) {
      const columns = [...columnsOf(to, table)].map((name) => `"${name}"`);
      const read = from.prepare(`SELECT ${columns.join(", ")} FROM ${table}`);
      read.setReadBigInts(true);
      const insert = to.prepare(
        `INSERT INTO ${table}(${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`,
      );
      for (const row of read.all()) insert.run(...Object.values(row));
    }
  });
}
