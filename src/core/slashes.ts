/**
 * The slashes with which people end a URL. Pure.
 */

/** The text without slashes at its end. A pattern would begin anew at each slash within the text. */
export function withoutTrailingSlashes(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === "/") end--;
  return text.slice(0, end);
}
