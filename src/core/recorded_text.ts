/**
 * Prepares recorded text, which may be hostile, for a screen.
 *
 * Owns how text is made harmless without hiding what it says. Pure.
 */

/**
 * Characters that could move the cursor, colour the screen or reorder a line: control, format, surrogate and
 * line-separating ones. The joiners U+200C and U+200D stay: words and emoji need them.
 */
const HARMFUL = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The lines of a text, with every harmful character replaced by a visible sign. */
export function harmlessLines(text: string): string[] {
  return text.replace(/\r\n/g, "\n").split("\n").map((line) =>
    line.replaceAll("\t", "    ").replace(HARMFUL, visibleSign)
  );
}

/** The same as one text. */
export function harmless(text: string): string {
  return harmlessLines(text).join("\n");
}

/** `␛` for U+001B, `␡` for U+007F, `<U+202E>` for the rest. */
function visibleSign(character: string): string {
  const code = character.codePointAt(0) ?? 0;
  if (code < 0x20) return String.fromCodePoint(0x2400 + code);
  return code === 0x7f ? "\u2421" : `<U+${code.toString(16).toUpperCase().padStart(4, "0")}>`;
}

/** Limit on what indentation may add: deeply nested text grows by its depth on each line. */
const MAX_INDENTATION_FACTOR = 8; // docs/tuning.md#core
const MIN_INDENTATION_LENGTH = 64 * 1024; // docs/tuning.md#core

/** JSON text indented for reading; anything else, and deeply nested JSON, as it is. */
export function prettyJson(text: string): string {
  const maxLength = Math.max(MIN_INDENTATION_LENGTH, MAX_INDENTATION_FACTOR * text.length);
  if (indentationOf(text, maxLength) > maxLength) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** How many blanks {@link prettyJson} would add to JSON; stops counting beyond `enough`. */
function indentationOf(text: string, enough: number): number {
  let added = 0;
  let depth = 0;
  for (let at = 0; at < text.length && added <= enough; at++) {
    switch (text[at]) {
      case '"':
        at = endOfString(text, at);
        break;
      case "{":
      case "[":
        added += 2 * ++depth;
        break;
      case ",":
        added += 2 * depth;
        break;
      case "}":
      case "]":
        added += 2 * Math.max(0, --depth);
    }
  }
  return added;
}

/** Index of the quote that ends the string which begins at `start`, or the text's length. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at;
  }
  return text.length;
}

/** `512 bytes`, `12.3 KB`, `4.5 MB`, `1.2 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} KB`;
  return bytes < 1e9 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
