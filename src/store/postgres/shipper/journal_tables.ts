/**
 * The tables that a journal has beside those of every database: who it is, and which of its rows PostgreSQL refuses.
 *
 * Owns what they look like. They are made when a shipper opens the journal, so that a database that is no journal has none.
 */
import { DatabaseSync } from "node:sqlite";
import { inTransaction } from "../../database/transaction.ts";

const TABLES = `
  CREATE TABLE IF NOT EXISTS journal_self (id integer PRIMARY KEY CHECK (id = 1), journal text NOT NULL);
  CREATE TABLE IF NOT EXISTS journal_rejected (
    record_id integer PRIMARY KEY, version text NOT NULL, rejected_at datetime, reason text
  );
`;

/** Rows that have been shipped and are to be deleted later. Of this connection, in memory. */
const HELD = `PRAGMA temp_store = MEMORY;
  CREATE TEMP TABLE IF NOT EXISTS journal_held (record_id integer PRIMARY KEY)`;

/**
 * Makes what is missing; takes no lock when nothing is.
 *
 * @param newId makes the journal's id, when it has none; random, because it keeps the rows of journals apart
 * @returns the journal's id
 */
export function prepareJournal(db: DatabaseSync, newId: () => string): string {
  db.exec(HELD);
  const known = journalIdOf(db);
  if (known !== null) return known;
  return inTransaction(db, () => {
    db.exec(TABLES);
    db.prepare("INSERT OR IGNORE INTO journal_self(id, journal) VALUES (1, ?)").run(newId());
    return journalIdOf(db) ?? "";
  });
}

/** Whether a shipper has opened the file before. @param path of a database that exists */
export function isJournal(path: string): boolean {
  using db = new DatabaseSync(path, { readOnly: true });
  return journalIdOf(db) !== null;
}

function journalIdOf(db: DatabaseSync): string | null {
  const tables = db.prepare(
    "SELECT count(*) AS count FROM sqlite_schema WHERE type = 'table' AND name IN ('journal_self', 'journal_rejected')",
  ).get();
  if (tables?.["count"] !== 2) return null;
  const row = db.prepare("SELECT journal FROM journal_self WHERE id = 1").get();
  return row === undefined ? null : String(row["journal"]);
}
