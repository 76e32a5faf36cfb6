/**
 * The statements of one batch of records, prepared.
 */
import type { DatabaseSync, StatementSync } from "node:sqlite";
import { DELETE_PARTS, DELETE_PARTS_OF_REQUEST } from "../database/record_parts.ts";
import {
  DELETE_ATTEMPTS,
  INSERT_ATTEMPT,
  INSERT_RECORD,
  IS_IN_FLIGHT,
  PUT_CALLS,
  PUT_PART,
  UPDATE_PROGRESS,
  UPSERT_RECORD,
} from "./record_statements.ts";

export interface BatchStatements {
  readonly begin: StatementSync;
  readonly commit: StatementSync;
  readonly rollback: StatementSync;
  readonly insert: StatementSync;
  readonly upsert: StatementSync;
  readonly progress: StatementSync;
  readonly isInFlight: StatementSync;
  readonly putPart: StatementSync;
  readonly putCalls: StatementSync;
  readonly deleteParts: StatementSync;
  readonly deletePartsOfRequest: StatementSync;
  readonly deleteAttempts: StatementSync;
  readonly insertAttempt: StatementSync;
}

export function prepareBatch(db: DatabaseSync): BatchStatements {
  return {
    begin: db.prepare("BEGIN IMMEDIATE"),
    commit: db.prepare("COMMIT"),
    rollback: db.prepare("ROLLBACK"),
    insert: db.prepare(INSERT_RECORD),
    upsert: db.prepare(UPSERT_RECORD),
    progress: db.prepare(UPDATE_PROGRESS),
    isInFlight: db.prepare(IS_IN_FLIGHT),
    putPart: db.prepare(PUT_PART),
    putCalls: db.prepare(PUT_CALLS),
    deleteParts: db.prepare(DELETE_PARTS),
    deletePartsOfRequest: db.prepare(DELETE_PARTS_OF_REQUEST),
    deleteAttempts: db.prepare(DELETE_ATTEMPTS),
    insertAttempt: db.prepare(INSERT_ATTEMPT),
  };
}
