/**
 * A merge patch (RFC 7396), spliced into a JSON text: every byte that it does not concern stays.
 *
 * Parsing and printing a body again would change its numbers, escapes, key order and blanks. One pass over the bytes, whose
 * recursion is as deep as the patch; what is no JSON object is left alone.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7396
 */
import { Buffer } from "node:buffer";
import type { Span } from "./json_members.ts";

/** A patch with its members written as JSON. */
export interface PreparedPatch {
  readonly members: ReadonlyMap<string, PatchMember>;
  /** Of the longest name, as it may be written: a `\u` escape for each character. */
  readonly maxKeyLength: number;
  /** First byte and length of each name in UTF-8, by which most keys of a body are seen to be others. */
  readonly outlines: ReadonlySet<number>;
  /** Members with those of the objects within. */
  readonly size: number;
}

/** Keys that come again are patched as often; a body that has more of them is none that any client writes. */
const MAX_REPEATED = 64;

interface PatchMember {
  /** The member's key and colon. */
  readonly key: string;
  /** What is written where the text has no object to merge with; null: the member is removed. */
  readonly value: string | null;
  /** For where it has one; null: it is replaced. */
  readonly nested: PreparedPatch | null;
}

export function preparePatch(patch: Readonly<Record<string, unknown>>): PreparedPatch {
  const members = new Map(
    Object.entries(patch).map(([name, value]): [string, PatchMember] => [name, {
      key: `${JSON.stringify(name)}:`,
      value: value === null ? null : JSON.stringify(withoutNulls(value)),
      nested: isObject(value) ? preparePatch(value) : null,
    }]),
  );
  return {
    members,
    maxKeyLength: Math.max(0, ...[...members.keys()].map((name) => name.length * 6)),
    outlines: new Set([...members.keys()].map((name) => {
      const bytes = Buffer.from(name, "utf8");
      return outlineOf(bytes[0] ?? QUOTE, bytes.length);
    })),
    size: [...members.values()].reduce((sum, { nested }) => sum + 1 + (nested?.size ?? 0), 0),
  };
}

function outlineOf(firstByte: number, length: number): number {
  return length * 256 + firstByte;
}

/** The target of a patch that meets no object: RFC 7396 applies it to an empty one. */
function withoutNulls(value: unknown): unknown {
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(kept.map(([name, each]) => [name, withoutNulls(each)]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The patched text, in UTF-8; the same array when nothing changes, or when it is no JSON object.
 *
 * Of a key that comes twice, each occurrence is patched: whichever of them a parser takes, it finds the patch. When keys
 * come again so often that the body would grow without bounds, the patch alone is given, which the upstream refuses.
 */
export function patched(body: Uint8Array<ArrayBuffer>, patch: PreparedPatch): Uint8Array<ArrayBuffer> {
  if (patch.members.size === 0) return body;
  const patching = new Patching(body, patch.size + MAX_REPEATED);
  const edits = patching.run(patch);
  if (patching.isOverrun) return patched(new TextEncoder().encode("{}"), patch);
  return edits === null || edits.length === 0 ? body : spliced(body, edits);
}

interface Edit extends Span {
  readonly text: string;
}

function spliced(body: Uint8Array<ArrayBuffer>, edits: readonly Edit[]): Uint8Array<ArrayBuffer> {
  const texts = edits.map(({ text }) => Buffer.from(text, "utf8"));
  const growth = edits.reduce((sum, { start, end }, n) => sum + (texts[n]?.length ?? 0) - (end - start), 0);
  const result = new Uint8Array(body.length + growth);
  let from = 0;
  let to = 0;
  edits.forEach(({ start, end }, n) => {
    result.set(body.subarray(from, start), to);
    to += start - from;
    const text = texts[n];
    if (text !== undefined) result.set(text, to);
    to += text?.length ?? 0;
    from = end;
  });
  result.set(body.subarray(from), to);
  return result;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** The text is not JSON here. */
const BROKEN = -1;

/** What has been found of one object. */
interface OpenObject {
  readonly found: Set<string>;
  /** Where the last member that stays ends; null: none so far. */
  keptEnd: number | null;
  /** Where removed members begin that no kept one precedes; null: there are none. */
  removedFrom: number | null;
  /** Where the member before ends. */
  lastEnd: number;
}

class Patching {
  readonly #bytes: Uint8Array;
  readonly #edits: Edit[] = [];
  readonly #maxEdits: number;

  constructor(bytes: Uint8Array, maxEdits: number) {
    this.#bytes = bytes;
    this.#maxEdits = maxEdits;
  }

  /** There was more to edit than may be, and the rest was not looked at. */
  get isOverrun(): boolean {
    return this.#edits.length > this.#maxEdits;
  }

  /** In their order; null: it is no JSON object. */
  run(patch: PreparedPatch): readonly Edit[] | null {
    const isMarked = BYTE_ORDER_MARK.every((byte, at) => this.#bytes[at] === byte);
    const start = this.#blanks(isMarked ? BYTE_ORDER_MARK.length : 0);
    if (this.#bytes[start] !== OPENING_BRACE) return null;
    const end = this.#object(start, patch);
    return end === BROKEN || this.#blanks(end) !== this.#bytes.length ? null : this.#edits;
  }

  /** @param start at its brace; @returns the index after it, or {@link BROKEN} */
  #object(start: number, patch: PreparedPatch): number {
    const open: OpenObject = { found: new Set(), keptEnd: null, removedFrom: null, lastEnd: start + 1 };
    let at = this.#blanks(start + 1);
    if (this.#bytes[at] === CLOSING_BRACE) return this.#close(at, open, patch);
    for (;;) {
      if (this.#bytes[at] !== QUOTE) return BROKEN;
      const keyEnd = this.#string(at);
      if (keyEnd === BROKEN) return BROKEN;
      const colon = this.#blanks(keyEnd);
      if (this.#bytes[colon] !== COLON) return BROKEN;
      const end = this.#member({ start: at, end: keyEnd }, this.#blanks(colon + 1), { open, patch });
      if (end === BROKEN || this.isOverrun) return BROKEN;
      const next = this.#blanks(end);
      if (this.#bytes[next] === CLOSING_BRACE) return this.#close(next, open, patch);
      if (this.#bytes[next] !== COMMA) return BROKEN;
      at = this.#blanks(next + 1);
    }
  }

  #member(
    key: Span,
    valueStart: number,
    { open, patch }: { readonly open: OpenObject; readonly patch: PreparedPatch },
  ): number {
    const name = this.#name(key, patch);
    const member = name === null ? undefined : patch.members.get(name);
    if (name !== null && member !== undefined) open.found.add(name);
    if (member?.value === null) {
      const end = this.#value(valueStart);
      if (open.keptEnd === null) open.removedFrom ??= key.start;
      else this.#edit({ start: open.lastEnd, end }, "");
      open.lastEnd = end;
      return end;
    }
    if (open.removedFrom !== null && open.keptEnd === null) {
      this.#edit({ start: open.removedFrom, end: key.start }, "");
      open.removedFrom = null;
    }
    const isMerged = member?.nested && this.#bytes[valueStart] === OPENING_BRACE;
    const end = isMerged ? this.#object(valueStart, member.nested) : this.#value(valueStart);
    if (member !== undefined && !isMerged && end !== BROKEN) {
      this.#edit({ start: valueStart, end }, member.value ?? "");
    }
    open.keptEnd = open.lastEnd = end;
    return end;
  }

  /** @param at its closing brace */
  #close(at: number, { found, keptEnd, removedFrom, lastEnd }: OpenObject, patch: PreparedPatch): number {
    const added = [...patch.members].flatMap(([name, { key, value }]) =>
      value === null || found.has(name) ? [] : [key + value]
    ).join(",");
    if (removedFrom !== null) this.#edit({ start: removedFrom, end: lastEnd }, added);
    else if (added !== "") {
      // After removed members that follow a kept one, whose place ends there.
      this.#edit({ start: lastEnd, end: lastEnd }, keptEnd === null ? added : `,${added}`);
    }
    return at + 1;
  }

  #edit({ start, end }: Span, text: string): void {
    this.#edits.push({ start, end, text });
  }

  /** A key that is short enough to be one of the patch's. */
  #name({ start, end }: Span, { maxKeyLength, outlines }: PreparedPatch): string | null {
    const length = end - start - 2;
    if (length > maxKeyLength) return null;
    const isPlainOther = !outlines.has(outlineOf(this.#bytes[start + 1] ?? QUOTE, length));
    if (isPlainOther && !this.#hasEscape(start + 1, end - 1)) return null;
    const raw = this.#bytes.subarray(start + 1, end - 1);
    const written = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString("utf8");
    if (!raw.includes(BACKSLASH)) return written;
    try {
      return String(JSON.parse(`"${written}"`));
    } catch {
      return null;
    }
  }

  #hasEscape(start: number, end: number): boolean {
    for (let at = start; at < end; at++) if (this.#bytes[at] === BACKSLASH) return true;
    return false;
  }

  #blanks(from: number): number {
    let at = from;
    for (;; at++) {
      const byte = this.#bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
    }
  }

  /** The index after a string that begins at `start`. */
  #string(start: number): number {
    for (let at = start + 1;;) {
      const quote = this.#bytes.indexOf(QUOTE, at);
      if (quote < 0) return BROKEN;
      let escapes = quote;
      while (this.#bytes[escapes - 1] === BACKSLASH) escapes--;
      at = quote + 1;
      if ((quote - escapes) % 2 === 0) return at;
    }
  }

  /** The index after a value that begins at `start`. */
  #value(start: number): number {
    const first = this.#bytes[start];
    if (first === QUOTE) return this.#string(start);
    if (first !== OPENING_BRACE && first !== OPENING_BRACKET) return this.#word(start);
    let depth = 0;
    for (let at = start; at < this.#bytes.length;) {
      const byte = this.#bytes[at];
      if (byte === QUOTE) {
        at = this.#string(at);
        if (at === BROKEN) return BROKEN;
        continue;
      }
      at++;
      if (byte === OPENING_BRACE || byte === OPENING_BRACKET) depth++;
      else if ((byte === CLOSING_BRACE || byte === CLOSING_BRACKET) && --depth === 0) return at;
    }
    return BROKEN;
  }

  /** A number, `true`, `false` or `null`. */
  #word(start: number): number {
    let at = start;
    for (; at < this.#bytes.length; at++) {
      const byte = this.#bytes[at] ?? 0;
      const isPart = (byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x7a) ||
        byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x45;
      if (!isPart) break;
    }
    return at === start ? BROKEN : at;
  }
}
