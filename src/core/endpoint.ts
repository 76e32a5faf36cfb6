/**
 * Classifies a request: path and body in; kind, model and stream flag out.
 *
 * Owns the kinds, and which raw paths are acceptable. Pure.
 */
import { MAX_MODEL_LENGTH, readFields, type RequestBodyView, type RequestFields } from "./request_fields.ts";
import type { EndpointKind } from "./types.ts";

/** What a request asks for. */
export interface Classification extends RequestFields {
  readonly kind: EndpointKind;
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

/** Reads what routing needs of a request: its path and its body. */
export function classify(path: string, body: RequestBodyView): Classification {
  const kind = endpointKind(path);
  const fields = readFields(body);
  if (fields.shownModel !== null) return { ...fields, kind };
  const model = modelInPath(kind, path);
  return { ...fields, kind, model, shownModel: model };
}

/** `GET /v1/models/gpt-4o` is about `gpt-4o`. */
function modelInPath(kind: EndpointKind, path: string): string | null {
  const name = kind === "models" ? /\/models\/([^]+)$/.exec(path)?.[1] : undefined;
  return name === undefined || name.length > MAX_MODEL_LENGTH ? null : decoded(name);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
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
