/**
 * Percent-encoded texts that people typed (RFC 3986 section 2.1). Pure.
 */

/** The decoded text; as it is when a percent sign in it encodes nothing. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
