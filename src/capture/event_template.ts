/**
 * Recognises events that differ from one that has been read in a single text, as nearly all events of a reply do.
 *
 * An event that is byte for byte the same but for the inside of one JSON string says the same but for that text: it need
 * not be parsed to know what it says. Works on texts of which each character is one byte, so that places are byte offsets.
 */
import { Buffer } from "node:buffer";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * UTF-8 as a text with one character for each byte: what is ASCII as it is, anything else as Latin-1.
 *
 * Bytes that are no UTF-8 may look alike in it, as they do to the parser.
 */
export function bytewise(bytes: Uint8Array): string {
  // No byte makes more than one character, so that equal lengths mean one for each.
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
   * The template of an event whose one effect was to add `text`; null when it does not show where that came from.
   * @param event the whole event, {@link bytewise}, with the blank line behind it
   */
  static of(event: string, text: string): EventTemplate | null {
    if (text === "" || !event.endsWith("\n\n")) return null;
    const literal = bytewise(encoder.encode(JSON.stringify(text)));
    const at = event.indexOf(literal);
    if (at < 0 || event.indexOf(literal, at + 1) >= 0) return null;
    return new EventTemplate(event.slice(0, at + 1), event.slice(at + literal.length - 1));
  }

  /**
   * The text of the event that begins at `start`, and where that event ends; null when it is not of this form.
   * @param stream `bytes`, {@link bytewise}
   */
  read(
    stream: string,
    { bytes, start }: { readonly bytes: Uint8Array; readonly start: number },
  ): { readonly text: string; readonly end: number } | null {
    // Comparing a slice is less than half the work of startsWith(), which goes character by character.
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

/** Null when it is no JSON string. */
function unescaped(written: string): string | null {
  try {
    return String(JSON.parse(`"${written}"`));
  } catch {
    return null;
  }
}
