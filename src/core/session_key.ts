/**
 * What tells the requests of one conversation from others, so that they can go to the upstream that has their beginning
 * in its cache.
 *
 * Pure and bounded; costs nothing unless it is asked for.
 */
import { createHash } from "node:crypto";
import type { HeaderView } from "./header_fields.ts";
import type { JsonBody } from "./json_body.ts";

/** Members at the top of a body that a session's key is made of. */
export const SESSION_MEMBERS = [
  "prompt_cache_key",
  "metadata",
  "safety_identifier",
  "user",
  "store",
  "system",
  "instructions",
  "tools",
  "messages",
  "input",
] as const;

/** `session_id` is Codex's. */
const HEADERS = ["x-session-id", "session_id", "conversation_id", "session-id", "x-oar-session"] as const;
/** Longer keys are none. */
const MAX_KEY_LITERAL = 1024;
/** OpenAI allows sixteen values of 512 characters. */
const MAX_METADATA_LITERAL = 16 * 1024;
/** A shorter beginning is not worth it: providers cache from 1,024 tokens on. */
export const MIN_PREFIX_BYTES = 4 * 1024;
/** More of each part tells no more. */
const MAX_PART_BYTES = 64 * 1024; // docs/tuning.md#affinity

/** Which session a request belongs to. */
export interface SessionKey {
  readonly type: "session" | "prefix";
  /** 32 bits, equal on all replicas. */
  readonly hash: number;
  /** Of what the prompts of other sessions begin with as well: system prompt and tools; null: too short to be cached. */
  readonly sharedHash: number | null;
}

/** null: nothing ties the request to others. */
export function sessionKeyOf(headers: HeaderView, json: JsonBody | null): SessionKey | null {
  const name = namedSession(headers, json);
  if (name !== null) return { type: "session", hash: hashOf([name]), sharedHash: null };
  if (json === null || json.length <= MIN_PREFIX_BYTES) return null;
  const { shared, own } = prefixOf(json);
  const sharedBytes = shared.reduce((sum, part) => sum + part.length, 0);
  if (sharedBytes + own.length <= MIN_PREFIX_BYTES) return null;
  const sharedHash = sharedBytes > MIN_PREFIX_BYTES ? hashOf(shared) : null;
  return { type: "prefix", hash: hashOf([...shared, own]), sharedHash };
}

function namedSession(headers: HeaderView, json: JsonBody | null): string | null {
  const cacheKey = textOf(json?.value("prompt_cache_key", MAX_KEY_LITERAL));
  if (cacheKey !== null) return cacheKey;
  for (const name of HEADERS) {
    const value = textOf(headers.get(name));
    if (value !== null) return value;
  }
  const metadata = json?.value("metadata", MAX_METADATA_LITERAL);
  return textOf(memberOf(metadata, "session_id")) ?? textOf(memberOf(metadata, "user_id")) ??
    textOf(json?.value("safety_identifier", MAX_KEY_LITERAL)) ?? textOf(json?.value("user", MAX_KEY_LITERAL));
}

function textOf(value: unknown): string | null {
  return typeof value === "string" && value !== "" && value.length <= MAX_KEY_LITERAL ? value : null;
}

function memberOf(value: unknown, name: "session_id" | "user_id"): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

interface Prefix {
  /** System prompt and tools. */
  readonly shared: readonly Uint8Array[];
  /** The first message of the user. */
  readonly own: Uint8Array;
}

/** What stays the same in all turns of a conversation. */
function prefixOf(json: JsonBody): Prefix {
  const shared: Uint8Array[] = [];
  for (const name of ["system", "instructions", "tools"]) {
    const part = json.part(name);
    if (part !== null) shared.push(part.subarray(0, MAX_PART_BYTES));
  }
  const messages = (json.part("messages") ?? json.part("input"))?.subarray(0, MAX_PART_BYTES);
  if (messages === undefined) return { shared, own: NOTHING };
  const { start, end } = firstTurn(messages);
  if (start > 0) shared.push(messages.subarray(0, start));
  return { shared, own: messages.subarray(start, end) };
}

const NOTHING = new Uint8Array(0);

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const USER = new TextEncoder().encode('"user"');

/** Where the first item of an array is that says `"user"`; everything when it is no array or there is none. */
function firstTurn(bytes: Uint8Array): { readonly start: number; readonly end: number } {
  const { length } = bytes;
  if (bytes[0] !== 0x5b) return { start: 0, end: length };
  let depth = 0;
  let start = 0;
  let hasUser = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      if (depth === 2 && isAt(bytes, at, USER)) hasUser = true;
      at = endOfString(bytes, at);
    } else if (byte === 0x5b || byte === 0x7b) {
      depth++;
      if (depth === 2) start = at;
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
      if (depth === 1 && hasUser) return { start, end: at + 1 };
    }
  }
  // Cut within the user's message, or before it.
  return hasUser ? { start, end: length } : { start: 0, end: length };
}

/** @param start of its opening quote; returns the place of the closing one, or the length */
function endOfString(bytes: Uint8Array, start: number): number {
  for (let at = bytes.indexOf(QUOTE, start + 1); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let backslashes = 0;
    while (bytes[at - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return at;
  }
  return bytes.length;
}

function isAt(bytes: Uint8Array, at: number, text: Uint8Array): boolean {
  return text.every((byte, index) => bytes[at + index] === byte);
}

function hashOf(parts: readonly (string | Uint8Array)[]): number {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return hash.digest().readUInt32BE(0);
}
