/**
 * Refuses bad request heads before the web layer or the runtime's own parsers read them.
 *
 * Below `/v1` heads are relayed mostly unread; everywhere else their sender needs no token.
 */
import { RouterError } from "../core/errors.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import type { Target } from "./target.ts";

/** Names, values and the target together; also nginx's default. */
const MAX_HEAD_LENGTH = 8 * 1024;
const MAX_CONTENT_TYPE_LENGTH = 256;

/** The forms of bodies that are read here, each as browsers and programs write it (RFC 9110 section 8.3). */
const CONTENT_TYPES: readonly RegExp[] = [
  /^application\/(?:json|x-www-form-urlencoded) ?(?:; ?charset="?[\w-]+"?)?$/i,
  // RFC 2046 section 5.1.1 says what a boundary is made of.
  /^multipart\/form-data; ?boundary=(?:[\w'()+,./:=?-]+|"[\w'()+,./:=? -]+")$/i,
];

/** @throws RouterError 431 when a head that is not for an upstream is larger than 8 KiB */
export function refuseLargeHead(exchange: Pick<InboundExchange, "target" | "headers">, target: Target): void {
  if (target.path.startsWith("/v1/")) return;
  let length = exchange.target.length;
  for (const [name, value] of exchange.headers) length += name.length + value.length;
  if (length <= MAX_HEAD_LENGTH) return;
  throw new RouterError(
    431,
    "request_too_large",
    "The request's head is larger than 8 KiB; send fewer cookies and headers",
  );
}

/**
 * Must be called before a body is read: the runtime parses a Content-Type in quadratic time.
 * @throws RouterError 415 for a Content-Type that no form and no JSON has
 */
export function refuseContentType(contentType: string | undefined): void {
  if (contentType === undefined) return;
  const isKnown = contentType.length <= MAX_CONTENT_TYPE_LENGTH &&
    CONTENT_TYPES.some((pattern) => pattern.test(contentType));
  if (isKnown) return;
  throw new RouterError(
    415,
    "invalid_request",
    "The Content-Type is not understood here; send application/json, application/x-www-form-urlencoded or a form",
  );
}
