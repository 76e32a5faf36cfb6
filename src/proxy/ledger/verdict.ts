/**
 * What the end of a reply means for the record: outcome, status, error text, and the attempt's error class.
 *
 * Pure: settles nothing.
 */
import type { Defect } from "../../capture/capture.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import type { CapturedReply, ErrorClass, Outcome } from "../../core/types.ts";
import type { ReplyProblem } from "../assess/assessment.ts";
import type { RelayEnd } from "../relay/relay.ts";

/** Status that the record shows for a client that left before it had its answer (nginx's convention). */
export const CLIENT_GONE_STATUS = 499;

/** Error of a request that the end of the program cut off. */
export const STOPPED_MESSAGE = "the router was stopped while this request was in flight";

export interface Verdict {
  readonly outcome: Outcome;
  readonly status: number;
  readonly error: string | null;
  readonly errorClass: ErrorClass | null;
}

export interface ReplyFacts {
  readonly status: number;
  readonly isEventStream: boolean;
  readonly hasContent: boolean;
  /** The error that the reply carried. */
  readonly error: ReportedError | null;
  /** Why a whole document is no answer. */
  readonly defect: Defect | null;
  /** The reply is what was found, whatever it says. */
  readonly isLookUp: boolean;
}

/** The verdict on a reply that was relayed as it came. */
export function verdictOnRelay(end: RelayEnd, captured: CapturedReply, facts: ReplyFacts): Verdict {
  const { status } = facts;
  switch (end.type) {
    case "client_gone":
      return {
        outcome: "client_gone",
        status: CLIENT_GONE_STATUS,
        error: "the client left before the end of the reply",
        errorClass: "client_gone",
      };
    case "client_stalled":
      return {
        outcome: "client_gone",
        status: CLIENT_GONE_STATUS,
        error: `the client took nothing for ${end.limitMs / 1000} s`,
        errorClass: "client_gone",
      };
    case "stopped":
      return { outcome: "crashed", status, error: STOPPED_MESSAGE, errorClass: "stopped" };
    case "cut": {
      const error = `the upstream's reply broke off: ${end.message}`;
      return { outcome: "upstream_cut", status, error, errorClass: "upstream_cut" };
    }
    case "idle": {
      const error = `the upstream sent nothing for ${end.limitMs / 1000} s`;
      return { outcome: "idle_timeout", status, error, errorClass: "idle_timeout" };
    }
    case "terminal":
      // Of a stream only a part is known, and of that the end.
      return verdictOnEnd(facts.isEventStream ? { ...captured, isComplete: true } : captured, facts);
    case "end":
      return verdictOnEnd(captured, facts);
    default:
      return end satisfies never;
  }
}

function verdictOnEnd(captured: CapturedReply, facts: ReplyFacts): Verdict {
  const { status } = facts;
  if (status >= 400) return upstreamError(status, captured.text);
  if (facts.isLookUp && captured.isComplete) return complete(status);
  if (facts.error !== null) {
    const error = `the ${facts.isEventStream ? "stream" : "reply"} carried an error: ${facts.error.message}`;
    return { outcome: "error_event", status, error, errorClass: "error_event" };
  }
  // A stream may finish without content: all its tokens may have been hidden reasoning.
  const isFinished = captured.isComplete && captured.finishReason !== null;
  if (facts.isEventStream && !facts.hasContent && !isFinished) {
    return { outcome: "empty", status, error: "the stream ended without content", errorClass: "bad_stream" };
  }
  if (captured.isComplete) return complete(status);
  if (facts.defect !== null) {
    const error = `the reply is no answer: ${facts.defect}`;
    return { outcome: "error_event", status, error, errorClass: "bad_reply" };
  }
  return unterminated(status);
}

function unterminated(status: number): Verdict {
  const error = "the stream ended without its end marker";
  return { outcome: "upstream_cut", status, error, errorClass: "upstream_cut" };
}

function complete(status: number): Verdict {
  return { outcome: "complete", status, error: null, errorClass: null };
}

/** The verdict on a reply that was read whole before it was relayed. */
export function verdictOnWhole(
  status: number,
  captured: CapturedReply,
  problem: ReplyProblem | null,
): Verdict {
  if (status >= 400) return upstreamError(status, captured.text);
  // A reply that is finished, and says nothing, is complete.
  if (captured.isComplete) return complete(status);
  if (problem === null || problem.type === "timeout") return unterminated(status);
  return { outcome: "error_event", status, error: problem.message, errorClass: problem.type };
}

function upstreamError(status: number, text: string): Verdict {
  const error = `HTTP ${status}${text === "" ? "" : `: ${text.slice(0, 300)}`}`;
  return { outcome: "upstream_error", status, error, errorClass: "http_status" };
}
