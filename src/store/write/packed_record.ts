/**
 * Records on their way to the database thread, as lists: an object would be sent with the names of its thirty members,
 * which takes longer than the values.
 *
 * Owns the order of the values, which only this file knows. Both directions are written out: a loop over the fields takes
 * ten times as long (8 us a record, V8 15).
 */
import type { Attempt, OwnedId, RequestRecord, Usage } from "../../core/types.ts";

/** The order of a record's values. */
const RECORD_FIELDS = [
  "requestId",
  "createdAtMs",
  "ip",
  "method",
  "path",
  "body",
  "model",
  "isStream",
  "response",
  "reasoning",
  "toolCalls",
  "responseModel",
  "finishReason",
  "usage",
  "elapsedMs",
  "firstByteMs",
  "firstTokenMs",
  "status",
  "outcome",
  "upstreamId",
  "attempts",
  "authorization",
  "client",
  "userAgent",
  "requestBytes",
  "responseBytes",
  "error",
  "isTruncated",
  "affinity",
  "queuedMs",
  "areTokensEstimated",
  "costNano",
  "part",
  "ownedIds",
] as const satisfies readonly (keyof RequestRecord)[];

// Does not compile, and names the field, when one is missing above.
({}) satisfies Record<Exclude<keyof RequestRecord, typeof RECORD_FIELDS[number]>, never>;

type Fields = typeof RECORD_FIELDS;
type PackedUsage = ReturnType<typeof packUsage>;
type PackedOwnedId = ReturnType<typeof packOwnedId>;
type PackedAttempt = ReturnType<typeof packAttempt>;

interface PackedValues extends Omit<RequestRecord, "usage" | "attempts" | "part" | "ownedIds"> {
  readonly part: number | null;
  readonly ownedIds: readonly PackedOwnedId[] | null;
  readonly usage: PackedUsage | null;
  readonly attempts: readonly PackedAttempt[];
}

type InOrder<Names extends readonly (keyof PackedValues)[]> = {
  readonly [Index in keyof Names]: PackedValues[Names[Index]];
};

export type PackedRecord = InOrder<Fields>;

/** Indexes in {@link RECORD_FIELDS} by field. */
type Places = {
  readonly [Index in keyof Fields & `${number}` as Fields[Index]]: Index extends
    `${infer Place extends number}` ? Place : never;
};

const AT = Object.fromEntries(RECORD_FIELDS.map((field, place) => [field, place])) as Places;

/** The values in the order of {@link RECORD_FIELDS}. */
export function packRecord(record: RequestRecord): PackedRecord {
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
    record.affinity,
    record.queuedMs,
    record.areTokensEstimated,
    record.costNano,
    record.part ?? null,
    record.ownedIds?.map(packOwnedId) ?? null,
  ];
}

/** Turns a {@link PackedRecord} back. */
export function unpackRecord(packed: PackedRecord): RequestRecord {
  const usage = packed[AT.usage];
  const part = packed[AT.part];
  const record: RequestRecord = {
    requestId: packed[AT.requestId],
    createdAtMs: packed[AT.createdAtMs],
    ip: packed[AT.ip],
    method: packed[AT.method],
    path: packed[AT.path],
    body: packed[AT.body],
    model: packed[AT.model],
    isStream: packed[AT.isStream],
    response: packed[AT.response],
    reasoning: packed[AT.reasoning],
    toolCalls: packed[AT.toolCalls],
    responseModel: packed[AT.responseModel],
    finishReason: packed[AT.finishReason],
    usage: usage === null ? null : unpackUsage(usage),
    elapsedMs: packed[AT.elapsedMs],
    firstByteMs: packed[AT.firstByteMs],
    firstTokenMs: packed[AT.firstTokenMs],
    status: packed[AT.status],
    outcome: packed[AT.outcome],
    upstreamId: packed[AT.upstreamId],
    attempts: packed[AT.attempts].map(unpackAttempt),
    authorization: packed[AT.authorization],
    client: packed[AT.client],
    userAgent: packed[AT.userAgent],
    requestBytes: packed[AT.requestBytes],
    responseBytes: packed[AT.responseBytes],
    error: packed[AT.error],
    isTruncated: packed[AT.isTruncated],
    affinity: packed[AT.affinity],
    queuedMs: packed[AT.queuedMs],
    areTokensEstimated: packed[AT.areTokensEstimated],
    costNano: packed[AT.costNano],
  };
  const ownedIds = packed[AT.ownedIds];
  if (part !== null) Object.assign(record, { part });
  if (ownedIds !== null) Object.assign(record, { ownedIds: ownedIds.map(unpackOwnedId) });
  return record;
}

function packOwnedId({ hash, upstreamId, keyHash, kind, seenMs }: OwnedId) {
  return [hash, upstreamId, keyHash, kind, seenMs] as const;
}

function unpackOwnedId([hash, upstreamId, keyHash, kind, seenMs]: PackedOwnedId): OwnedId {
  return { hash, upstreamId, keyHash, kind, seenMs };
}

function packUsage({ inputTokens, outputTokens, cachedTokens, reasoningTokens, details }: Usage) {
  return [inputTokens, outputTokens, cachedTokens, reasoningTokens, details ?? null] as const;
}

function unpackUsage(
  [inputTokens, outputTokens, cachedTokens, reasoningTokens, details]: PackedUsage,
): Usage {
  const usage = { inputTokens, outputTokens, cachedTokens, reasoningTokens };
  return details === null ? usage : { ...usage, details };
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
    attempt.partial,
    attempt.keyN,
    attempt.isChanged,
    attempt.usage === undefined || attempt.usage === null ? null : packUsage(attempt.usage),
    attempt.costNano ?? null,
  ] as const;
}

function unpackAttempt(packed: PackedAttempt): Attempt {
  const [index, upstreamId, upstreamName, startedAtMs, durationMs, status, errorClass, message, ...more] =
    packed;
  const [partial, keyN, isChanged, usage, costNano] = more;
  return {
    ...{ index, upstreamId, upstreamName, startedAtMs, durationMs, status, errorClass, message },
    ...{ partial, keyN, isChanged, costNano },
    usage: usage === null ? null : unpackUsage(usage),
  };
}
