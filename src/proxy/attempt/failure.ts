/**
 * The error class of a failed attempt, what it means for the upstream's health, and the error that the client gets
 * when it was the last one.
 *
 * Pure: the loop in failover.ts acts on it.
 */
import { type AttemptFacts, errorReport, type HealthReport } from "../../core/blame.ts";
import { RouterError } from "../../core/errors.ts";
import { keysOf, redactSecrets } from "../../core/secrets.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import type { AttemptOutcome, ErrorClass, Outcome, Upstream } from "../../core/types.ts";
import type { ReplyProblem } from "../assess/assessment.ts";

/** Every outcome except `client_gone`, which is no failure. */
export type FailedOutcome = Exclude<AttemptOutcome, { type: "client_gone" }>;

/** A reply that is no stream after the head of one has been sent. */
export const MISFIT: ReplyProblem = {
  type: "bad_reply",
  message: "the reply is not a stream, and a stream has begun",
  isCut: true,
  isFinished: false,
  error: null,
};

/** The error class for ledger and metrics. */
export function errorClassOf(outcome: FailedOutcome): ErrorClass {
  if (outcome.type !== "response") return outcome.type;
  if (outcome.status >= 300 && outcome.status < 400) return "redirect";
  return outcome.status >= 400 && outcome.status < 600 ? "http_status" : "bad_status";
}

/** null: there was no error status. */
export function statusOf(outcome: FailedOutcome): number | null {
  return outcome.type === "response" ? outcome.status : null;
}

/** What a failure means for the upstream's health; a status is judged by `statusReport`. */
export function failureReport(
  outcome: Exclude<FailedOutcome, { type: "response" }>,
  facts: AttemptFacts,
): HealthReport {
  switch (outcome.type) {
    case "no_credential":
      return { type: "nothing" };
    case "connect_error":
      return { type: "failed", at: "upstream", cause: "outage" };
    case "timeout":
      return OUTAGE;
    case "bad_reply":
    case "bad_stream":
      if (outcome.isFinished) return SERVED;
      return outcome.error === null ? OUTAGE : errorReport(outcome.error, facts);
    default:
      return outcome satisfies never;
  }
}

/** What the end of a relayed reply means for the upstream's health. */
export function relayReport(
  outcome: Outcome,
  error: ReportedError | null,
  facts: AttemptFacts,
): HealthReport {
  switch (outcome) {
    case "complete":
      return SERVED;
    case "upstream_cut":
    case "idle_timeout":
    case "empty":
      return OUTAGE;
    case "error_event":
    case "upstream_error":
      return error === null ? OUTAGE : errorReport(error, facts);
    case "no_upstream":
    case "client_gone":
    case "crashed":
    case "in_flight":
      return { type: "nothing" };
    default:
      return outcome satisfies never;
  }
}

const SERVED: HealthReport = { type: "served" };
const OUTAGE: HealthReport = { type: "failed", at: "model", cause: "outage" };

/**
 * For people; may quote the upstream.
 * @param error of an error reply
 */
export function describe(outcome: FailedOutcome, error: ReportedError | null = null): string {
  switch (outcome.type) {
    case "response": {
      const text = error?.message.slice(0, MAX_QUOTED_LENGTH) ?? "";
      return text === "" || text === `HTTP ${outcome.status}`
        ? `HTTP ${outcome.status}`
        : `HTTP ${outcome.status}: ${text}`;
    }
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

const MAX_QUOTED_LENGTH = 300;

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

/**
 * The answer when no upstream gave anything that can be relayed.
 * @param failures of all attempts, in the order of their ends; none: every upstream lacked a credential
 */
export function finalError(failures: readonly FailedOutcome[]): RouterError {
  const outcome = failures.at(-1) ?? { type: "no_credential" };
  switch (outcome.type) {
    case "connect_error":
      return new RouterError(502, "upstream_unreachable", unreachable(outcome.message, failures));
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

function unreachable(message: string, failures: readonly FailedOutcome[]): string {
  const other = failures.findLast(({ type }) => type !== "connect_error" && type !== "no_credential");
  if (other === undefined) return `No upstream could be reached; the last one said: ${message}`;
  return `The last upstream could not be reached: ${message}; one before it: ${describe(other)}`;
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
  const { error } = problem;
  return {
    ...problem,
    message: redactSecrets(problem.message, keysOf(upstream)),
    error: error === null ? null : errorWithoutKeys(error, upstream),
  };
}

export function errorWithoutKeys({ message, code, type }: ReportedError, upstream: Upstream): ReportedError {
  const keys = keysOf(upstream);
  const redacted = (text: string | null) => text === null ? null : redactSecrets(text, keys);
  return { message: redactSecrets(message, keys), code: redacted(code), type: redacted(type) };
}

/** Why a status changed the state of an upstream. */
export function statusReason({ type }: HealthReport, status: number): string {
  switch (type) {
    case "answered":
      return "it answered";
    case "throttled":
      return `HTTP ${status} with Retry-After`;
    case "no_credit":
      return `HTTP ${status}, no credit`;
    default:
      return `HTTP ${status}`;
  }
}
