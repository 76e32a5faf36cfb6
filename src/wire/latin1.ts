/**
 * Text as the bytes of Latin-1, in which HTTP/1.1 heads are written: one byte for each character.
 */
import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** Up to this length, going character by character costs less than a call of the encoder. */
const SHORT_LENGTH = 16;

/** Writes Latin-1 text into `target`, which must be long enough. */
export function writeLatin1(text: string, target: Uint8Array, at: number): void {
  if (text.length <= SHORT_LENGTH) {
    for (let place = 0; place < text.length; place++) target[at + place] = text.charCodeAt(place);
    return;
  }
  const room = at === 0 ? target : target.subarray(at);
  const { written } = encoder.encodeInto(text, room);
  if (written === text.length) return;
  // Not ASCII: the encoder made UTF-8 of it.
  Buffer.from(room.buffer, room.byteOffset, room.length).write(text, "latin1");
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function readLatin1(bytes: Uint8Array): string {
  // Nearly always it is ASCII, which the UTF-8 decoder reads much faster on older runtimes.
  const text = decoder.decode(bytes);
  if (text.length === bytes.length && !text.includes("\ufffd")) return text;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
