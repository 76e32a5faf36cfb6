/**
 * What tokens have spent in a SQLite database, put beside what PostgreSQL knows of them.
 *
 * Owns that the same again changes nothing: the sums have a source of their own, which the next copy replaces.
 */
import type { DatabaseSync } from "node:sqlite";
import { listClientTokens } from "../../config/client_tokens.ts";
import { SPEND_COLUMNS } from "../../database/cost_columns.ts";
import { COPY_PREFIX } from "../../spend/spend_ledger.ts";
import { readSpend } from "../../spend/spend_reader.ts";
import type { PgStore } from "../query.ts";
import { cleanString } from "../shipper/clean_text.ts";

const COLUMNS = Object.keys(SPEND_COLUMNS);

const PUT = `INSERT INTO oar.token_spend (token_id, day, source, ${COLUMNS.join(", ")})
  SELECT token_id, day, $1::text, ${COLUMNS.map((name) => `sum(${name})`).join(", ")}
  FROM unnest($2::bigint[], $3::text[], ${COLUMNS.map((_, place) => `$${place + 4}::bigint[]`).join(", ")})
    AS spent (token_id, day, ${COLUMNS.join(", ")})
  GROUP BY token_id, day`;

/**
 * Of the tokens that both have.
 *
 * @param source.id of the database, see source_identity.ts
 * @throws PgError, or what SQLite throws
 */
export async function copySpend(
  database: Pick<PgStore, "write">,
  source: { readonly db: DatabaseSync; readonly id: string },
): Promise<void> {
  const digests = new Map(listClientTokens(source.db).map(({ id, sha256 }) => [id, sha256]));
  const spent = readSpend(source.db, { fromDay: "" });
  const own = COPY_PREFIX + source.id;
  await database.write(async (query) => {
    const tokens = await query<{ id: number; sha256: string }>(
      "SELECT id, sha256 FROM oar.client_tokens WHERE sha256 IS NOT NULL ORDER BY id DESC",
    );
    // Of rows with the same token, the first is the one that is used.
    const ids = new Map(tokens.map(({ id, sha256 }) => [sha256, id]));
    const rows = spent.flatMap((row) => {
      const remoteId = ids.get(digests.get(row.tokenId) ?? "");
      return remoteId === undefined ? [] : [{ ...row, tokenId: remoteId }];
    });
    await query("DELETE FROM oar.token_spend WHERE source = $1", [own]);
    await query(PUT, [
      own,
      rows.map(({ tokenId }) => tokenId),
      rows.map(({ day }) => cleanString(day)),
      rows.map(({ costNano }) => costNano),
      rows.map(({ requests }) => requests),
      rows.map((row) => row.tokens),
      rows.map(({ estimatedNano }) => estimatedNano),
      rows.map(({ overshootNano }) => overshootNano),
    ]);
  });
}
