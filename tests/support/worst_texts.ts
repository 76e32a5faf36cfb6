/**
 * Texts on which a parser or a regular expression could take more than linear time.
 */
import type { MakeText } from "./processor_time.ts";

/** Ordinary words. */
export function plainText(length: number): string {
  return of("The quick brown fox jumps over the lazy dog. ", length);
}

/** The repeated part of each text. */
const UNITS: readonly string[] = [
  " ",
  "\t",
  "a",
  "0",
  "-",
  ".",
  ",",
  ";",
  "; ",
  "/",
  "../",
  "://",
  "=",
  "&",
  "?key=",
  "%",
  "%2e",
  "\\",
  '"',
  '\\"',
  '","',
  "[",
  "{",
  '{"a":',
  '{"model":"m",',
  "*",
  "eyJ",
  "eyJaaaaaa.",
  "sk-",
  "sk-aaaaaaaa ",
  "bearer ",
  "https://a:b@",
  "data:",
  "data: a\n",
  "data: {}\n\n",
  'data: {"choices":[{"delta":{"content":"a"}}]}\n\n',
  "event: a\n",
  "--boundary",
  "\r\n--boundary\r\n",
  "--boundary\r\ncontent-disposition: form-data; name=a\r\n",
  "content-type: ",
  "; boundary=",
  '; name="',
  "chunked, ",
  "\r",
  "\n",
  "\r\n",
  "\n\n",
  "\0",
  "\x1b[",
  "\u0301",
  "\u0301\u0316",
  "\uff9e\u0316",
  "\u{1e000}\u0316",
  "\u202e",
  "\u2028",
  "\u03a3",
  "\u4f60",
  "\u1100\u1161",
  "\ufdfa",
  "\ud800",
];

/** Runs of blanks and the like between two letters: the end of a run makes a pattern try another start. */
const INNER: readonly string[] = [" ", "\t", ";", ",", "\r", "\n", "0", "-", "\u0301\u0316", "\uff9e\u0316"];

export const WORST_TEXTS: ReadonlyMap<string, MakeText> = new Map([
  ...UNITS.map((unit) => [JSON.stringify(unit), (length: number) => of(unit, length)] as const),
  ...INNER.map((unit) =>
    [`a…${JSON.stringify(unit)}…\\x`, (length: number) => `a${of(unit, length)}\\x`] as const
  ),
  ["nested lists", (length) => "[".repeat(length / 2) + "]".repeat(length / 2)],
  ["a list, nested deeply", (length) => "[".repeat(1000) + of("1,", length) + "1" + "]".repeat(1000)],
  [
    "different words",
    (length) => Array.from({ length: length / 8 }, (_, at) => at.toString(36).padStart(7, "w")).join(" "),
  ],
]);

function of(unit: string, length: number): string {
  return unit.repeat(Math.ceil(length / unit.length));
}
