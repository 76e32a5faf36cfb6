/**
 * The request target as it was sent.
 *
 * `Request.url` of Deno's server holds the raw target behind the Host header, so that a hostile Host can
 * pose as a path, and URL parsers would normalise what an upstream might not. Routing is on this raw path.
 */
import { pathProblem } from "../core/endpoint.ts";
import { RouterError } from "../core/errors.ts";

export interface Target {
  /** Raw, undecoded. */
  readonly path: string;
  /** Raw, without `?`; empty when none. */
  readonly query: string;
}

/** Characters of a Host header: a name or an address and a port (RFC 9110 section 7.2). */
const HOST = /^[A-Za-z0-9._~%!$&'()*+,;=:[\]-]*$/;

/** @throws RouterError 400 when host or path are not what a well-meant request has. */
export function readTarget(request: Request): Target {
  const host = request.headers.get("host");
  if (host !== null && !HOST.test(host)) throw invalid("the Host header is malformed");
  const start = request.url.indexOf("/", request.url.indexOf("//") + 2);
  const target = start < 0 ? "/" : request.url.slice(start);
  const questionMark = target.indexOf("?");
  const path = questionMark < 0 ? target : target.slice(0, questionMark);
  const query = questionMark < 0 ? "" : target.slice(questionMark + 1);
  const problem = pathProblem(path);
  if (problem !== null) throw invalid(problem);
  return { path, query };
}

function invalid(problem: string): RouterError {
  return new RouterError(400, "invalid_request", `The request target is refused: ${problem}`);
}
