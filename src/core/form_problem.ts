/**
 * Whether every upstream reads the same `model` out of a multipart/form-data body.
 *
 * Owns the plain form that is accepted, the one that browsers and SDKs write, .NET's without quotes among them; parsers
 * differ on all others. Copies only the heads of parts. Linear in the body.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7578
 * @see https://html.spec.whatwg.org/multipage/form-control-infrastructure.html#multipart-form-data
 */
import { Buffer } from "node:buffer";
import { DelimiterSearch, MAX_PARTS } from "./multipart.ts";

const MAX_HEAD_BYTES = 4096;
const MAX_CONTENT_TYPE_LENGTH = 256;
const CONTENT_TYPE = /^multipart\/form-data; ?boundary=(?:"[\w'()+,./:=?-]{1,200}"|[\w'+.-]{1,200})$/i;
const FORM_DATA = /^form-data(?![^ \t;])/i;
/** One parameter: quoted, or of characters that no parser takes for something else. */
const PARAMETER =
  /[ \t]*;[ \t]*([a-z-]+\*?)=(?:"((?:[^"\\]|\\.)*)"|(utf-8'[a-z-]*'[\w.%!#$&+^`|~-]+|[^\s;"'\\=,]+))/iy;
const NAME = /^[^"\\]*$/;
const UNQUOTED_NAME = /^[\w.-]+$/;

/** Why parsers may differ on a form; null when they do not. */
export function formProblem(body: Uint8Array, contentType: string | null, boundary: string): string | null {
  if (
    contentType === null || contentType.length > MAX_CONTENT_TYPE_LENGTH || !CONTENT_TYPE.test(contentType)
  ) {
    return "its content-type is not the plain one of a form";
  }
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const delimiter = `--${boundary}`;
  const separator = `\r\n${delimiter}`;
  const separators = new DelimiterSearch(bytes, separator);
  // Some parsers also accept a bare line feed before a delimiter.
  const lineFeeds = new DelimiterSearch(bytes, `\n${delimiter}`);
  if (new DelimiterSearch(bytes, `\r${delimiter}`).from(0) >= 0) return MALFORMED;
  let at = bytes.toString("latin1", 0, 2) === "\r\n" ? 2 : 0;
  if (bytes.toString("latin1", at, at + delimiter.length) !== delimiter) return MALFORMED;
  at += delimiter.length;
  let models = 0;
  for (let parts = 0; bytes.toString("latin1", at, at + 2) === "\r\n"; parts++) {
    const headStart = at + 2;
    const headLength = bytes.subarray(headStart, headStart + MAX_HEAD_BYTES).indexOf("\r\n\r\n");
    const headEnd = headStart + headLength;
    const next = headLength < 0 ? -1 : separators.from(headEnd + 2);
    if (next < 0 || lineFeeds.from(headEnd + 2) !== next + 1) return MALFORMED;
    const part = readHead(bytes.toString("latin1", headStart, headEnd));
    if (part === null) return "a part of its form is not written in the plain way";
    if (part.isModel) {
      models++;
      if (!part.isPlain || parts >= MAX_PARTS) return "its `model` is not a plain field of the form";
    }
    at = next + separator.length;
  }
  if (bytes.toString("latin1", at, at + 2) !== "--" || !isBlank(bytes.subarray(at + 2))) return MALFORMED;
  return models > 1 ? "its `model` comes twice" : null;
}

const MALFORMED = "its form is malformed";

/** Null when parsers may differ on the name. */
function readHead(head: string): { readonly isModel: boolean; readonly isPlain: boolean } | null {
  let name: string | null = null;
  let isPlain = true;
  for (const line of head.split("\r\n")) {
    const colon = line.indexOf(":");
    const field = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    // Parsers differ on folded lines, blanks before the colon and bare line ends.
    if (colon <= 0 || !/^[a-z-]+$/.test(field) || /[\r\n]/.test(line)) return null;
    if (field === "content-disposition") {
      const disposition = readDisposition(value);
      if (disposition === null || name !== null) return null;
      name = disposition.name;
      isPlain &&= !disposition.isFile;
    } else if (field === "content-type") {
      isPlain &&= /^text\/plain(?:; ?charset="?(?:utf-8|us-ascii)"?)?$/i.test(value);
    } else if (field === "content-transfer-encoding") {
      isPlain &&= /^(?:7bit|8bit|binary)$/i.test(value);
    }
  }
  if (name === null || name.toLowerCase() === "_charset_") return null;
  const isModel = name.trim().toLowerCase() === "model";
  return { isModel, isPlain: isPlain && (!isModel || name === "model") };
}

/** Null when parsers may differ on it. */
function readDisposition(value: string): { readonly name: string; readonly isFile: boolean } | null {
  const found = new Map<string, string>();
  PARAMETER.lastIndex = FORM_DATA.exec(value)?.[0].length ?? value.length;
  if (PARAMETER.lastIndex === value.length) return null;
  while (PARAMETER.lastIndex < value.length) {
    const [, name = "", quoted, unquoted = ""] = PARAMETER.exec(value) ?? [];
    const key = name.toLowerCase();
    const text = quoted ?? unquoted;
    if (key === "" || found.has(key) || (key.endsWith("*") && key !== "filename*")) return null;
    if (key === "name" && !(quoted === undefined ? UNQUOTED_NAME : NAME).test(text)) return null;
    // Where escapes are not known, the text ends at the first quote, and more parameters could follow.
    if (text.includes("\\") && (text.includes(";") || PARAMETER.lastIndex < value.length)) return null;
    // Where parameters are searched for by their name, the end of `filename` is one.
    if (key.startsWith("filename") && !found.has("name") && text.trim().toLowerCase() === "model") {
      return null;
    }
    found.set(key, text);
  }
  const name = found.get("name");
  return name === undefined ? null : { name, isFile: found.has("filename") || found.has("filename*") };
}

/** Whether only a line end follows the form, or nothing. */
function isBlank(rest: Uint8Array): boolean {
  return rest.length === 0 || (rest.length === 2 && rest[0] === 0x0d && rest[1] === 0x0a);
}
