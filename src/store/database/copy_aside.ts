/**
 * Copies of the database's bytes: before an upgrade, and to where it can be opened.
 *
 * Owns that a copy is consistent, readable by its owner only, and never in the place of another file.
 */
import { DatabaseSync } from "node:sqlite";

const COPY_BUFFER_BYTES = 1024 * 1024; // docs/tuning.md#store-read

/**
 * A consistent copy beside the file, mode 0600; never overwrites an earlier one. Returns its path.
 *
 * Not `VACUUM INTO`: without `--allow-all` Deno lets SQLite attach no second database. The write lock keeps other
 * writers out while the bytes are read. Closing the file drops the process's locks (see inspect.ts), so this connection
 * is closed right after, and is the first one of this process.
 *
 * @param prepare takes a connection that may wait for locks, and refuses a file that cannot be written
 */
export function copyAside(file: string, prepare: (db: DatabaseSync) => void): string {
  const db = new DatabaseSync(file);
  try {
    prepare(db);
    // What a program that crashed left in its journal belongs in the copy.
    const checkpoint = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    db.exec("BEGIN IMMEDIATE");
    const copy = reserveName(`${file}.before-upgrade`);
    try {
      copyBytes(file, copy);
      if (checkpoint?.["busy"] === 1) copyBytes(`${file}-wal`, `${copy}-wal`);
      return copy;
    } catch (error) {
      removeCopy(copy);
      throw error;
    }
  } finally {
    db.close();
  }
}

/** Removes a copy with what belongs to it. */
export function removeCopy(copy: string): void {
  for (const suffix of ["", "-wal"]) removeIfThere(copy + suffix);
}

export function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** The target gets mode 0600 when it is new. */
export function copyBytes(from: string, to: string): void {
  using source = Deno.openSync(from, { read: true });
  using target = Deno.openSync(to, { write: true, create: true, mode: 0o600 });
  const buffer = new Uint8Array(COPY_BUFFER_BYTES);
  for (let count = source.readSync(buffer); count !== null; count = source.readSync(buffer)) {
    for (let at = 0; at < count;) at += target.writeSync(buffer.subarray(at, count));
  }
  target.syncSync();
}

/** Makes an empty file, mode 0600: `base`, or `base.2` and so on. Returns its path. */
export function reserveName(base: string): string {
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
