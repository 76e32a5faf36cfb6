/**
 * Texts of outsiders, cut to what is wanted of them before anything else is done with them. Pure.
 */

/** Model names that clients and upstreams make up: longer ones are kept and shown cut. */
export const MAX_SHOWN_NAME_LENGTH = 256;
export const MAX_PATH_LENGTH = 1024;
export const MAX_USER_AGENT_LENGTH = 512;

/** Stands for what was left out. */
const MARK = "…";
/**
 * What is looked at beyond what will be shown: a secret that begins before the cut is masked as long as 12 characters of
 * it can be seen (see `redactSecrets`), a credential of unknown form as long as its pattern can be.
 */
const REDACTION_MARGIN = 1024;

/** At most `maxLength` characters; a text that was cut ends in `…`. Keeps nothing of the rest in memory. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  let end = Math.max(0, maxLength - MARK.length);
  const last = text.charCodeAt(end - 1);
  if (last >= 0xd800 && last < 0xdc00) end--;
  // A slice refers to the text that it was cut from; joining makes a text of its own.
  return [text.slice(0, end), MARK].join("");
}

/** The beginning of a text as far as {@link redactedStart} looks at it. Keeps nothing of the rest in memory. */
export function redactableStart(text: string, maxLength: number): string {
  return cutText(text, maxLength + REDACTION_MARGIN);
}

/**
 * What may be shown of a text, at most `maxLength` characters and `…`. It is cut, then masked, then clamped: masking
 * first would take time over what nobody will see, and clamping first could leave half of a secret.
 */
export function redactedStart(text: string, maxLength: number, redact: (text: string) => string): string {
  const redacted = redact(redactableStart(text, maxLength));
  return redacted.length <= maxLength ? redacted : `${redacted.slice(0, maxLength).toWellFormed()}${MARK}`;
}
