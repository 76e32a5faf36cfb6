/**
 * The credentials that a client sends in the headers of a request.
 *
 * Does not check whether one is valid: see http/auth.ts.
 */
import { RouterError } from "./errors.ts";
import type { HeaderView } from "./header_fields.ts";
import type { TokenGuard } from "./token_guard.ts";

/** Headers in which clients send credentials, and in which `asis` forwards the client's own. */
const CREDENTIAL_HEADERS = ["authorization", "x-api-key", "api-key", "x-goog-api-key"] as const;

/** The credential of a `Bearer` header value (RFC 6750; the scheme in any case), or null. */
export function bearerToken(value: string): string | null {
  return /^bearer +([^ ].*)$/i.exec(value.trim())?.[1]?.trim() ?? null;
}

/** Every credential that a client sent, in order of preference. */
export function clientCredentials(headers: HeaderView): string[] {
  const credentials: string[] = [];
  const authorization = headers.get("authorization");
  const bearer = authorization === null ? null : bearerToken(authorization);
  if (bearer !== null) credentials.push(bearer);
  for (const name of ["x-api-key", "api-key"]) {
    const value = headers.get(name)?.trim();
    if (value) credentials.push(value);
  }
  return credentials;
}

/** The credential headers of a client that hold none of the router's own tokens. */
export function ownCredentials(headers: HeaderView, guard: TokenGuard): [string, string][] {
  const own: [string, string][] = [];
  for (const name of CREDENTIAL_HEADERS) {
    const value = headers.get(name)?.trim();
    if (value && !value.includes(",") && !guard.holds(value)) own.push([name, value]);
  }
  return own;
}

/** Whether an `asis` upstream can be tried for this client. */
export function hasOwnCredential(headers: HeaderView, guard: TokenGuard): boolean {
  return ownCredentials(headers, guard).length > 0;
}

/**
 * Refuses several credentials in one header: another program might choose another one than the router.
 * @throws RouterError 400 when a header of credentials came more than once, or holds a list
 */
export function requireSingleCredentials(headers: HeaderView): void {
  for (const name of CREDENTIAL_HEADERS) {
    const value = headers.get(name);
    if (value === null || !isList(value)) continue;
    throw new RouterError(
      400,
      "invalid_request",
      `The header ${name} holds more than one credential; send it once, with one credential`,
    );
  }
}

/** Fields of one name that came more than once are joined by commas (RFC 9110 section 5.3). */
function isList(value: string): boolean {
  if (!value.includes(",")) return false;
  return value.startsWith(",") || value.split(",").filter((part) => part.trim() !== "").length > 1;
}
