/**
 * What routing needs from a request's body: the model, whether a stream is requested, and whether every upstream
 * would read the same.
 *
 * Owns how bodies are distinguished (JSON, forms, others) and the bound on a model's name. Pure.
 */
import { mayBeJson, mediaTypeOf } from "./body_form.ts";
import { Buffer } from "node:buffer";
import { formProblem } from "./form_problem.ts";
import { inBytes, JsonBody } from "./json_body.ts";
import { type JsonMembers, JsonMemberScanner, type Span } from "./json_members.ts";
import { type FormPart, multipartBoundary, readFormParts } from "./multipart.ts";
import { ID_MEMBERS } from "./named_ids.ts";
import { SESSION_MEMBERS } from "./session_key.ts";
import { SIZE_MEMBERS } from "./token_estimate.ts";
import { type Splice, usageSplice } from "./usage_option.ts";

/** The fields that a body holds. */
export interface RequestFields {
  /** For routing: null when the body names none, or one longer than {@link MAX_MODEL_LENGTH}. */
  readonly model: string | null;
  /** For people: a longer one is cut, and ends in `…`. */
  readonly shownModel: string | null;
  readonly isStream: boolean;
  /** Where the model's name is; null when there is none that can be replaced. */
  readonly modelPlace: ModelPlace | null;
  /** Why an upstream may read another model than {@link model}; null when all read the same. */
  readonly problem: string | null;
  /** For what affinity and limits read of it; null: it is not JSON. */
  readonly json: JsonBody | null;
  /** How a stream is asked for its usage; null: the client has asked, or it is no stream, or not plainly readable. */
  readonly usageSplice: Splice | null;
}

/** Bytes of a body that name the model, in JSON with its quotes. */
export interface ModelPlace extends Span {
  readonly form: "json" | "multipart";
}

/** A body without content codings, and what is known about it. */
export interface RequestBodyView {
  readonly contentType: string | null;
  /** null: there is none. */
  readonly bytes: Uint8Array | null;
  /** The same as text, if it has been decoded already. */
  readonly text?: string | null;
  /** What {@link JsonPieces} found, if the body arrived in several pieces. */
  readonly members?: JsonMembers | null;
  /** Whether to look for every {@link RequestFields.problem}, which costs more. */
  readonly isStrict?: boolean;
}

/** No model has a longer name. */
export const MAX_MODEL_LENGTH = 256;
/** The longest way to write a name: a `\u` escape per character, and the quotes. */
const MAX_MODEL_LITERAL = MAX_MODEL_LENGTH * 6 + 2;
const MAX_STREAM_LITERAL = 8;

/** Models that are tried after the first one, by OpenRouter and by LiteLLM. */
const FURTHER_MODELS = ["models", "fallbacks"];
const WATCHED = [
  ...["model", "stream", "stream_options"],
  ...FURTHER_MODELS,
  ...SIZE_MEMBERS,
  ...ID_MEMBERS,
  ...SESSION_MEMBERS,
];

const NO_FIELDS: RequestFields = {
  model: null,
  shownModel: null,
  isStream: false,
  modelPlace: null,
  problem: null,
  json: null,
  usageSplice: null,
};

/** Scans a JSON body that arrives in several pieces, each on arrival, so that no work is left at the end. */
export class JsonPieces {
  readonly #scanner: JsonMemberScanner;

  constructor(options: { readonly isStrict: boolean }) {
    this.#scanner = new JsonMemberScanner(WATCHED, options);
  }

  push(bytes: Uint8Array): void {
    this.#scanner.push(oneCharacterAByte(bytes));
  }

  /** Spans are in bytes. */
  end(): JsonMembers {
    return this.#scanner.end();
  }
}

/** Never throws; a body that cannot be read has no fields. */
export function readFields(body: RequestBodyView): RequestFields {
  const { bytes, contentType } = body;
  if (bytes === null || bytes.length === 0) return NO_FIELDS;
  const boundary = multipartBoundary(contentType);
  if (boundary !== null) return formFields(bytes, boundary, body);
  switch (bodyForm(contentType)) {
    case "json":
      return jsonFields(bytes, body);
    case "form":
      return { ...jsonFields(bytes, body), problem: "it is labelled as a form that is not read here" };
    case "other":
      return mayBeJson(bytes) ? jsonFields(bytes, body) : NO_FIELDS;
  }
}

function unreadable(problem: string): RequestFields {
  return { ...NO_FIELDS, problem };
}

/** How upstreams read a body that is not a readable form; without a label, they all read it as JSON. */
function bodyForm(contentType: string | null): "json" | "form" | "other" {
  const media = mediaTypeOf(contentType?.slice(0, MAX_LABEL_LENGTH) ?? null);
  if (media === "application/x-www-form-urlencoded" || media.startsWith("multipart/")) return "form";
  return media === "" || media.startsWith("text/") || media.endsWith("json") ? "json" : "other";
}

const MAX_LABEL_LENGTH = 256;
const CHARSET = /;[ \t]*charset[ \t]*=[ \t]*"?([^";]*)/i;

function jsonFields(bytes: Uint8Array, body: RequestBodyView): RequestFields {
  const { isStrict = false } = body;
  const members = body.members ?? scan(body.text ?? oneCharacterAByte(bytes), { isStrict });
  if (members.problem !== null) return unreadable(`it is not JSON: ${members.problem}`);
  // Spans of pieces are in bytes already, and so are those of an ASCII text.
  const text = body.members || body.text?.length === bytes.length ? null : body.text ?? null;
  const json = new JsonBody({ bytes, text: body.text ?? null, isInBytes: text === null }, members.spans);
  const isStream = json.literal("stream", MAX_STREAM_LITERAL) === "true";
  const usage = isStream && isPlain(members, body) ? usageSplice(json) : null;
  const span = members.spans.get("model");
  if (span === undefined) {
    const problem = isStrict ? ambiguity(members) ?? charsetProblem(body) : null;
    return { ...NO_FIELDS, isStream, problem, json, usageSplice: usage };
  }
  const name = modelName(json.literal("model", MAX_MODEL_LITERAL) ?? "", span.end - span.start);
  const isReplaceable = name.model !== null;
  return {
    ...name,
    isStream,
    modelPlace: isReplaceable ? { ...(text === null ? span : inBytes(span, text)), form: "json" } : null,
    problem: isStrict ? ambiguity(members) ?? name.problem ?? charsetProblem(body) : null,
    json,
    usageSplice: usage,
  };
}

/** Why more models may answer than the one that is named; null: none. */
export function furtherModels(json: JsonBody | null): string | null {
  const name = FURTHER_MODELS.find((each) => {
    const value = json?.literal(each, MAX_STREAM_LITERAL) ?? "null";
    return value !== "null" && value !== "[]";
  });
  return name === undefined ? null : `its \`${name}\` names further ones`;
}

/** Whether all parsers find the same options for streams. */
function isPlain({ ambiguous }: JsonMembers, body: RequestBodyView): boolean {
  return !ambiguous.has("stream") && !ambiguous.has("stream_options") && charsetProblem(body) === null;
}

function scan(text: string, options: { readonly isStrict: boolean }): JsonMembers {
  const scanner = new JsonMemberScanner(WATCHED, options);
  scanner.push(text);
  return scanner.end();
}

function ambiguity({ ambiguous }: JsonMembers): string | null {
  return ambiguous.has("model") ? "its `model` comes twice, or in other letters" : null;
}

/** Some upstreams decode as the label says; all others assume UTF-8. */
function charsetProblem({ contentType }: RequestBodyView): string | null {
  const charset = CHARSET.exec(contentType?.slice(0, MAX_LABEL_LENGTH) ?? "")?.[1]?.trim() ?? "";
  return charset === "" || /^(?:utf-?8|us-ascii)$/i.test(charset) ? null : "its charset is not UTF-8";
}

type ModelName = Pick<RequestFields, "model" | "shownModel" | "problem">;

/** @param literal a JSON value, cut after {@link MAX_MODEL_LITERAL}; @param length that of the whole value */
function modelName(literal: string, length: number): ModelName {
  if (length > MAX_MODEL_LITERAL && literal.startsWith('"')) return tooLong(beginningOf(literal));
  const value = parsed(literal);
  if (value === null) return { model: null, shownModel: null, problem: null };
  if (typeof value !== "string") {
    return { model: null, shownModel: null, problem: "its `model` is not a string" };
  }
  return namedModel(value);
}

/** A name for routing, and as it is shown. */
function namedModel(name: string): ModelName {
  if (name === "") return { model: null, shownModel: null, problem: null };
  if (name.length > MAX_MODEL_LENGTH) {
    const shownModel = `${name.slice(0, MAX_MODEL_LENGTH).toWellFormed()}…`;
    return {
      model: null,
      shownModel,
      problem: `its \`model\` is longer than ${MAX_MODEL_LENGTH} characters`,
    };
  }
  const isPlain = name.trim() === name && name.isWellFormed() && !/\p{Cc}/u.test(name);
  const problem = isPlain ? null : "its `model` begins or ends with a blank, or holds a control character";
  return { model: name, shownModel: name, problem };
}

/** @param beginning of the name; at least the part that is shown */
function tooLong(beginning: string): ModelName {
  const shownModel = `${beginning.slice(0, MAX_MODEL_LENGTH).toWellFormed()}…`;
  return { model: null, shownModel, problem: `its \`model\` is longer than ${MAX_MODEL_LENGTH} characters` };
}

/** The text of a JSON string from its beginning, which is longer than any name may be. */
function beginningOf(literal: string): string {
  // The cut may be within an escape: at most 12 characters, those of a surrogate pair.
  for (let cut = 0; cut < 12; cut++) {
    const value = parsed(`${literal.slice(0, literal.length - cut)}"`);
    if (typeof value === "string") return value;
  }
  return "";
}

function parsed(literal: string): unknown {
  try {
    return JSON.parse(literal);
  } catch {
    return null;
  }
}

function formFields(bytes: Uint8Array, boundary: string, body: RequestBodyView): RequestFields {
  const parts = readFormParts(bytes, boundary);
  const field = (name: string) => parts.find((part) => part.name === name) ?? null;
  const model = field("model");
  const name = model === null ? namedModel("") : formModel(model, bytes);
  const isReplaceable = name.model !== null && model !== null;
  return {
    ...name,
    problem: body.isStrict ? formProblem(bytes, body.contentType, boundary) ?? name.problem : null,
    isStream: field("stream")?.text?.toLowerCase() === "true",
    modelPlace: isReplaceable
      ? { start: model.startByte, end: model.startByte + model.sizeBytes, form: "multipart" }
      : null,
    json: null,
    usageSplice: null,
  };
}

/** A file is not a model's name. */
function formModel({ text, fileName, startByte, sizeBytes }: FormPart, bytes: Uint8Array): ModelName {
  if (text !== null || fileName !== null) return namedModel(text ?? "");
  const shownBytes = Math.min(sizeBytes, MAX_MODEL_LITERAL);
  return tooLong(fromUtf8(bytes.subarray(startByte, startByte + shownBytes)));
}

const decoder = new TextDecoder();

function fromUtf8(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

function oneCharacterAByte(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
