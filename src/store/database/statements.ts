/**
 * Prepared statements, kept for as long as their connection.
 *
 * Owns reuse: Deno's node:sqlite gives a statement's native memory back only when the garbage collector comes
 * by, so that a program that prepares at every call grows. A statement is shared by all who use its text: set
 * its reading mode before each use, and do not leave one half read.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";

/** Filters make texts of many shapes; the least recently used one goes. */
const MAX_STATEMENTS = 200;

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
