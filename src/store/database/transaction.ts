/**
 * Transactions that write.
 *
 * Owns how one begins and ends. The writer's batches have their own (write/session.ts), because a failed batch goes on
 * without the record at fault.
 */
import type { DatabaseSync } from "node:sqlite";
import { prepared } from "./statements.ts";

/** Commits what `body` does. @throws what SQLite or `body` throws, with nothing of it done */
export function inTransaction<Result>(db: DatabaseSync, body: () => Result): Result {
  prepared(db, "BEGIN IMMEDIATE").run();
  try {
    const result = body();
    prepared(db, "COMMIT").run();
    return result;
  } catch (error) {
    // SQLite ends the transaction by itself after some errors (a full disk, for one).
    if (db.isTransaction) prepared(db, "ROLLBACK").run();
    throw error;
  }
}
