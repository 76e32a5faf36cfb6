/**
 * Records as a list shows them, of PostgreSQL (../../read/record_summary.ts has what is shown).
 */
import {
  HIT_TEXT_BYTES,
  MAX_BODY_BYTES,
  NAME_BYTES,
  PROMPT_BYTES,
  REPLY_BYTES,
  STARTS,
  type StoredSummary,
  toSummary,
} from "../../read/record_summary.ts";
import { toSearchSource } from "../../read/record_decoding.ts";
import { type HitPassage, hitPassage } from "../../search/hit.ts";
import { parseSearch, termPattern } from "../../search/query.ts";
import { plainText } from "../../search/text.ts";
import type { PgStore } from "../query.ts";
import { columnOf, numbers, searchList, timeText } from "./columns.ts";
import { readRows } from "./record_rows.ts";
import type { Place } from "./span.ts";

const TEXTS_MS = 10_000;
/** Records whose texts are read by one statement. */
const HIT_ROWS = 8;

/** Lengths are in characters here, of which each has a byte at least. */
const SUMMARY_LIST = [
  numbers(
    [
      "id",
      "is_stream",
      "elapsed_time",
      "first_token_ms",
      "status",
      "upstream_id",
      "attempts",
      "input_tokens",
      "output_tokens",
      "cached_tokens",
      "reasoning_tokens",
      "tokens_are_estimated",
    ],
    "r",
  ),
  "r.request_id, r.outcome, r.client",
  `${timeText("r.created_at")} AS created_at`,
  `left(r.model, ${NAME_BYTES}) AS model`,
  ...STARTS.map((name) => `left(${columnOf(name)}, ${REPLY_BYTES}) AS ${name}`),
  "octet_length(t.body)::float8 AS body_bytes",
  `CASE WHEN octet_length(t.body) <= ${MAX_BODY_BYTES} THEN right(t.body, ${PROMPT_BYTES}) END AS body_end`,
].join(", ");

/** In the order of the places. @param query what was searched for; empty for nothing */
export async function readSummaries(
  db: Pick<PgStore, "read">,
  places: readonly Place[],
  query: string,
): Promise<StoredSummary[]> {
  const rows = await readRows(db, places, { list: SUMMARY_LIST, timeoutMs: TEXTS_MS });
  const rowsById = new Map(rows.map((row) => [Number(row["id"]), row]));
  const pattern = termPattern(parseSearch(query));
  const hits = pattern === null ? new Map<number, HitPassage>() : await readHits(db, places, pattern);
  return places.flatMap(({ id }) => {
    const row = rowsById.get(id);
    if (row === undefined) return [];
    const passage = hits.get(id);
    return [{ ...toSummary(row), id, hit: passage?.pieces ?? [], hitIn: passage?.where ?? null }];
  });
}

async function readHits(
  db: Pick<PgStore, "read">,
  places: readonly Place[],
  pattern: RegExp,
): Promise<Map<number, HitPassage>> {
  const hits = new Map<number, HitPassage>();
  const list = `r.id, ${searchList(HIT_TEXT_BYTES)}`;
  for (let from = 0; from < places.length; from += HIT_ROWS) {
    const rows = await readRows(db, places.slice(from, from + HIT_ROWS), { list, timeoutMs: TEXTS_MS });
    for (const row of rows) {
      const passage = hitPassage(plainText(toSearchSource(row)), pattern);
      if (passage !== null) hits.set(Number(row["id"]), passage);
    }
  }
  return hits;
}
