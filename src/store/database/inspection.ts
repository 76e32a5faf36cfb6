/**
 * The health of a database, for operators.
 *
 * Reads only.
 */
import type { DatabaseSync } from "node:sqlite";
import { openConnection } from "./connection.ts";
import { briefMessage, toStoreError, troubleOf } from "./errors.ts";
import { SCHEMA_VERSION, userVersion } from "./migrations.ts";
import { StoreError } from "../store.ts";

export interface Inspection {
  readonly schemaVersion: number;
  /** The version that this program writes. */
  readonly knownSchemaVersion: number;
  /** `wal` for a database that this program has opened. */
  readonly journalMode: string;
  /** What `PRAGMA quick_check` found, at most ten; empty: nothing. */
  readonly corruptions: readonly string[];
  /** What is wrong with the full-text index, which can be made anew; null: nothing. */
  readonly searchProblem: string | null;
}

const MAX_CORRUPTIONS = 10;
const SEARCH_TABLES = ["records_search", "search_progress", "search_queue"];

/**
 * Reads the whole database, so it takes as long as that takes.
 *
 * @throws StoreError when it cannot be read at all
 */
export function inspectDatabase(db: DatabaseSync): Inspection {
  try {
    const problems = check(db);
    const ofSearch = problems.filter(isOfSearch);
    return {
      schemaVersion: userVersion(db),
      knownSchemaVersion: SCHEMA_VERSION,
      journalMode: String(db.prepare("PRAGMA journal_mode").get()?.["journal_mode"]),
      corruptions: problems.filter((line) => !isOfSearch(line)),
      searchProblem: ofSearch[0] ?? missingSearchTable(db),
    };
  } catch (error) {
    throw toStoreError(error, "Cannot check the database");
  }
}

/** Every page and index, and the full-text index. @throws what SQLite throws */
export function check(db: DatabaseSync, pragma: "quick_check" | "integrity_check" = "quick_check"): string[] {
  try {
    return linesOf(db, `PRAGMA ${pragma}(${MAX_CORRUPTIONS})`);
  } catch (error) {
    const message = briefMessage(error);
    if (!/records_search|fts5/.test(message)) throw error;
    // A full-text index that cannot be opened ends the check of all tables.
    const tables = db.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 AND name NOT LIKE 'records_search%'",
    ).all();
    return [
      `records_search: ${message}`,
      ...tables.flatMap(({ name }) =>
        linesOf(db, `PRAGMA ${pragma}("${String(name).replaceAll('"', '""')}")`)
      ),
    ].slice(0, MAX_CORRUPTIONS);
  }
}

function linesOf(db: DatabaseSync, sql: string): string[] {
  return db.prepare(sql).all().map((row) => String(Object.values(row)[0])).filter((line) => line !== "ok");
}

/** Whether a line of the check is about what can be made anew. */
export function isOfSearch(line: string): boolean {
  return line.includes("records_search");
}

function missingSearchTable(db: DatabaseSync): string | null {
  const find = db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?");
  const missing = SEARCH_TABLES.find((name) => find.get(name) === undefined);
  return missing === undefined ? null : `the table ${missing} is missing`;
}

/**
 * Why the database cannot be written now, `locked` or otherwise; null when it can. Writes nothing.
 *
 * @throws StoreError when it cannot be opened for another reason
 */
export function writeTrouble(path: string): StoreError | null {
  try {
    const { db } = openConnection(path, { busyTimeoutMs: 0 });
    try {
      db.exec("BEGIN IMMEDIATE; ROLLBACK");
      return null;
    } catch (error) {
      return toStoreError(error, `Cannot write to database "${path}"`);
    } finally {
      db.close();
    }
  } catch (error) {
    const trouble = troubleOf(error);
    if (error instanceof StoreError && trouble !== "other" && trouble !== "gone") return error;
    throw error;
  }
}
