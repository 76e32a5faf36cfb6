/**
 * How far a SQLite database has been copied: the table `oar.copies`.
 *
 * A mark only saves time: what comes after it is compared with what is there before it is sent.
 */
import type { PgQuery } from "../query.ts";

export interface Mark {
  /** Everything up to this record has been copied, or never can be; null: nothing yet. */
  readonly lastId: bigint | null;
  /** Tells whether that record is still the same one. */
  readonly lastKey: string | null;
  /** Records that were refused. */
  readonly refused: number;
}

/** null: nothing of this source has been copied. @throws PgError */
export async function readMark(query: PgQuery, source: string): Promise<Mark | null> {
  const [row] = await query<{ last_id: string | null; last_key: string | null; refused: number }>(
    "SELECT last_id::text AS last_id, last_key, refused FROM oar.copies WHERE source = $1",
    [source],
  );
  if (row === undefined) return null;
  return {
    lastId: row.last_id === null ? null : BigInt(row.last_id),
    lastKey: row.last_key,
    refused: row.refused,
  };
}

/** Notes that a source is being copied. @throws PgError */
export async function beginMark(query: PgQuery, source: string): Promise<void> {
  await query("INSERT INTO oar.copies (source) VALUES ($1) ON CONFLICT DO NOTHING", [source]);
}

/** @param added what was done since the last call. @throws PgError */
export async function moveMark(
  query: PgQuery,
  source: string,
  { lastId, lastKey, records, refused }: Mark & { readonly records: number },
): Promise<void> {
  await query(
    `INSERT INTO oar.copies AS old (source, last_id, last_key, records, refused)
      VALUES ($1, $2::bigint, $3, $4::bigint, $5::bigint)
      ON CONFLICT (source) DO UPDATE SET last_id = excluded.last_id, last_key = excluded.last_key,
        records = old.records + excluded.records, refused = excluded.refused, copied_at = now()`,
    [source, lastId === null ? null : String(lastId), lastKey, records, refused],
  );
}
