/**
 * Trailing slashes of URLs. Pure.
 */

/** The text without slashes at its end. A regular expression would take quadratic time on many slashes. */
export function withoutTrailingSlashes(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === "/") end--;
  return text.slice(0, end);
}
