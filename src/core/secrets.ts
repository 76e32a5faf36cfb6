/**
 * Masking: the only form in which a secret may be shown.
 */
import { optionSecrets } from "./option_secrets.ts";
import { ASIS } from "./types.ts";
import type { UpstreamShaping } from "./upstream_options.ts";
import type { UpstreamKeys } from "./upstream_target.ts";

/** A shorter secret is masked completely. */
export const MIN_MASKABLE_LENGTH = 12;
const MIN_KEPT_LENGTH = 16;

const MIN_QUERY_SECRET_LENGTH = 8;
/** Names of query parameters whose values are secrets. */
export const SECRET_PARAMETER = /key|token|secret|sig|pass|code|auth|cred|jwt|hmac/i;

/** What may hold secrets of an upstream. */
export type SecretHolder = UpstreamKeys & {
  readonly shaping?: Pick<UpstreamShaping, "setHeaders" | "proxy">;
};

/**
/**
 * The keys of an upstream, if it has its own, the keys in its endpoint's query, those among the headers that are set, and the
 * password of its proxy, in all forms in which replies may quote them: decoded, as written, and escaped.
 */
export function keysOf({ sk, endpoint, keys: all, shaping }: SecretHolder): readonly string[] {
  // A row's own text holds one key a line.
  const own = sk.split(/[\r\n]+/).map((key) => key.trim()).filter((key) => key !== "");
  const secrets = all === undefined ? own : [...own, ...all];
  const keys = new Set(secrets.flatMap((secret) => secret === ASIS ? [] : writtenForms(secret)));
  if (shaping !== undefined) {
    for (const secret of optionSecrets(shaping).flatMap(writtenForms)) keys.add(secret);
  }
  const query = endpoint.indexOf("?");
  if (query < 0) return [...keys];
  for (const parameter of endpoint.slice(query + 1).replace(/#.*$/s, "").split("&")) {
    const equals = parameter.indexOf("=");
    const [[name, value] = ["", ""]] = [...new URLSearchParams(parameter)];
    if (equals < 0 || !SECRET_PARAMETER.test(name) || value.length < MIN_QUERY_SECRET_LENGTH) continue;
    const written = parameter.slice(equals + 1);
    for (const form of [value, written, encodeURIComponent(value.toWellFormed())].flatMap(writtenForms)) {
      keys.add(form);
    }
  }
  return [...keys];
}

/**
 * The forms in which a text may quote a secret: some programs escape slashes in JSON (RFC 8259 section 7), or write
 * percent-encoding in lower case.
 */
function writtenForms(secret: string): string[] {
  const slashed = secret.replaceAll("/", "\\/");
  const lower = secret.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase());
  return [...new Set([secret, slashed, lower])];
}

/** `sk-abcdefwxyz` becomes `sk-…wxyz`, anything shorter than 12 characters `…`. */
export function maskSecret(secret: string): string {
  if (secret.length < MIN_MASKABLE_LENGTH) return "…";
  return `${secret.slice(0, 3)}…${secret.slice(-4)}`;
}

/**
 * Masks every occurrence of each secret (4 characters or longer) in a text, and the beginning of one (12 characters
 * or longer) at the end of a text that was cut.
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
 * The secrets that are masked in recorded texts: those too long to be an ordinary word (16 characters or more). Keys
 * of local servers, like `ollama`, are words.
 */
export function keptSecrets(secrets: readonly string[]): string[] {
  return secrets.filter((secret) => secret.length >= MIN_KEPT_LENGTH);
}

/** Masks the {@link keptSecrets} in a text. */
export function redactKept(text: string, secrets: readonly string[]): string {
  return redactSecrets(text, keptSecrets(secrets));
}
