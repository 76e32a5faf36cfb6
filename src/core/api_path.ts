/**
 * Which API call a path names: its kind, whether it must name a model, and the model that the path itself names.
 *
 * Owns the list of API paths, which are compared as a whole: `/threads/ID/messages` is not Anthropic's `/messages`. Pure,
 * and linear in the path's length.
 *
 * @see https://platform.openai.com/docs/api-reference , https://docs.anthropic.com/en/api
 */
import { percentDecoded } from "./percent_text.ts";
import type { Span } from "./json_members.ts";
import type { PathModel } from "./model_alias.ts";
import type { EndpointKind } from "./types.ts";

/** The calls that have a model answer; each must name it. */
const MODEL_CALLS: Readonly<Record<string, EndpointKind>> = {
  "chat/completions": "chat",
  "completions": "completions",
  "complete": "other",
  "edits": "other",
  "responses": "responses",
  "responses/compact": "responses",
  "responses/input_tokens": "other",
  "messages": "messages",
  "messages/count_tokens": "other",
  "embeddings": "embeddings",
  "images/generations": "images",
  "images/edits": "images",
  "images/variations": "images",
  "audio/speech": "audio",
  "audio/transcriptions": "audio",
  "audio/translations": "audio",
  "moderations": "moderations",
  "rerank": "other",
  "videos": "other",
};

/** Calls without a model, or with one that is not at the top of their body. */
const OTHER_ROOTS = [
  "assistants",
  "batches",
  "chatkit",
  "containers",
  "conversations",
  "evals",
  "files",
  "fine_tuning",
  "models",
  "organization",
  "realtime",
  "skills",
  "threads",
  "uploads",
  "vector_stores",
];

/** Whether a glob may match the path of a known call, or one below it. */
export function isKnownPathGlob(glob: string): boolean {
  const wildcard = glob.search(/[*?]/);
  const literal = wildcard < 0 ? glob : glob.slice(0, wildcard);
  return [...Object.keys(MODEL_CALLS), ...OTHER_ROOTS].some((call) => {
    const path = `/v1/${call}`;
    return literal === path || literal.startsWith(`${path}/`) || (wildcard >= 0 && path.startsWith(literal));
  });
}

/** Work that goes on after the reply, or without the router, so that no reply says what it costs. */
const CHARGED_ELSEWHERE: ReadonlySet<string> = new Set(["batches", "evals", "fine_tuning", "realtime"]);

/** First segments of API paths. Whatever is before them is a prefix of the provider. */
const ROOTS: ReadonlySet<string> = new Set([
  ...Object.keys(MODEL_CALLS).map((call) => call.replace(/\/.*/, "")),
  ...OTHER_ROOTS,
]);
/** The segment after these is a model's name, as in Azure's paths. */
const BEFORE_MODEL: ReadonlySet<string> = new Set(["deployments", "engines"]);

/** For the paths of nearly all requests. */
const COMMON = new Map<string, EndpointKind>(
  Object.entries(MODEL_CALLS).map(([call, kind]) => [`/v1/${call}`, kind]),
);

/** The kind of API call that a path names, `other` when unknown. */
export function endpointKind(path: string): EndpointKind {
  const common = COMMON.get(path);
  if (common !== undefined) return common;
  const segments = apiSegments(path);
  const [root = "", second = ""] = segments;
  const kind = COMMON.get(`/v1/${segments.join("/")}`);
  if (kind !== undefined) return kind;
  switch (root) {
    case "responses":
      return segments.length === 2 ? "responses" : "other";
    case "images":
      return segments.length === 2 ? "images" : "other";
    case "audio":
      return segments.length === 2 && !second.startsWith("voice") ? "audio" : "other";
    case "models":
      return "models";
    case "files":
    case "uploads":
      return "files";
    case "containers":
    case "vector_stores":
      return segments[2] === "files" ? "files" : "other";
    default:
      return "other";
  }
}

/** Whether a path belongs to Anthropic's Messages API: `/v1/messages` and what is below it. */
export function isMessagesPath(path: string): boolean {
  return path.startsWith("/v1/") && apiSegments(path)[0] === "messages";
}

/** Whether what a call begins is charged where nobody sees it: batches, fine-tuning, keys for realtime sessions. */
export function isChargedElsewhere(path: string): boolean {
  if (COMMON.has(path)) return false;
  return looseSegments(path).some((segment) => CHARGED_ELSEWHERE.has(segment));
}

/** The segments of an API path without the provider's prefix; empty when there is no API path. */
function apiSegments(path: string): string[] {
  const segments = comparablePath(path).slice(1).split("/");
  if (segments.at(-1) === "") segments.pop();
  const root = segments.findIndex((segment, at) =>
    ROOTS.has(segment) && !BEFORE_MODEL.has(segments[at - 1] ?? "")
  );
  return root < 0 ? [] : segments.slice(root);
}

/** Unreserved characters mean the same encoded or not (RFC 3986 section 6.2.2.2). */
export function comparablePath(path: string): string {
  if (!path.includes("%")) return path;
  return path.replace(/%[0-9a-f]{2}/gi, (encoded) => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : encoded;
  });
}

/** Calls that no base URL ends in; people copy one along with it from an example. */
const COPIED_CALLS: ReadonlySet<string> = new Set([
  ...Object.keys(MODEL_CALLS),
  ...["models", "realtime", "files", "batches"],
]);

/** The path of a base URL without the API call at its end, and without slashes there: `/v1/chat/completions` is `/v1`. */
export function withoutApiCall(path: string): string {
  const segments = path.split("/");
  for (;;) {
    while (segments.at(-1) === "") segments.pop();
    const last = (segments.at(-1) ?? "").toLowerCase();
    const beforeLast = (segments.at(-2) ?? "").toLowerCase();
    if (COPIED_CALLS.has(`${beforeLast}/${last}`)) segments.splice(-2);
    else if (COPIED_CALLS.has(last) && !BEFORE_MODEL.has(beforeLast)) segments.pop();
    else return segments.join("/");
  }
}

/** `/v1/v1/messages` means `/v1/messages`: Anthropic's clients append `/v1` to a base URL that has it already. */
export function withoutRepeatedVersion(path: string): string {
  let start = 0;
  while (path.startsWith("/v1/v1/", start) || path.slice(start) === "/v1/v1") start += 3;
  return start === 0 ? path : path.slice(start);
}

/**
 * Whether a request must name a model, so that rules about models hold: one that does not would get the upstream's
 * default. Counts every path that any server could read as such a call.
 */
export function mustNameModel(method: string, path: string): boolean {
  if (method === "GET" || method === "HEAD") return false;
  if (COMMON.has(path)) return true;
  const segments = looseSegments(path);
  const last = segments.at(-1) ?? "";
  // A message of a thread (Assistants), which has no model.
  if (last === "messages" && segments.at(-3) === "threads") return false;
  return isModelCall(last) || isModelCall(`${segments.at(-2)}/${last}`) || segments.some(isOfModel);
}

function isModelCall(call: string): boolean {
  return Object.hasOwn(MODEL_CALLS, call);
}

/** Below these everything is about a model. */
function isOfModel(segment: string): boolean {
  return segment === "models" || segment === "realtime" || BEFORE_MODEL.has(segment);
}

/** As the laxest server reads them: decoded, in any case, without parameters, blanks and empty segments. */
function looseSegments(path: string): string[] {
  let text = path;
  // request_path.ts refuses paths that are encoded more often.
  for (let times = 0; times < 3 && text.includes("%"); times++) {
    text = text.replace(
      /%([0-9a-f]{2})/gi,
      (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)),
    );
  }
  return text.toLowerCase().split(/[/\\]/)
    .map((segment) => segment.replace(/[;?#].*/s, "").trim())
    .filter((segment) => segment !== "");
}

/** `/v1/models/gpt-4o` is about `gpt-4o`, and `/v1/openai/deployments/gpt-4o/embeddings` too. */
export function modelInPath(path: string): PathModel | null {
  if (COMMON.has(path)) return null;
  let start = 4;
  for (const raw of path.slice(start).split("/")) {
    // Azure reads its paths in any case.
    const segment = comparablePath(raw).toLowerCase();
    start += raw.length + 1;
    if (segment === "models") {
      return pathModel(path, { start, end: path.length - (path.endsWith("/") ? 1 : 0) });
    }
    if (BEFORE_MODEL.has(segment)) {
      const end = path.indexOf("/", start);
      return pathModel(path, { start, end: end < 0 ? path.length : end });
    }
    if (ROOTS.has(segment)) return null;
  }
  return null;
}

function pathModel(path: string, { start, end }: Span): PathModel | null {
  if (end <= start) return null;
  const text = path.slice(start, end);
  return { name: percentDecoded(text), start, end, hasSlashes: text.includes("/") };
}
