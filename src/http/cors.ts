/**
 * Answers to preflights. ./browser_guard.ts decides who may read the answers.
 *
 * https://fetch.spec.whatwg.org/#http-cors-protocol
 */
import type { FixedHeaders } from "../core/fixed_headers.ts";

const METHODS = "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS";
const MAX_AGE_SECONDS = 86_400;

/**
 * Allows whatever headers the page asks for (SDKs send their own).
 * @param asked the value of `access-control-request-headers`
 * @param fixed what every answer to this request has, such as who may read it
 */
export function preflight(asked: string | null, fixed: FixedHeaders): Response {
  const headers = new Headers({
    "access-control-allow-methods": METHODS,
    "access-control-max-age": String(MAX_AGE_SECONDS),
    "vary": "access-control-request-headers",
  });
  if (asked !== null) headers.set("access-control-allow-headers", asked);
  for (const [name, value] of fixed) headers.append(name, value);
  return new Response(null, { status: 204, headers });
}
