/**
 * Records as a list shows them: without their texts, except the beginning of the reply.
 *
 * Owns the translation of such rows. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../../core/cut_text.ts";
import type { Usage } from "../../core/types.ts";
import { fromGoTime } from "../database/go_time.ts";
import { hitPassage, type HitPiece } from "../search/hit.ts";
import { parseSearch, termPattern } from "../search/query.ts";
import { plainText } from "../search/text.ts";
import { asBlobs, number, text } from "../database/values.ts";
import { prepared } from "../database/statements.ts";
import {
  type Row,
  searchColumns,
  toElapsedMs,
  toIsStream,
  toSearchSource,
  toUsage,
} from "./record_decoding.ts";

export interface StoredSummary {
  readonly id: number;
  readonly requestId: string | null;
  readonly createdAtMs: number | null;
  readonly model: string | null;
  readonly status: number | null;
  /** One of `OUTCOMES`, or whatever somebody typed. */
  readonly outcome: string | null;
  readonly upstreamId: number | null;
  readonly attemptCount: number | null;
  readonly isStream: boolean | null;
  readonly elapsedMs: number | null;
  readonly firstTokenMs: number | null;
  readonly usage: Usage;
  readonly client: string | null;
  /** The beginning of the reply, its tool calls, error or reasoning; one line, at most 200 characters. */
  readonly reply: string;
  /** With a search: the passage around the first hit; empty without one. */
  readonly hit: readonly HitPiece[];
}

const REPLY_LENGTH = 200;
/** UTF-8 needs up to four bytes a character. */
const REPLY_BYTES = 4 * REPLY_LENGTH;
/** A hit beyond this is found, but not shown. */
const HIT_TEXT_BYTES = 128 * 1024; // docs/tuning.md#store-read
/** Rows of older versions may hold longer names; they are shown cut. */
const NAME_BYTES = 4 * (MAX_SHOWN_NAME_LENGTH + 1);
const STARTS = ["response", "tool_calls", "error", "reasoning"];

const SELECT_SUMMARIES = `SELECT id, is_stream, elapsed_time, first_token_ms, status, upstream_id, attempts,
  input_tokens, output_tokens, cached_tokens, reasoning_tokens,
  ${asBlobs(["request_id", "created_at", "outcome", "client"])},
  substr(CAST(model AS BLOB), 1, ${NAME_BYTES}) AS model,
  ${STARTS.map((name) => `substr(CAST(${name} AS BLOB), 1, ${REPLY_BYTES}) AS ${name}`).join(", ")}
  FROM records WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC`;

/** Newest first. @param query what was searched for; empty for nothing */
export function readSummaries(db: DatabaseSync, ids: readonly number[], query: string): StoredSummary[] {
  const statement = prepared(db, SELECT_SUMMARIES);
  statement.setReadBigInts(true);
  const pattern = termPattern(parseSearch(query));
  return statement.all(JSON.stringify(ids)).map((row) => {
    const id = Number(row["id"]);
    return { ...toSummary(row), id, hit: pattern === null ? [] : readHit(db, id, pattern) };
  });
}

function readHit(db: DatabaseSync, id: number, pattern: RegExp): HitPiece[] {
  const statement = prepared(db, `SELECT ${searchColumns(HIT_TEXT_BYTES)} FROM records WHERE id = ?`);
  statement.setReadBigInts(true);
  const row = statement.get(id);
  return row === undefined ? [] : hitPassage(plainText(toSearchSource(row)), pattern);
}

function toSummary(row: Row): Omit<StoredSummary, "id" | "hit"> {
  const starts = STARTS.map((name) => text(row[name])?.replace(/\s+/g, " ").trim() ?? "");
  return {
    requestId: text(row["request_id"]),
    createdAtMs: fromGoTime(text(row["created_at"]) ?? ""),
    model: shownName(text(row["model"])),
    status: number(row["status"]),
    outcome: text(row["outcome"]),
    upstreamId: number(row["upstream_id"]),
    attemptCount: number(row["attempts"]),
    isStream: toIsStream(row),
    elapsedMs: toElapsedMs(row),
    firstTokenMs: number(row["first_token_ms"]),
    usage: toUsage(row),
    client: text(row["client"]),
    reply: (starts.find((start) => start !== "") ?? "").slice(0, REPLY_LENGTH).toWellFormed(),
  };
}

function shownName(name: string | null): string | null {
  return name === null ? null : cutText(name, MAX_SHOWN_NAME_LENGTH);
}
