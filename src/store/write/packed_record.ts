/**
 * Records on their way to the writing thread, as lists: an object would be sent with the names of its thirty members,
 * which takes longer than the values.
 *
 * Owns the order of the values, which only this file knows.
 */
import type { Attempt, RequestRecord, Usage } from "../../core/types.ts";

export type PackedRecord = ReturnType<typeof valuesOf>;
type PackedAttempt = ReturnType<typeof packAttempt>;
type PackedUsage = ReturnType<typeof packUsage>;

export function packRecord(record: RequestRecord): PackedRecord {
  return valuesOf(record);
}

function valuesOf(record: RequestRecord) {
  return [
    record.requestId,
    record.createdAtMs,
    record.ip,
    record.method,
    record.path,
    record.body,
    record.model,
    record.isStream,
    record.response,
    record.reasoning,
    record.toolCalls,
    record.responseModel,
    record.finishReason,
    record.usage === null ? null : packUsage(record.usage),
    record.elapsedMs,
    record.firstByteMs,
    record.firstTokenMs,
    record.status,
    record.outcome,
    record.upstreamId,
    record.attempts.map(packAttempt),
    record.authorization,
    record.client,
    record.userAgent,
    record.requestBytes,
    record.responseBytes,
    record.error,
    record.isTruncated,
  ] as const;
}

/** Turns a {@link PackedRecord} back. */
export function unpackRecord(packed: PackedRecord): RequestRecord {
  const usage = packed[13];
  return {
    requestId: packed[0],
    createdAtMs: packed[1],
    ip: packed[2],
    method: packed[3],
    path: packed[4],
    body: packed[5],
    model: packed[6],
    isStream: packed[7],
    response: packed[8],
    reasoning: packed[9],
    toolCalls: packed[10],
    responseModel: packed[11],
    finishReason: packed[12],
    usage: usage === null ? null : unpackUsage(usage),
    elapsedMs: packed[14],
    firstByteMs: packed[15],
    firstTokenMs: packed[16],
    status: packed[17],
    outcome: packed[18],
    upstreamId: packed[19],
    attempts: packed[20].map(unpackAttempt),
    authorization: packed[21],
    client: packed[22],
    userAgent: packed[23],
    requestBytes: packed[24],
    responseBytes: packed[25],
    error: packed[26],
    isTruncated: packed[27],
  };
}

function packUsage({ inputTokens, outputTokens, cachedTokens, reasoningTokens }: Usage) {
  return [inputTokens, outputTokens, cachedTokens, reasoningTokens] as const;
}

function unpackUsage([inputTokens, outputTokens, cachedTokens, reasoningTokens]: PackedUsage): Usage {
  return { inputTokens, outputTokens, cachedTokens, reasoningTokens };
}

function packAttempt(attempt: Attempt) {
  return [
    attempt.index,
    attempt.upstreamId,
    attempt.upstreamName,
    attempt.startedAtMs,
    attempt.durationMs,
    attempt.status,
    attempt.errorClass,
    attempt.message,
  ] as const;
}

function unpackAttempt(packed: PackedAttempt): Attempt {
  return {
    index: packed[0],
    upstreamId: packed[1],
    upstreamName: packed[2],
    startedAtMs: packed[3],
    durationMs: packed[4],
    status: packed[5],
    errorClass: packed[6],
    message: packed[7],
  };
}
