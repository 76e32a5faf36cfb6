/**
 * The headers of the answer to the client: those of the upstream that are relayed, and the router's own.
 */
import { type FixedHeaders, READABLE_BY_ALL } from "../../core/fixed_headers.ts";
import { HeaderFields, type HeaderView } from "../../core/header_fields.ts";
import { connectionNames, HOP_BY_HOP } from "../../core/hop_by_hop.ts";
import { usdText } from "../../core/money.ts";
import type { Affinity } from "../../core/types.ts";
import type { SecretMask } from "./masking.ts";
import { SITE_WIDE } from "./site_wide_headers.ts";

/** Content-Length is not copied: the length comes from the framing. */
const NEVER_RELAYED: ReadonlySet<string> = new Set([...HOP_BY_HOP, "content-length", ...SITE_WIDE]);

/** What the router adds to every answer. */
export interface RouterHeaders {
  readonly requestId: string;
  /** Name of the upstream that answered, null when none did. */
  readonly upstreamName: string | null;
  readonly attempts: number;
  /** What tied the request to the upstream that answered; default: nothing. */
  readonly affinity?: Affinity | null;
  /** Masks the upstream's key where a header echoes it. */
  readonly mask?: Pick<SecretMask, "maskText"> | null;
  /** How much is left of the limits of its token; null: those of the upstream are relayed, if it has any. */
  readonly limits?: FixedHeaders | null;
  /** Fields of every answer to this client, instead of the upstream's; default: those that let any page read it. */
  readonly fixed?: FixedHeaders;
}

/** The headers of the answer to the client. `upstream` null: an answer of our own. */
export function clientHeaders(upstream: HeaderView | null, router: RouterHeaders): HeaderFields {
  const headers = new HeaderFields();
  const limits = router.limits ?? null;
  const isLimited = limits !== null;
  if (upstream !== null) {
    const named = connectionNames(upstream);
    for (const [name, value] of upstream) {
      if (NEVER_RELAYED.has(name) || name.startsWith("access-control-") || named.has(name)) continue;
      headers.append(isLimited ? limitName(name) : name, router.mask?.maskText(value) ?? value);
    }
  }
  // None of them was relayed, except `vary`, which may come more than once.
  for (const field of router.fixed ?? READABLE_BY_ALL) headers.append(field[0], field[1]);
  headers.set("x-oar-request-id", router.requestId);
  if (router.upstreamName !== null) headers.set("x-oar-upstream", headerText(router.upstreamName));
  headers.set("x-oar-attempts", String(router.attempts));
  headers.set("x-oar-affinity", router.affinity ?? "none");
  if (limits !== null) { for (const field of limits) headers.append(field[0], field[1]); }
  return headers;
}

const UPSTREAM_LIMITS = /^(?:x|anthropic)-ratelimit-/;

/** Where a client finds what an upstream says of its own limits, when its token has others. */
function limitName(name: string): string {
  return name.replace(UPSTREAM_LIMITS, "x-oar-upstream-ratelimit-");
}

/**
 * Keeps proxies in front from buffering an event stream, as nginx does by default, or caching it, unless the upstream says
 * otherwise.
 *
 * @see https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering
 */
export function keepStreaming(headers: HeaderFields): void {
  if (!headers.has("x-accel-buffering")) headers.append("x-accel-buffering", "no");
  if (!headers.has("cache-control")) headers.append("cache-control", "no-cache");
}

/** What a reply did cost, in US dollars. @param costNano null: it is not known, and nothing is said */
export function addCost(headers: HeaderFields, costNano: number | null): void {
  if (costNano !== null) headers.set("x-oar-cost", usdText(costNano));
}

/** Names are free text; header values are visible ASCII (RFC 9110 section 5.5). */
export function headerText(text: string): string {
  return text.toWellFormed().replace(/[^\x20-\x7e]/gu, (character) => encodeURIComponent(character)).trim();
}
