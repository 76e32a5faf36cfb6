/**
 * Deletes a single record.
 *
 * Owns the order: first from PostgreSQL, then from the journal, so that a failure in between leaves what can be deleted
 * again. A record that another replica has just shipped may come back when a standby takes over within seconds.
 */
import type { DeletionResult } from "../write/messages.ts";
import type { PgQuery, PgStore } from "./query.ts";
import type { Journal } from "./shipper/journal.ts";

/** Settled, or never to be settled. */
const FIND =
  `SELECT created_at::text AS created_at, request_id, outcome FROM oar.records WHERE id = $1 FOR UPDATE`;

/** By the partitions' key first. */
const DELETIONS = [
  "DELETE FROM oar.record_search WHERE created_at = $1::timestamptz AND record_id = $2",
  "DELETE FROM oar.attempts WHERE created_at = $1::timestamptz AND record_id = $2",
  "DELETE FROM oar.record_texts WHERE created_at = $1::timestamptz AND record_id = $2",
  "DELETE FROM oar.records WHERE created_at = $1::timestamptz AND id = $2",
];

interface Found {
  readonly created_at: string;
  readonly request_id: string;
  readonly outcome: string | null;
}

/**
 * @param id number of its row in PostgreSQL
 * @throws PgError; what SQLite throws, when only the journal still has it
 */
export async function deleteRemoteRecord(
  database: Pick<PgStore, "write">,
  journal: Pick<Journal, "forget">,
  id: number,
): Promise<DeletionResult> {
  const found = await database.write((query) => deleteWith(query, id));
  if (found === null) return "not_found";
  if (found.outcome === "in_flight") return "in_flight";
  journal.forget(found.request_id);
  return "deleted";
}

async function deleteWith(query: PgQuery, id: number): Promise<Found | null> {
  const [found] = await query<Found>(FIND, [id]);
  if (found === undefined) return null;
  if (found.outcome === "in_flight") return found;
  for (const deletion of DELETIONS) await query(deletion, [found.created_at, id]);
  return found;
}
