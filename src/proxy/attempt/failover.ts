/**
 * The failover loop: try an upstream, then choose its reply or go on to the next one.
 *
 * One attempt is in upstream_attempt.ts, the rules are in core/policy.ts.
 */
import { concat } from "../../core/bytes.ts";
import { hasOwnCredential } from "../../core/credentials.ts";
import type { RouterError } from "../../core/errors.ts";
import { decide, type Decision, firstByteTimeout, isHealthFailure } from "../../core/policy.ts";
import { ASIS, type Upstream } from "../../core/types.ts";
import type { Observer } from "../../observe/observer.ts";
import type { ReplyAssessment, WholeReply } from "../assess/assessment.ts";
import type { RequestLedger } from "../ledger/request_ledger.ts";
import { maskFor } from "../relay/masking.ts";
import { CandidateQueue } from "./candidate_queue.ts";
import { deadlineError, errorClassOf, type FailedOutcome, finalError } from "./failure.ts";
import {
  type AttemptDeps,
  type AttemptedRequest,
  type AttemptJudge,
  type ErrorReply,
  UpstreamAttempt,
} from "./upstream_attempt.ts";

export interface FailoverDeps extends AttemptDeps {
  readonly observer: Pick<Observer, "attemptEnded" | "failedOver">;
  readonly retryOn: "any" | "connect";
}

export interface FailoverRequest extends AttemptedRequest {
  /** In order of trial. */
  readonly candidates: readonly Upstream[];
}

/** How the choice of upstream ended. */
export type FinalChoice =
  /** `attempt` is still to be ended. */
  | { readonly type: "reply"; readonly reply: ReplyAssessment; readonly attempt: UpstreamAttempt }
  | { readonly type: "failed"; readonly error: RouterError }
  | { readonly type: "client_gone" };

/** Runs the loop for one request. Never rejects. */
export function failover(deps: FailoverDeps, request: FailoverRequest): Promise<FinalChoice> {
  return new FailoverLoop(deps, request).run();
}

class FailoverLoop implements AttemptJudge {
  readonly #deps: FailoverDeps;
  readonly #request: FailoverRequest;
  readonly #ledger: RequestLedger;
  readonly #queue: CandidateQueue;
  /** An error answer that outweighs any failure of the cooling upstreams that are left. */
  #fallback: { readonly reply: WholeReply; readonly attempt: UpstreamAttempt } | null = null;

  constructor(deps: FailoverDeps, request: FailoverRequest) {
    this.#deps = deps;
    this.#request = request;
    this.#ledger = request.ledger;
    const { candidates, ledger, guard } = request;
    this.#queue = new CandidateQueue(candidates, {
      health: deps.health,
      hasOwnCredential: candidates.some(({ sk }) => sk === ASIS) &&
        hasOwnCredential(ledger.inbound.headers, guard),
    });
  }

  get isLast(): boolean {
    return this.#queue.isUsedUp;
  }

  async run(): Promise<FinalChoice> {
    let outcome: FailedOutcome = { type: "no_credential" };
    for (let upstream = this.#queue.next(); upstream !== null; upstream = this.#queue.next()) {
      const attempt = new UpstreamAttempt(this.#deps, this.#request, upstream);
      const sent = this.#queue.isUsable(upstream)
        ? await attempt.send(this.#headersTimeoutMs(upstream))
        : { type: "no_credential" } as const;
      const concluded = attempt.conclude(sent, this);
      const result = concluded instanceof Promise ? await concluded : concluded;
      switch (result.type) {
        case "chosen":
          return { type: "reply", reply: result.reply, attempt };
        case "stopped":
          return this.#stopped();
        case "failed":
          outcome = result.outcome;
          if (!result.isNext) return this.#given(outcome);
          if (result.errorReply !== null) this.#keep(attempt, result.errorReply);
          if (!this.#queue.isEmpty) this.#deps.observer.failedOver(upstream.name, errorClassOf(outcome));
          break;
        default:
          result satisfies never;
      }
    }
    return this.#given(outcome);
  }

  decide(outcome: FailedOutcome): Decision {
    const { headers } = this.#ledger.inbound;
    const decision = decide(outcome, {
      isLast: this.isLast,
      retryOn: this.#deps.retryOn,
      isConditional: headers.has("if-none-match") || headers.has("if-modified-since"),
    });
    if (decision.type !== "relay" || outcome.type !== "response") return decision;
    const isMisfit = this.#request.early.isBegun && outcome.status >= 300;
    const isOutweighed = this.#fallback !== null && isHealthFailure(outcome.status);
    return isMisfit || isOutweighed ? { type: "give_up" } : decision;
  }

  #headersTimeoutMs(upstream: Upstream): number {
    // With an answer in hand, giving up soon helps the client.
    return firstByteTimeout(this.#ledger.inbound, upstream, this.isLast && this.#fallback === null);
  }

  #stopped(): FinalChoice {
    if (this.#request.stop.cause !== "deadline") return { type: "client_gone" };
    return { type: "failed", error: deadlineError() };
  }

  /** What the client gets when no reply was chosen. */
  #given(outcome: FailedOutcome): FinalChoice {
    if (this.#fallback !== null) return { type: "reply", ...this.#fallback };
    return { type: "failed", error: finalError(outcome) };
  }

  /**
   * Keeps an error answer that is not the upstream's fault (a 400, a 404) when only cooling upstreams are left: a
   * client's mistake must not turn into "unreachable" because a dead upstream was tried last.
   */
  #keep(attempt: UpstreamAttempt, { head, bytes: body }: ErrorReply): void {
    const { status, headers, contentLength } = head;
    if (isHealthFailure(status) || this.#request.early.isBegun || !this.#queue.isCooling) return;
    const { upstream } = attempt;
    const mask = maskFor(upstream);
    const bytes = mask === null ? body : concat([mask.push(body), mask.flush()]);
    const { kind } = this.#ledger.inbound;
    const capture = this.#deps.createCapture({ kind, headers, status, isEventStream: false });
    capture.push(bytes);
    const captured = capture.finish(true);
    const reply: WholeReply = {
      type: "whole",
      upstream,
      status,
      headers,
      contentLength,
      bytes,
      captured,
      problem: null,
    };
    this.#fallback = { reply, attempt };
  }
}
