/**
 * Makes the full-text index anew, whatever state it is in.
 */
import { DatabaseSync } from "node:sqlite";
import { toStoreError, troubleOf } from "../database/errors.ts";
import { databaseFile } from "../database/file.ts";
import { inTransaction } from "../database/transaction.ts";
import { SearchIndex } from "./index.ts";
import { recreateSearchTables } from "./tables.ts";

export interface RebuildOptions {
  readonly busyTimeoutMs: number;
  /** Called between steps: ids above `low` of `high` are indexed. */
  readonly onProgress: (low: number, high: number) => void;
}

/**
 * Makes the index anew, and indexes every record; beside a running server, which helps.
 *
 * @throws StoreError
 */
export function rebuildSearchIndex(path: string, { busyTimeoutMs, onProgress }: RebuildOptions): void {
  // SQLite's defences would keep the tables of a broken index from being dropped.
  const db = new DatabaseSync(databaseFile(path), { defensive: false } as object);
  try {
    db.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    recreate(db);
    const index = new SearchIndex(db, Deno.pid);
    while (index.step()) {
      const row = db.prepare("SELECT low, high FROM search_progress").get();
      onProgress(Number(row?.["low"]), Number(row?.["high"]));
    }
  } catch (error) {
    throw toStoreError(error, "Cannot make the full-text index anew");
  } finally {
    db.close();
  }
}

function recreate(db: DatabaseSync): void {
  try {
    inTransaction(db, () => recreateSearchTables(db));
  } catch (error) {
    if (troubleOf(error) !== "other") throw error;
    // An index that cannot even be opened cannot be dropped: it is struck out of the schema first.
    db.exec("PRAGMA writable_schema = ON");
    db.prepare("DELETE FROM sqlite_schema WHERE name = 'records_search'").run();
    db.exec("PRAGMA writable_schema = RESET");
    inTransaction(db, () => recreateSearchTables(db));
  }
}
