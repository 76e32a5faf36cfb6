/**
 * Reads events that differ from an earlier one in a single text, as nearly all events of a reply do.
 *
 * An event that is byte for byte the same except inside one JSON string means the same except for that text, so
 * it need not be parsed. Works on strings with one character per byte, so that indices are byte offsets.
 */
import { Buffer } from "node:buffer";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * UTF-8 as a string with one character per byte: ASCII as it is, anything else as Latin-1.
 *
 * Different bytes that are not UTF-8 may become the same character, as in the parser.
 */
export function bytewise(bytes: Uint8Array): string {
  // A byte decodes to at most one character, so equal lengths mean one character per byte.
  const text = decoder.decode(bytes);
  if (text.length === bytes.length) return text;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

export class EventTemplate {
  readonly #before: string;
  readonly #after: string;

  private constructor(before: string, after: string) {
    this.#before = before;
    this.#after = after;
  }

  /**
   * The template of an event whose only effect was to add `text`; null when the text's place in it is unclear.
   * @param event the whole event, {@link bytewise}, with the blank line after it
   */
  static of(event: string, text: string): EventTemplate | null {
    if (text === "" || !event.endsWith("\n\n")) return null;
    const literal = bytewise(encoder.encode(JSON.stringify(text)));
    const at = event.indexOf(literal);
    if (at < 0 || event.indexOf(literal, at + 1) >= 0) return null;
    return new EventTemplate(event.slice(0, at + 1), event.slice(at + literal.length - 1));
  }

  /**
   * The text of the event that begins at `start`, and where that event ends; null when it does not fit.
   * @param stream `bytes`, {@link bytewise}
   */
  read(
    stream: string,
    { bytes, start }: { readonly bytes: Uint8Array; readonly start: number },
  ): { readonly text: string; readonly end: number } | null {
    // Comparing a slice takes less than half the time of startsWith(), which goes character by character.
    if (stream.slice(start, start + this.#before.length) !== this.#before) return null;
    const from = start + this.#before.length;
    let at = from;
    let isAscii = true;
    let hasEscape = false;
    for (;; at++) {
      const code = at < stream.length ? stream.charCodeAt(at) : 0;
      if (code === QUOTE) break;
      if (code < 0x20) return null;
      if (code >= 0x80) isAscii = false;
      if (code === BACKSLASH) {
        hasEscape = true;
        at++;
      }
    }
    const end = at + this.#after.length;
    if (stream.slice(at, end) !== this.#after) return null;
    const written = isAscii ? stream.slice(from, at) : decoder.decode(bytes.subarray(from, at));
    const text = hasEscape ? unescaped(written) : written;
    return text === null ? null : { text, end };
  }
}

/** Null when it is not the inside of a JSON string. */
function unescaped(written: string): string | null {
  try {
    return String(JSON.parse(`"${written}"`));
  } catch {
    return null;
  }
}
