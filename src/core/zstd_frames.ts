/**
 * Where the frames of a body in Zstandard begin and end, without decoding it.
 *
 * Decoders take a body that is cut for a whole one, stop after the first of several frames, and take as much memory as a
 * frame says that it needs: so all of that is found out before. Pure, linear, and bounded.
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

/** Part of a body that a decoder takes at once. */
export interface CodedPart extends Span {
  /** False when it ends with the body, but is known to go on. */
  readonly isWhole: boolean;
}

/** Whether bytes begin like a frame. */
export function beginsLikeZstd(bytes: Uint8Array): boolean {
  const magic = numberIn(bytes, 0, 4);
  return magic === MAGIC || isSkippable(magic);
}

/**
 * The frames that hold data, skippable ones left out unless the body is cut in one; only the last frame can be cut.
 * @throws TypeError when they are no frames, or need a dictionary; RangeError when they ask for too much
 */
export function zstdFrames(bytes: Uint8Array): readonly CodedPart[] {
  const walk = new FrameWalk(bytes);
  const frames: CodedPart[] = [];
  for (let start = 0, count = 0; start < bytes.length; count++) {
    if (count === MAX_FRAMES) throw new RangeError("too many frames");
    const isData = !isSkippable(numberIn(bytes, start, 4));
    const end = isData ? walk.endOfFrame(start) : start + 8 + numberIn(bytes, start + 4, 4);
    const isWhole = end <= bytes.length;
    if (isData || !isWhole) frames.push({ start, end: Math.min(end, bytes.length), isWhole });
    start = end;
  }
  return frames;
}

function isSkippable(magic: number): boolean {
  return (magic & ~0xf) >>> 0 === SKIPPABLE_MAGIC;
}

/** Little-endian, at most four bytes; zeros beyond the end. */
function numberIn(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let each = count - 1; each >= 0; each--) value = value * 256 + (bytes[at + each] ?? 0);
  return value;
}

class FrameWalk {
  readonly #bytes: Uint8Array;
  #blocks = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Beyond the end of the body when the frame is cut. */
  endOfFrame(start: number): number {
    if (this.#bytes.length - start < 4) return Infinity;
    if (this.#number(start, 4) !== MAGIC) throw new TypeError("no frame");
    const descriptor = this.#number(start + 4, 1);
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const dictionaryBytes = DICTIONARY_BYTES[descriptor & 3] ?? 0;
    const sizeBytes = CONTENT_SIZE_BYTES[descriptor >> 6] || (isSingleSegment ? 1 : 0);
    if ((descriptor & 0x08) !== 0 || dictionaryBytes > 0) throw new TypeError("a frame for other decoders");
    const window = isSingleSegment
      ? this.#contentSize(start + 5, sizeBytes)
      : windowBytes(this.#number(start + 5, 1));
    if (window > MAX_WINDOW_BYTES) throw new RangeError("the window is too large");
    const end = this.#endOfBlocks(start + 5 + (isSingleSegment ? 0 : 1) + sizeBytes);
    return (descriptor & 0x04) === 0 ? end : end + 4;
  }

  #number(at: number, count: number): number {
    return numberIn(this.#bytes, at, count);
  }

  #contentSize(at: number, sizeBytes: number): number {
    // A field of two bytes begins to count at 256.
    if (sizeBytes === 2) return this.#number(at, 2) + 256;
    return sizeBytes === 8
      ? this.#number(at, 4) + this.#number(at + 4, 4) * 2 ** 32
      : this.#number(at, sizeBytes);
  }

  #endOfBlocks(start: number): number {
    for (let at = start; at + 3 <= this.#bytes.length;) {
      const head = this.#number(at, 3);
      const type = (head >> 1) & 3;
      if (type === RESERVED) throw new TypeError("a reserved block");
      if (++this.#blocks > MAX_BLOCKS) throw new RangeError("too many blocks");
      at += 3 + (type === RLE ? 1 : head >> 3);
      if ((head & 1) === 1) return at;
    }
    return Infinity;
  }
}

function windowBytes(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3));
  return base + base / 8 * (descriptor & 7);
}
