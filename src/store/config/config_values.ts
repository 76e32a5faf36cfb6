/**
 * Writes one value of `config_kvs`.
 */
import type { DatabaseSync } from "node:sqlite";
import { toGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";

/** @param nowMs milliseconds since the Unix epoch */
export function putValue(db: DatabaseSync, nowMs: number, key: string, value: string): void {
  const now = toGoTime(nowMs);
  const wellFormed = value.toWellFormed();
  const { changes } = prepared(
    db,
    "UPDATE config_kvs SET value = ?, updated_at = ?, deleted_at = NULL WHERE key = ?",
  ).run(wellFormed, now, key);
  if (Number(changes) > 0) return;
  prepared(db, "INSERT INTO config_kvs(created_at, updated_at, key, value) VALUES (?, ?, ?, ?)").run(
    now,
    now,
    key,
    wellFormed,
  );
}
