/**
 * The health of a database file, for operators.
 *
 * Reads only: opens the file through a connection of its own that cannot write, and closes it again.
 */
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DEFAULT_BUSY_TIMEOUT_MS } from "./connection.ts";
import { SCHEMA_VERSION, userVersion } from "./migrations.ts";
import { toStoreError } from "./errors.ts";

export interface Inspection {
  readonly schemaVersion: number;
  /** The version that this program writes. */
  readonly knownSchemaVersion: number;
  /** `wal` for a database that this program has opened. */
  readonly journalMode: string;
  /** What `PRAGMA quick_check` found, at most ten; empty: nothing. */
  readonly corruptions: readonly string[];
}

const MAX_CORRUPTIONS = 10;

/**
 * Reads the whole file, so it takes as long as that takes.
 *
 * @throws StoreError when it cannot be read at all
 */
export function inspectDatabase(path: string): Inspection {
  try {
    const db = new DatabaseSync(resolve(path), { readOnly: true });
    try {
      db.exec(`PRAGMA busy_timeout = ${DEFAULT_BUSY_TIMEOUT_MS}`);
      const lines = db.prepare(`PRAGMA quick_check(${MAX_CORRUPTIONS})`).all().map((row) =>
        String(row["quick_check"])
      );
      return {
        schemaVersion: userVersion(db),
        knownSchemaVersion: SCHEMA_VERSION,
        journalMode: String(db.prepare("PRAGMA journal_mode").get()?.["journal_mode"]),
        corruptions: lines.filter((line) => line !== "ok"),
      };
    } finally {
      db.close();
    }
  } catch (error) {
    throw toStoreError(error, `Cannot check database "${path}"`);
  }
}
