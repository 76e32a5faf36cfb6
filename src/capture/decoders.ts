/**
 * The runtime's decoders of content codings, which decode a body at once or piece by piece.
 *
 * Owns which one decodes what; must not know where bodies come from.
 */
import zlib from "node:zlib";
import { type ContentCoding, isZlib } from "../core/content_coding.ts";

export type PieceDecoder = ReturnType<typeof zlib.createGunzip>;

interface AtOnceOptions {
  readonly finishFlush: number;
  readonly maxOutputLength: number;
}

export interface Decoders {
  /** @throws RangeError when more would come out than `maxOutputLength`, which is not 0; Error when it does not decode */
  readonly atOnce: (coded: Uint8Array, options: AtOnceOptions) => Uint8Array;
  readonly inPieces: (options: { readonly chunkSize: number }) => PieceDecoder;
  /** `finishFlush` for a body that may be cut, and for a whole one. */
  readonly cut: number;
  readonly whole: number;
}

const { Z_SYNC_FLUSH, Z_FINISH, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH, ZSTD_e_flush, ZSTD_e_end } =
  zlib.constants;
const OF_DEFLATE = { cut: Z_SYNC_FLUSH, whole: Z_FINISH };
const GZIP: Decoders = { atOnce: zlib.gunzipSync, inPieces: zlib.createGunzip, ...OF_DEFLATE };
const ZLIB: Decoders = { atOnce: zlib.inflateSync, inPieces: zlib.createInflate, ...OF_DEFLATE };
const RAW: Decoders = { atOnce: zlib.inflateRawSync, inPieces: zlib.createInflateRaw, ...OF_DEFLATE };
const BROTLI: Decoders = {
  atOnce: zlib.brotliDecompressSync,
  inPieces: zlib.createBrotliDecompress,
  cut: BROTLI_OPERATION_FLUSH,
  whole: BROTLI_OPERATION_FINISH,
};
const ZSTD: Decoders = {
  atOnce: zlib.zstdDecompressSync,
  inPieces: zlib.createZstdDecompress,
  cut: ZSTD_e_flush,
  whole: ZSTD_e_end,
};

/** zstd came with Node 22.15; the runtime that the npm registry has is older. */
export function canDecode(coding: ContentCoding): boolean {
  return coding !== "zstd" || typeof ZSTD.atOnce === "function";
}

/** The decoders of one part of a body, which begins with these bytes. */
export function decodersOf(coded: Uint8Array, coding: ContentCoding): Decoders {
  switch (coding) {
    case "gzip":
      return GZIP;
    case "deflate":
      return isZlib(coded) ? ZLIB : RAW;
    case "br":
      return BROTLI;
    case "zstd":
      return ZSTD;
    default:
      return coding satisfies never;
  }
}
