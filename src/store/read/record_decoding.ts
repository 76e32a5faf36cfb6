/**
 * Rows of `records` and `attempts` as the rest of the program sees them.
 *
 * Owns the translation, of our rows and of the Go program's. Pure.
 */
import { NANOSECONDS_PER_MS } from "../../core/units.ts";
import type { SQLOutputValue } from "node:sqlite";
import { maskSecret } from "../../core/secrets.ts";
import type { RequestRecord, ToolCall, Usage } from "../../core/types.ts";
import { detailsOf, usageOf } from "../../core/usage.ts";
import { fromGoTime } from "../database/go_time.ts";
import { columnText, columnTexts, wholeSize } from "../database/record_parts.ts";
import { RECORD_COLUMNS } from "../database/record_columns.ts";
import { number, text } from "../database/values.ts";
import type { SearchSource } from "../search/text.ts";
import type { StoredAttempt, StoredRecord } from "../store.ts";

export type Row = Record<string, SQLOutputValue>;

/** Needs `setReadBigInts(true)`. */
export const SELECT_RECORDS = `SELECT id, ${columnTexts(columnsOfType("number"))},
  ${
  columnsOfType("text").map((name) => `CAST(${columnText(name)} AS BLOB) AS "${name}"`).join(", ")
} FROM records`;

function columnsOfType(type: "text" | "number"): string[] {
  return Object.entries(RECORD_COLUMNS).filter((entry) => entry[1] === type).map(([name]) => name);
}

const SEARCHED = ["request_id", "body", "response", "reasoning", "tool_calls"];
/** Text beyond this is not searched. */
const MAX_SEARCHED_BYTES = 8 * 1024 * 1024;

/** The select list of {@link toSearchSource}, with texts up to some size. */
export function searchColumns(maxBytes: number): string {
  return SEARCHED.map((name) => `substr(CAST(${columnText(name)} AS BLOB), 1, ${maxBytes}) AS ${name}`).join(
    ", ",
  );
}

/** Size in bytes of the texts in {@link SEARCH_COLUMNS}; computed without reading them. */
export const SEARCH_SIZE = SEARCHED.map((name) =>
  name === "response" || name === "reasoning"
    ? wholeSize(name)
    : `coalesce(octet_length(${columnText(name)}), 0)`
).join(" + ");

export const SEARCH_COLUMNS = searchColumns(MAX_SEARCHED_BYTES);

export function toSearchSource(row: Row): SearchSource {
  return {
    body: bodyOf(row),
    response: text(row["response"]),
    reasoning: text(row["reasoning"]),
    toolCalls: parseToolCalls(text(row["tool_calls"])),
  };
}

// Does not compile, and names the field, when one of a record is not read back.
({}) satisfies Record<
  Exclude<keyof RequestRecord, keyof StoredRecord | "attempts" | "part" | "ownedIds">,
  never
>;

export function toStoredRecord(row: Row): StoredRecord {
  const requestId = text(row["request_id"]);
  const createdAt = text(row["created_at"]);
  const authorization = text(row["authorization"]);
  return {
    id: Number(row["id"]),
    requestId,
    createdAtMs: createdAt === null ? null : fromGoTime(createdAt),
    ip: text(row["ip"]),
    method: text(row["method"]),
    path: text(row["path"]),
    body: bodyOf(row),
    model: text(row["model"]),
    isStream: toIsStream(row),
    response: text(row["response"]),
    reasoning: text(row["reasoning"]),
    toolCalls: parseToolCalls(text(row["tool_calls"])),
    responseModel: text(row["response_model"]),
    finishReason: text(row["finish_reason"]),
    usage: toUsage(row),
    elapsedMs: toElapsedMs(row),
    firstByteMs: number(row["first_byte_ms"]),
    firstTokenMs: number(row["first_token_ms"]),
    status: number(row["status"]),
    outcome: text(row["outcome"]),
    upstreamId: number(row["upstream_id"]),
    attemptCount: number(row["attempts"]),
    authorization: authorization === null ? null : maskAuthorization(authorization),
    client: text(row["client"]),
    userAgent: text(row["user_agent"]),
    requestBytes: number(row["request_bytes"]),
    responseBytes: number(row["response_bytes"]),
    error: text(row["error"]),
    isTruncated: number(row["is_truncated"]) === 1,
    instance: text(row["instance"]),
    affinity: text(row["affinity"]),
    queuedMs: number(row["queued_ms"]),
    areTokensEstimated: number(row["tokens_are_estimated"]) === 1,
    costNano: number(row["cost_nano"]),
  };
}

export function toAttempt(row: Row): StoredAttempt {
  const upstreamId = number(row["upstream_id"]) ?? 0;
  const startedAt = text(row["started_at"]);
  return {
    index: Number(row["n"]),
    upstreamId,
    upstreamName: text(row["name"])?.trim() || hostOf(text(row["endpoint"])) || `#${upstreamId}`,
    startedAtMs: (startedAt === null ? null : fromGoTime(startedAt)) ?? 0,
    durationMs: number(row["duration_ms"]) ?? 0,
    status: number(row["status"]),
    errorClass: text(row["error_class"]),
    message: text(row["error"]),
    partial: text(row["partial"]),
    keyN: number(row["key_n"]),
    isChanged: number(row["changed"]) === 1,
    usage: usageOf(text(row["usage"])),
    costNano: number(row["cost_nano"]),
  };
}

export function toIsStream(row: Row): boolean | null {
  return row["is_stream"] === null ? null : number(row["is_stream"]) === 1;
}

export function toElapsedMs(row: Row): number | null {
  const elapsedNs = number(row["elapsed_time"]);
  return elapsedNs === null ? null : elapsedNs / NANOSECONDS_PER_MS;
}

export function toUsage(row: Row): Usage {
  const usage = {
    inputTokens: number(row["input_tokens"]),
    outputTokens: number(row["output_tokens"]),
    cachedTokens: number(row["cached_tokens"]),
    reasoningTokens: number(row["reasoning_tokens"]),
  };
  const details = detailsOf(text(row["usage_details"]));
  return details === null ? usage : { ...usage, details };
}

/** Rows without a `request_id` are the Go program's. */
function bodyOf(row: Row): string | null {
  const body = text(row["body"]);
  return text(row["request_id"]) === null && body !== null ? decodeGoBody(body) : body;
}

/** The Go program stored the request text as a JSON string literal. */
export function decodeGoBody(body: string): string {
  if (!body.startsWith('"')) return body;
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "string" ? value : body;
  } catch {
    return body;
  }
}

/** Our rows hold a masked form already; the Go program's hold the header itself. */
export function maskAuthorization(value: string): string {
  return value.includes("…") ? value : maskSecret(value.replace(/^bearer\s+/i, ""));
}

export function parseToolCalls(json: string | null): ToolCall[] {
  if (json === null || json === "") return [];
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value.filter(isToolCall) : [];
  } catch {
    return [];
  }
}

function isToolCall(value: unknown): value is ToolCall {
  return typeof value === "object" && value !== null && "name" in value && "arguments" in value &&
    typeof value.name === "string" && typeof value.arguments === "string";
}

function hostOf(endpoint: string | null): string | null {
  return endpoint === null ? null : URL.parse(endpoint.trim())?.host ?? null;
}
