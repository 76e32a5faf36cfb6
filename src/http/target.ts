/**
 * The request target as it was sent.
 *
 * URL parsers would normalise what an upstream might not, and in a URL built from both, a hostile Host can pose as a
 * path. Routing is on this raw path.
 */
import { RouterError } from "../core/errors.ts";
import { MAX_PATH_LENGTH, pathProblem } from "../core/request_path.ts";
import type { InboundExchange } from "../wire/exchange.ts";

export interface Target {
  /** Raw, undecoded. */
  readonly path: string;
  /** Raw, without `?`; empty when none. */
  readonly query: string;
}

/** A name or an address, and a port (RFC 9110 section 7.2; RFC 3986 section 3.2.2); it may be empty. */
const HOST =
  /^(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){0,255})(?::(\d{0,5}))?$/;
const MAX_PORT = 65_535;

/** Methods that mean nothing here and that the web's `Request` cannot hold. */
const REFUSED_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);

/** The absolute form, as proxies get it (RFC 9112 section 3.2.2); its host is ignored. */
const ABSOLUTE_FORM = /^https?:\/\/[^/?#]*/i;

/** @throws RouterError 400, 405 or 414 when method, host or path are not valid. */
export function readTarget(
  { method, headers, target }: Pick<InboundExchange, "method" | "headers" | "target">,
): Target {
  if (REFUSED_METHODS.has(method.toUpperCase())) {
    throw new RouterError(405, "invalid_request", `Method ${method} is not relayed`);
  }
  const host = headers.get("host");
  if (host !== null && !isHost(host)) throw invalid("the Host header is malformed");
  const path = pathOf(target);
  const questionMark = target.indexOf("?");
  const query = questionMark < 0 ? "" : target.slice(questionMark + 1);
  if (!path.startsWith("/")) throw invalid("the path must begin with a slash");
  if (query.includes("#")) throw invalid("the query must not contain '#'; percent-encode it as %23");
  const problem = pathProblem(path);
  if (problem !== null && path.length > MAX_PATH_LENGTH) {
    throw new RouterError(414, "invalid_request", `The request target is refused: ${problem}`);
  }
  if (problem !== null) throw invalid(problem);
  return { path, query };
}

/** The path of a request target, which may be none that is accepted. */
export function pathOf(target: string): string {
  const origin = target.startsWith("/") ? target : target.replace(ABSOLUTE_FORM, "");
  const questionMark = origin.indexOf("?");
  return (questionMark < 0 ? origin : origin.slice(0, questionMark)) || "/";
}

function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && Number(match[1] ?? 0) <= MAX_PORT;
}

function invalid(problem: string): RouterError {
  return new RouterError(400, "invalid_request", `The request target is refused: ${problem}`);
}
