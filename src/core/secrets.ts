/**
 * Masking: the only forms in which a secret may be shown.
 */

const MIN_MASKABLE_LENGTH = 12;

/** `sk-abcdefwxyz` becomes `sk-…wxyz`; anything shorter than 12 characters shows nothing of itself. */
export function maskSecret(secret: string): string {
  if (secret.length < MIN_MASKABLE_LENGTH) return "…";
  return `${secret.slice(0, 3)}…${secret.slice(-4)}`;
}

/** Replaces every exact occurrence of each secret (4 characters or longer) in a text. */
export function redactSecrets(text: string, secrets: Iterable<string>): string {
  let result = text;
  for (const secret of secrets) {
    if (secret.length >= 4) result = result.replaceAll(secret, maskSecret(secret));
  }
  return result;
}
