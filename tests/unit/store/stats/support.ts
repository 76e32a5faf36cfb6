/**
 * What the tests of statistics share: records of now, written and counted, and databases read without being written.
 */
import { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../../../src/core/types.ts";
import type { WriterSession } from "../../../../src/store/write/session.ts";
import { makeRecord } from "../support.ts";

export function recent(changes: Partial<RequestRecord> = {}): RequestRecord {
  return makeRecord({ createdAtMs: Date.now(), attempts: [], ...changes });
}

/** Commits the records and does what the thread does when it is idle. */
export function write(session: WriterSession, records: readonly RequestRecord[]): void {
  session.write(records);
  while (session.count());
}

export function reading<Result>(path: string, read: (db: DatabaseSync) => Result): Result {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return read(db);
  } finally {
    db.close();
  }
}
