/**
 * Text as Latin-1, the encoding of HTTP/1.1 heads: one byte for each character.
 */
import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** Up to this length, a loop over characters is faster than a call of the encoder. */
const SHORT_LENGTH = 16; // docs/tuning.md#heads-and-connections

/**
 * Writes Latin-1 text into `target`, which must be long enough.
 *
 * @throws RangeError for a character above U+00FF, which would become another one (U+010A a line feed); Error when the
 * text was not written to its end. `target` must not be sent then.
 */
export function writeLatin1(text: string, target: Uint8Array, at: number): void {
  if (text.length <= SHORT_LENGTH) {
    let seen = 0;
    for (let place = 0; place < text.length; place++) {
      const code = text.charCodeAt(place);
      seen |= code;
      target[at + place] = code;
    }
    if (seen > 0xff) throw notLatin1();
    return;
  }
  const room = target.subarray(at, at + text.length);
  const { read, written } = encoder.encodeInto(text, room);
  // Both are compared: where the room ends with the text, UTF-8 output is cut at the length of the text.
  if (read !== text.length || written !== text.length) writeBeyondAscii(text, room);
  checkEnd(text, target, at);
}

function writeBeyondAscii(text: string, room: Uint8Array): void {
  if (BEYOND_LATIN1.test(text)) throw notLatin1();
  Buffer.from(room.buffer, room.byteOffset, room.length).write(text, "latin1");
}

const BEYOND_LATIN1 = /[\u0100-\uffff]/;

/** Length of the end of a head: CR LF CR LF. */
const END_LENGTH = 4;

/** Checks the last bytes: a head without its end would swallow what follows. */
function checkEnd(text: string, target: Uint8Array, at: number): void {
  for (let place = Math.max(0, text.length - END_LENGTH); place < text.length; place++) {
    if (target[at + place] !== text.charCodeAt(place)) throw new Error("a text was not written to its end");
  }
}

function notLatin1(): RangeError {
  return new RangeError("a character above U+00FF cannot be part of a head");
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function readLatin1(bytes: Uint8Array): string {
  // It is nearly always ASCII, which the UTF-8 decoder reads much faster on older runtimes.
  const text = decoder.decode(bytes);
  if (text.length === bytes.length && !text.includes("\ufffd")) return text;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
