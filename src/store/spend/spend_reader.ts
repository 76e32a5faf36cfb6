/**
 * What tokens have spent, read from `token_spend`. Rows may have been typed by hand: what is no number counts as 0.
 */
import type { DatabaseSync } from "node:sqlite";
import type { SpendQuery, SpentDays } from "../../core/spend.ts";
import { SPEND_COLUMNS } from "../database/cost_columns.ts";
import { prepared } from "../database/statements.ts";
import { number, text } from "../database/values.ts";

const SUMS = Object.keys(SPEND_COLUMNS).map((name) => `total(${name}) AS ${name}`).join(", ");

/** Reads databases of older versions, too. @throws what SQLite throws */
export function readSpend(db: DatabaseSync, { tokenIds, fromDay }: SpendQuery): SpentDays {
  const hasTable = prepared(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'token_spend'");
  if (hasTable.get() === undefined) return [];
  const ofTokens = tokenIds === undefined ? "" : "AND token_id IN (SELECT value FROM json_each(?2))";
  const statement = prepared(
    db,
    `SELECT token_id, CAST(day AS BLOB) AS day, ${SUMS} FROM token_spend WHERE day >= ?1 ${ofTokens}
      GROUP BY token_id, day ORDER BY token_id, day`,
  );
  statement.setReadBigInts(true);
  const values = tokenIds === undefined ? [fromDay] : [fromDay, JSON.stringify(tokenIds)];
  return statement.all(...values).map((row) => ({
    tokenId: Number(row["token_id"]),
    day: text(row["day"]) ?? "",
    costNano: exact(number(row["cost_nano"])),
    requests: exact(number(row["requests"])),
    tokens: exact(number(row["tokens"])),
    estimatedNano: exact(number(row["estimated_nano"])),
    overshootNano: exact(number(row["overshoot_nano"])),
  }));
}

/** A sum that can be counted with. */
export function exact(sum: number | null): number {
  if (sum === null || Number.isNaN(sum)) return 0;
  return Math.min(Math.max(Math.round(sum), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}
