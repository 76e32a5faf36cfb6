/**
 * Which records of a source PostgreSQL has.
 */
import type { PgStore } from "../query.ts";
import type { SourceKey } from "./sqlite_source.ts";

const TIMEOUT_MS = 30_000;

/** The bounds choose the partitions before the statement runs. */
const PRESENT = `SELECT k.n, r.outcome FROM
    unnest($1::text[], $2::timestamptz[]) WITH ORDINALITY AS k (request_id, created_at, n)
    JOIN oar.records r ON r.request_id = k.request_id AND r.created_at = k.created_at
  WHERE r.created_at BETWEEN $3::timestamptz AND $4::timestamptz`;

/** The outcomes of those that are there, by their numbers in the source. @throws PgError */
export async function presentOutcomes(
  db: Pick<PgStore, "read">,
  keys: readonly SourceKey[],
): Promise<ReadonlyMap<bigint, string | null>> {
  const times = keys.map(({ createdAt }) => createdAt ?? "");
  const sorted = times.toSorted();
  if (sorted.length === 0) return new Map();
  const rows = await db.read<{ n: number; outcome: string | null }>(
    PRESENT,
    [keys.map(({ requestId }) => requestId), times, sorted[0], sorted.at(-1)],
    { timeoutMs: TIMEOUT_MS },
  );
  return new Map(rows.flatMap(({ n, outcome }) => {
    const key = keys[n - 1];
    return key === undefined ? [] : [[key.id, outcome] as const];
  }));
}
