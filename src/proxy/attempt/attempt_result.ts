/**
 * How an attempt ended, for the loop that decides what follows. Types only.
 */
import type { ReportedError } from "../../core/reported_error.ts";
import type { ReplyAssessment } from "../assess/assessment.ts";
import type { FailedAnswer } from "./best_answer.ts";
import type { FailedOutcome } from "./failure.ts";

/** An attempt that gave no usable reply, and is over. */
export interface FailedAttempt {
  readonly type: "failed";
  readonly outcome: FailedOutcome;
  /** null: there is none that could be given to the client. */
  readonly answer: FailedAnswer | null;
  /** What the reply stated, even when no complete answer could be made of it. */
  readonly error: ReportedError | null;
}

/** How an attempt ended. */
export type AttemptResult =
  /** To be relayed; the attempt ends with the relay. */
  | { readonly type: "chosen"; readonly reply: ReplyAssessment }
  | FailedAttempt
  /** The client left, the deadline passed, or another attempt was faster; the attempt is over. */
  | { readonly type: "stopped" };
