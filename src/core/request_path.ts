/**
 * Owns which raw request paths are acceptable; must not change any. Pure, and linear in the path's length.
 *
 * An upstream's key may be meant for one path of its host only. Servers differ in what they decode, how often, and
 * what they strip before they resolve `..`, so a path is refused when any server could find a dot segment in it
 * (RFC 3986 section 5.2.4; WHATWG URL "path state"). Other paths are forwarded unchanged: `org%2Fmodel` is one name.
 */
import { Buffer } from "node:buffer";

/** In characters; longer than the path of any API. */
export const MAX_PATH_LENGTH = 8 * 1024;

/** A proxy in front of the upstream decodes once, the upstream once, and its framework once more. */
const MAX_DECODINGS = 3;

const FORBIDDEN = /[^\x21\x22\x24-\x7e]/;
const BROKEN_ESCAPE = /%(?![0-9a-f]{2})/i;

/** Why a raw request path must be refused, for the client; null when it may be relayed. */
export function pathProblem(path: string): string | null {
  if (path.length > MAX_PATH_LENGTH) return `the path must not be longer than ${MAX_PATH_LENGTH} characters`;
  if (path.includes("\\")) return "the path must not contain a backslash";
  if (path.includes("//")) return "the path must not contain an empty segment";
  if (FORBIDDEN.test(path)) {
    return "the path must not contain control characters, blanks, '#' or what is not ASCII; percent-encode them";
  }
  // Without these no reading has a dot segment; nearly every path has neither.
  if (!path.includes("%") && !path.includes(".")) return null;
  if (BROKEN_ESCAPE.test(path)) return "a '%' in the path must be followed by two hexadecimal digits";
  return problemWithin(path);
}

/** Checks every reading of a path: as it is, and decoded once, twice and three times. */
function problemWithin(path: string): string | null {
  let bytes = path;
  for (let decodings = 0;; decodings++) {
    if (bytes.includes("\0")) return "the path must not contain control characters";
    if (LAX_UTF8.test(bytes)) return "the path must not contain malformed UTF-8";
    const text = asRead(bytes);
    if (text.split(SEPARATOR).some(isDotSegment)) return "the path must not contain '.' or '..' segments";
    const decoded = decode(bytes);
    if (decoded === bytes) return null;
    if (decodings === MAX_DECODINGS) {
      return `the path must not be percent-encoded more than ${MAX_DECODINGS} times`;
    }
    bytes = decoded;
  }
}

const SEPARATOR = /[/\\]/;

/** In one reading: `;` begins parameters, and `?` or `#` ends the path for some servers. */
const END_OF_SEGMENT = /[;?#]/;

/** Blanks, control and format characters, which servers strip and URL parsers remove. */
const INVISIBLE = /[\p{C}\p{Z}\s]/gu;

function isDotSegment(segment: string): boolean {
  if (!segment.includes(".")) return false;
  const end = segment.search(END_OF_SEGMENT);
  const name = (end < 0 ? segment : segment.slice(0, end)).replace(INVISIBLE, "");
  return name === "." || name === "..";
}

const ESCAPE = /%(?:u([0-9a-f]{4})|([0-9a-f]{2}))/gi;

/** Decodes once, to one character per byte. Some servers also decode `%u002e`. */
function decode(bytes: string): string {
  return bytes.replace(ESCAPE, (_, unit: string | undefined, byte: string | undefined) => {
    return unit === undefined
      ? String.fromCharCode(parseInt(byte ?? "", 16))
      : Buffer.from(String.fromCharCode(parseInt(unit, 16))).toString("latin1");
  });
}

/** Overlong or invalid UTF-8: lax decoders read C0 AE, E0 80 AE and F0 80 80 AE as `.`. */
const LAX_UTF8 = /[\xc0\xc1\xf8-\xff]|\xe0(?![\xa0-\xbf])|\xf0(?![\x90-\xbf])/;

const ABOVE_ASCII = /[\x80-\xff]/;

/** Characters that some servers map to ASCII: by compatibility (Unicode NFKC), or as the best fit. */
const LOOKALIKES: Readonly<Record<string, string>> = {
  "\u2024": ".",
  "\u2025": "..",
  "\u2044": "/",
  "\u2215": "/",
  "\u2216": "\\",
  "\u3002": ".",
  "\ufe52": ".",
  "\ufe54": ";",
  "\ufe68": "\\",
  "\uff0e": ".",
  "\uff0f": "/",
  "\uff1b": ";",
  "\uff3c": "\\",
  "\uff61": ".",
};
const ABOVE_LATIN1 = /[\u0100-\uffff]/g;

function asRead(bytes: string): string {
  if (!ABOVE_ASCII.test(bytes)) return bytes;
  const text = Buffer.from(bytes, "latin1").toString("utf8");
  return text.replace(ABOVE_LATIN1, (character) => LOOKALIKES[character] ?? character);
}
