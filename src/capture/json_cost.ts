/**
 * Whether a JSON text would take too long to parse. The number of values decides: two megabytes of brackets
 * hold a million, two megabytes of prose a few thousand.
 */

/** Parsing this many takes tens of milliseconds, during which no other request is served. */
export const MAX_VALUES = 250_000; // docs/tuning.md#documents

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPENING_BRACE = 0x7b;
const OPENING_BRACKET = 0x5b;

/** Whether a text has more than {@link MAX_VALUES} values; one pass, which stops at the first value too many. */
export function isCostlyJson(text: string): boolean {
  // Each value takes at least one character.
  if (text.length <= MAX_VALUES) return false;
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
