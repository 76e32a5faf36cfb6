/**
 * Random texts that nobody can guess.
 */

/** URL-safe characters, six bits each, from the system's generator. */
export function randomText(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toBase64({ alphabet: "base64url", omitPadding: true });
}
