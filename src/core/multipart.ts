/**
 * Reads the outline of a multipart/form-data body: names, file names, sizes, and the text of small fields.
 *
 * Works on the bytes in place and copies only the small fields. RFC 7578, RFC 2183, RFC 2046 section 5.1.1.
 */
import { Buffer } from "node:buffer";
import { extendedText, headerParameters } from "./header_parameters.ts";

/** One part of a form. `text` is null for files and for fields larger than 4 KiB. */
export interface FormPart {
  readonly name: string;
  readonly fileName: string | null;
  readonly contentType: string | null;
  /** Offset of the content in the body. */
  readonly startByte: number;
  readonly sizeBytes: number;
  readonly text: string | null;
}

/** Further parts of a form are not read. */
export const MAX_PARTS = 100;
const MAX_FIELD_BYTES = 4096;
const MAX_HEAD_BYTES = 8192;
const MAX_BOUNDARY_LENGTH = 200;

/** The result for each body, as long as the body is alive. */
const known = new WeakMap<Uint8Array, { readonly boundary: string; readonly parts: readonly FormPart[] }>();

/** The boundary that a content type names, or null when it is not multipart/form-data. */
export function multipartBoundary(contentType: string | null): string | null {
  if (contentType === null) return null;
  if (!/^\s*multipart\/form-data\b/i.test(contentType)) return null;
  const parameter = headerParameters(contentType).find(({ name }) => name === "boundary");
  if (parameter === undefined) return null;
  const { value, isQuoted } = parameter;
  const isPlain = isQuoted ? /^[\x20\x21\x23-\x7e]+$/ : /^[\x21\x23-\x7e]+$/;
  return value.length <= MAX_BOUNDARY_LENGTH && isPlain.test(value) ? value : null;
}

/**
 * The parts of a form, at most 100; a malformed rest is left out. Never throws. The result is cached, so the bytes
 * of the body must not change.
 */
export function readFormParts(body: Uint8Array, boundary: string): readonly FormPart[] {
  const before = known.get(body);
  if (before?.boundary === boundary) return before.parts;
  const parts = readParts(Buffer.from(body.buffer, body.byteOffset, body.byteLength), `--${boundary}`);
  known.set(body, { boundary, parts });
  return parts;
}

function readParts(bytes: Buffer, delimiter: string): FormPart[] {
  const parts: FormPart[] = [];
  const search = new DelimiterSearch(bytes, `\r\n${delimiter}`);
  // At the start of the body, or of a later line (RFC 2046 section 5.1.1).
  const isAtStart = bytes.toString("latin1", 0, delimiter.length) === delimiter;
  let at = isAtStart ? 0 : afterLineEnd(search.from(0));
  while (at >= 0 && parts.length < MAX_PARTS) {
    const headStart = at + delimiter.length + 2;
    if (bytes.toString("latin1", headStart - 2, headStart) !== "\r\n") break;
    const headLength = bytes.subarray(headStart, headStart + MAX_HEAD_BYTES + 4).indexOf("\r\n\r\n");
    if (headLength < 0) break;
    const headEnd = headStart + headLength;
    const contentStart = headEnd + 4;
    const next = search.from(headEnd + 2);
    const contentEnd = next < 0 ? bytes.length : Math.max(contentStart, next);
    const head = bytes.toString("utf8", headStart, headEnd);
    const part = readPart(head, bytes.subarray(contentStart, contentEnd), contentStart);
    if (part !== null) parts.push(part);
    at = afterLineEnd(next);
  }
  return parts;
}

function afterLineEnd(at: number): number {
  return at < 0 ? -1 : at + 2;
}

/**
 * Boyer-Moore-Horspool search: moves through a file in steps as long as the delimiter. Compares from the first
 * character on, a carriage return or line feed that occurs only there, so the work is linear for any body.
 */
export class DelimiterSearch {
  readonly #bytes: Uint8Array;
  readonly #delimiter: Uint8Array;
  /** Step to the next possible match, by the byte under the delimiter's last character. */
  readonly #steps: Uint16Array;

  constructor(bytes: Uint8Array, delimiter: string) {
    this.#bytes = bytes;
    this.#delimiter = Buffer.from(delimiter, "latin1");
    this.#steps = new Uint16Array(256).fill(delimiter.length);
    this.#delimiter.subarray(0, -1).forEach((byte, at) => this.#steps[byte] = delimiter.length - 1 - at);
  }

  /** The delimiter's index at or after `start`; -1 when there is none. */
  from(start: number): number {
    const [bytes, delimiter, steps] = [this.#bytes, this.#delimiter, this.#steps];
    const last = delimiter.length - 1;
    for (let at = start; at + last < bytes.length;) {
      let matched = 0;
      while (matched <= last && bytes[at + matched] === delimiter[matched]) matched++;
      if (matched > last) return at;
      at += steps[bytes[at + last] ?? 0] ?? 1;
    }
    return -1;
  }
}

function readPart(head: string, content: Buffer, startByte: number): FormPart | null {
  // Long lines may be folded (RFC 5322 section 2.2.3).
  const lines = head.replace(/\r\n[ \t]+/g, " ").split("\r\n");
  const parameters = headerParameters(fieldOf(lines, "content-disposition") ?? "");
  const parameter = (wanted: string) => parameters.find(({ name }) => name === wanted)?.value;
  const name = parameter("name");
  if (!name) return null;
  const extended = parameter("filename*");
  const fileName = extended === undefined ? parameter("filename") ?? null : extendedText(extended);
  return {
    name,
    fileName,
    contentType: fieldOf(lines, "content-type"),
    startByte,
    sizeBytes: content.length,
    text: fileName === null && content.length <= MAX_FIELD_BYTES ? content.toString("utf8") : null,
  };
}

/** The value of the first field with that name; null when there is none. */
function fieldOf(lines: readonly string[], name: string): string | null {
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (line.slice(0, colon).trim().toLowerCase() === name) return line.slice(colon + 1).trim();
  }
  return null;
}
