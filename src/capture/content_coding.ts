/**
 * Undoes content codings, in whole or as far as cut input goes, within a limit on what comes out.
 *
 * Pure. What a label means is decided here too; whether it tells the truth is not.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
 */
import zlib from "node:zlib";
import { concat } from "../core/bytes.ts";
import { EventStreamSniffer } from "../core/body_form.ts";
import { beginsLikeZstd, zstdFrames } from "./zstd_frames.ts";

const KNOWN = ["gzip", "deflate", "br", "zstd"] as const;
export type Coding = typeof KNOWN[number];

/** Nobody encodes more often; a bomb would. */
const MAX_CODINGS = 3;

/** Labels that name no coding, although servers send them: `none` keeps proxies from compressing, `utf-8` is a mistake. */
const NO_CODINGS: ReadonlySet<string> = new Set(["", "identity", "none", "utf-8", "utf8", "chunked"]);

/** zstd came with Node 22.15. */
const HAS_ZSTD = "zstdDecompressSync" in zlib;

/**
 * The codings of a `content-encoding`, in the order in which they were applied; null when one of them cannot be undone.
 */
export function codingsOf(contentEncoding: string | null): readonly Coding[] | null {
  const codings: Coding[] = [];
  for (const item of (contentEncoding ?? "").split(",")) {
    const name = (item.split(";")[0] ?? "").trim().toLowerCase().replace(/^x-gzip$/, "gzip");
    if (NO_CODINGS.has(name)) continue;
    const coding = KNOWN.find((known) => known === name);
    if (coding === undefined || (coding === "zstd" && !HAS_ZSTD)) return null;
    codings.push(coding);
    if (codings.length > MAX_CODINGS) return null;
  }
  return codings;
}

/** Whether a label names a coding, one that can be undone or not. */
export function isEncoded(contentEncoding: string | null): boolean {
  return codingsOf(contentEncoding)?.length !== 0;
}

export type Decoded =
  | { readonly type: "decoded"; readonly bytes: Uint8Array }
  /** More would come out than the limit allows. */
  | { readonly type: "too_large" }
  | { readonly type: "corrupt" };

export interface DecodeOptions {
  readonly limitBytes: number;
  /** The input may be the beginning of something longer. */
  readonly isCut: boolean;
}

/** Undoes one coding. */
function decode(bytes: Uint8Array, coding: Coding, options: DecodeOptions): Decoded {
  if (bytes.length === 0) return options.isCut ? { type: "decoded", bytes } : { type: "corrupt" };
  try {
    return { type: "decoded", bytes: inflate(bytes, coding, options) };
  } catch (error) {
    return { type: error instanceof RangeError ? "too_large" : "corrupt" };
  }
}

function inflate(bytes: Uint8Array, coding: Coding, { limitBytes, isCut }: DecodeOptions): Uint8Array {
  const { Z_SYNC_FLUSH, Z_FINISH, BROTLI_OPERATION_FLUSH, BROTLI_OPERATION_FINISH } = zlib.constants;
  const options = { finishFlush: isCut ? Z_SYNC_FLUSH : Z_FINISH, maxOutputLength: limitBytes };
  switch (coding) {
    case "gzip":
      return zlib.gunzipSync(bytes, options);
    case "deflate":
      // RFC 9110 means zlib's format; some servers send raw deflate.
      return isZlib(bytes) ? zlib.inflateSync(bytes, options) : zlib.inflateRawSync(bytes, options);
    case "br":
      return zlib.brotliDecompressSync(bytes, {
        finishFlush: isCut ? BROTLI_OPERATION_FLUSH : BROTLI_OPERATION_FINISH,
        maxOutputLength: limitBytes,
      });
    case "zstd":
      return inflateZstd(bytes, { limitBytes, isCut });
    default:
      return coding satisfies never;
  }
}

function inflateZstd(bytes: Uint8Array, { limitBytes, isCut }: DecodeOptions): Uint8Array {
  const frames = zstdFrames(bytes);
  if (frames === null || (!isCut && frames.at(-1)?.isWhole !== true)) throw new TypeError("not zstd");
  const pieces: Uint8Array[] = [];
  let leftBytes = limitBytes;
  for (const frame of frames) {
    // A limit of nothing would mean no limit.
    if (leftBytes === 0) throw new RangeError("more than the limit allows");
    const piece = zlib.zstdDecompressSync(frame.bytes, {
      finishFlush: zlib.constants.ZSTD_e_flush,
      maxOutputLength: leftBytes,
    });
    leftBytes -= piece.length;
    pieces.push(piece);
  }
  return concat(pieces);
}

function isZlib(bytes: Uint8Array): boolean {
  const [method = 0, flags = 0] = bytes;
  return (method & 0x0f) === 8 && (bytes.length < 2 || (method * 256 + flags) % 31 === 0);
}

/** Whether anybody can tell what is in a body that begins with these bytes. */
export function isReadable(start: Uint8Array, contentEncoding: string | null): boolean {
  if (contentEncoding === null) return true;
  const codings = codingsOf(contentEncoding);
  return codings !== null || looksPlain(start, null) !== false;
}

/** What may come out of an error body that is read for its message. */
const TEXT_LIMIT_BYTES = 256 * 1024;

/** A body's text, as far as it came and can be decoded; empty when nobody can look into it. */
export function readableText(body: Uint8Array, contentEncoding: string | null): string {
  const codings = codingsOf(contentEncoding);
  const decoded = undo(body, codings, { limitBytes: TEXT_LIMIT_BYTES, isCut: true });
  return decoded.type === "decoded" ? new TextDecoder().decode(decoded.bytes) : "";
}

/** Undoes codings until nothing is left to be undone, whatever the label says. */
export function undo(body: Uint8Array, codings: readonly Coding[] | null, options: DecodeOptions): Decoded {
  let bytes = body;
  for (const coding of codings?.toReversed() ?? []) {
    if (looksPlain(bytes, codings) === true) break;
    const decoded = decode(bytes, coding, options);
    if (decoded.type !== "decoded") return decoded;
    bytes = decoded.bytes;
  }
  if (codings === null && looksPlain(bytes, null) !== true) return { type: "corrupt" };
  return { type: "decoded", bytes };
}

/** Bytes that are looked at for whether they are text. */
const LOOKED_AT_BYTES = 64;
/** So many bytes of encoded data do not all look like text by chance. */
const ENOUGH_BYTES = 16;
const OPENINGS: ReadonlySet<number> = new Set([0x7b, 0x5b]);
const SPACE = 0x20;

/**
 * Whether bytes are not encoded, whatever the label says: text that begins like JSON or an event stream. Null while there
 * are too few to tell.
 * @param codings see {@link codingsOf}
 */
export function looksPlain(bytes: Uint8Array, codings: readonly Coding[] | null): boolean | null {
  const start = bytes.subarray(0, LOOKED_AT_BYTES);
  if (start.some((byte) => byte < SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) return false;
  if (beginsLikeZstd(start)) return false;
  const first = start.find((byte) => byte > SPACE);
  if (first === undefined) return start.length < LOOKED_AT_BYTES ? null : false;
  const isBegun = OPENINGS.has(first) || new EventStreamSniffer().push(start);
  if (isBegun !== true) return isBegun;
  // Compressed data may begin with any byte; what is labelled with an unknown coding is known by its first one.
  return codings === null || start.length >= ENOUGH_BYTES ? true : null;
}
