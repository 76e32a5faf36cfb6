/**
 * Values that clients may put into a field: languages, sizes, and every character with a meaning for a
 * parser, a terminal or an editor. Text is Latin-1: one character per byte on the wire.
 */
import { Buffer } from "node:buffer";

export interface OutsideValue {
  readonly name: string;
  readonly bytes: string;
}

export const LARGE_BYTES = 64 * 1024;

function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function codePoint(code: number): string {
  return `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

const LANGUAGES: readonly OutsideValue[] = [
  { name: "an accent", bytes: utf8("café") },
  { name: "Chinese", bytes: utf8("中文模型") },
  { name: "an emoji", bytes: utf8("🦜👩‍👩‍👧") },
  { name: "combining marks", bytes: utf8(`e${"\u0301\u0316".repeat(40)}`) },
  { name: "a ligature and full-width letters", bytes: utf8("ﬁﬃＡＢ") },
  { name: "Latin-1", bytes: "caf\xe9 \xa0\xad\xff" },
  { name: "bytes that are no UTF-8", bytes: "\xc3\x28 \xf0\x9f \xed\xa0\x80" },
];

const SIZES: readonly OutsideValue[] = [
  { name: "nothing", bytes: "" },
  { name: "one byte", bytes: "a" },
  { name: "64 KiB", bytes: "a".repeat(LARGE_BYTES) },
  { name: "64 KiB of UTF-8", bytes: utf8("é").repeat(LARGE_BYTES / 2) },
  { name: "64 KiB of combining marks", bytes: utf8("\u0301\u0316").repeat(LARGE_BYTES / 4) },
  { name: "64 KiB of blanks", bytes: `a${" ".repeat(LARGE_BYTES - 2)}a` },
];

/** C0 and DEL as they are; the others as UTF-8. */
const CONTROLS: readonly OutsideValue[] = [
  ...Array.from({ length: 0x20 }, (_, code) => code),
  0x7f,
].map((code) => ({ name: codePoint(code), bytes: `a${String.fromCharCode(code)}b` }));

/** C1, line separators, characters that reorder text or are invisible, tags. */
const HIDDEN: readonly OutsideValue[] = [
  ...[0x80, 0x85, 0x9b, 0x9d, 0x9f, 0xad, 0x61c, 0x200b, 0x200e, 0x200f, 0x2028, 0x2029],
  ...[0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069, 0xfeff, 0xfffe, 0xe0041],
].map((code) => ({ name: codePoint(code), bytes: utf8(`a${String.fromCodePoint(code)}b`) }));

const MARKS: readonly OutsideValue[] = [
  { name: "an escape sequence", bytes: "\x1b]0;owned\x07\x1b[2J" },
  { name: "an encoded line end", bytes: "a%0d%0ax-injected: 1" },
  { name: "a line end and a field", bytes: "a\r\nx-injected: 1" },
  { name: "quotes and a backslash", bytes: `"'\`\\</script><img src=x>` },
  { name: "a template and a path", bytes: "${7*7}{{7*7}}/../..%2f..%2fetc" },
  { name: "a prototype", bytes: "__proto__" },
];

export const OUTSIDE_VALUES: readonly OutsideValue[] = [
  ...SIZES,
  ...LANGUAGES,
  ...MARKS,
  ...CONTROLS,
  ...HIDDEN,
];

/** The bytes decoded as UTF-8, as a JSON string. */
export function asJson(bytes: string): string {
  return utf8(JSON.stringify(Buffer.from(bytes, "latin1").toString("utf8")));
}

/** Percent-encodes every byte that is not a letter or digit. */
export function asPercent(bytes: string): string {
  return bytes.replace(/[^A-Za-z0-9]/g, (byte) => `%${byte.charCodeAt(0).toString(16).padStart(2, "0")}`);
}
