/**
 * The error class of a failed attempt, what it means for the upstream's health, and the error that the client gets
 * when it was the last one.
 *
 * Pure: the loop in failover.ts acts on it.
 */
import type { HealthReport } from "../../core/blame.ts";
import { RouterError } from "../../core/errors.ts";
import { keysOf, redactSecrets } from "../../core/secrets.ts";
import type { AttemptOutcome, ErrorClass, Upstream } from "../../core/types.ts";
import type { ReplyProblem } from "../assess/assessment.ts";

/** Every outcome except `client_gone`, which is no failure. */
export type FailedOutcome = Exclude<AttemptOutcome, { type: "client_gone" }>;

/** A reply that is no stream after the head of one has been sent. */
export const MISFIT: ReplyProblem = {
  type: "bad_reply",
  message: "the reply is not a stream, and a stream has begun",
  isCut: true,
  error: null,
};

/** The error class for ledger and metrics. */
export function errorClassOf(outcome: FailedOutcome): ErrorClass {
  if (outcome.type !== "response") return outcome.type;
  if (outcome.status >= 300 && outcome.status < 400) return "redirect";
  return outcome.status >= 400 && outcome.status < 600 ? "http_status" : "bad_status";
}

/** What a failure means for the upstream's health. */
export function healthReportOf(outcome: FailedOutcome, client: string): HealthReport {
  if (outcome.type === "no_credential") return { type: "nothing" };
  const isFine = outcome.type === "bad_stream" && outcome.isFinished;
  return { type: isFine ? "served" : "failed", client };
}

/** For people; may quote the upstream. */
export function describe(outcome: FailedOutcome): string {
  switch (outcome.type) {
    case "response":
      return `HTTP ${outcome.status}`;
    case "connect_error":
    case "bad_reply":
    case "bad_stream":
      return outcome.message;
    case "timeout":
      return `no ${TIMEOUT_SUBJECT[outcome.phase]} within ${outcome.limitMs / 1000} s`;
    case "no_credential":
      return "the client sent no credential of its own to forward";
    default:
      return outcome satisfies never;
  }
}

const TIMEOUT_SUBJECT = {
  headers: "response headers",
  first_token: "content",
  body: "more of the reply",
} as const;

/** The answer when the request's deadline passed. */
export function deadlineError(): RouterError {
  const advice = "No upstream answered within the deadline; raise --deadline or check the upstreams";
  return new RouterError(504, "deadline_exceeded", advice);
}

/** The answer when the last upstream gave nothing that can be relayed. */
export function finalError(outcome: FailedOutcome): RouterError {
  switch (outcome.type) {
    case "connect_error":
      return new RouterError(
        502,
        "upstream_unreachable",
        `No upstream could be reached; the last one said: ${outcome.message}`,
      );
    case "timeout":
      return new RouterError(
        502,
        "upstream_timeout",
        `The last upstream gave ${describe(outcome)}; raise its timeout or check it`,
      );
    case "no_credential":
      return new RouterError(
        401,
        "no_credential",
        "Every upstream left forwards the client's own credential; send your own key in Authorization, and the router's token in x-api-key",
      );
    case "bad_reply":
    case "bad_stream":
      return new RouterError(
        502,
        outcome.type === "bad_reply" && outcome.isUnreadable ? "upstream_invalid" : "upstream_cut",
        `The last upstream's reply cannot be used: ${outcome.message}`,
      );
    case "response":
      return statusError(outcome.status);
    default:
      return outcome satisfies never;
  }
}

function statusError(status: number): RouterError {
  if (status >= 300 && status < 400) {
    return new RouterError(
      502,
      "upstream_redirect",
      `The last upstream answered with a redirect (HTTP ${status}), which is never followed; correct its endpoint`,
    );
  }
  return new RouterError(502, "upstream_invalid", `The last upstream answered with HTTP ${status}; check it`);
}

/** The problem as anybody may read it: its message may quote the upstream's error. */
export function withoutKeys(problem: ReplyProblem | null, upstream: Upstream): ReplyProblem | null {
  if (problem === null || problem.type === "timeout") return problem;
  return { ...problem, message: redactSecrets(problem.message, keysOf(upstream)) };
}

/** Why a status changed the state of an upstream. */
export function statusReason({ type }: HealthReport, status: number): string {
  if (type === "answered") return "it answered";
  return type === "throttled" ? `HTTP ${status} with Retry-After` : `HTTP ${status}`;
}
