/**
 * One record as parameters of its statements.
 *
 * Owns what is written to each column. Runs once per record on the database thread, so it allocates little.
 */
import { NANOSECONDS_PER_MS } from "../../core/units.ts";
import type { SQLInputValue } from "node:sqlite";
import type { Attempt, RequestRecord } from "../../core/types.ts";
import { detailsText, usageText } from "../../core/usage.ts";
import { toGoTime } from "../database/go_time.ts";
import { RECORD_COLUMNS, type RecordColumn } from "../database/record_columns.ts";
import { STATE_COLUMNS, type StateColumn } from "../database/record_parts.ts";

const COLUMNS = Object.keys(RECORD_COLUMNS);

/** What changes while a reply is under way. */
const PROGRESS_COLUMNS: readonly RecordColumn[] = [...STATE_COLUMNS, "response", "reasoning", "tool_calls"];

/**
 * Inserts a row that is probably new; changes nothing when there is one of that `request_id`. Takes a quarter less than an
 * upsert that gives the id.
 */
export const INSERT_RECORD = `INSERT INTO records(${COLUMNS.join(", ")})
  VALUES (${COLUMNS.map(() => "?").join(", ")}) ON CONFLICT DO NOTHING`;

/**
 * Replaces every column of the row with the same `request_id`, or inserts it; gives the row's id. A partial version that comes
 * late changes nothing and gives no id; `crashed` may have been a guess of another process.
 *
 * The row probably exists: without its id SQLite takes a new one before it finds the row, and the gap in the numbers looks
 * like a lost record.
 */
export const UPSERT_RECORD = `INSERT INTO records(id, ${COLUMNS.join(", ")})
  VALUES ((SELECT id FROM records WHERE request_id = ?1), ${
  COLUMNS.map((_, index) => `?${index + 1}`).join(", ")
})
  ON CONFLICT DO UPDATE SET ${COLUMNS.map((name) => `${name} = excluded.${name}`).join(", ")}
  WHERE excluded.outcome <> 'in_flight' OR coalesce(records.outcome, 'in_flight') IN ('in_flight', 'crashed')
  RETURNING id`;

/**
 * Updates a reply that is under way. Touches no indexed column: a stream is written once a second, and five indexes need
 * not be written with it. Changes nothing when the row is no longer in flight.
 */
export const UPDATE_PROGRESS = `UPDATE records SET ${PROGRESS_COLUMNS.map((name) => `${name} = ?`).join(", ")}
  WHERE request_id = ? AND outcome = 'in_flight'`;

/** Another process may have taken this one for dead. */
export const IS_IN_FLIGHT = "SELECT 1 FROM records WHERE id = ? AND outcome = 'in_flight'";

/** A part that is written again, because nobody knows whether it was committed, stays one. */
export const PUT_PART = `INSERT OR REPLACE INTO record_parts(record_id, n, response, reasoning,
  ${STATE_COLUMNS.join(", ")}) VALUES (?, ?, ?, ?, ${STATE_COLUMNS.map(() => "?").join(", ")})`;

/** Calls of tools, whole; see ../database/record_parts.ts. */
export const PUT_CALLS = "INSERT OR REPLACE INTO record_parts(record_id, n, tool_calls) VALUES (?, 0, ?)";

export const DELETE_ATTEMPTS = "DELETE FROM attempts WHERE record_id = ?";

export const INSERT_ATTEMPT =
  `INSERT INTO attempts(record_id, n, upstream_id, started_at, duration_ms, status,
  error_class, error, partial, key_n, changed, usage, cost_nano)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** In the order of {@link UPSERT_RECORD}. */
export function recordParams(record: RequestRecord, instance: string): SQLInputValue[] {
  // In the order of RECORD_COLUMNS. A table of functions by column would be safer, and takes 5 % longer per record.
  const values: Record<RecordColumn, SQLInputValue> = {
    request_id: record.requestId,
    created_at: toGoTime(record.createdAtMs),
    ip: record.ip.toWellFormed(),
    body: record.body.toWellFormed(),
    model: wellFormed(record.model),
    response: record.response.toWellFormed(),
    elapsed_time: nanoseconds(record.elapsedMs),
    status: record.status,
    upstream_id: record.upstreamId,
    authorization: wellFormed(record.authorization),
    method: record.method.toWellFormed(),
    path: record.path.toWellFormed(),
    is_stream: record.isStream ? 1 : 0,
    outcome: record.outcome,
    attempts: record.attempts.length,
    first_byte_ms: rounded(record.firstByteMs),
    first_token_ms: rounded(record.firstTokenMs),
    input_tokens: record.usage?.inputTokens ?? null,
    output_tokens: record.usage?.outputTokens ?? null,
    cached_tokens: record.usage?.cachedTokens ?? null,
    reasoning_tokens: record.usage?.reasoningTokens ?? null,
    finish_reason: wellFormed(record.finishReason),
    reasoning: record.reasoning.toWellFormed(),
    tool_calls: toolCallsText(record),
    response_model: wellFormed(record.responseModel),
    request_bytes: record.requestBytes,
    response_bytes: record.responseBytes,
    user_agent: wellFormed(record.userAgent),
    client: wellFormed(record.client),
    error: wellFormed(record.error),
    is_truncated: record.isTruncated ? 1 : 0,
    instance,
    affinity: record.affinity,
    queued_ms: rounded(record.queuedMs),
    usage_details: detailsText(record.usage?.details),
    tokens_are_estimated: record.areTokensEstimated ? 1 : null,
    cost_nano: record.costNano,
  };
  return Object.values(values);
}

/** In the order of {@link UPDATE_PROGRESS}. */
export function progressParams(record: RequestRecord): SQLInputValue[] {
  const { response, reasoning, requestId } = record;
  const texts = [response.toWellFormed(), reasoning.toWellFormed(), toolCallsText(record)];
  return [...stateParams(record), ...texts, requestId];
}

/** In the order of {@link PUT_PART}. */
export function partParams(record: RequestRecord, id: number, part: number): SQLInputValue[] {
  return [id, part, record.response.toWellFormed(), record.reasoning.toWellFormed(), ...stateParams(record)];
}

/** In the order of {@link PUT_CALLS}. */
export function callsParams(record: RequestRecord, id: number): SQLInputValue[] {
  return [id, toolCallsText(record)];
}

function stateParams(record: RequestRecord): SQLInputValue[] {
  // In the order of STATE_COLUMNS.
  const values: Record<StateColumn, SQLInputValue> = {
    elapsed_time: nanoseconds(record.elapsedMs),
    first_byte_ms: rounded(record.firstByteMs),
    first_token_ms: rounded(record.firstTokenMs),
    response_model: wellFormed(record.responseModel),
    finish_reason: wellFormed(record.finishReason),
    input_tokens: record.usage?.inputTokens ?? null,
    output_tokens: record.usage?.outputTokens ?? null,
    cached_tokens: record.usage?.cachedTokens ?? null,
    reasoning_tokens: record.usage?.reasoningTokens ?? null,
    response_bytes: record.responseBytes,
    is_truncated: record.isTruncated ? 1 : 0,
  };
  return Object.values(values);
}

function nanoseconds(ms: number): number {
  return Math.round(ms * NANOSECONDS_PER_MS);
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
    wellFormed(attempt.partial),
    attempt.keyN,
    attempt.isChanged ? 1 : 0,
    usageText(attempt.usage),
    attempt.costNano ?? null,
  ];
}

function wellFormed(value: string | null): string | null {
  return value === null ? null : value.toWellFormed();
}

function rounded(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms);
}
