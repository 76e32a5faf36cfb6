/**
 * Undoes content codings, in whole or as far as cut input goes, within a limit on what comes out.
 *
 * Pure. Whether a label tells the truth is decided here.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-8.4.1
 */
import { EventStreamSniffer } from "../core/body_form.ts";
import { concat } from "../core/bytes.ts";
import { codedParts, type ContentCoding, contentCodings } from "../core/content_coding.ts";
import { beginsLikeZstd } from "../core/zstd_frames.ts";
import { canDecode, decodersOf } from "./decoders.ts";

/** The codings that a label names, in the order in which they were applied; null when one of them cannot be undone. */
export function codingsOf(contentEncoding: string | null): readonly ContentCoding[] | null {
  const codings = contentCodings(contentEncoding);
  return codings?.every(canDecode) === true ? codings : null;
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
function decode(bytes: Uint8Array, coding: ContentCoding, options: DecodeOptions): Decoded {
  if (bytes.length === 0) return options.isCut ? { type: "decoded", bytes } : { type: "corrupt" };
  try {
    return { type: "decoded", bytes: decodeParts(bytes, coding, options) };
  } catch (error) {
    return { type: error instanceof RangeError ? "too_large" : "corrupt" };
  }
}

function decodeParts(
  coded: Uint8Array,
  coding: ContentCoding,
  { limitBytes, isCut }: DecodeOptions,
): Uint8Array {
  const parts = codedParts(coded, coding);
  if (!isCut && parts.at(-1)?.isWhole !== true) throw new TypeError("it is cut");
  const pieces: Uint8Array[] = [];
  let leftBytes = limitBytes;
  for (const { start, end } of parts) {
    // A limit of nothing would mean no limit.
    if (leftBytes === 0) throw new RangeError("more than the limit allows");
    const part = coded.subarray(start, end);
    const { atOnce, cut, whole } = decodersOf(part, coding);
    const piece = atOnce(part, { finishFlush: isCut ? cut : whole, maxOutputLength: leftBytes });
    leftBytes -= piece.length;
    pieces.push(piece);
  }
  const [first] = pieces;
  return pieces.length === 1 && first !== undefined ? first : concat(pieces);
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
export function undo(
  body: Uint8Array,
  codings: readonly ContentCoding[] | null,
  options: DecodeOptions,
): Decoded {
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
export function looksPlain(bytes: Uint8Array, codings: readonly ContentCoding[] | null): boolean | null {
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
