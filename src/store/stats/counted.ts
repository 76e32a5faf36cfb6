/**
 * A row of `records` as the statistics count it. Reads only.
 */
import type { DatabaseSync } from "node:sqlite";
import { fromGoTime } from "../database/go_time.ts";
import { prepared } from "../database/statements.ts";
import { asBlobs, number, text } from "../database/values.ts";
import { type Row, toElapsedMs } from "../read/record_decoding.ts";
import type { CountedRequest } from "./tally.ts";

/** The columns that {@link toCounted} reads. */
export const COUNTED_COLUMNS =
  `id, status, upstream_id, elapsed_time, first_token_ms, input_tokens, output_tokens, cached_tokens,
  tokens_are_estimated, cost_nano, ${
    asBlobs(["created_at", "outcome", "model", "client", "method", "path"])
  }`;

/** Failed ones only. */
export function attemptsOf(db: DatabaseSync, recordId: number): CountedRequest["attempts"] {
  const statement = prepared(
    db,
    "SELECT upstream_id, status, error_class, cost_nano FROM attempts WHERE record_id = ? AND error_class IS NOT NULL",
  );
  statement.setReadBigInts(true);
  const rows = statement.all(recordId);
  return rows.map((row) => ({
    upstreamId: Number(row["upstream_id"]),
    errorClass: String(row["error_class"]),
    status: number(row["status"]),
    costNano: number(row["cost_nano"]),
  }));
}

/** null: the row has no time. Needs `setReadBigInts(true)`. */
export function toCounted(row: Row, attempts: CountedRequest["attempts"]): CountedRequest | null {
  const createdAtMs = fromGoTime(text(row["created_at"]) ?? "");
  if (createdAtMs === null) return null;
  return {
    createdAtMs,
    outcome: text(row["outcome"]),
    status: number(row["status"]),
    upstreamId: number(row["upstream_id"]),
    elapsedMs: toElapsedMs(row),
    firstTokenMs: number(row["first_token_ms"]),
    usage: {
      inputTokens: number(row["input_tokens"]),
      outputTokens: number(row["output_tokens"]),
      cachedTokens: number(row["cached_tokens"]),
    },
    model: text(row["model"]),
    client: text(row["client"]),
    method: text(row["method"]),
    path: text(row["path"]),
    areTokensEstimated: number(row["tokens_are_estimated"]) === 1,
    costNano: number(row["cost_nano"]),
    attempts,
  };
}
