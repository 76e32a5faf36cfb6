/**
 * Records as a list shows them: without their texts, except the beginning of the reply.
 *
 * Owns the translation of such rows. Never writes.
 */
import type { DatabaseSync } from "node:sqlite";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../../core/cut_text.ts";
import { callsText, errorSentence } from "../../core/reply_text.ts";
import type { Usage } from "../../core/types.ts";
import { fromGoTime } from "../database/go_time.ts";
import { type HitPassage, hitPassage, type HitPiece } from "../search/hit.ts";
import { parseSearch, termPattern } from "../search/query.ts";
import { plainText } from "../search/text.ts";
import { columnText, columnTexts } from "../database/record_parts.ts";
import { asBlobs, number, text } from "../database/values.ts";
import { prepared } from "../database/statements.ts";
import { promptStart } from "./prompt_start.ts";
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
  /** See `RequestRecord`. */
  readonly areTokensEstimated: boolean;
  readonly client: string | null;
  /** The beginning of the last message of the user; one line, at most 200 characters; empty when there is none. */
  readonly prompt: string;
  /** The beginning of the reply, its tool calls, error or reasoning; one line, at most 200 characters. */
  readonly reply: string;
  /** With a search: the passage around the first hit; empty without one. */
  readonly hit: readonly HitPiece[];
  /** What that is a passage of; null without one. */
  readonly hitIn: HitPassage["where"] | null;
}

const REPLY_LENGTH = 200;
/** UTF-8 needs up to four bytes a character. */
export const REPLY_BYTES = 4 * REPLY_LENGTH;
/** A hit beyond this is found, but not shown. */
export const HIT_TEXT_BYTES = 128 * 1024; // docs/tuning.md#store-read
/** Rows of older versions may hold longer names; they are shown cut. */
export const NAME_BYTES = 4 * (MAX_SHOWN_NAME_LENGTH + 1);
export const STARTS = ["response", "tool_calls", "error", "reasoning"];
/** Of a longer request only this much of its end is read. */
export const PROMPT_BYTES = 32 * 1024;
/** Of a longer one nothing: SQLite would read all of it. */
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

const SELECT_SUMMARIES = `SELECT id, is_stream, status, upstream_id, attempts, tokens_are_estimated, ${
  columnTexts([
    "elapsed_time",
    "first_token_ms",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
  ])
},
  ${asBlobs(["request_id", "created_at", "outcome", "client"])},
  substr(CAST(model AS BLOB), 1, ${NAME_BYTES}) AS model,
  ${
  STARTS.map((name) => `substr(CAST(${columnText(name)} AS BLOB), 1, ${REPLY_BYTES}) AS ${name}`).join(", ")
},
  octet_length(body) AS body_bytes,
  CASE WHEN octet_length(body) <= ${MAX_BODY_BYTES}
    THEN substr(CAST(body AS BLOB), -${PROMPT_BYTES}) END AS body_end
  FROM records WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC`;

/** Newest first. @param query what was searched for; empty for nothing */
export function readSummaries(db: DatabaseSync, ids: readonly number[], query: string): StoredSummary[] {
  const statement = prepared(db, SELECT_SUMMARIES);
  statement.setReadBigInts(true);
  const pattern = termPattern(parseSearch(query));
  return statement.all(JSON.stringify(ids)).map((row) => {
    const id = Number(row["id"]);
    const passage = pattern === null ? null : readHit(db, id, pattern);
    return { ...toSummary(row), id, hit: passage?.pieces ?? [], hitIn: passage?.where ?? null };
  });
}

function readHit(db: DatabaseSync, id: number, pattern: RegExp): HitPassage | null {
  const statement = prepared(db, `SELECT ${searchColumns(HIT_TEXT_BYTES)} FROM records WHERE id = ?`);
  statement.setReadBigInts(true);
  const row = statement.get(id);
  return row === undefined ? null : hitPassage(plainText(toSearchSource(row)), pattern);
}

/** Of a row with the columns of {@link readSummaries}. */
export function toSummary(row: Row): Omit<StoredSummary, "id" | "hit" | "hitIn"> {
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
    areTokensEstimated: number(row["tokens_are_estimated"]) === 1,
    client: text(row["client"]),
    prompt: oneLine(promptOf(row)),
    reply: oneLine(replyOf(row)),
  };
}

function promptOf(row: Row): string {
  const isWhole = (number(row["body_bytes"]) ?? 0) <= PROMPT_BYTES;
  return promptStart(text(row["body_end"]) ?? "", { isWhole }) ?? "";
}

function replyOf(row: Row): string {
  const [response = "", calls = "", error = "", reasoning = ""] = STARTS.map((name) => text(row[name]) ?? "");
  const isGood = text(row["outcome"]) === "complete" && (number(row["status"]) ?? 0) < 400;
  if (response.trim() !== "") return isGood ? response : errorSentence(response) ?? response;
  if (calls !== "" && calls !== "[]") return callsText(calls);
  return error !== "" ? error : reasoning;
}

function oneLine(text: string): string {
  return text.slice(0, 4 * REPLY_LENGTH).replace(/\s+/g, " ").trim().slice(0, REPLY_LENGTH).toWellFormed();
}

function shownName(name: string | null): string | null {
  return name === null ? null : cutText(name, MAX_SHOWN_NAME_LENGTH);
}
