/**
 * Where the frames of a body in Zstandard begin and end, without decoding it.
 *
 * Decoders take a body that is cut for a whole one, stop after the first of several frames, and take as much memory as a
 * frame says that it needs: so all of that is checked before. Pure, linear, and bounded.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1
 */
import type { Span } from "./json_members.ts";

const MAGIC = 0xfd2fb528;
/** With any last four bits. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAX_FRAMES = 256; // docs/tuning.md#request-bodies
const MAX_BLOCKS = 100_000; // docs/tuning.md#request-bodies
/** The limit of RFC 9659 for content codings. */
const MAX_WINDOW_BYTES = 8 * 1024 * 1024;
/** Types of blocks (section 3.1.1.2). */
const RLE = 1;
const RESERVED = 3;
/** Size of the field with the content's size, by its flag; 1 for flag 0 if the frame is a single segment. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_BYTES = [0, 1, 2, 4];

/** The frames that hold data, skippable ones left out; null when they are not whole, or ask for too much. */
export function zstdFrames(bytes: Uint8Array): readonly Span[] | null {
  const walk = new FrameWalk(bytes);
  const frames: Span[] = [];
  for (let start = 0, count = 0; start < bytes.length; count++) {
    const isSkippable = (walk.number(start, 4) & ~0xf) >>> 0 === SKIPPABLE_MAGIC;
    const end = isSkippable ? start + 8 + walk.number(start + 4, 4) : walk.endOfFrame(start);
    if (end === null || end > bytes.length || count === MAX_FRAMES) return null;
    if (!isSkippable) frames.push({ start, end });
    start = end;
  }
  return frames.length === 0 ? null : frames;
}

class FrameWalk {
  readonly #bytes: Uint8Array;
  #blocks = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Little-endian, at most four bytes; zeros beyond the end. */
  number(at: number, count: number): number {
    let value = 0;
    for (let each = count - 1; each >= 0; each--) value = value * 256 + (this.#bytes[at + each] ?? 0);
    return value;
  }

  /** May lie beyond the end of the body; null when it cannot be decoded. */
  endOfFrame(start: number): number | null {
    if (this.number(start, 4) !== MAGIC) return null;
    const descriptor = this.number(start + 4, 1);
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const dictionaryBytes = DICTIONARY_BYTES[descriptor & 3] ?? 0;
    const sizeBytes = CONTENT_SIZE_BYTES[descriptor >> 6] || (isSingleSegment ? 1 : 0);
    if ((descriptor & 0x08) !== 0 || dictionaryBytes > 0) return null;
    const window = isSingleSegment
      ? this.#contentSize(start + 5, sizeBytes)
      : windowBytes(this.number(start + 5, 1));
    if (window > MAX_WINDOW_BYTES) return null;
    const end = this.#endOfBlocks(start + 5 + (isSingleSegment ? 0 : 1) + sizeBytes);
    return end === null || (descriptor & 0x04) === 0 ? end : end + 4;
  }

  #contentSize(at: number, sizeBytes: number): number {
    // A field of two bytes begins to count at 256.
    if (sizeBytes === 2) return this.number(at, 2) + 256;
    return sizeBytes === 8
      ? this.number(at, 4) + this.number(at + 4, 4) * 2 ** 32
      : this.number(at, sizeBytes);
  }

  #endOfBlocks(start: number): number | null {
    for (let at = start; at + 3 <= this.#bytes.length;) {
      const head = this.number(at, 3);
      const type = (head >> 1) & 3;
      if (type === RESERVED || ++this.#blocks > MAX_BLOCKS) return null;
      at += 3 + (type === RLE ? 1 : head >> 3);
      if ((head & 1) === 1) return at;
    }
    return null;
  }
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}
