/**
 * How much may be written to a pipe at once when it may be in non-blocking mode.
 *
 * The runtime writes a piece in a loop: if a pipe takes a part of it and no more, the write fails, and how much was taken is
 * not told. Of a piece that is no larger than this, a pipe takes all or nothing.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9799919799/functions/write.html (PIPE_BUF)
 */

const PIPE_BYTES = Deno.build.os === "linux" ? 4096 : 512;

/** The beginning of these bytes that a pipe takes as a whole, or not at all. */
export function nextPiece(bytes: Uint8Array): Uint8Array {
  return bytes.length <= PIPE_BYTES ? bytes : bytes.subarray(0, PIPE_BYTES);
}
