/**
 * What waits in a journal, as another process sees it. Only reads.
 */
import { DatabaseSync } from "node:sqlite";
import { fromGoTime } from "../../database/go_time.ts";
import type { Backlog } from "./journal.ts";

export interface JournalState extends Backlog {
  /** Why records were refused: the reasons of most of them, most frequent first. */
  readonly reasons: readonly string[];
}

const MAX_REASONS = 3;
const BUSY_TIMEOUT_MS = 1_000;

const WAITS = `outcome IS NOT 'in_flight' AND NOT EXISTS (
  SELECT 1 FROM journal_rejected WHERE record_id = records.id)`;

/** null: the database is no journal. @throws what SQLite throws */
export function readJournalState(path: string): JournalState | null {
  using db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  const all = (sql: string) => db.prepare(sql).all();
  const tables = all(
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name IN ('journal_self', 'journal_rejected')",
  );
  if (tables.length !== 2) return null;
  const [waiting] = all(`SELECT count(*) AS count, min(id) AS first FROM records WHERE ${WAITS}`);
  const [first] = all(
    `SELECT CAST(created_at AS text) AS at FROM records WHERE id = ${Number(waiting?.["first"] ?? 0)}`,
  );
  const [rejected] = all("SELECT count(*) AS count FROM journal_rejected");
  const reasons = all(
    `SELECT reason FROM journal_rejected GROUP BY reason ORDER BY count(*) DESC LIMIT ${MAX_REASONS}`,
  );
  return {
    waiting: Number(waiting?.["count"]),
    oldestMs: fromGoTime(String(first?.["at"] ?? "")),
    rejected: Number(rejected?.["count"]),
    reasons: reasons.map(({ reason }) => String(reason)),
  };
}
