/**
 * Masking: the only forms in which a secret may be shown.
 */
import { ASIS, type Upstream } from "./types.ts";

/** A shorter secret shows nothing of itself when it is masked. */
export const MIN_MASKABLE_LENGTH = 12;
const MIN_KEPT_LENGTH = 16;

const MIN_QUERY_SECRET_LENGTH = 8;
const SECRET_PARAMETER = /key|token|secret|sig|pass|code/i;

/** The key of an upstream, unless it has none of its own, and those that its endpoint's query holds. */
export function keysOf({ sk, endpoint }: Pick<Upstream, "sk" | "endpoint">): readonly string[] {
  const own = sk === ASIS ? [] : [sk];
  if (!endpoint.includes("?")) return own;
  const parameters = [...URL.parse(endpoint)?.searchParams ?? []];
  const isSecret = ([name, value]: [string, string]) =>
    SECRET_PARAMETER.test(name) && value.length >= MIN_QUERY_SECRET_LENGTH;
  return [...own, ...parameters.filter(isSecret).map(([, value]) => value)];
}

/** `sk-abcdefwxyz` becomes `sk-…wxyz`; anything shorter than 12 characters shows nothing of itself. */
export function maskSecret(secret: string): string {
  if (secret.length < MIN_MASKABLE_LENGTH) return "…";
  return `${secret.slice(0, 3)}…${secret.slice(-4)}`;
}

/**
 * Replaces every exact occurrence of each secret (4 characters or longer) in a text, and the beginning of one
 * (12 characters or longer) with which a text that was cut ends.
 */
export function redactSecrets(text: string, secrets: Iterable<string>): string {
  if (text.length < 4) return text;
  let result = text;
  for (const secret of secrets) {
    if (secret.length >= 4) result = withoutCut(result.replaceAll(secret, maskSecret), secret);
  }
  return result;
}

function withoutCut(text: string, secret: string): string {
  const from = Math.max(0, text.length - secret.length);
  const at = text.indexOf(secret.slice(0, MIN_MASKABLE_LENGTH), from);
  return at >= 0 && secret.startsWith(text.slice(at)) ? `${text.slice(0, at + 3)}…` : text;
}

/**
 * The secrets that are replaced in texts which are kept as they were said: those that no ordinary word is (16
 * characters or longer). Keys of local servers, like `ollama`, are words.
 */
export function keptSecrets(secrets: readonly string[]): string[] {
  return secrets.filter((secret) => secret.length >= MIN_KEPT_LENGTH);
}

/** Replaces them, see {@link keptSecrets}. */
export function redactKept(text: string, secrets: readonly string[]): string {
  return redactSecrets(text, keptSecrets(secrets));
}
