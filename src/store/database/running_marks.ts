/**
 * Marks of running servers: `FILE.running-ID` beside the database, locked for as long as the server `ID` lives.
 *
 * Owns how a process tells others that it lives. The kernel releases the lock with the process, however it ends. The lock
 * is one of SQLite's, on an empty file: the runtime's own locks cannot be tried without waiting in every version.
 */
import { basename, dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { removeIfThere } from "./copy_aside.ts";
import { troubleOf } from "./errors.ts";

/** Held by this process. */
export class RunningMark {
  readonly #path: string;
  readonly #db: DatabaseSync;

  private constructor(path: string, db: DatabaseSync) {
    this.#path = path;
    this.#db = db;
  }

  /** Null when it cannot be set: others go by the heartbeat then. */
  static set(database: string, instance: string): RunningMark | null {
    const path = markPath(database, instance);
    let db: DatabaseSync | null = null;
    try {
      Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
      db = new DatabaseSync(path);
      // A journal in a file would need room on the disk.
      db.exec("PRAGMA busy_timeout = 0; PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      return new RunningMark(path, db);
    } catch {
      db?.close();
      return null;
    }
  }

  clear(): void {
    // Removed first, so that nobody sees it free; Windows removes no open file.
    removeQuietly(this.#path);
    this.#db.close();
    removeQuietly(this.#path);
  }
}

/** Whether a server is alive; undefined: it has no mark. */
export function isMarkHeld(database: string, instance: string): boolean | undefined {
  const path = markPath(database, instance);
  let db: DatabaseSync | null = null;
  try {
    if (!Deno.statSync(path).isFile) return undefined;
    db = new DatabaseSync(path, { readOnly: true });
    db.exec("PRAGMA busy_timeout = 0");
    db.prepare("SELECT 1 FROM sqlite_schema").get();
    return false;
  } catch (error) {
    return troubleOf(error) === "locked" ? true : undefined;
  } finally {
    db?.close();
  }
}

/** Ids of the servers that have, or left, a mark. */
export function markedInstances(database: string): string[] {
  const prefix = basename(markPath(database, ""));
  try {
    return [...Deno.readDirSync(dirname(database))]
      .filter(({ name, isFile }) => isFile && name.startsWith(prefix))
      .map(({ name }) => name.slice(prefix.length));
  } catch {
    return [];
  }
}

/** Ids of the servers that run on the database now. */
export function runningInstances(database: string): string[] {
  return markedInstances(database).filter((id) => isMarkHeld(database, id));
}

/** Removes what servers left that were killed. */
export function removeDeadMarks(database: string): void {
  for (const id of markedInstances(database)) {
    if (isMarkHeld(database, id) === false) removeQuietly(markPath(database, id));
  }
}

function markPath(database: string, instance: string): string {
  return join(dirname(database), `${basename(database)}.running-${instance}`);
}

function removeQuietly(path: string): void {
  try {
    removeIfThere(path);
  } catch {
    // It is in use, or may not be removed; it does no harm.
  }
}
