/**
 * What a file is: empty, a database of ours, or somebody else's.
 *
 * Owns the decision whether a file may be touched. Changes nothing, except that a missing file is made empty.
 */
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../store.ts";
import { briefMessage } from "./errors.ts";
import { columnsOf, SCHEMA_VERSION, userVersion } from "./migrations.ts";

const MIN_PAGE_BYTES = 512;

/**
 * Creates the file with mode 0600 when it is missing. Returns whether it was missing, and whether it has bytes.
 *
 * Must never open an existing file itself: closing any descriptor of it drops every POSIX lock that this
 * process holds on it, and another process could then delete the journal under our connections
 * (https://www.sqlite.org/howtocorrupt.html section 2.2).
 *
 * @throws StoreError `unreadable`, `readonly`, `full`, `foreign`
 */
export function ensureFile(
  file: string,
  action: string,
): { readonly isMade: boolean; readonly isEmpty: boolean } {
  try {
    Deno.openSync(file, { write: true, createNew: true, mode: 0o600 }).close();
    return { isMade: true, isEmpty: true };
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw unreadable(error, action);
  }
  return { isMade: false, isEmpty: !hasContent(file, action) };
}

/** Whether the file has bytes, by its size alone. @throws StoreError `unreadable`, `foreign` */
function hasContent(file: string, action: string): boolean {
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
  const code = error instanceof Error && "code" in error ? error.code : null;
  if (code === "EROFS") {
    return new StoreError(
      "readonly",
      `${action}: the file system is read-only; name a file elsewhere`,
      cause,
    );
  }
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new StoreError("full", `${action}: the disk is full; free some space and try again`, cause);
  }
  return new StoreError("unreadable", `${action}: ${briefMessage(error)}`, cause);
}

/**
 * The schema's version, read through a connection that cannot write, not even by a checkpoint when it closes.
 *
 * @throws StoreError `foreign`, `newer`; otherwise what SQLite throws
 */
export function inspectFile(file: string, action: string, busyTimeoutMs: number): number {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    return requireOurs(db, action);
  } finally {
    db.close();
  }
}

/** The schema's version. @throws StoreError `foreign`, `newer`; otherwise what SQLite throws */
export function requireOurs(db: DatabaseSync, action: string): number {
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
}

function hasOurTables(db: DatabaseSync): boolean {
  const has = (table: string, columns: readonly string[]): boolean => {
    const present = columnsOf(db, table);
    return columns.every((column) => present.has(column));
  };
  return has("openai_upstreams", ["sk", "endpoint"]) || has("config_kvs", ["key", "value"]) ||
    has("records", ["body", "response"]);
}
