/**
 * The request target as it was sent.
 *
 * URL parsers would normalise what an upstream might not, and a hostile Host can pose as a path in a URL that is put
 * together from both. Routing is on this raw path.
 */
import { pathProblem } from "../core/endpoint.ts";
import { RouterError } from "../core/errors.ts";
import type { ClientExchange } from "../wire/exchange.ts";

export interface Target {
  /** Raw, undecoded. */
  readonly path: string;
  /** Raw, without `?`; empty when none. */
  readonly query: string;
}

/** Characters of a Host header: a name or an address and a port (RFC 9110 section 7.2). */
const HOST = /^[A-Za-z0-9._~%!$&'()*+,;=:[\]-]*$/;

/** The absolute form, as proxies get it (RFC 9112 section 3.2.2): what it says of the host counts for nothing here. */
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

/** @throws RouterError 400 when host or path are not what a well-meant request has. */
export function readTarget({ headers, target }: Pick<ClientExchange, "headers" | "target">): Target {
  const host = headers.get("host");
  if (host !== null && !HOST.test(host)) throw invalid("the Host header is malformed");
  const origin = target.startsWith("/") ? target : target.replace(ABSOLUTE_FORM, "");
  const questionMark = origin.indexOf("?");
  const path = (questionMark < 0 ? origin : origin.slice(0, questionMark)) || "/";
  const query = questionMark < 0 ? "" : origin.slice(questionMark + 1);
  if (!path.startsWith("/")) throw invalid("the path must begin with a slash");
  const problem = pathProblem(path);
  if (problem !== null) throw invalid(problem);
  return { path, query };
}

function invalid(problem: string): RouterError {
  return new RouterError(400, "invalid_request", `The request target is refused: ${problem}`);
}
