/**
 * Whether a parsed document or event is an error, an answer, or nothing. Nobody else decides it.
 *
 * Pure. What a reader knows of its own API (a failed response, a choice that ended in an error) the reader reports.
 */
import type { ReportedError } from "../core/reported_error.ts";
import type { EndpointKind } from "../core/types.ts";
import { asObject, asText, type JsonObject, parseJson, readError } from "./json.ts";
import { hasSubstance, plainKey } from "./substance.ts";

/** What the successful documents of a kind promise. */
interface Promised {
  /** The member that holds the answer. */
  readonly answer: string;
  /** The `object` of a document that repeats the request, so that only its answer says anything; null: none does. */
  readonly echo: string | null;
  /** A whole answer has a finish reason, by whatever name. */
  readonly hasFinishReason: boolean;
  /** Without the answer, a document is no answer. */
  readonly isRequired: boolean;
  /** An answer is JSON or an event stream, and no other text. */
  readonly isJson: boolean;
  /** An answer may be binary all the same: an image itself, vectors as bytes. */
  readonly mayBeBinary: boolean;
}

const CONVERSATION = {
  isRequired: true,
  isJson: true,
  mayBeBinary: false,
  hasFinishReason: true,
  echo: null,
};
const BULK = { ...CONVERSATION, mayBeBinary: true, hasFinishReason: false };

/** Kinds that are not listed describe objects, which may have an `error`, a `code` or a `status` of their own. */
const PROMISED: { readonly [Kind in EndpointKind]?: Promised } = {
  chat: { ...CONVERSATION, answer: "choices" },
  completions: { ...CONVERSATION, answer: "choices" },
  responses: { ...CONVERSATION, answer: "output", echo: "response" },
  messages: { ...CONVERSATION, answer: "content" },
  embeddings: { ...BULK, answer: "data" },
  images: { ...BULK, answer: "data" },
  moderations: { ...BULK, answer: "results", isRequired: false, mayBeBinary: false },
  audio: { ...BULK, answer: "text", isRequired: false, isJson: false },
};

/** Whether a reply that is neither JSON nor an event stream cannot be an answer. */
export function promisesJson(kind: EndpointKind): boolean {
  return PROMISED[kind]?.isJson ?? false;
}

/** What a tool's failure means to a conversation is for the model to say. */
function isOpaque(kind: EndpointKind): boolean {
  return kind === "audio" || kind === "images" || PROMISED[kind] === undefined;
}

/** The same for a reply that is no text. */
export function refusesBinary(kind: EndpointKind): boolean {
  return promisesJson(kind) && PROMISED[kind]?.mayBeBinary === false;
}

/** What a document is. A finished one without a word is `nothing` too. */
export type Judgement =
  | { readonly type: "answer" }
  | { readonly type: "nothing" }
  | { readonly type: "error"; readonly error: ReportedError };

const ANSWER: Judgement = { type: "answer" };
const NOTHING: Judgement = { type: "nothing" };

/** What the reader of a document has found in it. */
export interface Read {
  /** Something was said. */
  readonly isSaid: boolean;
  /** It has its finish reason. */
  readonly isFinished: boolean;
}

/** Judges a whole JSON value that came with a successful status. */
export function judgeDocument(value: unknown, kind: EndpointKind, { isSaid, isFinished }: Read): Judgement {
  const promised = PROMISED[kind];
  const json = asObject(value) ?? onlyErrorIn(value);
  if (promised === undefined) {
    const error = json === null || describesObject(json) ? null : errorOf(json) ?? baseErrorOf(json);
    return error === null ? ANSWER : { type: "error", error };
  }
  if (isSaid) {
    // An error beside a finished answer is a notice; beside one that is not, it is why.
    const error = isFinished || json === null || !promised.hasFinishReason ? null : errorOf(json);
    return error === null ? ANSWER : { type: "error", error };
  }
  if (json === null) return !promised.isRequired || isList(value) ? ANSWER : NOTHING;
  const answer = json[promised.answer];
  const isAnswered = hasSubstance(answer);
  const error = errorOf(json) ?? softErrorOf(json) ?? (isAnswered ? null : loneMessageOf(json));
  if (error !== null) return { type: "error", error };
  if (!promised.isRequired || isAnswered || isAccepted(json)) return ANSWER;
  const isKnownShape = Array.isArray(answer) || (promised.echo !== null && json.object === promised.echo);
  return !isKnownShape && hasSubstance(json) ? ANSWER : NOTHING;
}

/** The error that an event states, whether or not it says something too; null when none. */
export function judgeEvent(
  json: JsonObject,
  { kind, name }: { readonly kind: EndpointKind; readonly name: string },
): ReportedError | null {
  if (name === "error") return errorOf(json) ?? softErrorOf(json) ?? readError(json);
  if (isOpaque(kind) && name.endsWith(".failed")) return readError(json.last_error ?? json.error ?? json);
  if (PROMISED[kind] === undefined && (isNamed(json) || json.jsonrpc !== undefined)) return null;
  const error = errorOf(json);
  if (error !== null) return error;
  if (PROMISED[kind] === undefined) return null;
  // Envelopes have neither; nearly all events have one of them.
  const isEnvelope = json.type === undefined && !(Array.isArray(json.choices) && json.choices.length > 0);
  return isEnvelope ? softErrorOf(json) : null;
}

/** The error that the body of an error reply states, in any shape; null when it has none that is known. */
export function errorOfBody(text: string): ReportedError | null {
  const value = parseJson(text);
  const json = asObject(value) ?? onlyErrorIn(value);
  return json === null ? null : errorOf(json) ?? softErrorOf(json) ?? loneMessageOf(json);
}

/**
 * An error in the shapes that leave no doubt: `{"error":{"message"}}`, `{"error":"text"}`, `{"type":"error","message"}`,
 * `{"object":"error","message"}`. `"error":null` and its relatives are no error.
 */
export function errorOf(json: JsonObject): ReportedError | null {
  if (isRealError(json.error)) {
    const isFlag = json.error === true || typeof json.error === "number";
    return isFlag ? envelopeError(json) ?? readError(json.error) : readError(json.error);
  }
  if (json.type === "error" || json.object === "error") return readError(json);
  return null;
}

/** Not `null`, `false`, `""`, `{}`, `{"code":0,"message":""}`. */
function isRealError(error: unknown): boolean {
  if (typeof error !== "object" || error === null) return Boolean(error);
  if (Array.isArray(error)) return error.length > 0;
  const values = Object.entries(error);
  return values.some(([key, value]) =>
    key === "code" ? isFailingCode(value) : Boolean(value) && !isSuccessWord(value)
  );
}

/** Statuses of work that is not over. */
const BEGUN: ReadonlySet<string> = new Set([
  "accepted",
  "inprogress",
  "inqueue",
  "pending",
  "processing",
  "queued",
  "running",
  "starting",
  "submitted",
]);

/**
 * The work has begun, and its result is to be fetched: `{"id","status":"queued"}`, or no more than `{"request_id"}`.
 *
 * @see https://docs.x.ai/docs/guides/deferred-chat-completions
 */
function isAccepted(json: JsonObject): boolean {
  const status = asText(json.status);
  if (status !== null && BEGUN.has(plainKey(status))) return true;
  return asText(json.request_id) !== null && Object.keys(json).length === 1;
}

/** `[{"error":{…}}]`, as Google's servers write it. */
export function onlyErrorIn(value: unknown): JsonObject | null {
  const first = Array.isArray(value) && value.length === 1 ? asObject(value[0]) : null;
  return first !== null && errorOf(first) !== null ? first : null;
}

function isList(value: unknown): boolean {
  return Array.isArray(value) && hasSubstance(value);
}

/** A job, a batch, a run, a file: its `error` tells what became of it, not what became of the request. */
function describesObject(json: JsonObject): boolean {
  return isNamed(json) || (json.id !== undefined && json.type !== "error" && json.object !== "error");
}

/** It says of what kind it is. */
function isNamed(json: JsonObject): boolean {
  return json.object !== undefined && json.object !== "error" && json.type !== "error";
}

/** What an envelope says of itself. Names are compared without case and `_`. */
interface Envelope {
  code: string | number | null;
  message: string | null;
  /** It says outright that the request failed. */
  hasFailed: boolean;
  /** A code of failure that is meant by nobody else. */
  hasErrorCode: boolean;
}

/** An envelope has few members. */
const MAX_ENVELOPE_KEYS = 32;

const MESSAGE_KEYS: ReadonlySet<string> = new Set([
  "message",
  "msg",
  "errmsg",
  "errormsg",
  "errormessage",
  "errordescription",
  "statusmsg",
  "detail",
  "details",
  "title",
]);
const CODE_KEYS: ReadonlySet<string> = new Set(["code", "statuscode", "ret", "retcode"]);
const ERROR_CODE_KEYS: ReadonlySet<string> = new Set(["errcode", "errorcode", "errno"]);
const FAILED_WORDS: ReadonlySet<string> = new Set(["error", "fail", "failed", "failure"]);
const SUCCESS_CODES: ReadonlySet<string> = new Set([
  "",
  "0",
  "0000",
  "00000",
  "200",
  "20000",
  "none",
  "null",
  "ok",
  "success",
]);

/**
 * An error in the envelopes that some providers send in place of an answer: `{"base_resp":{"status_code","status_msg"}}`,
 * `{"code","message"}`, `{"success":false}`, `{"errcode","errmsg"}`, `{"detail"}`, `{"errors":[…]}`, `{"status":"error"}`.
 */
function softErrorOf(json: JsonObject): ReportedError | null {
  const baseError = baseErrorOf(json);
  if (baseError !== null) return baseError;
  const envelope = readEnvelope(json);
  if (envelope === null) return null;
  if (Array.isArray(json.errors) && json.errors.length > 0) return readError(json.errors[0]);
  const isCoded = isFailingCode(envelope.code) && envelope.message !== null;
  const isCertain = envelope.hasFailed || envelope.hasErrorCode || (isCoded && isHttpError(envelope.code));
  const isDetail = json.detail !== undefined && json.detail !== null && envelope.message !== null;
  if (!isCertain && !((isCoded || isDetail) && !hasSubstance(json))) return null;
  return reported(envelope, json);
}

function baseErrorOf({ base_resp }: JsonObject): ReportedError | null {
  const base = asObject(base_resp);
  return base !== null && isFailingCode(base.status_code) ? envelopeError(base) : null;
}

/** A document with a message and nothing else: `{"message":"Forbidden"}`. */
function loneMessageOf(json: JsonObject): ReportedError | null {
  const envelope = readEnvelope(json);
  const isSuccess = envelope?.code !== null && !isFailingCode(envelope?.code);
  if (envelope === null || envelope.message === null || isSuccess || hasSubstance(json)) return null;
  return reported(envelope, json);
}

function envelopeError(json: JsonObject): ReportedError | null {
  const envelope = readEnvelope(json);
  return envelope === null || envelope.message === null ? null : reported(envelope, json);
}

function reported({ code, message }: Envelope, json: JsonObject): ReportedError {
  return readError({ code, type: asText(json.type), message: message ?? JSON.stringify(json).slice(0, 500) });
}

/** Null when an object has too many members for an envelope. */
function readEnvelope(json: JsonObject): Envelope | null {
  const keys = Object.keys(json);
  if (keys.length > MAX_ENVELOPE_KEYS) return null;
  const envelope: Envelope = { code: null, message: null, hasFailed: false, hasErrorCode: false };
  for (const key of keys) readMember(envelope, plainKey(key), json[key]);
  return envelope;
}

function readMember(envelope: Envelope, name: string, value: unknown): void {
  const isLabel = typeof value === "number" || typeof value === "string";
  if (MESSAGE_KEYS.has(name)) {
    envelope.message ??= asText(value) ?? messageIn(value);
  } else if (ERROR_CODE_KEYS.has(name) && isLabel && isFailingCode(value)) {
    envelope.code = value;
    envelope.hasErrorCode = true;
  } else if (CODE_KEYS.has(name) && isLabel) {
    envelope.code ??= value;
  } else if (name === "success" || name === "ok") {
    envelope.hasFailed ||= value === false;
  } else if (name === "status" && isLabel) {
    if (typeof value === "string") envelope.hasFailed ||= FAILED_WORDS.has(value.toLowerCase());
    if (isHttpError(value)) envelope.code ??= value;
  }
}

/** FastAPI's `detail` is a list of what is wrong. */
function messageIn(value: unknown): string | null {
  const first = asObject(Array.isArray(value) ? value[0] : value);
  return asText(first?.message) ?? asText(first?.msg);
}

function isFailingCode(code: unknown): boolean {
  if (typeof code === "number") return !(code === 0 || code === 20000 || (code >= 200 && code < 300));
  return typeof code === "string" && !isSuccessWord(code);
}

function isSuccessWord(value: unknown): boolean {
  return typeof value === "string" && SUCCESS_CODES.has(value.trim().toLowerCase());
}

function isHttpError(code: unknown): boolean {
  const status = typeof code === "string" && /^[0-9]{3}$/.test(code) ? Number(code) : code;
  return typeof status === "number" && status >= 400 && status < 600;
}
