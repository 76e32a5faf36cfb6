/**
 * Which columns a table has, and adding those that it lacks.
 */
import type { DatabaseSync } from "node:sqlite";

/** Lower-case names of a table's columns; empty when there is no such table. */
export function columnsOf(db: DatabaseSync, table: string): Set<string> {
  const rows = db.prepare("SELECT name FROM pragma_table_info(?)").all(table);
  return new Set(rows.map((row) => String(row["name"]).toLowerCase()));
}

/** Returns the names of the columns that had been missing. */
export function addMissingColumns(
  db: DatabaseSync,
  table: string,
  columns: Readonly<Record<string, string>>,
): string[] {
  const present = columnsOf(db, table);
  const missing = Object.entries(columns).filter(([name]) => !present.has(name));
  for (const [name, type] of missing) db.exec(`ALTER TABLE ${table} ADD COLUMN "${name}" ${type}`);
  return missing.map(([name]) => name);
}
