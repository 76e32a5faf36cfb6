/**
 * Text from outside as one harmless line, for terminals, logs and names.
 */

/**
 * A text as one harmless line: characters that could move the cursor, colour the screen or reorder the line
 * (control, format and line-separating characters, lone surrogates) become a space.
 */
export function cleanText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, " ").trim();
}
