/**
 * Text as the bytes of Latin-1, in which HTTP/1.1 heads are written: one byte for each character.
 */
import { Buffer } from "node:buffer";

const encoder = new TextEncoder();

/** Writes Latin-1 text at the start of `target`, which must be long enough. */
export function writeLatin1(text: string, target: Uint8Array): void {
  const { written } = encoder.encodeInto(text, target);
  if (written === text.length) return;
  // Not ASCII: the encoder made UTF-8 of it.
  Buffer.from(target.buffer, target.byteOffset, target.length).write(text, "latin1");
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

export function readLatin1(bytes: Uint8Array): string {
  // Nearly always it is ASCII, which the UTF-8 decoder reads much faster on older runtimes.
  const text = decoder.decode(bytes);
  if (text.length === bytes.length && !text.includes("\ufffd")) return text;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
