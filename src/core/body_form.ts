/**
 * The form of a body, by its label and by its first bytes.
 */

import { Buffer } from "node:buffer";

/** The media type in lower case, without its parameters; empty when there is no label. */
export function mediaTypeOf(contentType: string | null): string {
  return (contentType ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
}

/** Whether a label says that the body is an event stream. */
export function isEventStream(contentType: string | null): boolean {
  return contentType !== null && /^\s*text\/event-stream\b/i.test(contentType);
}

/** Whether a label says that the body is JSON: `application/json`, `application/problem+json`, ... */
export function isJson(contentType: string | null): boolean {
  return contentType !== null && /^\s*application\/([\w.+-]+\+)?json\b/i.test(contentType);
}

/** Whether a label says that the body is one JSON document per line, which comes bit by bit. */
export function isJsonLines(contentType: string | null): boolean {
  return /^application\/(x-)?(ndjson|jsonl|jsonlines|json-lines|json-seq|stream\+json)$/.test(
    mediaTypeOf(contentType),
  );
}

/** A body that begins with more blanks than this may be anything. */
const MAX_LEADING_BYTES = 4096;
/**
 * An object in JSON, perhaps after blanks, a comment or a byte order mark, also in UTF-16 and UTF-32; or nothing but blanks.
 * Some parsers take all control characters for blanks.
 */
const BEGINS_LIKE_JSON = /^(?:[\0-\x20\s]|\xef\xbb\xbf)*(?:\{|\/[/*]|$)|^(?:\xfe\xff|\xff\xfe)/;

/** Whether a lenient parser that ignores all labels could find an object in a body. */
export function mayBeJson(body: Uint8Array): boolean {
  const start = Buffer.from(body.buffer, body.byteOffset, Math.min(body.length, MAX_LEADING_BYTES));
  return BEGINS_LIKE_JSON.test(start.toString("latin1"));
}

/** Whether an unlabelled body begins like an event stream. */
export function beginsLikeEvents(body: Uint8Array): boolean {
  return new EventStreamSniffer().push(body) ?? false;
}

/** Beginnings of a stream's first line: a comment, or a known field. */
const BEGINNINGS = [":", "data:", "event:", "id:", "retry:"];
const BYTE_ORDER_MARK = "\u00ef\u00bb\u00bf";
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The same for a body in pieces. A byte order mark and empty lines may come first, but no blanks: they would be part of
 * the field's name, and parsers ignore fields with unknown names.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class EventStreamSniffer {
  #start = "";
  #mayHaveMark = true;

  /** Null while the pieces so far allow both. */
  push(piece: Uint8Array): boolean | null {
    for (let at = 0; at < piece.length; at++) {
      const byte = piece[at] ?? 0;
      if (this.#start === "" && (byte === LINE_FEED || byte === CARRIAGE_RETURN)) {
        this.#mayHaveMark = false;
        continue;
      }
      this.#start += String.fromCharCode(byte);
      const isStream = this.#judge();
      if (isStream !== null) return isStream;
    }
    return null;
  }

  #judge(): boolean | null {
    if (this.#mayHaveMark && BYTE_ORDER_MARK.startsWith(this.#start)) {
      if (this.#start === BYTE_ORDER_MARK) {
        this.#start = "";
        this.#mayHaveMark = false;
      }
      return null;
    }
    if (BEGINNINGS.includes(this.#start)) return true;
    return BEGINNINGS.some((beginning) => beginning.startsWith(this.#start)) ? null : false;
  }
}
