/**
 * Cuts texts of clients and upstreams to the length needed, before anything else is done with them. Pure.
 */

/** Limit on names that clients and upstreams choose, such as models; longer ones are kept and shown cut. */
export const MAX_SHOWN_NAME_LENGTH = 256;
export const MAX_PATH_LENGTH = 1024;
export const MAX_USER_AGENT_LENGTH = 512;

/** Stands for what was left out. */
const MARK = "…";
/**
 * Characters examined beyond those shown, so that a secret that begins before the cut is still recognised: a known
 * one by its first 12 characters (see `redactSecrets`), an unknown one by its pattern.
 */
const REDACTION_MARGIN = 1024;

/** At most `maxLength` characters; a text that was cut ends in `…`. Keeps nothing of the rest in memory. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  let end = Math.max(0, maxLength - MARK.length);
  const last = text.charCodeAt(end - 1);
  if (last >= 0xd800 && last < 0xdc00) end--;
  // A slice keeps its parent string alive; joining makes a new string.
  return [text.slice(0, end), MARK].join("");
}

const encoder = new TextEncoder();

/** At most `maxBytes` of UTF-8, whole characters only; a text that was cut ends in `…`. */
export function cutBytes(text: string, maxBytes: number): string {
  // Each unit takes three bytes at most.
  if (text.length * 3 <= maxBytes) return text;
  const { read } = encoder.encodeInto(text, new Uint8Array(maxBytes));
  if (read === text.length) return text;
  const markBytes = encoder.encode(MARK).length;
  const kept = encoder.encodeInto(text, new Uint8Array(Math.max(0, maxBytes - markBytes))).read;
  return [text.slice(0, kept), MARK].join("");
}

/** The beginning of a text that {@link redactedStart} examines. Keeps nothing of the rest in memory. */
export function redactableStart(text: string, maxLength: number): string {
  return cutText(text, maxLength + REDACTION_MARGIN);
}

/**
 * The beginning of a text with secrets masked: at most `maxLength` characters and `…`. It is cut, masked, then cut
 * to length: masking first would waste time on text that is never shown, cutting to length first could leave half
 * of a secret.
 */
export function redactedStart(text: string, maxLength: number, redact: (text: string) => string): string {
  const redacted = redact(redactableStart(text, maxLength));
  return redacted.length <= maxLength ? redacted : `${redacted.slice(0, maxLength).toWellFormed()}${MARK}`;
}
