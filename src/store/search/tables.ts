/**
 * The tables of the full-text index.
 *
 * Owns what they look like. Everything in them is derived from `records`.
 */
import type { DatabaseSync } from "node:sqlite";

/** Tables of FTS5 for one index: https://www.sqlite.org/fts5.html#fts5_data_structures */
const SHADOW_TABLES = ["data", "idx", "content", "docsize", "config"].map((name) => `records_search_${name}`);

/**
 * Makes what is missing. An index that cannot be read stays as it is: search and `doctor` say so.
 *
 * FTS5's own merging would block a commit for 100 ms and more now and then. The triggers touch plain tables only and use
 * nothing new, so that people's SQLite clients and the Go program can go on writing to `records`.
 */
export function createSearchTables(db: DatabaseSync): void {
  if (!hasTable(db, "records_search")) makeIndex(db);
  db.exec(`
    CREATE TABLE IF NOT EXISTS search_progress (id integer PRIMARY KEY CHECK (id = 1), low integer NOT NULL, high integer NOT NULL);
    INSERT OR IGNORE INTO search_progress SELECT 1, coalesce(max(id), 0), coalesce(max(id), 0) FROM records;
    CREATE TABLE IF NOT EXISTS search_queue (id integer PRIMARY KEY, is_gone integer NOT NULL);
    CREATE TRIGGER IF NOT EXISTS records_search_insert AFTER INSERT ON records
      WHEN EXISTS (SELECT 1 FROM search_progress WHERE low < new.id AND new.id <= high) BEGIN
        DELETE FROM search_queue WHERE id = new.id;
        INSERT INTO search_queue(id, is_gone) VALUES (new.id, 0);
      END;
    CREATE TRIGGER IF NOT EXISTS records_search_update
      AFTER UPDATE OF request_id, body, response, reasoning, tool_calls, outcome ON records
      WHEN EXISTS (SELECT 1 FROM search_progress WHERE low < new.id AND new.id <= high) BEGIN
        DELETE FROM search_queue WHERE id = new.id;
        INSERT INTO search_queue(id, is_gone) VALUES (new.id, 0);
      END;
    CREATE TRIGGER IF NOT EXISTS records_search_delete AFTER DELETE ON records
      WHEN EXISTS (SELECT 1 FROM search_progress WHERE low < old.id AND old.id <= high) BEGIN
        DELETE FROM search_queue WHERE id = old.id;
        INSERT INTO search_queue(id, is_gone) VALUES (old.id, 1);
      END;
  `);
}

/** Tables of an index that is not there itself (a copy that was made without it) are in the way. */
function makeIndex(db: DatabaseSync): void {
  const isIncomplete = SHADOW_TABLES.some((name) => hasTable(db, name));
  for (const name of SHADOW_TABLES) db.exec(`DROP TABLE IF EXISTS ${name}`);
  if (isIncomplete) db.exec("DROP TABLE IF EXISTS search_progress; DROP TABLE IF EXISTS search_queue");
  db.exec(`
    CREATE VIRTUAL TABLE records_search USING fts5(
      request, reply, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 2"
    );
    INSERT INTO records_search(records_search, rank) VALUES ('automerge', 0), ('usermerge', 8);
  `);
}

function hasTable(db: DatabaseSync, name: string): boolean {
  return db.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?").get(name) !== undefined;
}

/** Makes the index anew, with nothing in it. */
export function recreateSearchTables(db: DatabaseSync): void {
  db.exec("DROP TABLE IF EXISTS records_search");
  for (const name of SHADOW_TABLES) db.exec(`DROP TABLE IF EXISTS ${name}`);
  db.exec("DROP TABLE IF EXISTS search_progress; DROP TABLE IF EXISTS search_queue");
  createSearchTables(db);
}
