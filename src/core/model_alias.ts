/**
 * Replaces the model that a request body names, and leaves every other byte as it is.
 *
 * Parsing and printing the body again would change numbers, escapes and key order; an upstream is to get
 * what the client wrote.
 */
import { Buffer } from "node:buffer";
import { multipartBoundary, readFormParts } from "./multipart.ts";

/** The body with `model` replaced, or the same object when it names no model. */
export function withModel(
  body: Uint8Array<ArrayBuffer>,
  contentType: string | null,
  model: string,
): Uint8Array<ArrayBuffer> {
  const boundary = multipartBoundary(contentType);
  const spans = boundary === null ? jsonModelSpans(body) : formModelSpans(body, boundary);
  if (spans.length === 0) return body;
  const replacement = Buffer.from(boundary === null ? JSON.stringify(model) : model, "utf8");
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const { start, end } of spans) {
    pieces.push(body.subarray(at, start), replacement);
    at = end;
  }
  pieces.push(body.subarray(at));
  return Uint8Array.from(Buffer.concat(pieces));
}

/** Half-open byte range. */
interface Span {
  readonly start: number;
  readonly end: number;
}

function formModelSpans(body: Uint8Array, boundary: string): Span[] {
  return readFormParts(body, boundary)
    .filter((part) => part.name === "model" && part.fileName === null)
    .map((part) => ({ start: part.startByte, end: part.startByte + part.sizeBytes }));
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);
const COLON = 0x3a;

/** The values of every top-level `model` key whose value is a string. JSON readers take the last of them. */
function jsonModelSpans(body: Uint8Array): Span[] {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const spans: Span[] = [];
  let depth = 0;
  let isModelKey = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === QUOTE) {
      const end = endOfString(bytes, at);
      if (isModelKey) spans.push({ start: at, end });
      isModelKey = !isModelKey && depth === 1 && isKey(bytes, end) && isModel(bytes.subarray(at, end));
      at = end - 1;
    } else if (OPENING.has(byte)) {
      depth++;
      isModelKey = false;
    } else if (CLOSING.has(byte)) depth--;
    else if (byte > 0x20 && byte !== COLON) isModelKey = false;
  }
  return spans;
}

/** Index after the closing quote. */
function endOfString(bytes: Buffer, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = bytes.indexOf(QUOTE, at);
    if (quote < 0) return bytes.length;
    let slashes = 0;
    while (bytes[quote - 1 - slashes] === BACKSLASH) slashes++;
    if (slashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

function isKey(bytes: Buffer, end: number): boolean {
  let at = end;
  while ((bytes[at] ?? COLON) <= 0x20) at++;
  return bytes[at] === COLON;
}

/** The key may be written with escapes. */
function isModel(literal: Buffer): boolean {
  if (literal.length > 64) return false;
  try {
    return JSON.parse(literal.toString("utf8")) === "model";
  } catch {
    return false;
  }
}
