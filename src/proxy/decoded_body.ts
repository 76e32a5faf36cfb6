/**
 * A body with a content coding, decoded piece by piece.
 *
 * Takes memory only for the pieces that are read: whoever reads bounds and counts them.
 */
import { decodersOf, type PieceDecoder } from "../capture/decoders.ts";
import type { Clock } from "../core/clock.ts";
import { codedParts, type ContentCoding, isAmbiguousDeflate } from "../core/content_coding.ts";
import type { CodedPart } from "../core/zstd_frames.ts";
import type { RequestBody } from "../wire/exchange.ts";
import { Turns } from "./turns.ts";

/** How much is decoded between two looks at the time. */
const SLICE_BYTES = 64 * 1024;

/** Reads reject when the body does not decode, is not whole, or holds more than that. */
export class DecodedBody implements RequestBody {
  readonly declaredBytes = null;
  isDone = false;
  readonly #pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>;

  constructor(coded: Uint8Array, coding: ContentCoding, clock: Clock) {
    this.#pieces = decodedPieces(coded, coding, clock);
  }

  /** Decoding always waits. */
  take(): null {
    return null;
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    const { value } = await this.#pieces.next();
    if (value !== undefined) return value;
    this.isDone = true;
    return null;
  }

  cancel(): void {
    this.#pieces.return().catch(() => {});
  }
}

async function* decodedPieces(
  coded: Uint8Array,
  coding: ContentCoding,
  clock: Clock,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
  for (const { start, end } of partsOf(coded, coding)) {
    const part = coded.subarray(start, end);
    const decoder = decodersOf(part, coding).inPieces({ chunkSize: SLICE_BYTES });
    void feed(decoder, part, { turns: new Turns(clock), hasSentinel: coding === "br" });
    try {
      for await (const piece of decoder) yield piece;
    } finally {
      decoder.destroy();
    }
    // Some decoders ignore what follows; the sentinel is read only when more is missing.
    if (decoder.bytesWritten !== part.length) throw new Error(`the body is not one ${coding} text`);
  }
}

/** @throws when the body certainly does not decode, or not everywhere to the same bytes */
function partsOf(coded: Uint8Array, coding: ContentCoding): readonly CodedPart[] {
  const parts = codedParts(coded, coding);
  const isRefused = coded.length === 0 || (coding === "deflate" && isAmbiguousDeflate(coded));
  if (isRefused || parts.at(-1)?.isWhole !== true) throw new Error(`the body is not ${coding}`);
  return parts;
}

/** Never rejects: the decoder's errors show where it is read. May stay pending when that ends early. */
async function feed(
  decoder: PieceDecoder,
  coded: Uint8Array,
  { turns, hasSentinel }: {
    readonly turns: Turns;
    /** A byte too many: the runtime's Brotli decoder takes a text that is cut for a whole one. */
    readonly hasSentinel: boolean;
  },
): Promise<void> {
  for (let at = 0; at < coded.length && !decoder.destroyed; at += SLICE_BYTES) {
    const slice = coded.subarray(at, at + SLICE_BYTES);
    const isLast = at + SLICE_BYTES >= coded.length;
    const bytes = isLast && hasSentinel ? Uint8Array.from([...slice, 0]) : slice;
    await new Promise<void>((resolve) => decoder.write(bytes, () => resolve()));
    if (turns.isOver) await turns.next();
  }
  if (!decoder.destroyed) decoder.end();
}
