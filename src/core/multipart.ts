/**
 * Reads the outline of a multipart/form-data body: names, file names, sizes, and the text of small fields.
 *
 * Works on the bytes in place and copies nothing but the small fields. RFC 7578, RFC 2046 section 5.1.1.
 */
import { Buffer } from "node:buffer";

/** One part of a form. `text` is null for files and for fields larger than 4 KiB. */
export interface FormPart {
  readonly name: string;
  readonly fileName: string | null;
  readonly contentType: string | null;
  /** Where the content begins in the body. */
  readonly startByte: number;
  readonly sizeBytes: number;
  readonly text: string | null;
}

const MAX_PARTS = 100;
const MAX_FIELD_BYTES = 4096;
const MAX_HEAD_BYTES = 8192;

/** The boundary that a content type names, or null when it is not multipart/form-data. */
export function multipartBoundary(contentType: string | null): string | null {
  if (contentType === null || !/^multipart\/form-data\b/i.test(contentType.trim())) return null;
  const match = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;]{1,200}))/i.exec(contentType);
  return match?.[1] ?? match?.[2] ?? null;
}

/** The parts of a form, at most 100; a malformed rest is left out. Never throws. */
export function readFormParts(body: Uint8Array, boundary: string): FormPart[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `--${boundary}`;
  const parts: FormPart[] = [];
  let at = bytes.indexOf(delimiter);
  while (at >= 0 && parts.length < MAX_PARTS) {
    const headStart = at + delimiter.length + 2;
    if (bytes.toString("latin1", headStart - 2, headStart) !== "\r\n") break;
    const headEnd = bytes.indexOf("\r\n\r\n", headStart);
    if (headEnd < 0 || headEnd - headStart > MAX_HEAD_BYTES) break;
    const contentStart = headEnd + 4;
    const next = bytes.indexOf(`\r\n${delimiter}`, headEnd + 2);
    const contentEnd = next < 0 ? bytes.length : Math.max(contentStart, next);
    const head = bytes.toString("utf8", headStart, headEnd);
    const part = readPart(head, bytes.subarray(contentStart, contentEnd), contentStart);
    if (part !== null) parts.push(part);
    if (next < 0) break;
    at = next + 2;
  }
  return parts;
}

function readPart(head: string, content: Buffer, startByte: number): FormPart | null {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1];
  const name = disposition && /;\s*name="([^"]*)"/i.exec(disposition)?.[1];
  if (!disposition || !name) return null;
  const fileName = /;\s*filename="([^"]*)"/i.exec(disposition)?.[1] ?? null;
  return {
    name,
    fileName,
    contentType: /^content-type:\s*(.*?)\s*$/im.exec(head)?.[1] ?? null,
    startByte,
    sizeBytes: content.length,
    text: fileName === null && content.length <= MAX_FIELD_BYTES ? content.toString("utf8") : null,
  };
}
