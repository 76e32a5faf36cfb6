/**
 * The words of a record, as the full-text index takes them.
 *
 * Owns what is searchable: what people and models wrote, not how it was packed. Pure. JSON is unpacked to its
 * string values, so that `\u4e2d` is found as the character that it is; file contents are left out.
 */
import type { ToolCall } from "../../core/types.ts";
import { endsOfIds, endsWithPicture, withPictureWords } from "./parts.ts";

/** The columns of the index. */
export interface SearchText {
  readonly request: string;
  readonly reply: string;
}

/** What a record is searched by. */
export interface SearchSource {
  readonly body: string | null;
  readonly response: string | null;
  readonly reasoning: string | null;
  readonly toolCalls: readonly ToolCall[];
}

/** Bound of a record's indexed text, in UTF-16 units: 1 Mi, half of it for the reply. */
const MAX_COLUMN_LENGTH = 512 * 1024;
/** JSON beyond this is not unpacked. */
const MAX_JSON_LENGTH = 8 * 1024 * 1024;
const MAX_DEPTH = 64;

/** Members that hold no text that people or models wrote. */
const SKIPPED_KEYS: ReadonlySet<string> = new Set([
  "role",
  "type",
  "object",
  "model",
  "id",
  "call_id",
  "tool_call_id",
  "encrypted_content",
  "signature",
]);

/** base64, with or without `data:`, and other runs longer than any word; the lookbehind keeps it linear. */
const PACKED = /(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_=-]{200,}/g;
const MIN_PACKED_LENGTH = 200; // docs/tuning.md#store-search-and-statistics
/** By character code. */
const isPackedCode = Array.from(
  { length: 128 },
  (_, code) => /[A-Za-z0-9+/_=-]/.test(String.fromCharCode(code)),
);
const DATA_URL = /data:[\w.+-]+\/[\w.+-]+;base64,[A-Za-z0-9+/_=-]*/g;

/** Scripts that put no spaces between words: each character becomes a word, and words become phrases. */
const UNSPACED =
  /[\p{scx=Han}\p{scx=Hiragana}\p{scx=Katakana}\p{scx=Thai}\p{scx=Lao}\p{scx=Khmer}\p{scx=Myanmar}]/gu;

/**
 * Combining marks: normalization sorts a run of n in n² steps. So runs are cut to the length that the stream-safe format
 * allows (UAX #15, section 13), which is more than any language uses. The halfwidth voicing marks are letters that
 * become marks.
 */
const RUN = /[\p{M}\uff9e\uff9f]+/gu;
const MAX_MARKS = 30;
const FIRST_MARK_CODE = 0x300;
/** A code unit that may be part of a run. */
const MARK_UNIT = /[\p{M}\uff9e\uff9f\ud800-\udfff]/u;

/** Never throws. */
export function searchText(source: SearchSource): SearchText {
  const { request, reply } = plainText(source);
  return { request: searchable(request), reply: searchable(reply) };
}

function searchable(text: string): string {
  const ends = endsOfIds(text);
  const words = normalizeForSearch(text);
  return ends.length === 0 ? words : `${words}\n${ends.join(" ")}`;
}

/** The same text before it is normalized. */
export function plainText({ body, response, reasoning, toolCalls }: SearchSource): SearchText {
  const request = new Collector();
  request.addEnvelope(body ?? "");
  const reply = new Collector();
  reply.add(response ?? "");
  reply.add(reasoning ?? "");
  for (const call of toolCalls) {
    reply.add(call.name);
    reply.add(call.arguments);
  }
  return { request: request.text, reply: reply.text };
}

/** Normalizes (NFKC), and puts spaces around characters that are words by themselves, pictures included. */
export function normalizeForSearch(text: string): string {
  return withPictureWords(normalized(text).replace(UNSPACED, " $& "));
}

/**
 * NFKC of the text, in linear time, cut to the length that is indexed: one character may become eighteen.
 */
export function normalized(text: string): string {
  const wellFormed = text.toWellFormed();
  const bounded = mayHold(wellFormed, MAX_MARKS + 1, isMarkUnit)
    ? wellFormed.replace(RUN, cutRun)
    : wellFormed;
  return bounded.normalize("NFKC").slice(0, MAX_COLUMN_LENGTH).toWellFormed();
}

/** Whether the last character is a word by itself. */
export function endsUnspaced(text: string): boolean {
  const last = [...text.slice(-2)].at(-1) ?? "";
  return last.search(UNSPACED) >= 0 || endsWithPicture(last);
}

/** What a JSON document holds: an API's envelope around people's texts, or people's text throughout. */
type Style = "envelope" | "text";

/** Gathers texts, JSON unpacked, until the bound is reached. */
class Collector {
  readonly #parts: string[] = [];
  #length = 0;

  get text(): string {
    return this.#parts.join("\n");
  }

  add(text: string): void {
    this.#visitText(text, 0);
  }

  /** The body of an API request: only the texts in it count. */
  addEnvelope(body: string): void {
    const value = parseDocument(body);
    if (value === undefined) this.#append(body);
    else this.#visit(value, { style: "envelope", depth: 0 });
  }

  /** A text may be JSON itself: the arguments of a tool call, a structured answer. */
  #visitText(text: string, depth: number): void {
    const value = parseDocument(text);
    if (value === undefined) this.#append(text);
    else this.#visit(value, { style: "text", depth });
  }

  #visit(value: unknown, { style, depth }: { style: Style; depth: number }): void {
    if (this.#length >= MAX_COLUMN_LENGTH || depth > MAX_DEPTH) return;
    const inner = { style, depth: depth + 1 };
    if (typeof value === "string") {
      this.#visitText(value, depth + 1);
    } else if (Array.isArray(value)) {
      for (const element of value) this.#visit(element, inner);
    } else if (typeof value === "object" && value !== null) {
      for (const [key, member] of Object.entries(value)) {
        if (style === "text") this.#append(key);
        else if (typeof member === "string" && SKIPPED_KEYS.has(key)) continue;
        this.#visit(member, inner);
      }
    } else if (style === "text") {
      this.#append(String(value));
    }
  }

  #append(text: string): void {
    const room = MAX_COLUMN_LENGTH - this.#length;
    if (room <= 0 || text === "") return;
    // What is left out must not use up the room, but it must not cost much either.
    const part = withoutPacked(text.slice(0, 8 * room).replace(DATA_URL, " ")).slice(0, room);
    this.#parts.push(part);
    this.#length += part.length + 1;
  }
}

/** The text with a blank for each of its packed runs. */
function withoutPacked(text: string): string {
  const isPacked = (code: number): boolean => isPackedCode[code] ?? false;
  return mayHold(text, MIN_PACKED_LENGTH, isPacked) ? text.replace(PACKED, " ") : text;
}

/** By code points, of which each is one or two units. */
function cutRun(run: string): string {
  return run.length <= MAX_MARKS ? run : [...run.slice(0, 2 * MAX_MARKS)].slice(0, MAX_MARKS).join("");
}

function isMarkUnit(code: number): boolean {
  return code >= FIRST_MARK_CODE && MARK_UNIT.test(String.fromCharCode(code));
}

/**
 * Whether the text holds a run of `length` code units. Tests every `length`-th unit, which each such run contains, and
 * extends from there.
 */
function mayHold(text: string, length: number, isOfRun: (code: number) => boolean): boolean {
  for (let at = length - 1; at < text.length; at += length) {
    if (!isOfRun(text.charCodeAt(at))) continue;
    let start = at;
    while (start > 0 && at - start < length && isOfRun(text.charCodeAt(start - 1))) start--;
    let end = at + 1;
    while (end < text.length && end - start < length && isOfRun(text.charCodeAt(end))) end++;
    if (end - start >= length) return true;
  }
  return false;
}

/** The value of a JSON object or array; undefined for any other text. */
function parseDocument(text: string): unknown {
  if (!/^\s*[[{]/.test(text) || text.length > MAX_JSON_LENGTH) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
