/**
 * What must never leave the process in a log line or an alert, and how it is masked.
 *
 * Owns the patterns of credentials. Known secrets are masked wherever they occur; the patterns catch unknown
 * ones, such as a client's own key quoted in an upstream's error message.
 */
import type { RedactionPatterns } from "@logtape/redaction";
import { maskSecret, redactSecrets } from "../core/secrets.ts";

/**
 * Forms of credentials. Matches contain no quote and no backslash, so JSON stays JSON. Each takes time linear in the
 * text: after a failed match it does not read the same characters again.
 */
export const CREDENTIAL_PATTERNS: RedactionPatterns = [
  // A JSON Web Token (RFC 7519), possibly cut. LogTape's own pattern takes quadratic time on `eyJeyJeyJ`.
  { pattern: /eyJ[\w-]{6,}(?:\.[\w-]*){0,2}/g, replacement: "[JWT REDACTED]" },
  { pattern: /\bsk-[A-Za-z0-9_-]{8,}/g, replacement: (match: string) => maskSecret(match) },
  { pattern: /\b(bearer\s+)[A-Za-z0-9._~+/=-]{6,}/gi, replacement: "$1…" },
  { pattern: /(:\/\/)[^\s/@"'\\]+@/g, replacement: "$1…@" },
  {
    pattern: /([?&](?:access_token|api[-_]?key|key|token|secret|sign?)=)[^&\s"'\\]+/gi,
    replacement: "$1…",
  },
];

/** Names of properties whose values are credentials, whatever they look like. */
export const CREDENTIAL_FIELDS: RegExp[] = [
  /^(?:proxy-)?authorization$/i,
  /^(?:set-)?cookie$/i,
  /^(?:x-)?api[-_]?key$/i,
  /^(?:sk|secret|password|token|webhook)$/i,
];

/**
 * Masks known secrets and {@link CREDENTIAL_PATTERNS} in a text that has been cut to its limit.
 * @param secrets called each time, because they change at run time
 */
export function redactor(secrets: () => Iterable<string>): (text: string) => string {
  return (text) => {
    let result = redactSecrets(text, secrets());
    for (const { pattern, replacement } of CREDENTIAL_PATTERNS) {
      result = typeof replacement === "string"
        ? result.replaceAll(pattern, replacement)
        : result.replaceAll(pattern, replacement);
    }
    return result;
  };
}
