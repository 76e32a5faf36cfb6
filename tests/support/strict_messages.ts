/**
 * A reader of HTTP/1.1 messages as strict as the standard allows, to detect every byte that another reader could
 * interpret differently. Shares no code with the program's own reader.
 *
 * Text is Latin-1: one character per byte.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
import { Buffer } from "node:buffer";

/** A violation of the message syntax. */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

export interface StrictRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case, in wire order. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface StrictReply {
  readonly status: number;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** Whether the sender ends the connection after it. */
  readonly isLast: boolean;
}

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+";
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e]+) HTTP/1\\.1$`);
const STATUS_LINE = /^HTTP\/1\.1 ([2-9]\d\d) [\t\x20-\x7e]*$/;
const FIELD_LINE = new RegExp(`^(${TOKEN}): ?([\\t\\x20-\\x7e\\x80-\\xff]*)$`);
const LENGTH = /^(?:0|[1-9]\d{0,14})$/;

/**
 * The first request in these bytes and its length; null when it is incomplete.
 * @throws Malformed
 */
export function takeRequest(
  bytes: Buffer,
): { readonly request: StrictRequest; readonly size: number } | null {
  const head = takeHead(bytes);
  if (head === null) return null;
  const [, method, target] = REQUEST_LINE.exec(head.startLine) ?? [];
  if (method === undefined || target === undefined) {
    throw new Malformed(`request line ${show(head.startLine)}`);
  }
  if (valuesOf(head.fields, "host").length !== 1) throw new Malformed("not exactly one host");
  const body = takeBody(bytes.subarray(head.size), framingOf(head.fields) ?? 0);
  if (body === null) return null;
  return { request: { method, target, fields: head.fields, body: body.data }, size: head.size + body.size };
}

/**
 * The first reply in these bytes and its length; null when it is incomplete. Interim replies are malformed:
 * only a client that sent `Expect: 100-continue` gets one.
 * @param method of the request that it answers
 * @throws Malformed
 */
export function takeReply(
  bytes: Buffer,
  method: string,
): { readonly reply: StrictReply; readonly size: number } | null {
  const head = takeHead(bytes);
  if (head === null) return null;
  const status = Number(STATUS_LINE.exec(head.startLine)?.[1] ?? 0);
  if (status === 0) throw new Malformed(`status line ${show(head.startLine)}`);
  const framing = framingOf(head.fields);
  if (status === 204 && framing !== null) throw new Malformed("a 204 that says how long it is");
  const isBodyless = method === "HEAD" || status === 204 || status === 304;
  if (!isBodyless && framing === null) throw new Malformed("a reply that does not say where it ends");
  const body = takeBody(bytes.subarray(head.size), isBodyless ? 0 : framing ?? 0);
  if (body === null) return null;
  const isLast = valuesOf(head.fields, "connection").some((value) => value.toLowerCase() === "close");
  return { reply: { status, fields: head.fields, body: body.data, isLast }, size: head.size + body.size };
}

/** All values of one field. */
export function valuesOf(fields: StrictRequest["fields"], name: string): string[] {
  return fields.filter(([each]) => each === name).map(([, value]) => value);
}

interface Head {
  readonly startLine: string;
  readonly fields: (readonly [string, string])[];
  readonly size: number;
}

function takeHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return null;
  const [startLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const fields = lines.map((line) => {
    const [, name, value] = FIELD_LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new Malformed(`field line ${show(line)}`);
    return [name.toLowerCase(), value] as const;
  });
  return { startLine, fields, size: end + 4 };
}

/** The declared length in bytes, "chunked", or null when the head declares neither. */
function framingOf(fields: Head["fields"]): number | "chunked" | null {
  const lengths = valuesOf(fields, "content-length");
  const encodings = valuesOf(fields, "transfer-encoding");
  if (lengths.length + encodings.length > 1) {
    throw new Malformed("more than one field that says where it ends");
  }
  const [length] = lengths;
  if (length !== undefined && !LENGTH.test(length)) throw new Malformed(`content-length ${show(length)}`);
  const [encoding] = encodings;
  if (encoding !== undefined && encoding !== "chunked") {
    throw new Malformed(`transfer-encoding ${show(encoding)}`);
  }
  return encoding !== undefined ? "chunked" : length === undefined ? null : Number(length);
}

function takeBody(bytes: Buffer, framing: number | "chunked"): { data: Buffer; size: number } | null {
  if (framing === "chunked") return takeChunks(bytes);
  return bytes.length < framing ? null : { data: bytes.subarray(0, framing), size: framing };
}

function takeChunks(bytes: Buffer): { data: Buffer; size: number } | null {
  const pieces: Buffer[] = [];
  for (let at = 0;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const line = bytes.toString("latin1", at, lineEnd);
    if (!/^[0-9a-f]{1,8}$/.test(line)) throw new Malformed(`chunk size ${show(line)}`);
    const size = parseInt(line, 16);
    const end = lineEnd + 2 + size;
    if (bytes.length < end + 2) return null;
    if (bytes.toString("latin1", end, end + 2) !== "\r\n") {
      throw new Malformed("a chunk that is not its size");
    }
    if (size === 0) return { data: Buffer.concat(pieces), size: end + 2 };
    pieces.push(bytes.subarray(lineEnd + 2, end));
    at = end + 2;
  }
}

/** A line, quoted for a message. */
function show(line: string): string {
  return JSON.stringify(line.length <= 200 ? line : `${line.slice(0, 200)}…`);
}
