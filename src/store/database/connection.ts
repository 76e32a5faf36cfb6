/**
 * Opens a database file: refuses what is not ours, creates what is missing, upgrades what is old.
 *
 * Owns how a connection is made. A refused file keeps every byte (inspect.ts decides). Every connection of the program
 * comes from here, so that all of them have the same pragmas. A database that is up to date is opened without its write
 * lock, which another program may hold.
 */
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../store.ts";
import { copyAside, removeCopy, removeIfThere } from "./copy_aside.ts";
import { isIoError, toStoreError, troubleOf, type TroubleReason } from "./errors.ts";
import { databaseFile } from "./file.ts";
import { ensureFile, inspectFile, requireOurs } from "./inspect.ts";
import { APPLICATION_ID, migrate, SCHEMA_VERSION } from "./migrations.ts";

export const DEFAULT_BUSY_TIMEOUT_MS = 5_000; // docs/tuning.md#store-read

const JOURNAL_SIZE_LIMIT_BYTES = 64 * 1024 * 1024; // docs/tuning.md#wal-sync

export interface ConnectionOptions {
  /** How long to wait for another program's lock; default 5000. The wait blocks the thread. */
  readonly busyTimeoutMs?: number;
  /** Only reads, and neither creates nor upgrades: for a database that is up to date. */
  readonly isReadOnly?: boolean;
  /** With `isReadOnly`: whether the journal may be put away, if nobody else has the database open. Default false. */
  readonly isTidying?: boolean;
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
  /** It is a copy of the configuration, in memory. Default false. */
  readonly isStandIn?: boolean;
}

/** What opening goes by. */
interface Target {
  readonly file: string;
  /** How messages begin. */
  readonly action: string;
  readonly busyTimeoutMs: number;
}

/**
 * @throws StoreError `unreadable`, `foreign`, `newer`, `outdated`, `locked`, `readonly`, `full`; the file is untouched
 *   then. `outdated` only with `isReadOnly`, `locked` only when the database is to be upgraded.
 */
export function openConnection(path: string, options: ConnectionOptions = {}): Connection {
  const target = {
    file: databaseFile(path),
    action: `Cannot open database "${path}"`,
    busyTimeoutMs: options.busyTimeoutMs ?? DEFAULT_BUSY_TIMEOUT_MS,
  };
  try {
    return options.isReadOnly ? openToRead(target, options) : openToWrite(target, options);
  } catch (error) {
    throw toOpeningError(error, target);
  }
}

/** The same error, but for what SQLite does not tell: that the disk is full, or the folder read-only. */
export function toOpeningError(
  error: unknown,
  { file, action }: Pick<Target, "file" | "action">,
): StoreError {
  const isUnclear = isIoError(error) || (troubleOf(error) === "gone" && !(error instanceof StoreError));
  const trouble = isUnclear ? folderTrouble(dirname(file)) : null;
  const cause = { cause: error };
  if (trouble === "full") {
    return new StoreError("full", `${action}: the disk is full; free some space and try again`, cause);
  }
  if (trouble === "readonly") {
    return new StoreError(
      "readonly",
      `${action}: its directory is read-only; make it writable for this user`,
      cause,
    );
  }
  return toStoreError(error, action);
}

function openToRead(
  { file, action, busyTimeoutMs }: Target,
  { isTidying = false }: ConnectionOptions,
): Connection {
  // A connection that cannot write leaves an empty journal and its index behind when it is the last one.
  const db = new DatabaseSync(file, { readOnly: !isTidying });
  try {
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    if (requireOurs(db, action) < SCHEMA_VERSION) {
      throw new StoreError("outdated", `${action}: it has not been upgraded yet; try again in a moment`);
    }
    return { db, isNew: false, isOwn: isOwn(db), upgradedFrom: null };
  } catch (error) {
    db.close();
    throw error;
  }
}

function openToWrite(target: Target, { onUpgrade }: ConnectionOptions): Connection {
  const { file, action, busyTimeoutMs } = target;
  const { isMade, isEmpty } = ensureFile(file, action);
  let upgradedFrom: string | null = null;
  try {
    const version = isEmpty ? 0 : inspectFile(file, action, busyTimeoutMs);
    if (!isEmpty && version < SCHEMA_VERSION) {
      onUpgrade?.(Deno.statSync(file).size);
      upgradedFrom = copyAside(file, (db) => {
        db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
        requireWritable(db, version);
      });
    }
    const db = connect(target, { version, isEmpty });
    return { db, isNew: isEmpty, isOwn: isOwn(db), upgradedFrom };
  } catch (error) {
    if (upgradedFrom !== null) removeCopy(upgradedFrom);
    if (isMade && Deno.statSync(file).size === 0) {
      for (const suffix of ["", "-wal", "-shm"]) removeIfThere(file + suffix);
    }
    throw error;
  }
}

function connect(
  { file, busyTimeoutMs }: Target,
  { version, isEmpty }: { readonly version: number; readonly isEmpty: boolean },
): DatabaseSync {
  const isCurrent = !isEmpty && version === SCHEMA_VERSION;
  const db = new DatabaseSync(file);
  try {
    db.exec(`PRAGMA busy_timeout = ${isCurrent ? 0 : busyTimeoutMs}`);
    // Lets the file shrink (write/retention.ts). SQLite takes it only before anything else is done to a new file.
    if (isEmpty) db.exec("PRAGMA auto_vacuum = INCREMENTAL");
    const isLockTaken = isCurrent ? unlessLocked : always;
    isLockTaken(() => requireWritable(db, version));
    // Takes a lock only where the mode is another one; the next who opens the database sets it, if now is no time.
    isLockTaken(() =>
      db.exec(`PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = ${JOURNAL_SIZE_LIMIT_BYTES}`)
    );
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    if (isEmpty) db.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
    if (!isCurrent) migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function always(action: () => void): void {
  action();
}

/** A lock of another program proves that the file can be written, and is waited for by those who write. */
function unlessLocked(action: () => void): void {
  try {
    action();
  } catch (error) {
    if (troubleOf(error) !== "locked") throw error;
  }
}

function isOwn(db: DatabaseSync): boolean {
  return db.prepare("PRAGMA application_id").get()?.["application_id"] === APPLICATION_ID;
}

/**
 * Tells a read-only or locked file from a good one before anything relies on it. `BEGIN IMMEDIATE` alone is
 * not enough: on a read-only file SQLite takes it for a plain `BEGIN`.
 */
function requireWritable(db: DatabaseSync, version: number): void {
  db.exec("BEGIN IMMEDIATE");
  try {
    db.exec(`PRAGMA user_version = ${version}`);
  } finally {
    if (db.isTransaction) db.exec("ROLLBACK");
  }
}

/** What SQLite writes first, in one piece. */
const PROBE_BYTES = 32 * 1024;

/** Why a file of some pages cannot be made in the folder; null: it can. */
function folderTrouble(folder: string): TroubleReason | null {
  const probe = join(folder, `.openai-api-route-${crypto.randomUUID()}`);
  try {
    using file = Deno.openSync(probe, { write: true, createNew: true, mode: 0o600 });
    for (let left = PROBE_BYTES; left > 0;) left -= file.writeSync(new Uint8Array(left));
    return null;
  } catch (error) {
    return error instanceof Deno.errors.PermissionDenied ? "readonly" : troubleOf(error);
  } finally {
    removeQuietly(probe);
  }
}

function removeQuietly(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was not made.
  }
}
