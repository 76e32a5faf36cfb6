/**
 * Errors with which the router itself refuses a request.
 */
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../core/cut_text.ts";
import type { ClientRules } from "../core/client_rules.ts";
import { RouterError } from "../core/errors.ts";
import { allowedUpstreams, isAdmitted, takesPath } from "../core/policy.ts";
import type { Inbound, Upstream } from "../core/types.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import { isNamed } from "./client_view.ts";

/** Bounds the list of patterns in the error, which also goes into the record and the log. */
const MAX_SHOWN_PATTERNS_LENGTH = 1024;

/**
 * No upstream can be tried: none is configured or enabled, or none allows the model.
 * @param rules of the client's token; null: it may do everything
 */
export function noUpstreamError(
  snapshot: RegistrySnapshot,
  inbound: Inbound,
  rules: ClientRules | null = null,
): RouterError {
  if (rules !== null) {
    const refusal = tokenRefusal(rules, snapshot, inbound);
    if (refusal !== null) return refusal;
  }
  const enabled = snapshot.upstreams.filter((upstream) => upstream.isEnabled);
  const allowing = allowedUpstreams(enabled, inbound);
  if (allowing.length > 0) return tooLarge(allowing, inbound.body?.length ?? 0);
  if (enabled.length > 0 && enabled.every((upstream) => !takesPath(upstream, inbound.path))) {
    return noSuchPath(enabled, inbound.path);
  }
  if (enabled.length > 0) {
    const patterns = [...new Set(enabled.flatMap((upstream) => upstream.allow))].join(", ");
    const allowed = cutText(patterns, MAX_SHOWN_PATTERNS_LENGTH);
    const name = cutText(inbound.model ?? inbound.path, MAX_SHOWN_NAME_LENGTH);
    const subject = inbound.model === null ? `path ${name} without a model` : `model ${name}`;
    return new RouterError(
      404,
      "model_not_found",
      `No upstream allows the ${subject}${allowed === "" ? "" : `; allowed: ${allowed}`}`,
    );
  }
  const advice = snapshot.upstreams.length > 0
    ? "Every upstream is disabled; enable one: openai-api-route enable NAME"
    : "No upstream is configured; add one: openai-api-route add --key KEY --endpoint URL";
  return new RouterError(503, "no_upstream", advice);
}

/** What the rules of a token refuse; null: nothing. Tells nothing about upstreams that it may not use. */
function tokenRefusal(
  rules: ClientRules,
  { upstreams }: RegistrySnapshot,
  inbound: Inbound,
): RouterError | null {
  const name = cutText(inbound.model ?? inbound.path, MAX_SHOWN_NAME_LENGTH);
  const subject = inbound.model === null ? `path ${name} without a model` : `model ${name}`;
  const refuse = (why: string) =>
    new RouterError(403, "model_not_allowed", `The token ${rules.name} may not use the ${subject}${why}`);
  if (!isAdmitted(rules, inbound)) {
    const allowed = rules.allow.length === 0 ? "" : `; allowed: ${rules.allow.join(", ")}`;
    const denied = rules.deny.length === 0 ? "" : `; not allowed: ${rules.deny.join(", ")}`;
    return refuse(cutText(allowed + denied, MAX_SHOWN_PATTERNS_LENGTH));
  }
  if (rules.upstreams.length === 0) return null;
  const names = new Set(rules.upstreams);
  const own = upstreams.filter((upstream) => upstream.isEnabled && isNamed(upstream, names));
  if (own.length === 0) return refuse(": none of the upstreams that it may use is there and enabled");
  const isOwn = allowedUpstreams(own, inbound).length > 0;
  return isOwn ? null : refuse(": none of the upstreams that it may use takes it");
}

/** @param allowing all of which take less */
function tooLarge(allowing: readonly Upstream[], bodyBytes: number): RouterError {
  const limits = allowing.map(({ name, shaping }) => `${name} takes ${shaping.maxBodyBytes} bytes`);
  return new RouterError(
    413,
    "request_too_large",
    `The request body of ${bodyBytes} bytes is larger than its upstreams take: ` +
      `${cutText(limits.join(", "), MAX_SHOWN_PATTERNS_LENGTH)}; send less, or raise their max_body`,
  );
}

function noSuchPath(enabled: readonly Upstream[], path: string): RouterError {
  const paths = [...new Set(enabled.flatMap(({ shaping }) => shaping.onlyPaths))].join(", ");
  return new RouterError(
    404,
    "not_found",
    `No upstream is for the path ${cutText(path, MAX_SHOWN_NAME_LENGTH)}; they are for: ` +
      cutText(paths, MAX_SHOWN_PATTERNS_LENGTH),
  );
}

/** Rules about models can only be enforced if every upstream reads the same model as the router. */
export function unreadable(problem: string, isOfUpstreams = true): RouterError {
  const who = isOfUpstreams ? "upstreams have" : "this token has";
  return new RouterError(
    400,
    "invalid_request",
    `The request body is refused, because ${who} rules about models and ${problem}; ` +
      "send plain JSON in UTF-8 (RFC 8259), or a plain form",
  );
}

/** A token can be removed from headers and queries, but not from a path without changing what is requested. */
export function tokenInPath(): RouterError {
  return new RouterError(
    400,
    "invalid_request",
    "The path holds a token of this router, which would go to an upstream; send the token as a credential only",
  );
}

export function tooManyRequests(limit: number): RouterError {
  return new RouterError(
    429,
    "too_many_requests",
    `${limit} requests are under way, which is the limit (--max-concurrent); try again in a moment`,
  );
}
