/**
 * Which requests may be sent to a second upstream while the first is silent, and after how long. Pure.
 *
 * @see https://research.google/pubs/the-tail-at-scale/
 */
import { Buffer } from "node:buffer";
import { mediaTypeOf } from "./body_form.ts";
import { RouterError } from "./errors.ts";
import type { HeaderView } from "./header_fields.ts";
import { JsonMemberScanner } from "./json_members.ts";
import type { EndpointKind, Inbound } from "./types.ts";

/** Milliseconds; `auto`: as long as first tokens of this upstream and model usually take; null: never. */
export type HedgeDelay = number | "auto" | null;

/** The request header that overrides `--hedge-ms`; it is not sent on. */
export const HEDGE_HEADER = "x-oar-hedge";
export const HEDGE_DELAY_FORM = "off, auto, or a whole number of milliseconds from 1 to 600000";
const MAX_DELAY_MS = 600_000;

/** undefined: the text is none of {@link HEDGE_DELAY_FORM}. */
export function parseHedgeDelay(text: string): HedgeDelay | undefined {
  const word = text.trim().toLowerCase();
  if (word === "off") return null;
  if (word === "auto") return "auto";
  const ms = /^\d{1,6}$/.test(word) ? Number(word) : 0;
  return ms >= 1 && ms <= MAX_DELAY_MS ? ms : undefined;
}

/** The delay that a request asks for; undefined when it asks for none. */
export function askedHedge(headers: HeaderView): HedgeDelay | RouterError | undefined {
  const asked = headers.get(HEDGE_HEADER);
  if (asked === null) return undefined;
  const delay = parseHedgeDelay(asked);
  if (delay !== undefined) return delay;
  return new RouterError(400, "invalid_request", `The header ${HEDGE_HEADER} must be ${HEDGE_DELAY_FORM}`);
}

/** Kinds whose requests leave nothing behind at an upstream, and cost little more than their answer. */
const KINDS: ReadonlySet<EndpointKind> = new Set([
  "chat",
  "completions",
  "responses",
  "messages",
  "embeddings",
  "moderations",
]);

export function isHedgedKind({ kind, method }: Pick<Inbound, "kind" | "method">): boolean {
  return method === "POST" && KINDS.has(kind);
}

/** Larger requests are not sent twice. */
const MAX_HEDGED_BYTES = 1024 * 1024;
/** Members that make an upstream keep something, or need what one of them has kept. */
const KEEPING = ["background", "store", "previous_response_id", "conversation"];

/** Whether nothing in the body forbids to send the request twice at once. Takes time linear in its length. */
export function mayBeSentTwice({ headers, body }: Pick<Inbound, "headers" | "body">): boolean {
  if (body === null || body.length > MAX_HEDGED_BYTES) return false;
  const encoding = headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  const mediaType = mediaTypeOf(headers.get("content-type"));
  if ((encoding !== "" && encoding !== "identity") || mediaType.startsWith("multipart/")) return false;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1");
  const scanner = new JsonMemberScanner(KEEPING, { isStrict: false });
  scanner.push(text);
  const { problem, ambiguous, spans } = scanner.end();
  if (problem !== null || ambiguous.size > 0) return false;
  return KEEPING.every((name) => {
    const span = spans.get(name);
    const value = span === undefined ? "null" : text.slice(span.start, span.end);
    return value === "null" || value === "false";
  });
}

const MIN_AUTO_MS = 1_000;
/** A trial of an upstream that was failing. */
const TRIAL_MS = 2_000;
const MAX_TRIAL_MS = 10_000;

/**
 * Milliseconds without content after which a second upstream is asked; null: none is.
 * @param usualMs how long first tokens usually take; null: unknown
 */
export function hedgeDelayMs(
  delay: HedgeDelay,
  { usualMs, isTrial }: { readonly usualMs: number | null; readonly isTrial: boolean },
): number | null {
  const asked = delay !== "auto" ? delay : usualMs === null ? null : Math.max(MIN_AUTO_MS, usualMs);
  if (!isTrial) return asked;
  // A slow model needs its time to show that it is well again.
  const trial = Math.max(TRIAL_MS, Math.min(usualMs ?? 0, MAX_TRIAL_MS));
  return asked === null ? trial : Math.min(asked, trial);
}
