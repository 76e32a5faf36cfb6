/**
 * Under which host a request was made, as far as it can be known behind proxies. Pure.
 */
import { isIP } from "node:net";
import type { HeaderView } from "../core/header_fields.ts";
import { isLoopback, isSingleLabel, splitHost } from "../core/loopback.ts";

/** The part of a header list that is used. */
type Headers = Pick<HeaderView, "get">;

/**
 * The host that the client asked for: what a trusted proxy says (`X-Forwarded-Host`), else `Host`; null: neither is
 * there.
 */
export function requestedHost(headers: Headers, isTrusted: boolean): string | null {
  const forwarded = isTrusted ? headers.get("x-forwarded-host")?.split(",").at(-1)?.trim() : null;
  return (forwarded || headers.get("host"))?.toLowerCase() ?? null;
}

/** Whether an `Origin` names that host, with any scheme: a proxy in front may have added TLS. */
export function isOriginOf(origin: string, host: string | null): boolean {
  const own = URL.parse(origin);
  if (own === null || own.origin !== origin || host === null) return false;
  return URL.parse(`${own.protocol}//${host}`)?.origin === own.origin;
}

/**
 * Whether a trusted proxy has put the address of this server in the place of the host that the client asked for, as
 * nginx does unless it is told otherwise: then an `Origin` says nothing.
 */
export function isHostLost(headers: Headers, isTrusted: boolean): boolean {
  if (!isTrusted || headers.get("x-forwarded-host") !== null) return false;
  const { name } = splitHost(headers.get("host") ?? "");
  return isLoopback(name) || isSingleLabel(name) || isIP(name.replace(/^\[|\]$/g, "")) !== 0;
}
