/**
 * Notices a journal that belongs to another file: SQLite would replay it into whatever has taken the database's place.
 *
 * That happens when a server is killed and a backup is copied over its database. A server sets its mark
 * (running_marks.ts) only after its row in `instances` has left the journal, so a file without that row is not the one
 * that the killed server had open. To be asked before the first connection of a process.
 *
 * @see https://www.sqlite.org/howtocorrupt.html section 1.4
 */
import type { DatabaseSync } from "node:sqlite";
import { removeIfThere, reserveName } from "./copy_aside.ts";
import { columnsOf } from "./migrations.ts";
import { isMarkHeld, markedInstances } from "./running_marks.ts";
import { openAlone } from "./still.ts";

/** A running server writes to its journal every few seconds, and to its file not long after. */
const SUSPECT_AFTER_MS = 60_000;

/** `set_aside`: it was moved to the path. `suspect`: the file is newer than its journal, and nothing was done. */
export type LeftoverJournal =
  | { readonly type: "set_aside"; readonly path: string }
  | { readonly type: "suspect" };

/**
 * Moves the journal aside when it is certain that it belongs to another file. Null: nothing is wrong with it.
 *
 * @param file without symbolic links (see file.ts)
 */
export function checkLeftoverJournal(file: string): LeftoverJournal | null {
  const journal = statOf(`${file}-wal`);
  if (journal === null || journal.size === 0) return null;
  const marked = markedInstances(file);
  if (marked.some((id) => isMarkHeld(file, id) !== false)) return null;
  const found = statOf(file);
  const writtenAt = journal.mtime?.getTime() ?? Number.POSITIVE_INFINITY;
  const modifiedAt = found?.mtime?.getTime() ?? 0;
  // Copying and renaming change the time of the last change, whatever becomes of that of the last modification.
  const isChanged = Math.max(found?.ctime?.getTime() ?? 0, modifiedAt) > writtenAt;
  if (isChanged && marked.length > 0 && hasInstanceOf(file, marked) === false) {
    return { type: "set_aside", path: setAside(file) };
  }
  return modifiedAt - writtenAt > SUSPECT_AFTER_MS ? { type: "suspect" } : null;
}

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

/** Whether the file, without its journal, has the row of one of the servers; null: not known. */
function hasInstanceOf(file: string, instances: readonly string[]): boolean | null {
  // Under another name it has another journal: none.
  const other = `${file}.${crypto.randomUUID()}`;
  let db: DatabaseSync | null = null;
  try {
    Deno.linkSync(file, other);
    // Fails when another program has it open: the journal is in use then.
    db = openAlone(other);
    if (columnsOf(db, "instances").size === 0) return false;
    return db.prepare("SELECT 1 FROM instances WHERE id IN (SELECT value FROM json_each(?))")
      .get(JSON.stringify(instances)) !== undefined;
  } catch {
    return null;
  } finally {
    db?.close();
    for (const suffix of ["", "-wal", "-shm"]) {
      try {
        removeIfThere(other + suffix);
      } catch {
        // It could not be made either.
      }
    }
  }
}

/** The journal stays, for the case that somebody misses what is in it. */
function setAside(file: string): string {
  const path = reserveName(`${file}-wal.left-over`);
  Deno.renameSync(`${file}-wal`, path);
  removeIfThere(`${file}-shm`);
  return path;
}
