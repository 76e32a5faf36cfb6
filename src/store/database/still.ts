/**
 * Reads a database where SQLite's usual way needs to write: from read-only media, and on a full disk.
 *
 * Even a connection that only reads makes an index of the journal (`-shm`) beside a database in WAL mode
 * (https://www.sqlite.org/wal.html#read_only_databases).
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { copyBytes } from "./copy_aside.ts";
import { SCHEMA_VERSION, userVersion } from "./migrations.ts";

/**
 * Opens a database that nobody can write at the moment. Of one with a journal or of an older version, and where this
 * runtime refuses URIs (it does without `--allow-all`), a temporary copy is opened.
 *
 * @param openCopy opens a copy that may be changed
 */
export function openStill(file: string, openCopy: (copy: string) => DatabaseSync): DatabaseSync {
  return hasJournal(file) ? openCopied(file, openCopy) : openImmutable(file) ?? openCopied(file, openCopy);
}

/**
 * Opens a database on a full disk, for reading: the index is kept in memory, which needs the only lock.
 *
 * @throws what SQLite throws, also when another program has the database open
 */
export function openAlone(file: string): DatabaseSync {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    db.prepare("SELECT 1 FROM sqlite_schema").get();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function hasJournal(file: string): boolean {
  try {
    return Deno.statSync(`${file}-wal`).size > 0;
  } catch {
    return false;
  }
}

/** @see https://www.sqlite.org/uri.html#uriimmutable */
function openImmutable(file: string): DatabaseSync | null {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(`${pathToFileURL(file).href}?immutable=1`, { readOnly: true });
    if (userVersion(db) === SCHEMA_VERSION) return db;
  } catch {
    // It is a name like any other to this runtime, or the file is no database.
  }
  db?.close();
  return null;
}

function openCopied(file: string, openCopy: (copy: string) => DatabaseSync): DatabaseSync {
  const folder = Deno.makeTempDirSync({ prefix: "openai-api-route-" });
  try {
    const copy = join(folder, "db.sqlite");
    copyBytes(file, copy);
    if (hasJournal(file)) copyBytes(`${file}-wal`, `${copy}-wal`);
    return openCopy(copy);
  } finally {
    // An open file stays until it is closed; where it cannot be removed, the system's cleaning does it.
    try {
      Deno.removeSync(folder, { recursive: true });
    } catch {
      // See above.
    }
  }
}
