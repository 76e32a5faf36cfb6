/**
 * What the failover loop works with, what it is asked for, and how it ends. Types only.
 */
import type { RouterError } from "../../core/errors.ts";
import type { HedgeDelay } from "../../core/hedging.ts";
import type { ModelStandings } from "../../core/model_order.ts";
import type { RetryOn } from "../../core/policy.ts";
import type { Upstream } from "../../core/types.ts";
import type { Observer } from "../../observe/observer.ts";
import type { ReplyAssessment } from "../assess/assessment.ts";
import type { AttemptDeps } from "./attempt_deps.ts";
import type { AttemptedRequest, WaitingOutput } from "./attempted_request.ts";
import type { Hedging } from "./hedging.ts";
import type { RequestDemand } from "./request_demand.ts";
import type { UpstreamAttempt } from "./upstream_attempt.ts";
import type { Waiting } from "./waiting.ts";

export interface FailoverDeps extends AttemptDeps {
  readonly observer: Pick<Observer, "attemptEnded" | "failedOver" | "hedged">;
  readonly retry: RetryRules;
  readonly hedging: Hedging;
  readonly waiting: Waiting;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

export interface RetryRules {
  readonly retryOn: RetryOn;
  /** Codes and types of errors after which nobody else is asked, in lower case. */
  readonly finalCodes: ReadonlySet<string>;
  /** How often the same upstream is asked again; null: once if no other one has the same model. */
  readonly retrySame: number | null;
  /** Longest pause before that. */
  readonly retryWaitMs: number;
  /** Attempts of one request; null: candidates + 2, each key that is asked is one. */
  readonly maxAttempts: number | null;
}

export interface FailoverRequest extends AttemptedRequest {
  /** In order of trial. */
  readonly candidates: readonly Upstream[];
  /** Which of them have the model; null: nothing distinguishes them. */
  readonly models: ModelStandings | null;
  readonly hedge: HedgeDelay;
  readonly early: AttemptedRequest["early"] & WaitingOutput;
  readonly demand: RequestDemand;
}

/** How the choice of upstream ended. */
export type FinalChoice =
  /** `attempt` may still have to be ended. */
  | { readonly type: "reply"; readonly reply: ReplyAssessment; readonly attempt: UpstreamAttempt }
  /** `upstream` said so; null: the error is our own. */
  | { readonly type: "failed"; readonly error: RouterError; readonly upstream: Upstream | null }
  | { readonly type: "client_gone" };
