/**
 * Cuts the text of a message to what a channel takes. Pure.
 */

const MARK = "…";

/** The beginning of a text, with at most `maxLength` UTF-16 units; a text that was cut ends in `…`. */
export function fitLength(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : cutAt(text, maxLength - MARK.length);
}

/**
 * The beginning of a text that takes at most `maxBytes` bytes within JSON (UTF-8, without its quotes); a text that was
 * cut ends in `…`.
 */
export function fitJsonBytes(text: string, maxBytes: number): string {
  // No unit takes more than six bytes.
  if (text.length * 6 <= maxBytes) return text;
  let bytes = 0;
  let cut = 0;
  for (let at = 0; at < text.length;) {
    const code = text.codePointAt(at) ?? 0;
    bytes += jsonBytes(code);
    if (bytes > maxBytes) return text.slice(0, cut) + MARK;
    at += code > 0xffff ? 2 : 1;
    // Where the mark still fits behind it.
    if (bytes <= maxBytes - MARK_BYTES) cut = at;
  }
  return text;
}

const MARK_BYTES = 3;
const LINE_FEED = 10;
const QUOTE = 34;
const BACKSLASH = 92;

/** `JSON.stringify` escapes lone surrogates, too. */
function jsonBytes(code: number): number {
  if (code === QUOTE || code === BACKSLASH || code === LINE_FEED) return 2;
  if (code < 32 || (code >= 0xd800 && code < 0xe000)) return 6;
  if (code < 0x80) return 1;
  if (code < 0x800) return 2;
  return code < 0x10000 ? 3 : 4;
}

/** Never within a pair of surrogates. */
function cutAt(text: string, length: number): string {
  const last = text.charCodeAt(length - 1);
  return text.slice(0, last >= 0xd800 && last < 0xdc00 ? length - 1 : length) + MARK;
}
