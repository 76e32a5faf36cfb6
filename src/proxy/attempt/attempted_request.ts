/**
 * The request as its attempts see it. Types only.
 */
import type { Cancellation } from "../../core/cancellation.ts";
import type { Decision } from "../../core/policy.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import type { EarlyOutput } from "../assess/assessment.ts";
import type { Holding } from "../assess/holding.ts";
import type { RequestLedger } from "../ledger/request_ledger.ts";
import type { FailedOutcome } from "./failure.ts";

/** Whether, and why, a request must stop. */
export interface Stop {
  readonly cancellation: Cancellation;
  readonly cause: "client" | "deadline" | null;
}

/** Keeps a client that expects a stream alive while nobody has been asked yet. */
export interface WaitingOutput {
  /** The request begins to wait. */
  waiting(): void;
  /** It waits no longer. */
  waited(): void;
}

/** What an attempt asks of its request. */
export interface AttemptJudge<Attempt> {
  /** Nobody else is left to ask. */
  readonly isLast: boolean;
  /** What follows if the attempt has ended like this. */
  decide(outcome: FailedOutcome, attempt: Attempt): Decision;
}

/** The request of which this is an attempt. */
export interface AttemptedRequest {
  readonly ledger: RequestLedger;
  readonly stop: Stop;
  readonly guard: TokenGuard;
  readonly early: EarlyOutput;
  readonly holding: Holding;
}
