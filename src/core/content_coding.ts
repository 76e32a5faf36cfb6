/**
 * The content codings of a body: which a label names, in which parts it is decoded, and whether everybody decodes to the
 * same bytes.
 *
 * Pure; must not decode anything.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-8.4
 */
import { Buffer } from "node:buffer";
import { mayBeJson } from "./body_form.ts";
import { multipartBoundary } from "./multipart.ts";
import { type CodedPart, zstdFrames } from "./zstd_frames.ts";

export const CONTENT_CODINGS = ["gzip", "deflate", "br", "zstd"] as const;
export type ContentCoding = typeof CONTENT_CODINGS[number];

/** More in a row have no use, and each costs as much as a whole body. */
const MAX_CODINGS = 3;
const MAX_LABEL_LENGTH = 256;
const CODING_OF: ReadonlyMap<string, ContentCoding> = new Map([
  ...CONTENT_CODINGS.map((coding) => [coding, coding] as const),
  ["x-gzip", "gzip"],
]);
/** Labels that name no coding, although programs send them: `none` keeps proxies from compressing, `utf-8` is a mistake. */
const NO_CODINGS: ReadonlySet<string> = new Set(["", "identity", "none", "utf-8", "utf8", "chunked"]);
const NONE: readonly ContentCoding[] = [];

/**
 * The codings of a `content-encoding`, in the order in which they were applied; null when one of them is not known, or
 * there are more than anybody needs.
 */
export function contentCodings(label: string | null): readonly ContentCoding[] | null {
  if (label === null) return NONE;
  if (label.length > MAX_LABEL_LENGTH) return null;
  const codings: ContentCoding[] = [];
  for (const item of label.split(",")) {
    const name = (item.split(";")[0] ?? "").trim().toLowerCase();
    if (NO_CODINGS.has(name)) continue;
    const coding = CODING_OF.get(name);
    if (coding === undefined) return null;
    codings.push(coding);
  }
  return codings.length > MAX_CODINGS ? null : codings;
}

/** Whether a label names a coding, a known one or not. */
export function isEncoded(label: string | null): boolean {
  return label !== null && contentCodings(label)?.length !== 0;
}

/**
 * The parts of a body that are decoded one after the other; the last one is not whole if the body is known to be cut.
 * @throws as {@link zstdFrames}
 */
export function codedParts(coded: Uint8Array, coding: ContentCoding): readonly CodedPart[] {
  return coding === "zstd" ? zstdFrames(coded) : [{ start: 0, end: coded.length, isWhole: true }];
}

/** RFC 9110 means zlib's format by `deflate`; some programs send it without zlib's head (RFC 1950 section 2.2). */
export function isZlib(coded: Uint8Array): boolean {
  const [method = 0, flags = 0] = coded;
  return (method & 0x0f) === 8 && (method * 256 + flags) % 31 === 0;
}

/**
 * Whether a body begins like zlib's format and is also valid without that head: it would begin a stored block, whose
 * length comes twice (RFC 1951 section 3.2.4).
 */
export function isAmbiguousDeflate(coded: Uint8Array): boolean {
  const [, low = 0, high = 0, lowAgain = 0, highAgain = 0] = coded;
  return isZlib(coded) && (low ^ lowAgain) === 0xff && (high ^ highAgain) === 0xff;
}

/**
 * Why an upstream that ignores the label could find a model in the bytes as they came; null when it could not. JSON and
 * forms can be hidden in the parts of a coding that decoders skip.
 */
export function undecodedProblem(coded: Uint8Array, contentType: string | null): string | null {
  const boundary = multipartBoundary(contentType);
  const bytes = Buffer.from(coded.buffer, coded.byteOffset, coded.byteLength);
  const isReadable = boundary === null
    ? mayBeJson(bytes) && !BEGINS_LIKE_BROTLI.test(bytes.toString("latin1", 0, 1))
    : bytes.includes(`--${boundary}`);
  return isReadable ? "it can be read without being decoded, too" : null;
}

/** A length follows, of which one in 256 is a brace. */
const BEGINS_LIKE_BROTLI = /(?![\s\0])\p{Cc}/u;
