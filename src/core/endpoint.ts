/**
 * Classifies a request: method, path and body in; kind, model and stream flag out.
 *
 * Also owns which raw paths are acceptable. Pure.
 */
import { multipartBoundary, readFormParts } from "./multipart.ts";
import type { EndpointKind } from "./types.ts";

/** What a request asks for. */
export interface Classification {
  readonly kind: EndpointKind;
  readonly model: string | null;
  readonly isStream: boolean;
}

const KINDS: readonly (readonly [RegExp, EndpointKind])[] = [
  [/\/chat\/completions$/, "chat"],
  [/\/completions$/, "completions"],
  [/\/responses(\/[^/]+)?$/, "responses"],
  [/\/messages$/, "messages"],
  [/\/embeddings$/, "embeddings"],
  [/\/images\/[a-z]+$/, "images"],
  [/\/audio\/[a-z]+$/, "audio"],
  [/\/moderations$/, "moderations"],
  [/\/models(\/[^]+)?$/, "models"],
  [/\/(files|uploads)(\/[^]*)?$/, "files"],
];

/** The kind of API call that a path names, `other` when unknown. */
export function endpointKind(path: string): EndpointKind {
  const trimmed = path.endsWith("/") ? path.slice(0, -1) : path;
  for (const [pattern, kind] of KINDS) if (pattern.test(trimmed)) return kind;
  return "other";
}

/**
 * Reads `model` and `stream` from a JSON or multipart body; a body of another form has neither.
 * @param text the body's, where somebody has decoded it already
 */
export function classify(
  path: string,
  contentType: string | null,
  body: Uint8Array | null,
  text: string | null = null,
): Classification {
  const kind = endpointKind(path);
  if (body === null || body.length === 0) return { kind, model: modelInPath(kind, path), isStream: false };
  const boundary = multipartBoundary(contentType);
  const fields = boundary === null ? jsonFields(body, text) : formFields(body, boundary);
  return { kind, model: fields.model ?? modelInPath(kind, path), isStream: fields.isStream };
}

interface RequestFields {
  readonly model: string | null;
  readonly isStream: boolean;
}

const decoder = new TextDecoder();
const NO_FIELDS: RequestFields = { model: null, isStream: false };
const OPENING_BRACE = 0x7b;

function jsonFields(body: Uint8Array, text: string | null): RequestFields {
  if (!startsLikeObject(body)) return NO_FIELDS;
  try {
    const parsed: unknown = JSON.parse(withoutBom(text) ?? decoder.decode(body));
    if (typeof parsed !== "object" || parsed === null) return NO_FIELDS;
    const { model, stream } = parsed as { model?: unknown; stream?: unknown };
    return { model: typeof model === "string" && model !== "" ? model : null, isStream: stream === true };
  } catch {
    return NO_FIELDS;
  }
}

/** Null for a text that begins with a byte order mark, which JSON does not allow. */
function withoutBom(text: string | null): string | null {
  return text?.startsWith("\ufeff") ? null : text;
}

function startsLikeObject(body: Uint8Array): boolean {
  for (const byte of body) {
    if (byte === OPENING_BRACE) return true;
    const isBlankOrBom = byte <= 0x20 || byte === 0xef || byte === 0xbb || byte === 0xbf;
    if (!isBlankOrBom) return false;
  }
  return false;
}

function formFields(body: Uint8Array, boundary: string): RequestFields {
  const parts = readFormParts(body, boundary);
  const text = (name: string) => parts.find((part) => part.name === name)?.text ?? null;
  return { model: text("model") || null, isStream: text("stream")?.toLowerCase() === "true" };
}

/** `GET /v1/models/gpt-4o` is about `gpt-4o`. */
function modelInPath(kind: EndpointKind, path: string): string | null {
  return kind === "models" ? /\/models\/([^]+)$/.exec(path)?.[1] ?? null : null;
}

/**
 * Why a raw request path must be refused, or null when it may be relayed. What URL parsers normalise
 * differently (dot segments, backslashes, empty segments) could reach another path upstream than the one
 * that was checked here (RFC 3986 section 5.2.4; WHATWG URL "path state").
 */
export function pathProblem(path: string): string | null {
  if (path.includes("\\")) return "the path must not contain a backslash";
  if (path.includes("//")) return "the path must not contain an empty segment";
  if (/\/(\.|%2e){1,2}(\/|$)/i.test(path)) return "the path must not contain '.' or '..' segments";
  if (!/^[\x21\x22\x24-\x7e\x80-\uffff]*$/.test(path) || path.includes("%00")) {
    return "the path must not contain control characters, blanks or '#'";
  }
  return null;
}
