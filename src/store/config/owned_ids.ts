/**
 * Who owns the ids that replies named (core/owned_ids.ts), in SQLite.
 *
 * Owns the table `owned_ids`. Hashes are given as decimal text, because they are beyond 2^53; SQLite compares and stores them
 * as integers.
 */
import type { DatabaseSync, SQLOutputValue } from "node:sqlite";
import type { OwnedId } from "../../core/types.ts";
import { prepared } from "../database/statements.ts";

const COLUMNS = "CAST(id_hash AS TEXT) AS hash, upstream_id, key_hash, kind, seen_ms";

const FIND = `SELECT ${COLUMNS} FROM owned_ids WHERE id_hash = CAST(? AS INTEGER)`;

/** Who answered last knows it. */
const PUT = `INSERT INTO owned_ids(id_hash, upstream_id, key_hash, kind, seen_ms)
  VALUES (CAST(? AS INTEGER), ?, ?, ?, ?)
  ON CONFLICT(id_hash) DO UPDATE SET upstream_id = excluded.upstream_id, key_hash = excluded.key_hash,
    kind = excluded.kind, seen_ms = excluded.seen_ms
  WHERE excluded.seen_ms > seen_ms`;

const AFTER = `SELECT ${COLUMNS} FROM owned_ids INDEXED BY idx_owned_ids_seen
  WHERE seen_ms > ?1 OR (seen_ms = ?1 AND id_hash > CAST(?2 AS INTEGER)) ORDER BY seen_ms, id_hash LIMIT ?3`;

const DELETE_OLD = `DELETE FROM owned_ids WHERE id_hash IN
  (SELECT id_hash FROM owned_ids INDEXED BY idx_owned_ids_seen WHERE seen_ms < ? ORDER BY seen_ms LIMIT ?)`;

/** null: nobody is known to own it. @throws what SQLite throws */
export function findOwnedId(db: DatabaseSync, hash: string): OwnedId | null {
  const row = prepared(db, FIND).get(hash);
  return row === undefined ? null : toOwnedId(row);
}

/** Idempotent; an older finding replaces no newer one. @throws what SQLite throws */
export function putOwnedIds(db: DatabaseSync, ids: readonly OwnedId[]): void {
  const put = prepared(db, PUT);
  for (const { hash, upstreamId, keyHash, kind, seenMs } of ids) {
    put.run(hash, upstreamId, keyHash, kind, Math.round(seenMs));
  }
}

/** Where a walk over the table, oldest first, goes on. */
export interface OwnedIdPlace {
  readonly seenMs: number;
  readonly hash: string;
}

/** Before all hashes. */
export const NO_HASH = "-9223372036854775808";

export const FIRST_OWNED_ID: OwnedIdPlace = { seenMs: Number.MIN_SAFE_INTEGER, hash: NO_HASH };

/** The next of them. @throws what SQLite throws */
export function ownedIdsAfter(db: DatabaseSync, { seenMs, hash }: OwnedIdPlace, limit: number): OwnedId[] {
  return prepared(db, AFTER).all(seenMs, hash, limit).map(toOwnedId);
}

/** Deletes at most `limit` that were seen before a time; returns how many. @throws what SQLite throws */
export function deleteOldOwnedIds(db: DatabaseSync, beforeMs: number, limit: number): number {
  return Number(prepared(db, DELETE_OLD).run(Math.round(beforeMs), limit).changes);
}

function toOwnedId(row: Readonly<Record<string, SQLOutputValue>>): OwnedId {
  const keyHash = row["key_hash"];
  return {
    hash: String(row["hash"]),
    upstreamId: Number(row["upstream_id"]),
    keyHash: keyHash === null || keyHash === undefined ? null : Number(keyHash),
    kind: String(row["kind"]),
    seenMs: Number(row["seen_ms"]),
  };
}
