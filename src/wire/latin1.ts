/**
 * Text as the bytes of Latin-1, in which HTTP/1.1 heads are written: one byte for each character.
 */
import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** Up to this length, going character by character costs less than a call of the encoder. */
const SHORT_LENGTH = 16;

/**
 * Writes Latin-1 text into `target`, which must be long enough.
 *
 * @throws RangeError for a character above U+00FF, which would become another one (U+010A a line feed); Error when the
 * end of the text did not get there. Nothing of `target` must be sent then.
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
  // As many bytes as characters is not enough: where the room ends with the text, UTF-8 just stops short.
  if (read !== text.length || written !== text.length) writeBeyondAscii(text, room);
  checkEnd(text, target, at);
}

function writeBeyondAscii(text: string, room: Uint8Array): void {
  if (BEYOND_LATIN1.test(text)) throw notLatin1();
  Buffer.from(room.buffer, room.byteOffset, room.length).write(text, "latin1");
}

const BEYOND_LATIN1 = /[\u0100-\uffff]/;

/** As many characters as the end of a head has: CR LF CR LF. */
const END_LENGTH = 4;

/** A head that lacks its end takes what follows into itself, so that the last bytes are looked at, whatever wrote them. */
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
  // Nearly always it is ASCII, which the UTF-8 decoder reads much faster on older runtimes.
  const text = decoder.decode(bytes);
  if (text.length === bytes.length && !text.includes("\ufffd")) return text;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
