/**
 * Classifies a request: path and body in; kind, model and stream flag out.
 *
 * Owns the kinds. Pure.
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
