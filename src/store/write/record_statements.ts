/**
 * One record as parameters of its statements.
 *
 * Owns the order of the columns. Runs once per record on the writer's thread, so it allocates little.
 */
import { NANOSECONDS_PER_MS } from "../../core/units.ts";
import type { SQLInputValue } from "node:sqlite";
import type { Attempt, RequestRecord } from "../../core/types.ts";
import { toGoTime } from "../database/go_time.ts";

const COLUMNS = [
  "request_id",
  "created_at",
  "ip",
  "body",
  "model",
  "response",
  "elapsed_time",
  "status",
  "upstream_id",
  "authorization",
  "method",
  "path",
  "is_stream",
  "outcome",
  "attempts",
  "first_byte_ms",
  "first_token_ms",
  "input_tokens",
  "output_tokens",
  "cached_tokens",
  "reasoning_tokens",
  "finish_reason",
  "reasoning",
  "tool_calls",
  "response_model",
  "request_bytes",
  "response_bytes",
  "user_agent",
  "client",
  "error",
  "is_truncated",
  "instance",
] as const;

/**
 * Inserts, or replaces every column of the row with the same `request_id`; gives the row's id. A partial
 * version that comes late changes nothing and gives no id; `crashed` may have been a guess of another process.
 */
export const UPSERT_RECORD = upsert("NULL");

/**
 * The same for a row that is there already, as far as is known: without its id SQLite takes a new one before it finds
 * the row, and the gap in the numbers looks like a record that was lost. For a new row it costs a tenth more.
 */
export const UPSERT_OPEN_RECORD = upsert("(SELECT id FROM records WHERE request_id = ?1)");

function upsert(id: string): string {
  return `INSERT INTO records(id, ${COLUMNS.join(", ")})
    VALUES (${id}, ${COLUMNS.map((_, index) => `?${index + 1}`).join(", ")})
    ON CONFLICT DO UPDATE SET ${COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")}
    WHERE excluded.outcome <> 'in_flight' OR coalesce(records.outcome, 'in_flight') IN ('in_flight', 'crashed')
    RETURNING id`;
}

/**
 * Says more of a reply that is under way. Touches no column that an index has: a stream is written once a second, and
 * its row's places in five indexes need not be written with it. Changes nothing when the row says otherwise by now.
 */
export const UPDATE_PROGRESS = `UPDATE records SET elapsed_time = ?, first_byte_ms = ?, first_token_ms = ?,
  response = ?, reasoning = ?, tool_calls = ?, response_model = ?, finish_reason = ?, input_tokens = ?,
  output_tokens = ?, cached_tokens = ?, reasoning_tokens = ?, response_bytes = ?, is_truncated = ?
  WHERE request_id = ? AND outcome = 'in_flight'`;

export const DELETE_ATTEMPTS = "DELETE FROM attempts WHERE record_id = ?";

export const INSERT_ATTEMPT =
  `INSERT INTO attempts(record_id, n, upstream_id, started_at, duration_ms, status,
  error_class, error) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;

/** In the order of {@link UPSERT_RECORD}. */
export function recordParams(record: RequestRecord, instance: string): SQLInputValue[] {
  return [
    record.requestId,
    toGoTime(record.createdAtMs),
    record.ip.toWellFormed(),
    record.body.toWellFormed(),
    wellFormed(record.model),
    record.response.toWellFormed(),
    Math.round(record.elapsedMs * NANOSECONDS_PER_MS),
    record.status,
    record.upstreamId,
    wellFormed(record.authorization),
    record.method.toWellFormed(),
    record.path.toWellFormed(),
    record.isStream ? 1 : 0,
    record.outcome,
    record.attempts.length,
    rounded(record.firstByteMs),
    rounded(record.firstTokenMs),
    ...usageParams(record),
    wellFormed(record.finishReason),
    record.reasoning.toWellFormed(),
    toolCallsText(record),
    wellFormed(record.responseModel),
    record.requestBytes,
    record.responseBytes,
    wellFormed(record.userAgent),
    wellFormed(record.client),
    wellFormed(record.error),
    record.isTruncated ? 1 : 0,
    instance,
  ];
}

/** In the order of {@link UPDATE_PROGRESS}. */
export function progressParams(record: RequestRecord): SQLInputValue[] {
  return [
    Math.round(record.elapsedMs * NANOSECONDS_PER_MS),
    rounded(record.firstByteMs),
    rounded(record.firstTokenMs),
    record.response.toWellFormed(),
    record.reasoning.toWellFormed(),
    toolCallsText(record),
    wellFormed(record.responseModel),
    wellFormed(record.finishReason),
    ...usageParams(record),
    record.responseBytes,
    record.isTruncated ? 1 : 0,
    record.requestId,
  ];
}

function usageParams({ usage }: RequestRecord): (number | null)[] {
  return [
    usage?.inputTokens ?? null,
    usage?.outputTokens ?? null,
    usage?.cachedTokens ?? null,
    usage?.reasoningTokens ?? null,
  ];
}

function toolCallsText({ toolCalls }: RequestRecord): string | null {
  return toolCalls.length === 0 ? null : JSON.stringify(toolCalls).toWellFormed();
}

/** In the order of {@link INSERT_ATTEMPT}. */
export function attemptParams(attempt: Attempt, recordId: SQLInputValue): SQLInputValue[] {
  return [
    recordId,
    attempt.index,
    attempt.upstreamId,
    toGoTime(attempt.startedAtMs),
    Math.round(attempt.durationMs),
    attempt.status,
    attempt.errorClass,
    wellFormed(attempt.message),
  ];
}

function wellFormed(value: string | null): string | null {
  return value === null ? null : value.toWellFormed();
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
