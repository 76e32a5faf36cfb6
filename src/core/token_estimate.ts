/**
 * How many tokens a request may use, before anybody has counted them. Pure; takes time linear in the body's length.
 */
import { Buffer } from "node:buffer";
import { mediaTypeOf } from "./body_form.ts";
import { JsonMemberScanner } from "./json_members.ts";
import type { Inbound } from "./types.ts";

/** Of English text; https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them */
const BYTES_A_TOKEN = 4;
/** Limits of larger requests are not looked for. */
const MAX_SCANNED_BYTES = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values
/** More than any model writes. */
const MAX_OUTPUT_TOKENS = 1_000_000;
const LIMITS = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/** Of the request by its length, and of the reply by the limit that the request sets; none: 0. */
export function estimatedTokens({ headers, body }: Pick<Inbound, "headers" | "body">): number {
  if (body === null) return 0;
  const input = Math.ceil(body.length / BYTES_A_TOKEN);
  if (body.length > MAX_SCANNED_BYTES || !isPlainJson(headers)) return input;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
  const scanner = new JsonMemberScanner(LIMITS, { isStrict: false });
  scanner.push(text);
  const { problem, spans } = scanner.end();
  if (problem !== null) return input;
  let output = 0;
  for (const { start, end } of spans.values()) {
    const limit = Number(text.slice(start, Math.min(end, start + 32)));
    if (limit > output) output = Math.min(Math.floor(limit), MAX_OUTPUT_TOKENS);
  }
  return input + output;
}

function isPlainJson(headers: Inbound["headers"]): boolean {
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  return (encoding === "" || encoding === "identity") &&
    !mediaTypeOf(headers.get("content-type")).startsWith("multipart/");
}
