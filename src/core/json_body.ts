/**
 * A JSON body whose top-level members have been found: gives single values of it, bounded, without parsing the rest.
 *
 * Must not outlive the request's classification: it holds the body.
 */
import { Buffer } from "node:buffer";
import type { Span } from "./json_members.ts";

export class JsonBody {
  readonly #bytes: Uint8Array;
  /** Of which the spans are. */
  readonly #text: string | null;
  /** The same as bytes, if it has been decoded already. */
  readonly #decoded: string | null;
  readonly #spans: ReadonlyMap<string, Span>;

  /** @param text of which the spans are, unless `isInBytes` */
  constructor(
    { bytes, text, isInBytes }: {
      readonly bytes: Uint8Array;
      /** The same as text; null: it has not been decoded. */
      readonly text: string | null;
      readonly isInBytes: boolean;
    },
    spans: ReadonlyMap<string, Span>,
  ) {
    this.#bytes = bytes;
    this.#text = isInBytes ? null : text;
    this.#decoded = text;
    this.#spans = spans;
  }

  /** Of the whole of it, in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /** A text of which the end, from `start` on, is that of the body; ASCII in it is as it was written. */
  end(maxLength: number): { readonly text: string; readonly start: number } {
    if (this.#decoded !== null) {
      return { text: this.#decoded, start: Math.max(0, this.#decoded.length - maxLength) };
    }
    const part = this.#bytes.subarray(Math.max(0, this.#bytes.length - maxLength));
    const text = Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString("latin1");
    return { text, start: 0 };
  }

  /** The beginning of a member's value as it was written; null: it has no such member. */
  literal(name: string, maxLength: number): string | null {
    const span = this.#spans.get(name);
    if (span === undefined) return null;
    const end = Math.min(span.end, span.start + maxLength + 1);
    return this.#text === null
      ? decoder.decode(this.#bytes.subarray(span.start, end))
      : this.#text.slice(span.start, end);
  }

  /** A member's value; undefined: there is none, it is longer, or not JSON. @param maxLength as it is written */
  value(name: string, maxLength: number): unknown {
    const literal = this.literal(name, maxLength);
    if (literal === null || literal.length > maxLength) return undefined;
    try {
      return JSON.parse(literal);
    } catch {
      return undefined;
    }
  }

  /** The bytes of a member's value; null: it has no such member. */
  part(name: string): Uint8Array | null {
    const place = this.place(name);
    return place === null ? null : this.#bytes.subarray(place.start, place.end);
  }

  /** Where a member's value is, in bytes; null: it has no such member. */
  place(name: string): Span | null {
    const span = this.#spans.get(name);
    if (span === undefined) return null;
    return this.#text === null ? span : inBytes(span, this.#text);
  }

  /** Where the first member of the object is, or the blanks before it; null: it is no object that has one. */
  firstMember(): number | null {
    let at = 0;
    while (isBlank(this.#bytes[at])) at++;
    if (this.#bytes[at] !== OPENING_BRACE) return null;
    const start = ++at;
    while (isBlank(this.#bytes[at])) at++;
    return this.#bytes[at] === QUOTE ? start : null;
  }
}

const decoder = new TextDecoder();
const QUOTE = 0x22;
const OPENING_BRACE = 0x7b;

/** RFC 8259 section 2. */
function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** Converts a span in characters to one in UTF-8 bytes. */
export function inBytes({ start, end }: Span, text: string): Span {
  const startByte = Buffer.byteLength(text.slice(0, start));
  return { start: startByte, end: startByte + Buffer.byteLength(text.slice(start, end)) };
}
