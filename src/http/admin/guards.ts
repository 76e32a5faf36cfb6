/**
 * The headers of every answer below `/admin`, and the host names under which it may be opened.
 */
import type { MiddlewareHandler } from "hono";
import type { TrustedProxies } from "../../core/client_ip.ts";
import { RouterError } from "../../core/errors.ts";
import { isLoopback, splitHost } from "../../core/loopback.ts";
import { type AdminEnv, peerOf } from "./env.ts";

/** https://www.w3.org/TR/CSP3/ ; nothing inline, nothing from anywhere else. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "form-action 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

const HEADERS: readonly (readonly [string, string])[] = [
  ["content-security-policy", CONTENT_SECURITY_POLICY],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
  // With `no-referrer`, browsers send `Origin: null`, and over plain HTTP nothing else says where a form comes from.
  ["referrer-policy", "same-origin"],
  ["cross-origin-opener-policy", "same-origin"],
  ["cross-origin-resource-policy", "same-origin"],
];

/** Sets them on errors too. A handler that says `cache-control` itself (an asset's) keeps it. */
export function securityHeaders(): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    await next();
    for (const [name, value] of HEADERS) c.res.headers.set(name, value);
    if (!c.res.headers.has("cache-control")) c.res.headers.set("cache-control", "no-store");
  };
}

export interface HostCheckDeps {
  /** Where the server listens; null while it does not. */
  readonly boundTo: () => { readonly hostname: string; readonly port: number } | null;
  readonly trustedProxies: TrustedProxies;
}

/**
 * A server that only this machine can reach answers only to this machine's names, on any port, since a tunnel may have
 * another one: a web site whose name was rebound to 127.0.0.1 gets nothing
 * (https://en.wikipedia.org/wiki/DNS_rebinding). A trusted proxy may use any name.
 */
export function hostCheck({ boundTo, trustedProxies }: HostCheckDeps): MiddlewareHandler<AdminEnv> {
  return async (c, next) => {
    const bound = boundTo();
    if (bound !== null && isLoopback(bound.hostname) && !trustedProxies.trusts(peerOf(c))) {
      const { name } = splitHost(c.req.header("host") ?? "");
      if (!isLoopback(name)) {
        throw new RouterError(
          421,
          "wrong_host",
          `Open the page as http://localhost:${bound.port}/admin, or name your proxy with --trusted-proxy`,
        );
      }
    }
    await next();
  };
}
