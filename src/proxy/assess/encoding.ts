/**
 * Checks that a body decodes as its `content-encoding` says: no client can use a corrupt one.
 *
 * Changes nothing: bytes are relayed as they came.
 */
import zlib from "node:zlib";

/** Bytes that are decoded at most; the rest is assumed to be valid. */
const MAX_DECODED_BYTES = 16 * 1024 * 1024;

/** False only when the body certainly does not decode; unknown encodings pass. */
export function isDecodable(body: Uint8Array, contentEncoding: string | null): boolean {
  const options = { maxOutputLength: MAX_DECODED_BYTES };
  try {
    switch (contentEncoding?.trim().toLowerCase()) {
      case "gzip":
      case "x-gzip":
        zlib.gunzipSync(body, options);
        return true;
      case "br":
        zlib.brotliDecompressSync(body, options);
        return true;
      default:
        return true;
    }
  } catch (error) {
    return error instanceof RangeError;
  }
}
