/**
 * Backups: whole copies of the database, made beside a running server, and put back in its place.
 *
 * Owns that a backup is one intact file, and that putting one back neither loses the database that was there nor meets
 * the journal of another file (https://www.sqlite.org/howtocorrupt.html section 1.4).
 */
import { dirname, resolve } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { StoreError } from "../store.ts";
import { DEFAULT_BUSY_TIMEOUT_MS, toOpeningError } from "./connection.ts";
import { removeIfThere, reserveName } from "./copy_aside.ts";
import { troubleOf } from "./errors.ts";
import { databaseFile } from "./file.ts";
import { requireOurs } from "./inspect.ts";
import { check, isOfSearch } from "./inspection.ts";
import { checkLeftoverJournal } from "./leftover_journal.ts";
import { columnsOf } from "./migrations.ts";
import { removeDeadMarks, runningInstances } from "./running_marks.ts";
import { openStill } from "./still.ts";

export interface CopyOptions {
  /** Called now and then, with pages. */
  readonly onProgress: (done: number, total: number) => void;
}

export interface Copied {
  readonly path: string;
  readonly records: number;
  readonly bytes: number;
  /** What is wrong with its full-text index, which can be made anew; null: nothing. */
  readonly searchProblem: string | null;
}

export interface Restored extends Copied {
  /** Where the database is that was there before; null when there was none. */
  readonly keptAs: string | null;
}

/** Pages between two reports. */
const RATE_PAGES = 4096;

/**
 * Copies the database into a new file, mode 0600, and checks the copy.
 *
 * @param isReplacing whether an existing file may be replaced
 * @throws StoreError
 */
export async function backUp(
  path: string,
  target: string,
  options: CopyOptions & { readonly isReplacing: boolean },
): Promise<Copied> {
  const file = databaseFile(path);
  const to = databaseFile(target);
  const action = `Cannot back up to "${target}"`;
  if (statOf(file) === null) {
    throw new StoreError("missing", `no database at ${path}; name one with --database`);
  }
  if (isSameFile(file, to)) {
    throw new StoreError("invalid", `${action}: that is the database itself; name another file`);
  }
  const found = statOf(to);
  if (found !== null && !found.isFile) throw new StoreError("invalid", `${action}: it is not a file`);
  if (found !== null && !options.isReplacing) {
    throw new StoreError(
      "invalid",
      `${action}: the file exists; name another one, or replace it with --force`,
    );
  }
  requireUnused(to, { shown: target, advice: OTHER_NAME });
  checkLeftoverJournal(file);
  const unfinished = await copyTo(file, `${to}.unfinished`, { ...options, action, from: path });
  try {
    putInPlace(unfinished.path, to, { isReplacing: options.isReplacing, action, shown: target });
    return { ...unfinished, path: to };
  } catch (error) {
    removeIfThere(unfinished.path);
    throw error;
  }
}

/**
 * Puts a backup in the place of the database, which is kept beside it.
 *
 * @throws StoreError, also while a server or another program has the database open
 */
export async function restore(backupPath: string, path: string, options: CopyOptions): Promise<Restored> {
  const from = databaseFile(backupPath);
  const file = databaseFile(path);
  const action = `Cannot restore "${backupPath}"`;
  if (statOf(from) === null) throw new StoreError("missing", `${action}: there is no such file`);
  if (isSameFile(from, file)) throw new StoreError("invalid", `${action}: that is the database itself`);
  requireUnused(file, { shown: path, advice: STOP_IT });
  const made = await copyTo(from, `${file}.restoring`, { ...options, action, from: backupPath });
  try {
    keepOwner(file, made.path);
    const keptAs = replace(file, made.path, path);
    return { ...made, path: file, keptAs };
  } catch (error) {
    removeIfThere(made.path);
    throw error;
  }
}

/** A checked copy of a database at a new name. @throws StoreError, with nothing left */
async function copyTo(
  file: string,
  base: string,
  { action, from, onProgress }: CopyOptions & { readonly action: string; readonly from: string },
): Promise<Copied> {
  let copy: string | null = null;
  let source: DatabaseSync | null = null;
  try {
    source = openSource(file, `Cannot read "${from}"`);
    // What is committed meanwhile is not seen: otherwise the copy would begin anew each time.
    source.exec("BEGIN");
    const records = countRecords(source);
    copy = reserveName(base);
    const progress = ({ totalPages, remainingPages }: { totalPages: number; remainingPages: number }) =>
      onProgress(totalPages - remainingPages, totalPages);
    await backup(source, copy, { rate: RATE_PAGES, progress });
    const searchProblem = finish(copy, { records, action });
    return { path: copy, records, bytes: Deno.statSync(copy).size, searchProblem };
  } catch (error) {
    if (copy !== null) {
      for (const suffix of ["", "-wal", "-shm", "-journal"]) removeIfThere(copy + suffix);
    }
    throw toOpeningError(error, { file: copy ?? file, action });
  } finally {
    source?.close();
  }
}

/** Of any version; also from read-only media. */
function openSource(file: string, action: string): DatabaseSync {
  const open = (path: string): DatabaseSync => {
    const db = new DatabaseSync(path);
    try {
      db.exec(`PRAGMA busy_timeout = ${DEFAULT_BUSY_TIMEOUT_MS}; PRAGMA query_only = ON`);
      requireOurs(db, action);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  };
  try {
    return open(file);
  } catch (error) {
    const trouble = troubleOf(error);
    if (error instanceof StoreError || (trouble !== "gone" && trouble !== "readonly")) throw error;
    return openStill(file, open);
  }
}

/** Makes the copy one file that stands for itself, and reads all of it. Returns what is wrong with its index. */
function finish(
  copy: string,
  { records, action }: { readonly records: number; readonly action: string },
): string | null {
  const db = new DatabaseSync(copy);
  try {
    db.exec("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL");
    // Servers that run on the original have nothing to do with the copy.
    for (const table of ["instances", "upstream_states"]) {
      if (columnsOf(db, table).size > 0) db.exec(`DELETE FROM ${table}`);
    }
    const problems = check(db, "integrity_check");
    const [problem] = problems.filter((line) => !isOfSearch(line));
    if (problem !== undefined || countRecords(db) !== records) {
      throw new StoreError(
        "foreign",
        `${action}: the database is damaged: ${problem ?? "records are missing"}`,
      );
    }
    return problems[0] ?? null;
  } finally {
    db.close();
  }
}

function countRecords(db: DatabaseSync): number {
  if (columnsOf(db, "records").size === 0) return 0;
  return Number(db.prepare("SELECT count(*) AS n FROM records").get()?.["n"]);
}

function putInPlace(
  made: string,
  to: string,
  { isReplacing, action, shown }: {
    readonly isReplacing: boolean;
    readonly action: string;
    readonly shown: string;
  },
): void {
  const isThere = statOf(to) !== null;
  if (!isReplacing && isThere) {
    throw new StoreError("invalid", `${action}: somebody else has made the file meanwhile`);
  }
  // It may be the database of another server, which would lose what is in its journal.
  const place = { shown, advice: OTHER_NAME };
  const old = isThere ? holdAlone(to, place) : null;
  try {
    requireUnused(to, place);
    // What belonged to the file that is replaced would be taken for the new one's.
    for (const suffix of ["-wal", "-shm", "-journal"]) removeIfThere(to + suffix);
    Deno.renameSync(made, to);
    syncFolder(dirname(to));
  } finally {
    old?.close();
  }
}

/** A file that is to be replaced. */
interface Place {
  readonly shown: string;
  /** What to do while somebody uses it. */
  readonly advice: string;
}

const STOP_IT = "stop or close it, then restore";
const OTHER_NAME = "name another file";

/** @throws StoreError `locked` while a server has the database open */
function requireUnused(file: string, { shown, advice }: Place): void {
  if (runningInstances(file).length > 0) {
    throw new StoreError("locked", `a server is running on ${shown}: ${advice}`);
  }
}

/** Moves the database aside and the new one to its place. Returns where the old one is. */
function replace(file: string, made: string, shown: string): string | null {
  if (statOf(file) === null) {
    Deno.renameSync(made, file);
    syncFolder(dirname(file));
    return null;
  }
  checkLeftoverJournal(file);
  const place = { shown, advice: STOP_IT };
  const old = holdAlone(file, place);
  try {
    requireUnused(file, place);
    const keptAs = reserveName(`${file}.before-restore`);
    // A journal is left only where the old database could not be opened.
    for (const suffix of old === null ? ["-wal", "-journal", ""] : [""]) {
      if (statOf(file + suffix) !== null) Deno.renameSync(file + suffix, keptAs + suffix);
    }
    removeIfThere(`${file}-shm`);
    Deno.renameSync(made, file);
    removeDeadMarks(file);
    syncFolder(dirname(file));
    return keptAs;
  } finally {
    old?.close();
  }
}

/**
 * Keeps everybody else out of the old database, with its journal moved into it; null when it is too damaged to be opened.
 *
 * @throws StoreError `locked`
 */
function holdAlone(file: string, { shown, advice }: Place): DatabaseSync | null {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT");
    db.exec("PRAGMA journal_mode = DELETE");
    return db;
  } catch (error) {
    db.close();
    if (troubleOf(error) !== "locked") return null;
    throw new StoreError("locked", `another program has ${shown} open: ${advice}`, {
      cause: error,
    });
  }
}

/** The server's user goes on to own its database. */
function keepOwner(file: string, made: string): void {
  const old = statOf(file);
  if (old === null) return;
  try {
    if (old.mode !== null) Deno.chmodSync(made, old.mode & 0o777);
    if (old.uid !== null && old.gid !== null) Deno.chownSync(made, old.uid, old.gid);
  } catch {
    // Only root may give files away.
  }
}

function isSameFile(one: string, other: string): boolean {
  if (resolve(one) === resolve(other)) return true;
  const [a, b] = [statOf(one), statOf(other)];
  return a !== null && b !== null && a.ino !== null && a.ino === b.ino && a.dev === b.dev;
}

function statOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
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
