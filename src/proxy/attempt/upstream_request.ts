/**
 * Which headers cross the proxy, in both directions, and the credential that an upstream gets.
 *
 * Names that never go to an upstream: kept_names.ts.
 */
import { RouterError } from "../../core/errors.ts";
import { HeaderFields, type HeaderView } from "../../core/header_fields.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import { withoutTrailingSlashes } from "../../core/slashes.ts";
import { ASIS, type AuthStyle, type Inbound, type Upstream } from "../../core/types.ts";
import { type FixedHeaders, READABLE_BY_ALL, SITE_WIDE } from "../../core/fixed_headers.ts";
import { HOP_BY_HOP, staysHere } from "./kept_names.ts";
import type { SecretMask } from "../relay/masking.ts";

/** The length is a hop's, too: of the framing that was read, and of the one that is written. */
const NEVER_RELAYED: ReadonlySet<string> = new Set([...HOP_BY_HOP, "content-length", ...SITE_WIDE]);

/** Headers in which clients send credentials, and in which `asis` forwards the client's own. */
const CREDENTIAL_HEADERS = ["authorization", "x-api-key", "api-key", "x-goog-api-key"] as const;

/** Who pays: for a client that brought the key. With the operator's, a wrong one would only be refused. */
const ACCOUNT_HEADERS: ReadonlySet<string> = new Set([
  "openai-organization",
  "openai-project",
  "x-goog-user-project",
]);

/** Names that a `Connection` header declares hop-by-hop. */
function connectionTokens(headers: HeaderView): Set<string> {
  const value = headers.get("connection");
  return value === null ? EMPTY : new Set(value.split(",").map((token) => token.trim().toLowerCase()));
}
const EMPTY: Set<string> = new Set();

/**
 * The headers of the request to an upstream, or null when the upstream is `asis` and the client brought no
 * credential of its own. A header that holds one of the router's tokens, in whatever form, is left out.
 */
export function upstreamHeaders(
  inbound: Pick<Inbound, "headers">,
  upstream: Pick<Upstream, "sk" | "endpoint" | "authStyle">,
  guard: TokenGuard,
): HeaderFields | null {
  const isAsis = upstream.sk === ASIS;
  const named = connectionTokens(inbound.headers);
  const fields: [string, string][] = [];
  for (const field of inbound.headers) {
    const name = field[0];
    if (staysHere(name) || named.has(name) || (!isAsis && ACCOUNT_HEADERS.has(name))) continue;
    if (!guard.holds(name) && !guard.holds(field[1])) fields.push(field);
  }
  const headers = new HeaderFields(fields);
  headers.set("accept-encoding", "identity");
  if (!isAsis) {
    setCredential(headers, upstream.sk, upstream.authStyle ?? guessAuthStyle(upstream.endpoint));
    return headers;
  }
  const own = ownCredentials(inbound.headers, guard);
  for (const [name, value] of own) headers.set(name, value);
  return own.length > 0 ? headers : null;
}

/** The credential headers of a client that hold none of the router's own tokens. */
function ownCredentials(headers: HeaderView, guard: TokenGuard): [string, string][] {
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
 * Which of several credentials counts is nobody's to guess: another program may choose another one.
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

/** A query without the parameters that hold one of the router's tokens. */
export function queryWithoutTokens(query: string, guard: TokenGuard): string {
  if (query === "") return query;
  return query.split("&").filter((parameter) => {
    const equals = parameter.indexOf("=");
    const parts = equals < 0 ? [parameter] : [parameter.slice(0, equals), parameter.slice(equals + 1)];
    return !parts.some((part) => guard.holds(part)) && !guard.holds(parameter);
  }).join("&");
}

function setCredential(headers: HeaderFields, sk: string, style: AuthStyle): void {
  switch (style) {
    case "bearer":
      return headers.set("authorization", `Bearer ${sk}`);
    case "x-api-key":
      return headers.set("x-api-key", sk);
    case "api-key":
      return headers.set("api-key", sk);
    default:
      return style satisfies never;
  }
}

/** Anthropic wants `x-api-key`, Azure OpenAI `api-key`, everybody else `Authorization: Bearer`. */
export function guessAuthStyle(endpoint: string): AuthStyle {
  const { hostname: host } = partsOf(endpoint);
  if (host === "anthropic.com" || host.endsWith(".anthropic.com")) return "x-api-key";
  if (host.endsWith(".openai.azure.com") || host.endsWith(".cognitiveservices.azure.com")) return "api-key";
  return "bearer";
}

/** What requests need of an endpoint's URL. */
interface EndpointParts {
  readonly hostname: string;
  readonly origin: string;
  /** Without slashes at its end. */
  readonly path: string;
  readonly query: string;
}

/** Endpoints that are remembered; there are as many as upstreams, until somebody edits them for months. */
const MAX_ENDPOINTS = 1024;
const endpoints = new Map<string, EndpointParts>();

function partsOf(endpoint: string): EndpointParts {
  let parts = endpoints.get(endpoint);
  if (parts === undefined) {
    const { hostname, origin, pathname, search } = new URL(endpoint);
    parts = { hostname, origin, path: withoutTrailingSlashes(pathname), query: search.slice(1) };
    if (endpoints.size >= MAX_ENDPOINTS) endpoints.clear();
    endpoints.set(endpoint, parts);
  }
  return parts;
}

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

/** What the router adds to every answer. */
export interface RouterHeaders {
  readonly requestId: string;
  /** Name of the upstream that answered, null when none did. */
  readonly upstreamName: string | null;
  readonly attempts: number;
  /** Masks the upstream's key, should a header echo it; none when left out. */
  readonly mask?: Pick<SecretMask, "maskText"> | null;
  /** What every answer to this client has, in place of the upstream's; default: what any page may read. */
  readonly fixed?: FixedHeaders;
}

/** The headers of the answer to the client. `upstream` null: an answer of our own. */
export function clientHeaders(upstream: HeaderView | null, router: RouterHeaders): HeaderFields {
  const headers = new HeaderFields();
  if (upstream !== null) {
    const named = connectionTokens(upstream);
    for (const [name, value] of upstream) {
      if (NEVER_RELAYED.has(name) || name.startsWith("access-control-") || named.has(name)) continue;
      headers.append(name, router.mask?.maskText(value) ?? value);
    }
  }
  // None of them was relayed, but for `vary`, which may come more than once.
  for (const field of router.fixed ?? READABLE_BY_ALL) headers.append(field[0], field[1]);
  headers.set("x-oar-request-id", router.requestId);
  if (router.upstreamName !== null) headers.set("x-oar-upstream", headerText(router.upstreamName));
  headers.set("x-oar-attempts", String(router.attempts));
  return headers;
}

/** Names are free text; header values are visible ASCII (RFC 9110 section 5.5). */
function headerText(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x7e]/gu, (character) => encodeURIComponent(character)).trim();
}

/**
 * The URL of a request at an upstream: the endpoint's path, then the request's path without `/v1`; an
 * endpoint without a path keeps `/v1`; both queries.
 */
export function upstreamUrl(endpoint: string, path: string, query: string): string {
  const parts = partsOf(endpoint);
  const target = parts.path === "" ? path : parts.path + path.replace(/^\/v1(?=\/|$)/, "");
  const queries = [parts.query, query].filter((part) => part !== "").join("&");
  return `${parts.origin}${target}${queries === "" ? "" : `?${queries}`}`;
}
