/**
 * Classifies a request: path and body in; kind, model and stream flag out.
 *
 * Pure. The kinds of paths: api_path.ts.
 */
import { endpointKind, modelInPath } from "./api_path.ts";
import type { PathModel } from "./model_alias.ts";
import { MAX_MODEL_LENGTH, readFields, type RequestBodyView, type RequestFields } from "./request_fields.ts";
import type { EndpointKind } from "./types.ts";

/** What a request asks for. */
export interface Classification extends RequestFields {
  readonly kind: EndpointKind;
  /** Where the path names the model; null when it does not. */
  readonly modelInPath: PathModel | null;
}

/** Reads what routing needs of a request: its path and its body. */
export function classify(path: string, body: RequestBodyView): Classification {
  const kind = endpointKind(path);
  const fields = readFields(body);
  const inPath = modelInPath(path);
  if (inPath === null || inPath.name.length > MAX_MODEL_LENGTH) return { ...fields, kind, modelInPath: null };
  if (fields.shownModel === null) {
    return { ...fields, kind, model: inPath.name, shownModel: inPath.name, modelInPath: inPath };
  }
  if (fields.model === inPath.name) return { ...fields, kind, modelInPath: inPath };
  const problem = body.isStrict ? fields.problem ?? "its `model` is not the one that the path names" : null;
  return { ...fields, problem, kind, modelInPath: null };
}

/** Kinds of requests whose streams end without their usage unless they are asked for it. */
export function hasUsageOption(kind: EndpointKind): boolean {
  return kind === "chat" || kind === "completions";
}
