/**
 * Whether a JSON text would take long to parse: what it costs is its values, of which a text of brackets has a million in
 * two megabytes, and one of words a few thousand.
 */

/** Parsing so many takes some tens of milliseconds, in which nobody else is served. */
export const MAX_VALUES = 250_000;
/** Nothing that is shorter can hold as many. */
const MIN_LENGTH = MAX_VALUES * 2;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;

/** Whether a text has more than {@link MAX_VALUES} values; one pass, which ends as soon as it is known. */
export function isCostlyJson(text: string): boolean {
  if (text.length < MIN_LENGTH) return false;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at);
    } else if (code === COMMA || code === OPENING_BRACE || code === OPENING_BRACKET) {
      if (++values > MAX_VALUES) return true;
    }
  }
  return false;
}

/** Index of the closing quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}
