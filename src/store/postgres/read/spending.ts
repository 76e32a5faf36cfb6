/**
 * What tokens have spent, at all replicas.
 */
import type { SpendQuery, SpentDays } from "../../../core/spend.ts";
import { SPEND_COLUMNS } from "../../database/cost_columns.ts";
import type { PgStore } from "../query.ts";

/** A sum within what can be counted exactly. */
export function safeSum(sum: string): string {
  return `greatest(least(coalesce(sum(${sum}), 0), ${Number.MAX_SAFE_INTEGER}), ${Number.MIN_SAFE_INTEGER})::bigint`;
}

const SUMS = Object.keys(SPEND_COLUMNS).map((name) => `${safeSum(name)} AS ${name}`).join(", ");

const SELECT = `SELECT least(token_id, ${Number.MAX_SAFE_INTEGER}) AS token_id, day, ${SUMS}
  FROM oar.token_spend
  WHERE day COLLATE "C" >= $1 AND ($2::bigint[] IS NULL OR token_id = ANY ($2::bigint[]))
  GROUP BY 1, 2 ORDER BY 1, day COLLATE "C"`;

type Row =
  & { readonly token_id: number; readonly day: string }
  & Readonly<
    Record<keyof typeof SPEND_COLUMNS, number>
  >;

/** @throws PgError */
export async function readRemoteSpend(
  db: Pick<PgStore, "read">,
  { tokenIds, fromDay }: SpendQuery,
): Promise<SpentDays> {
  const rows = await db.read<Row>(SELECT, [fromDay, tokenIds?.filter(Number.isSafeInteger) ?? null]);
  return rows.map((row) => ({
    tokenId: row.token_id,
    day: row.day,
    costNano: row.cost_nano,
    requests: row.requests,
    tokens: row.tokens,
    estimatedNano: row.estimated_nano,
    overshootNano: row.overshoot_nano,
  }));
}
