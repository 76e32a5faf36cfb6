/**
 * What dead replicas leave behind of what tokens have spent: their leases become rows, and their rows become one.
 */
import { SPEND_COLUMNS } from "../../database/cost_columns.ts";
import { COPY_PREFIX, DEAD_SUFFIX, MERGE_AFTER_MS } from "../../spend/spend_ledger.ts";
import type { PgStore } from "../query.ts";
import { DEAD_AFTER_SECONDS } from "../replicas.ts";
import { safeSum } from "../read/spending.ts";
import { lockTokens } from "./remote_leases.ts";

const COLUMNS = Object.keys(SPEND_COLUMNS);

/** Of rows that people typed, too. */
function bounded(value: string): string {
  return `greatest(least(${value}, ${Number.MAX_SAFE_INTEGER}), ${Number.MIN_SAFE_INTEGER})`;
}

const ADD_UP = `ON CONFLICT (token_id, day, source) DO UPDATE SET ${
  COLUMNS.map((name) => `${name} = ${bounded(`token_spend.${name}::numeric + excluded.${name}`)}::bigint`)
    .join(", ")
}`;

/** One that has just begun may renew a lease before it says that it lives. */
const IS_DEAD =
  `source <> $1::text AND NOT EXISTS (SELECT 1 FROM oar.instances WHERE instances.id = token_leases.source)
  AND renewed_ms < (extract(epoch FROM now()) - ${DEAD_AFTER_SECONDS}) * 1000`;

const FIND = `SELECT DISTINCT token_id FROM oar.token_leases WHERE ${IS_DEAD}
  AND token_id = ${bounded("token_id")} LIMIT 1000`;

const TAKE = `DELETE FROM oar.token_leases WHERE token_id = ANY ($2::bigint[]) AND ${IS_DEAD}
  RETURNING token_id, source, ${bounded("nano")} AS nano, ${bounded("renewed_ms")} AS renewed_ms`;

const CHARGE = `INSERT INTO oar.token_spend (token_id, day, source, cost_nano, estimated_nano)
  SELECT token_id, day, source || $1::text, nano, nano
  FROM unnest($2::bigint[], $3::text[], $4::text[], $5::bigint[]) AS dead (token_id, day, source, nano)
  WHERE nano > 0 ${ADD_UP}`;

const MERGE = `WITH gone AS (
    DELETE FROM oar.token_spend
    WHERE source <> '' AND left(source, ${COPY_PREFIX.length}) <> '${COPY_PREFIX}'
      AND day COLLATE "C" < to_char(now() AT TIME ZONE 'UTC' - make_interval(secs => $1::float8), 'YYYY-MM-DD')
      AND NOT EXISTS (SELECT 1 FROM oar.instances WHERE instances.id = replace(source, '${DEAD_SUFFIX}', ''))
    RETURNING *
  )
  INSERT INTO oar.token_spend (token_id, day, source, ${COLUMNS.join(", ")})
  SELECT token_id, day, '', ${COLUMNS.map(safeSum).join(", ")} FROM gone
  GROUP BY token_id, day ${ADD_UP}`;

interface Lease {
  readonly token_id: number;
  readonly source: string;
  readonly nano: number;
  readonly renewed_ms: number;
}

/**
 * Charges what dead replicas might have: their leases become rows of the days on which they were renewed.
 *
 * @param options.source the run of this server, which lives
 * @param options.dayOf the day of a time in milliseconds since the Unix epoch
 * @throws PgError
 */
export async function chargeDeadLeases(
  db: Pick<PgStore, "read" | "write">,
  { source, dayOf }: { readonly source: string; readonly dayOf: (ms: number) => string },
): Promise<void> {
  const found = await db.read<{ token_id: number }>(FIND, [source]);
  if (found.length === 0) return;
  const ids = found.map(({ token_id }) => token_id);
  await db.write(async (query) => {
    await lockTokens(query, ids);
    const leases = await query<Lease>(TAKE, [source, ids]);
    await query(CHARGE, [
      DEAD_SUFFIX,
      leases.map(({ token_id }) => token_id),
      leases.map(({ renewed_ms }) => dayOf(renewed_ms)),
      leases.map((lease) => lease.source),
      leases.map(({ nano }) => nano),
    ]);
  });
}

/**
 * Makes one row of all that dead replicas have charged a token on a day, once it is old. What belongs to tokens that are no
 * more is deleted.
 *
 * @throws PgError
 */
export async function mergeRemoteSpend(db: Pick<PgStore, "write">): Promise<void> {
  await db.write(async (query) => {
    for (const table of ["token_spend", "token_leases"]) {
      await query(
        `DELETE FROM oar.${table} WHERE NOT EXISTS (SELECT 1 FROM oar.client_tokens WHERE id = ${table}.token_id)`,
      );
    }
    await query(MERGE, [MERGE_AFTER_MS / 1000]);
  });
}
