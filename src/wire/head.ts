/**
 * Heads of HTTP/1.1 messages: strict parsing, and writing.
 *
 * Pure. Refuses what two parsers could read differently, so that nothing can be smuggled past the router: bare line
 * feeds, folded lines, blanks before a colon, control characters.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
import { HeaderFields } from "../core/header_fields.ts";

/** A message that violates the standard; `status` is the answer that its client gets. */
export class MessageError extends Error {
  override readonly name = "MessageError";
  constructor(readonly status: 400 | 431 | 501 | 505, message: string) {
    super(message);
  }
}

/** The connection ended within a head. */
export class CutHeadError extends MessageError {
  constructor() {
    super(400, "the connection ended within a head");
  }
}

export interface RequestHead {
  readonly method: string;
  /** As it was sent, undecoded. */
  readonly target: string;
  readonly isHttp10: boolean;
  readonly headers: HeaderFields;
}

export interface ReplyHead {
  readonly status: number;
  readonly isHttp10: boolean;
  readonly headers: HeaderFields;
}

/** Limits of a head; Deno's own server has the same. */
export const MAX_HEAD_BYTES = 64 * 1024;
const MAX_HEADERS = 128;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/(\d)\.(\d)$/;
const STATUS_LINE = /^HTTP\/1\.(\d) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/;

/** @param text from the first character to the last line's, without the blank line; Latin-1. @throws MessageError */
export function parseRequestHead(text: string): RequestHead {
  const lineEnd = endOfStartLine(text);
  const [, method, target, major, minor] = REQUEST_LINE.exec(text.slice(0, lineEnd)) ?? [];
  if (method === undefined || target === undefined) throw malformed("the request line is malformed");
  if (major !== "1") throw new MessageError(505, "only HTTP/1.1 is spoken here");
  if (!isTarget(target)) throw malformed("the request target is not ASCII; percent-encode what is above");
  const headers = parseFields(text, lineEnd + 2);
  const isHttp10 = minor === "0";
  let hosts = 0;
  for (const [name] of headers) if (name === "host") hosts++;
  if (hosts > 1 || (hosts === 0 && !isHttp10)) throw malformed("there must be one Host header");
  return { method, target, isHttp10, headers };
}

/** @throws MessageError */
export function parseReplyHead(text: string): ReplyHead {
  const lineEnd = endOfStartLine(text);
  const [, minor, status] = STATUS_LINE.exec(text.slice(0, lineEnd)) ?? [];
  if (status === undefined) throw malformed("the status line is malformed");
  return { status: Number(status), isHttp10: minor === "0", headers: parseFields(text, lineEnd + 2) };
}

function endOfStartLine(text: string): number {
  const end = text.indexOf("\r\n");
  return end < 0 ? text.length : end;
}

const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const SPACE = 0x20;
const DELETE = 0x7f;

/** The field lines of a head, in one pass. */
function parseFields(text: string, from: number): HeaderFields {
  const fields: [string, string][] = [];
  for (let at = from; at < text.length;) {
    const colon = text.indexOf(":", at);
    const name = text.slice(at, Math.max(colon, at));
    if (!TOKEN.test(name)) throw malformed("a header line is malformed");
    // `trim()` would remove more than the standard's blanks.
    let start = colon + 1;
    while (isBlank(text.charCodeAt(start))) start++;
    let end = start;
    for (at = start; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === CR && text.charCodeAt(at + 1) === LF) break;
      if (isForbidden(code)) throw malformed("the head holds a forbidden character or a bare line end");
      if (!isBlank(code)) end = at + 1;
    }
    at += 2;
    if (fields.length === MAX_HEADERS) throw new MessageError(431, `more than ${MAX_HEADERS} headers`);
    fields.push([name.toLowerCase(), text.slice(start, end)]);
  }
  return new HeaderFields(fields);
}

/** Whether a line is a header field or a trailer, without its line end. */
export function isFieldLine(line: string): boolean {
  const colon = line.indexOf(":");
  return colon > 0 && TOKEN.test(line.slice(0, colon)) && !NOT_IN_FIELD.test(line);
}

/** Control characters, line ends among them. */
export function isForbidden(code: number): boolean {
  return (code < SPACE && code !== TAB) || code === DELETE;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

function malformed(problem: string): MessageError {
  return new MessageError(400, problem);
}

/** What a request line can carry as its target (RFC 9112 section 3.2): visible ASCII. */
export function isTarget(text: string): boolean {
  return !NOT_TARGET.test(text);
}
const NOT_TARGET = /[^\x21-\x7e]/;

const NOT_IN_FIELD = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * Formats one field of a head, with its line end; the head ends with another line end.
 *
 * @throws TypeError for control characters and those above U+00FF, which could add a field or end the head
 */
export function fieldLine(name: string, value: string): string {
  // Checked separately: searching a freshly concatenated string would cost as much again.
  if (NOT_IN_FIELD.test(value) || NOT_IN_FIELD.test(name)) {
    throw new TypeError(`the header ${name.slice(0, 64)} holds a forbidden character`);
  }
  return `${name}: ${value}\r\n`;
}
