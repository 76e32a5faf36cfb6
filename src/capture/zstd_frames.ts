/**
 * Where the frames of a zstd body end: the runtime decodes no more than the first one, and does not tell whether it was
 * whole.
 *
 * Reads nothing but lengths; time is linear in the number of blocks.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1
 */

const MAGIC = 0xfd2fb528;
/** Skippable frames have one of sixteen magic numbers. */
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

export interface ZstdFrame {
  readonly bytes: Uint8Array;
  readonly isWhole: boolean;
}

/** Whether bytes begin like a frame. */
export function beginsLikeZstd(bytes: Uint8Array): boolean {
  const magic = magicOf(bytes);
  return magic === MAGIC || isSkippable(magic);
}

/** The frames that hold content, the last one perhaps not whole; null when the bytes are no frames. */
export function zstdFrames(bytes: Uint8Array): ZstdFrame[] | null {
  const frames: ZstdFrame[] = [];
  for (let at = 0; at < bytes.length;) {
    const rest = bytes.subarray(at);
    if (rest.length < 4) {
      frames.push({ bytes: rest, isWhole: false });
      break;
    }
    const magic = magicOf(rest);
    if (isSkippable(magic)) {
      at += rest.length < 8 ? rest.length : 8 + littleEndian(rest, 4, 4);
      continue;
    }
    if (magic !== MAGIC) return null;
    const end = endOfFrame(rest);
    if (end === "invalid") return null;
    frames.push({ bytes: rest.subarray(0, end ?? rest.length), isWhole: end !== null });
    at += end ?? rest.length;
  }
  return frames;
}

function magicOf(bytes: Uint8Array): number {
  return bytes.length < 4 ? 0 : littleEndian(bytes, 0, 4);
}

function isSkippable(magic: number): boolean {
  return magic - (magic % 16) === SKIPPABLE_MAGIC;
}

/** Length of the frame; null when its end has not come. */
function endOfFrame(bytes: Uint8Array): number | null | "invalid" {
  const descriptor = bytes[4];
  if (descriptor === undefined) return null;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const sizeFlag = descriptor >> 6;
  const contentSizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : CONTENT_SIZE_BYTES[sizeFlag] ?? 0;
  let at = 5 + (isSingleSegment ? 0 : 1) + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0) + contentSizeBytes;
  for (let isLast = false; !isLast;) {
    if (at + BLOCK_HEADER_BYTES > bytes.length) return null;
    const header = littleEndian(bytes, at, BLOCK_HEADER_BYTES);
    const type = (header >> 1) & 3;
    if (type === RESERVED_BLOCK) return "invalid";
    isLast = (header & 1) === 1;
    at += BLOCK_HEADER_BYTES + (type === RLE_BLOCK ? 1 : header >> 3);
  }
  if ((descriptor & 4) !== 0) at += CHECKSUM_BYTES;
  return at > bytes.length ? null : at;
}

function littleEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let index = count - 1; index >= 0; index--) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}
