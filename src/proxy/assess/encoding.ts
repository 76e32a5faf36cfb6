/**
 * Whether a body is what its `content-encoding` says: a corrupt one is of no use to any client.
 *
 * Looks only; bytes are relayed as they came.
 */
import zlib from "node:zlib";

/** What is looked at of a decoded body; more than that is held to be right. */
const MAX_DECODED_BYTES = 16 * 1024 * 1024;

/** False when the whole body certainly does not decode. Encodings that are not known here pass. */
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
