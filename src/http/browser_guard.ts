/**
 * Which requests of web pages may pass when no token is required: a browser sends whatever any page tells it to, from
 * inside its own network.
 *
 * Owns how `Origin`, `Sec-Fetch-Site` and `Host` are judged, and who may read an answer. Programs send neither of
 * the first two.
 */
import type { TrustedProxies } from "../core/client_ip.ts";
import { RouterError } from "../core/errors.ts";
import { APART, type FixedHeaders, READABLE_BY_ALL, readableBy } from "../core/fixed_headers.ts";
import type { HeaderView } from "../core/header_fields.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import { isOriginOf, requestedHost } from "./forwarded_host.ts";
import { isLoopback, isSingleLabel, splitHost } from "../core/loopback.ts";

export interface BrowserGuard {
  /**
   * @param path raw, as it was sent
   * @throws RouterError 403 for another site's page, 421 for another machine's name
   */
  check(request: GuardedRequest, path: string): void;
  /** Headers of every answer; null: to a request that could not be read. */
  headersFor(request: GuardedRequest | null): FixedHeaders;
}

export type GuardedRequest = Pick<InboundExchange, "headers" | "remoteAddress">;

/** With tokens, any page may call `/v1`, because the token is what protects it. */
export const TOKENS_GUARD: BrowserGuard = {
  check: () => {},
  headersFor: () => READABLE_BY_ALL,
};

export interface OpenGuardDeps {
  /** As browsers write them in `Origin`. */
  readonly allowedOrigins: readonly string[];
  readonly trustedProxies: TrustedProxies;
  /** Where the server listens; null while it does not. */
  readonly boundTo: () => { readonly hostname: string } | null;
}

/** An origin that is short enough to be shown. */
const SHOWABLE = /^[\x21-\x7e]{1,200}$/;

/** Without tokens: only programs, pages of this host itself, and the origins that were allowed. */
export class OpenGuard implements BrowserGuard {
  readonly #deps: OpenGuardDeps;
  readonly #headersByOrigin: ReadonlyMap<string, FixedHeaders>;
  readonly #headers: FixedHeaders;

  constructor(deps: OpenGuardDeps) {
    this.#deps = deps;
    this.#headersByOrigin = new Map(deps.allowedOrigins.map((origin) => [origin, readableBy(origin)]));
    // What depends on `Origin` must not be taken from a cache for another one.
    this.#headers = deps.allowedOrigins.length > 0 ? [["vary", "origin"], ...APART] : APART;
  }

  check(request: GuardedRequest, path: string): void {
    // The page has checks of its own, which are stricter.
    if (isBelow(path, "/admin")) return;
    this.#checkHost(request);
    if (isBelow(path, "/v1")) this.#checkSite(request);
  }

  headersFor(request: GuardedRequest | null): FixedHeaders {
    const origin = request?.headers.get("origin") ?? null;
    return origin === null ? this.#headers : this.#headersByOrigin.get(origin) ?? this.#headers;
  }

  /**
   * As below `/admin`, except the port, which a tunnel may have changed, and names of one label, which programs may use: in
   * a browser, such a name could be that of another machine of the network. HTTP/1.0 needs no Host; browsers send one.
   */
  #checkHost({ headers, remoteAddress }: GuardedRequest): void {
    const host = headers.get("host");
    const bound = this.#deps.boundTo();
    if (host === null || bound === null || !isLoopback(bound.hostname)) return;
    const { name } = splitHost(host);
    if (isLoopback(name) || this.#deps.trustedProxies.trusts(remoteAddress)) return;
    if (isSingleLabel(name) && !looksLikeBrowser(headers)) return;
    throw new RouterError(
      421,
      "wrong_host",
      "The server listens for this machine only, and answers to localhost or 127.0.0.1; " +
        "name a proxy in front of it with --trusted-proxy",
    );
  }

  /** @see https://www.w3.org/TR/fetch-metadata/ , https://www.rfc-editor.org/rfc/rfc6454#section-7 */
  #checkSite({ headers, remoteAddress }: GuardedRequest): void {
    const origin = headers.get("origin");
    if (origin !== null && this.#headersByOrigin.has(origin)) return;
    const site = headers.get("sec-fetch-site");
    const isSameSite = site === null || site === "same-origin" || site === "none";
    const isTrusted = this.#deps.trustedProxies.trusts(remoteAddress);
    if (isSameSite && (origin === null || isOriginOf(origin, requestedHost(headers, isTrusted)))) return;
    // A proxy may have changed the Host, but not what the browser says.
    if (site === "same-origin" && isTrusted) return;
    const shown = origin !== null && origin !== "null" && SHOWABLE.test(origin) ? origin : "ORIGIN";
    throw new RouterError(
      403,
      "cross_site",
      "Pages of other sites may not use this server, which runs with --noauth; " +
        `to let one, start it with --allow-origin ${shown}, or ask for tokens`,
    );
  }
}

/** Pages cannot leave out `Origin` where they send something, and most browsers do not let them change their own name. */
function looksLikeBrowser(headers: HeaderView): boolean {
  return headers.has("origin") || headers.has("referer") ||
    /^Mozilla\//.test(headers.get("user-agent") ?? "");
}

function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}
