/**
 * Prepared statements, kept for as long as their connection.
 *
 * Owns reuse: Deno's node:sqlite frees a statement's native memory only on garbage collection, so a program that prepares
 * at every call grows. A statement is shared by all who use its text: set its reading mode before each use, and do not
 * leave one half read.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";

/** Filters produce many texts; the least recently used statement is dropped. */
const MAX_STATEMENTS = 200; // docs/tuning.md#store-read

const statementsOf = new WeakMap<DatabaseSync, Map<string, StatementSync>>();

/** The statement of this text; another connection, also to the same file, has its own. */
export function prepared(db: DatabaseSync, sql: string): StatementSync {
  let statements = statementsOf.get(db);
  if (statements === undefined) statementsOf.set(db, statements = new Map());
  const statement = statements.get(sql) ?? db.prepare(sql);
  statements.delete(sql);
  statements.set(sql, statement);
  if (statements.size > MAX_STATEMENTS) {
    const [oldest] = statements.keys();
    if (oldest !== undefined) statements.delete(oldest);
  }
  return statement;
}
