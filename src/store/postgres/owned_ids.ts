/**
 * Who owns the ids that replies named, in PostgreSQL: the statements on `oar.owned_ids`.
 *
 * Its times are those of PostgreSQL's own clock when a row was sent, so that replicas whose clocks differ, or which were
 * cut off for a while, find each other's rows in one order.
 */
import type { OwnedId } from "../../core/types.ts";
import type { OwnedIdPlace } from "../config/owned_ids.ts";
import type { PgQuery, PgStore } from "./query.ts";

const NOW_MS = "floor(extract(epoch from clock_timestamp()) * 1000)::bigint";

/** In one order, so that two replicas do not wait for each other. What is the same is not written again within the hour. */
const PUT = `INSERT INTO oar.owned_ids AS old (id_hash, upstream_id, key_hash, kind, seen_ms)
  SELECT id_hash, upstream_id, key_hash, kind, coalesce(seen_ms, ${NOW_MS})
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[])
      AS new (id_hash, upstream_id, key_hash, kind, seen_ms)
    ORDER BY id_hash
  ON CONFLICT (id_hash) DO UPDATE SET upstream_id = excluded.upstream_id, key_hash = excluded.key_hash,
    kind = excluded.kind, seen_ms = excluded.seen_ms
  WHERE excluded.seen_ms > old.seen_ms AND (excluded.seen_ms > old.seen_ms + 3600000
    OR (old.upstream_id, old.key_hash) IS DISTINCT FROM (excluded.upstream_id, excluded.key_hash))`;

/**
 * Each id once. Idempotent.
 * @param options.isNow they are seen at this moment, whatever they say. @throws PgError
 */
export async function putRemoteOwnedIds(
  query: PgQuery,
  ids: readonly OwnedId[],
  { isNow }: { readonly isNow: boolean },
): Promise<void> {
  if (ids.length === 0) return;
  await query(PUT, [
    ids.map(({ hash }) => hash),
    ids.map(({ upstreamId }) => upstreamId),
    ids.map(({ keyHash }) => keyHash),
    ids.map(({ kind }) => kind.replaceAll("\0", "")),
    ids.map(({ seenMs }) => isNow ? null : Math.round(seenMs)),
  ]);
}

const AFTER = `SELECT id_hash::text AS hash, upstream_id, key_hash, kind, seen_ms FROM oar.owned_ids
  WHERE (seen_ms, id_hash) > ($1::bigint, $2::bigint) ORDER BY seen_ms, id_hash LIMIT $3::bigint`;

interface Row {
  readonly hash: string;
  readonly upstream_id: number;
  readonly key_hash: number | null;
  readonly kind: string;
  readonly seen_ms: number;
}

/** The next of them, oldest first. @throws PgError */
export async function remoteOwnedIdsAfter(
  database: Pick<PgStore, "read">,
  { seenMs, hash }: OwnedIdPlace,
  limit: number,
): Promise<OwnedId[]> {
  const rows = await database.read<Row>(AFTER, [seenMs, hash, limit]);
  return rows.map((row) => ({
    hash: row.hash,
    upstreamId: row.upstream_id,
    keyHash: row.key_hash,
    kind: row.kind,
    seenMs: row.seen_ms,
  }));
}

const DELETE_OLD = `WITH gone AS (DELETE FROM oar.owned_ids WHERE id_hash IN
  (SELECT id_hash FROM oar.owned_ids WHERE seen_ms < $1::bigint ORDER BY seen_ms LIMIT $2::bigint
    FOR UPDATE SKIP LOCKED) RETURNING 1) SELECT count(*) AS count FROM gone`;

const DELETED_AT_ONCE = 2_000;
/** Of one call; the next goes on. */
const MAX_DELETIONS = 50;

/** Deletes those that were seen before a time, a few thousand at a time. @throws PgError */
export async function deleteOldRemoteOwnedIds(database: PgStore, beforeMs: number): Promise<void> {
  for (let turn = 0; turn < MAX_DELETIONS; turn++) {
    const [row] = await database.write((query) =>
      query<{ count: number }>(DELETE_OLD, [Math.round(beforeMs), DELETED_AT_ONCE])
    );
    if ((row?.count ?? 0) < DELETED_AT_ONCE) return;
  }
}
