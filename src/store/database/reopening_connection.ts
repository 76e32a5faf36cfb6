/**
 * A connection that reopens when the file at its path was removed or replaced.
 *
 * Owns noticing it: SQLite goes on "succeeding" on an unlinked file or journal, and what is written there is lost. Must
 * not decide when to look; its users call {@link ReopeningConnection.reopenIfReplaced}.
 */
import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "../store.ts";
import { type Connection, type ConnectionOptions, openConnection } from "./connection.ts";
import { removeIfThere } from "./copy_aside.ts";
import { troubleOf } from "./errors.ts";
import { databaseFile } from "./file.ts";
import { copyConfiguration, standInFor } from "./stand_in.ts";

export interface ReopeningConnectionOptions extends ConnectionOptions {
  /** When the file has gone, make a new one with the configuration of the old. Default: throw. */
  readonly isRecreating?: boolean;
  /** Prepares every connection: pragmas, statements. */
  readonly onOpen?: (db: DatabaseSync) => void;
  /** The only connection of its process, which may open the file anew when its journal was deleted. Default false. */
  readonly isAlone?: boolean;
  /** How the file is opened; default {@link openConnection}. */
  readonly open?: (path: string, options: ConnectionOptions) => Connection;
}

export class ReopeningConnection {
  readonly opened: Connection;
  #db: DatabaseSync;
  #identity: FileIdentity;
  readonly #path: string;
  readonly #options: ReopeningConnectionOptions;
  /** The connection is to a copy in memory, and the file is to be opened when it can be. */
  #isStandIn: boolean;
  /** Between {@link detach} and {@link attach}. */
  #isDetached = false;

  /** @throws StoreError as {@link openConnection} */
  constructor(path: string, options: ReopeningConnectionOptions = {}) {
    this.#path = databaseFile(path);
    this.#options = options;
    this.opened = this.#open(path);
    this.#db = this.opened.db;
    this.#isStandIn = this.opened.isStandIn ?? false;
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
    if (this.#isDetached) return false;
    if (this.#isStandIn) return this.#replaceStandIn();
    if (inodeOf(this.#path) === this.#identity.file) {
      // The WAL exists from the first use on, and stays the same.
      if (this.#identity.wal === null) this.#identity = identify(this.#path);
      if (!this.#options.isAlone || !this.hasLostJournal()) return false;
      this.reopen();
      return true;
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
    const fresh = this.#open(this.#path);
    try {
      if (isGone) copyConfiguration(this.#db, fresh.db, { isWithSpending: true });
    } catch (error) {
      fresh.db.close();
      throw error;
    }
    this.#use(fresh);
    return true;
  }

  /**
   * Whether the journal (`-wal`, or its index `-shm`) at the path is no longer the one in use: somebody has deleted it.
   * What is committed from now on is in a file without a name, which ends with this process.
   */
  hasLostJournal(): boolean {
    const { file, wal, shm } = this.#identity;
    if (wal === null || this.#isStandIn) return false;
    const found = identify(this.#path);
    return found.file === file && (found.wal !== wal || found.shm !== shm);
  }

  /** Sets the journal mode that another program's lock may have kept from being set when the file was opened. */
  ensureWal(): void {
    if (this.#identity.wal !== null) return;
    try {
      this.#db.exec("PRAGMA journal_mode = WAL");
    } catch (error) {
      if (troubleOf(error) !== "locked") throw error;
    }
  }

  /** Moves everything from the journal into the file. Returns whether all of it is there. */
  checkpoint(): boolean {
    const row = this.#db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    return row?.["busy"] === 0;
  }

  /**
   * Opens the file anew, the old connection closed first: all connections of a process share what SQLite knows of a
   * journal, until the last of them is closed.
   * @throws StoreError as {@link openConnection}; call it again then
   */
  reopen(): void {
    if (this.#db.isOpen) this.#db.close();
    this.#use(this.#open(this.#path));
  }

  /** Closes the file, and goes on with its configuration in memory until {@link attach}. */
  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    if (this.#isStandIn) return;
    const standIn = standInFor(this.#db);
    this.#db.close();
    this.#db = standIn;
    this.#isStandIn = true;
  }

  /** The file may be opened again, which {@link reopenIfReplaced} does. */
  attach(): void {
    this.#isDetached = false;
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
    if (this.#db.isOpen) this.#db.close();
  }

  #open(path: string): Connection {
    return (this.#options.open ?? openConnection)(path, this.#options);
  }

  /** Returns false while the file cannot be opened. */
  #replaceStandIn(): boolean {
    let fresh: Connection;
    try {
      fresh = openConnection(this.#path, this.#options);
    } catch {
      return false;
    }
    this.#use(fresh);
    return true;
  }

  #use(fresh: Connection): void {
    try {
      this.#options.onOpen?.(fresh.db);
    } catch (error) {
      fresh.db.close();
      throw error;
    }
    const old = this.#db;
    this.#db = fresh.db;
    this.#isStandIn = fresh.isStandIn ?? false;
    this.#identity = identify(this.#path);
    if (old.isOpen) old.close();
  }

  /**
   * A `-wal` that is left from the old file would be replayed into the new one
   * (https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use).
   */
  #detachSidecars(found: FileIdentity): void {
    if (found.wal === null || found.wal !== this.#identity.wal) return;
    this.#db.exec("PRAGMA wal_checkpoint(PASSIVE)");
    for (const suffix of ["-wal", "-shm"]) removeIfThere(this.#path + suffix);
  }
}

/** Device and inode; null when there is no such file. Comparable only while the old file is held open. */
interface FileIdentity {
  readonly file: string | null;
  readonly wal: string | null;
  readonly shm: string | null;
}

function identify(path: string): FileIdentity {
  return { file: inodeOf(path), wal: inodeOf(`${path}-wal`), shm: inodeOf(`${path}-shm`) };
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
