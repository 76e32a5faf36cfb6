/**
 * Opens a database file: refuses what is not ours, creates what is missing, upgrades what is old.
 *
 * Owns the decision whether a file may be touched. A refused file keeps every byte. Every connection of the
 * program comes from here, so that all of them have the same pragmas.
 */
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { messageOf } from "../../core/errors.ts";
import { APPLICATION_ID, columnsOf, migrate, SCHEMA_VERSION, userVersion } from "./migrations.ts";
import { toStoreError, troubleOf } from "./errors.ts";
import { StoreError } from "../store.ts";

export const DEFAULT_BUSY_TIMEOUT_MS = 5_000; // docs/tuning.md#store-read

const MIN_PAGE_BYTES = 512;
const COPY_BUFFER_BYTES = 1024 * 1024; // docs/tuning.md#store-read
const JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024; // docs/tuning.md#wal-sync

export interface ConnectionOptions {
  /** How long to wait for another program's lock; default 5000. The wait blocks the thread. */
  readonly busyTimeoutMs?: number;
  /** Only reads, and neither creates nor upgrades: for a database that another connection has open already. */
  readonly isReadOnly?: boolean;
  /** Called before a database is copied aside and upgraded, which blocks the thread; with its size. */
  readonly onUpgrade?: (bytes: number) => void;
}

export interface Connection {
  readonly db: DatabaseSync;
  /** The file was created (or was empty) in this call. */
  readonly isNew: boolean;
  /** This program created the database, now or earlier; false for databases of the Go program. */
  readonly isOwn: boolean;
  /** Where the database was copied to before it was upgraded; null when nothing was upgraded. */
  readonly upgradedFrom: string | null;
}

/**
 * @throws StoreError `unreadable`, `foreign`, `newer`, `locked`, `readonly`, `full`; the file is untouched then
 */
export function openConnection(path: string, options: ConnectionOptions = {}): Connection {
  const file = resolve(path);
  const action = `Cannot open database "${path}"`;
  const busyTimeoutMs = options.busyTimeoutMs ?? DEFAULT_BUSY_TIMEOUT_MS;
  if (options.isReadOnly) return openForReading(file, { action, busyTimeoutMs });
  try {
    const isEmpty = !hasContent(file, action);
    const version = isEmpty ? 0 : inspect(file, action, busyTimeoutMs);
    const isUpgrading = !isEmpty && version < SCHEMA_VERSION;
    if (isUpgrading) options.onUpgrade?.(Deno.statSync(file).size);
    const upgradedFrom = isUpgrading ? copyAside(file, { version, action, busyTimeoutMs }) : null;
    const db = new DatabaseSync(file);
    try {
      db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
      // Lets the file shrink (write/retention.ts). SQLite takes it only before anything else is done to a new file.
      if (isEmpty) db.exec("PRAGMA auto_vacuum = INCREMENTAL");
      requireWritable(db, { version, action });
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = ${JOURNAL_SIZE_LIMIT_BYTES}`);
      if (isEmpty) db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      migrate(db);
      const applicationId = db.prepare("PRAGMA application_id").get()?.["application_id"];
      return { db, isNew: isEmpty, isOwn: applicationId === APPLICATION_ID, upgradedFrom };
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    throw toStoreError(error, action);
  }
}

function openForReading(
  file: string,
  { action, busyTimeoutMs }: { readonly action: string; readonly busyTimeoutMs: number },
): Connection {
  try {
    const version = inspect(file, action, busyTimeoutMs);
    if (version < SCHEMA_VERSION) {
      throw new StoreError("locked", `${action}: it has not been upgraded yet; try again in a moment`);
    }
    const db = new DatabaseSync(file, { readOnly: true });
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    return { db, isNew: false, isOwn: false, upgradedFrom: null };
  } catch (error) {
    throw toStoreError(error, action);
  }
}

/**
 * Creates the file with mode 0600 when it is missing. Returns whether it has bytes.
 *
 * Must never open an existing file itself: closing any descriptor of it drops every POSIX lock that this
 * process holds on it, and another process could then delete the journal under our connections
 * (https://www.sqlite.org/howtocorrupt.html section 2.2).
 */
function hasContent(file: string, action: string): boolean {
  try {
    Deno.openSync(file, { write: true, createNew: true, mode: 0o600 }).close();
    return false;
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw unreadable(error, action);
  }
  try {
    const { isFile, size } = Deno.statSync(file);
    if (!isFile) {
      throw new StoreError("unreadable", `${action}: it is not a file; name a file with --database`);
    }
    // SQLite would take a file shorter than its smallest page for an empty database, and overwrite it.
    if (size > 0 && size < MIN_PAGE_BYTES) {
      throw new StoreError(
        "foreign",
        `${action}: it is not a SQLite database; name another file with --database`,
      );
    }
    return size > 0;
  } catch (error) {
    throw unreadable(error, action);
  }
}

function unreadable(error: unknown, action: string): StoreError {
  if (error instanceof StoreError) return error;
  const cause = { cause: error };
  if (error instanceof Deno.errors.NotFound) {
    return new StoreError("unreadable", `${action}: its directory does not exist; create it first`, cause);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new StoreError(
      "unreadable",
      `${action}: permission denied; this user needs to read and write the file and its directory`,
      cause,
    );
  }
  if (error instanceof Error && "code" in error && error.code === "EROFS") {
    return new StoreError(
      "readonly",
      `${action}: the file system is read-only; name a file elsewhere`,
      cause,
    );
  }
  return new StoreError("unreadable", `${action}: ${messageOf(error)}`, cause);
}

/** Reads the version through a connection that cannot write, not even by a checkpoint when it closes. */
function inspect(file: string, action: string, busyTimeoutMs: number): number {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    const version = userVersion(db);
    const hasTables =
      db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' LIMIT 1").get() !== undefined;
    if (hasTables && !hasOurTables(db)) {
      throw new StoreError(
        "foreign",
        `${action}: it is another program's database; name another file with --database`,
      );
    }
    if (version > SCHEMA_VERSION) {
      throw new StoreError(
        "newer",
        `${action}: a newer version of openai-api-route made it (schema ${version}, this one knows ${SCHEMA_VERSION}); ` +
          "use that version, or go back to the copy that it made (.before-upgrade)",
      );
    }
    return version;
  } finally {
    db.close();
  }
}

function hasOurTables(db: DatabaseSync): boolean {
  const has = (table: string, columns: readonly string[]): boolean => {
    const present = columnsOf(db, table);
    return columns.every((column) => present.has(column));
  };
  return has("openai_upstreams", ["sk", "endpoint"]) || has("config_kvs", ["key", "value"]) ||
    has("records", ["body", "response"]);
}

/**
 * Tells a read-only or locked file from a good one before anything relies on it. `BEGIN IMMEDIATE` alone is
 * not enough: on a read-only file SQLite takes it for a plain `BEGIN`.
 */
function requireWritable(db: DatabaseSync, { version, action }: { version: number; action: string }): void {
  try {
    db.exec("BEGIN IMMEDIATE");
    try {
      db.exec(`PRAGMA user_version = ${version}`);
    } finally {
      if (db.isTransaction) db.exec("ROLLBACK");
    }
  } catch (error) {
    // The file was read a moment ago, so what cannot be opened is the journal beside it.
    if (troubleOf(error) !== "gone") throw error;
    throw new StoreError(
      "readonly",
      `${action}: its directory is read-only; make it writable for this user`,
      {
        cause: error,
      },
    );
  }
}

/**
 * A consistent copy beside the file, mode 0600; never overwrites an earlier one. Returns its path.
 *
 * Not `VACUUM INTO`: without `--allow-all` Deno lets SQLite attach no second database. The write lock keeps other
 * writers out while the bytes are read. Closing the file drops the process's locks (see hasContent), so this connection
 * is closed right after, and is the first one of this process.
 */
function copyAside(
  file: string,
  { version, action, busyTimeoutMs }: {
    readonly version: number;
    readonly action: string;
    readonly busyTimeoutMs: number;
  },
): string {
  const db = new DatabaseSync(file);
  try {
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    requireWritable(db, { version, action });
    // What a program that crashed left in its journal belongs in the copy.
    const checkpoint = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    db.exec("BEGIN IMMEDIATE");
    const copy = reserveName(`${file}.before-upgrade`);
    try {
      copyBytes(file, copy);
      if (checkpoint?.["busy"] === 1) copyBytes(`${file}-wal`, `${copy}-wal`);
      return copy;
    } catch (error) {
      Deno.removeSync(copy);
      throw error;
    }
  } finally {
    db.close();
  }
}

function copyBytes(from: string, to: string): void {
  using source = Deno.openSync(from, { read: true });
  using target = Deno.openSync(to, { write: true, create: true, mode: 0o600 });
  const buffer = new Uint8Array(COPY_BUFFER_BYTES);
  for (let count = source.readSync(buffer); count !== null; count = source.readSync(buffer)) {
    for (let at = 0; at < count;) at += target.writeSync(buffer.subarray(at, count));
  }
  target.syncSync();
}

function reserveName(base: string): string {
  for (let n = 1;; n++) {
    const name = n === 1 ? base : `${base}.${n}`;
    try {
      Deno.openSync(name, { write: true, createNew: true, mode: 0o600 }).close();
      return name;
    } catch (error) {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    }
  }
}
