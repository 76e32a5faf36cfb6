/**
 * Heads of HTTP/1.1 messages: parsing, strictly, and writing.
 *
 * Pure. What two parsers could read differently is refused, so that nothing can be smuggled past us: bare line feeds,
 * folded lines, blanks before a colon, control characters.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112
 */
import { HeaderFields } from "../core/header_fields.ts";

/** A message that is not what the standard says; `status` is the answer that a client gets for it. */
export class MessageError extends Error {
  override readonly name = "MessageError";
  constructor(readonly status: 400 | 431 | 501 | 505, message: string) {
    super(message);
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
export const MAX_HEADERS = 128;

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e\x80-\xff]+) HTTP\/(\d)\.(\d)$/;
const STATUS_LINE = /^HTTP\/1\.(\d) (\d{3})(?: [\t\x20-\x7e\x80-\xff]*)?$/;
/** What no line may hold: control characters, and line ends that are not CR LF. */
// deno-lint-ignore no-control-regex
const FORBIDDEN = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;

/** @param text from the first character to the last line's, without the blank line; Latin-1. @throws MessageError */
export function parseRequestHead(text: string): RequestHead {
  const lines = linesOf(text);
  const [, method, target, major, minor] = REQUEST_LINE.exec(lines[0] ?? "") ?? [];
  if (method === undefined || target === undefined) throw malformed("the request line is malformed");
  if (major !== "1") throw new MessageError(505, "only HTTP/1.1 is spoken here");
  const headers = fieldsOf(lines);
  const isHttp10 = minor === "0";
  let hosts = 0;
  for (const [name] of headers) if (name === "host") hosts++;
  if (hosts > 1 || (hosts === 0 && !isHttp10)) throw malformed("there must be one Host header");
  return { method, target, isHttp10, headers };
}

/** @throws MessageError */
export function parseReplyHead(text: string): ReplyHead {
  const lines = linesOf(text);
  const [, minor, status] = STATUS_LINE.exec(lines[0] ?? "") ?? [];
  if (status === undefined) throw malformed("the status line is malformed");
  return { status: Number(status), isHttp10: minor === "0", headers: fieldsOf(lines) };
}

function linesOf(text: string): string[] {
  if (FORBIDDEN.test(text)) throw malformed("the head holds a forbidden character or a bare line end");
  return text.split("\r\n");
}

function fieldsOf(lines: readonly string[]): HeaderFields {
  if (lines.length - 1 > MAX_HEADERS) throw new MessageError(431, `more than ${MAX_HEADERS} headers`);
  const fields: [string, string][] = [];
  for (let at = 1; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0));
    if (!TOKEN.test(name)) throw malformed("a header line is malformed");
    fields.push([name.toLowerCase(), withoutBlanks(line, colon + 1)]);
  }
  return new HeaderFields(fields);
}

/** The value without blanks around it; `trim()` would take away more than the standard's blanks. */
function withoutBlanks(line: string, from: number): string {
  let start = from;
  let end = line.length;
  while (start < end && isBlank(line.charCodeAt(start))) start++;
  while (end > start && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function malformed(problem: string): MessageError {
  return new MessageError(400, problem);
}

/** The lines of a head with the blank line behind them. */
export function formatHead(startLine: string, headers: Iterable<readonly [string, string]>): string {
  let text = `${startLine}\r\n`;
  for (const [name, value] of headers) text += `${name}: ${value}\r\n`;
  return `${text}\r\n`;
}
