/**
 * Asks for the usage of a stream: where `stream_options.include_usage` is written into a body whose client did not ask.
 *
 * Pure. Only these few bytes change: parsing and printing the body again would change numbers, escapes and key order.
 * Whatever is not plainly understood is left alone.
 *
 * @see https://platform.openai.com/docs/api-reference/chat/create#chat-create-stream_options
 */
import { Buffer } from "node:buffer";
import type { JsonBody } from "./json_body.ts";
import { JsonMemberScanner, type Span } from "./json_members.ts";
import { DAY_MS } from "./units.ts";

/** Bytes of a body, and what takes their place. */
export interface Splice extends Span {
  readonly text: string;
}

/** Larger bodies are sent as they are: asking copies them. */
export const MAX_ASKED_BYTES = 16 * 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values
/** Nobody has longer options. */
const MAX_OPTIONS_LENGTH = 1024;
const MEMBER = '"stream_options":{"include_usage":true},';
const ASKED = '"include_usage":true';

/** Where the option goes; null: the client has asked, or the body is not to be touched. */
export function usageSplice(json: JsonBody): Splice | null {
  if (json.length > MAX_ASKED_BYTES) return null;
  const start = json.firstMember();
  if (start === null) return null;
  const place = json.place("stream_options");
  if (place === null) return { start, end: start, text: MEMBER };
  const literal = json.literal("stream_options", MAX_OPTIONS_LENGTH);
  if (literal === null || literal.length > MAX_OPTIONS_LENGTH) return null;
  if (literal === "null") return { ...place, text: `{${ASKED}}` };
  return literal.startsWith("{") ? spliceWithin(literal, place) : null;
}

function spliceWithin(literal: string, { start }: Span): Splice | null {
  const scanner = new JsonMemberScanner(["include_usage"], { isStrict: false });
  scanner.push(literal);
  const { problem, ambiguous, spans } = scanner.end();
  if (problem !== null || ambiguous.size > 0) return null;
  const value = spans.get("include_usage");
  if (value === undefined) {
    const isEmpty = literal.slice(1, -1).trim() === "";
    return { start: start + 1, end: start + 1, text: isEmpty ? ASKED : `${ASKED},` };
  }
  const written = literal.slice(value.start, value.end);
  if (written !== "false" && written !== "null") return null;
  const before = Buffer.byteLength(literal.slice(0, value.start));
  return { start: start + before, end: start + before + written.length, text: "true" };
}

/** The body with the splice made. */
export function spliced(
  body: Uint8Array<ArrayBuffer>,
  { start, end, text }: Splice,
): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(body.length - (end - start) + text.length);
  result.set(body.subarray(0, start));
  for (let at = 0; at < text.length; at++) result[start + at] = text.charCodeAt(at);
  result.set(body.subarray(end), start + text.length);
  return result;
}

/** Where bytes that were there before are after the splice. */
export function shifted<Place extends Span>(place: Place, { start, end, text }: Splice): Place {
  if (place.start < end || place.start < start) return place;
  const growth = text.length - (end - start);
  return { ...place, start: place.start + growth, end: place.end + growth };
}

/** How long an upstream that has refused to be asked is not asked again. */
const REFUSAL_MS = 7 * DAY_MS; // docs/tuning.md#budgets-and-remembered-values

/** That an upstream has refused to be asked. */
export interface UsageRefusal {
  readonly upstreamId: number;
  /** See upstream_target.ts. */
  readonly target: string;
  /** Wall clock. */
  readonly refusedAtMs: number;
}

/** Whether a refusal of then still holds; one from a clock that was wrong does not. */
export function isRefusalOf(refusedAtMs: number, nowMs: number): boolean {
  return Math.abs(nowMs - refusedAtMs) < REFUSAL_MS;
}

/** How servers say that they do not know a field of a request, also without its name; in lower case. */
const UNKNOWN_FIELD = [
  "extra inputs",
  "extra fields",
  "extra_forbidden",
  "additional propert",
  "additionalpropert",
  "unknown field",
  "unknown parameter",
  "unknown argument",
  "unrecognized field",
  "unrecognized parameter",
  "unrecognized request argument",
  "unexpected keyword",
  "unexpected field",
  "unsupported parameter",
] as const;

/** Whether the text of an error may mean what asking adds to a request: it names that, or a field that is not known. */
export function mayMeanUsageOption(text: string): boolean {
  if (text.includes("stream_options") || text.includes("include_usage")) return true;
  const lower = text.toLowerCase();
  return UNKNOWN_FIELD.some((words) => lower.includes(words));
}
