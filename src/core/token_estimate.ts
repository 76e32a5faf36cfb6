/**
 * How many tokens a request may use, before anybody has counted them. Pure; takes time linear in the body's length.
 */
import { Buffer } from "node:buffer";
import { mediaTypeOf } from "./body_form.ts";
import type { HeaderView } from "./header_fields.ts";
import type { JsonBody } from "./json_body.ts";
import { JsonMemberScanner } from "./json_members.ts";

/** Of English text; https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them */
const BYTES_A_TOKEN = 4;
/** Limits of larger requests are not looked for. */
const MAX_SCANNED_BYTES = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values
/** More than any model writes. */
const MAX_OUTPUT_TOKENS = 1_000_000;
const LIMITS = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
/** An upstream ignores the others, so they limit nothing. */
const LIMITS_OF: Readonly<Partial<Record<string, readonly string[]>>> = {
  chat: ["max_tokens", "max_completion_tokens"],
  completions: ["max_tokens"],
  responses: ["max_output_tokens"],
  messages: ["max_tokens"],
};
/** Replies that are made for one request: the largest of these counts. */
const CHOICES = ["n", "best_of"];
/** More than any provider makes. */
const MAX_CHOICES = 128;
/** No number is longer. */
const MAX_NUMBER_LENGTH = 32;

/** Members of a body that say something of a request's size. */
export const SIZE_MEMBERS: readonly string[] = [...LIMITS, ...CHOICES];

/** A request as its client sent it. */
export interface MeasuredRequest {
  readonly headers: HeaderView;
  readonly body: Uint8Array<ArrayBuffer> | null;
  /** Without its content codings. */
  readonly decodedBody?: Uint8Array<ArrayBuffer> | null;
}

/** What a request itself says of its size. */
export interface RequestSize {
  /** By its length. */
  readonly input: number;
  /** Limit that it sets on each reply; null: none. */
  readonly outputLimit: number | null;
  /** Replies that it asks for; at least 1. */
  readonly choices: number;
}

/** Of the request by its length, and of the reply by the limit that the request sets; none: 0. */
export function estimatedTokens(request: Pick<MeasuredRequest, "headers" | "body">): number {
  const { input, outputLimit } = requestSize(request);
  return input + (outputLimit ?? 0);
}

/** The same apart. @param request whose body may be what its coded one was decoded to @param kind whose limits count */
export function requestSize(
  { headers, body, decodedBody }: MeasuredRequest,
  kind = "other",
): RequestSize {
  const bytes = decodedBody ?? body;
  if (bytes === null) return { input: 0, outputLimit: null, choices: 1 };
  const unread = { input: Math.ceil(bytes.length / BYTES_A_TOKEN), outputLimit: null, choices: 1 };
  const isPlain = bytes === decodedBody ? !isMultipart(headers) : isPlainJson(headers);
  if (bytes.length > MAX_SCANNED_BYTES || !isPlain) return unread;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const scanner = new JsonMemberScanner(SIZE_MEMBERS, { isStrict: false });
  scanner.push(text);
  const { problem, spans } = scanner.end();
  if (problem !== null) return unread;
  return sizeOf(bytes.length, kind, (name) => {
    const span = spans.get(name);
    return span === undefined
      ? null
      : text.slice(span.start, Math.min(span.end, span.start + MAX_NUMBER_LENGTH));
  });
}

/** The same of a body in which {@link SIZE_MEMBERS} were looked for. */
export function jsonSize(json: Pick<JsonBody, "length" | "literal">, kind = "other"): RequestSize {
  return sizeOf(json.length, kind, (name) => json.literal(name, MAX_NUMBER_LENGTH));
}

function sizeOf(bytes: number, kind: string, literalOf: (name: string) => string | null): RequestSize {
  let outputLimit = 0;
  for (const name of LIMITS_OF[kind] ?? LIMITS) {
    const number = Number(literalOf(name) ?? 0);
    if (number > outputLimit) outputLimit = Math.min(Math.floor(number), MAX_OUTPUT_TOKENS);
  }
  let choices = 1;
  for (const name of CHOICES) {
    const number = Number(literalOf(name) ?? 0);
    if (number > choices) choices = Math.min(Math.floor(number), MAX_CHOICES);
  }
  const input = Math.ceil(bytes / BYTES_A_TOKEN);
  return { input, outputLimit: outputLimit > 0 ? outputLimit : null, choices };
}

function isPlainJson(headers: HeaderView): boolean {
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  return (encoding === "" || encoding === "identity") && !isMultipart(headers);
}

function isMultipart(headers: HeaderView): boolean {
  return mediaTypeOf(headers.get("content-type")).startsWith("multipart/");
}
