/**
 * Secrets among the options of an upstream: headers that are set, and its proxy's password.
 */
import { parseProxyUrl } from "./proxy_url.ts";
import type { UpstreamShaping } from "./upstream_options.ts";

/** A longer value is taken for a secret, whatever its name. */
const MAX_PLAIN_LENGTH = 15;
const MIN_SECRET_LENGTH = 4;
const SECRET_NAME = /key|token|secret|sig|pass|code|auth|cred|jwt|hmac|cookie|session/i;
/** Their values are published words, however long they are. */
const PLAIN_NAMES: ReadonlySet<string> = new Set([
  "accept",
  "accept-language",
  "anthropic-beta",
  "anthropic-version",
  "content-type",
  "http-referer",
  "openai-beta",
  "referer",
  "user-agent",
  "x-title",
]);

/** Whether the value of a header must not be shown. */
export function isSecretHeader(name: string, value: string): boolean {
  if (value.length < MIN_SECRET_LENGTH || PLAIN_NAMES.has(name.toLowerCase())) return false;
  return value.length > MAX_PLAIN_LENGTH || SECRET_NAME.test(name);
}

const MAX_SCHEME_LENGTH = 31;

export function optionSecrets(
  { setHeaders, proxy }: Pick<UpstreamShaping, "setHeaders" | "proxy">,
): readonly string[] {
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(setHeaders)) {
    if (value !== null && isSecretHeader(name, value)) secrets.push(...headerForms(value));
  }
  const credential = proxy === null ? null : parseProxyUrl(proxy)?.credential ?? null;
  if (proxy !== null && credential !== null && credential.password !== "") {
    const { username, password } = credential;
    const bytes = new TextEncoder().encode(`${username}:${password}`);
    secrets.push(password, encodeURIComponent(password.toWellFormed()), btoa(String.fromCharCode(...bytes)));
  }
  return secrets;
}

/** With and without a scheme such as `Bearer`, as in a JSON text, and each long word of a list or an object. */
function headerForms(value: string): string[] {
  const bare = withoutScheme(value);
  const words = bare.split(/[\s,;="'{}:]+/).filter((word) => word.length > MAX_PLAIN_LENGTH);
  return [...new Set([value, bare, JSON.stringify(value).slice(1, -1), ...words])];
}

/** `Bearer abc` becomes `abc`. */
function withoutScheme(value: string): string {
  const blank = value.indexOf(" ");
  if (blank < 0 || !/^[A-Za-z][\w-]*$/.test(value.slice(0, Math.min(blank, MAX_SCHEME_LENGTH + 1)))) {
    return value;
  }
  return value.slice(blank).trimStart() || value;
}
