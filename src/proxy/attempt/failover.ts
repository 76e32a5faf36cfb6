/**
 * The failover loop: try an upstream, assess its reply, then choose it or go on to the next one.
 *
 * Every attempt is entered in the request's ledger, and every abandoned body is cancelled. The rules are in
 * core/policy.ts.
 */
import type { Capture } from "../../capture/capture.ts";
import { readErrorBody } from "../../capture/error_body.ts";
import { concat } from "../../core/bytes.ts";
import { statusReport } from "../../core/blame.ts";
import { hasOwnCredential } from "../../core/credentials.ts";
import type { Cancellation } from "../../core/cancellation.ts";
import type { RouterError } from "../../core/errors.ts";
import { isLookUp } from "../../core/look_up.ts";
import { decide, firstByteTimeout, isHealthFailure, retryAfterMs } from "../../core/policy.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import type { Clock } from "../../core/clock.ts";
import { ASIS, type EndpointKind, type Upstream } from "../../core/types.ts";
import type { Observer } from "../../observe/observer.ts";
import {
  deadlineError,
  describe,
  errorClassOf,
  type FailedOutcome,
  finalError,
  healthReportOf,
  MISFIT,
  statusReason,
  withoutKeys,
} from "./failure.ts";
import { assess } from "../assess/assess.ts";
import type {
  EarlyOutput,
  GateTimes,
  ReplyAssessment,
  ReplyProblem,
  UpstreamHead,
  WholeReply,
} from "../assess/assessment.ts";
import { CandidateQueue } from "./candidate_queue.ts";
import type { HeldBudget } from "../assess/held_budget.ts";
import type { UpstreamHealth } from "./upstream_health.ts";
import { maskFor } from "../relay/masking.ts";
import type { RequestLedger } from "../ledger/request_ledger.ts";
import { collect } from "../../wire/collect.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import { type AttemptReply, type ReplyBody, send, type SendResult } from "./transport.ts";
import type { UpstreamClient } from "../../wire/upstream_client.ts";

/** Makes the capture of one reply. */
export type CaptureFactory = (options: {
  readonly kind: EndpointKind;
  readonly headers: HeaderView;
  readonly status: number;
  readonly isLookUp: boolean;
  readonly isEventStream: boolean;
}) => Capture;

export interface FailoverDeps {
  readonly client: UpstreamClient;
  readonly clock: Clock;
  readonly health: UpstreamHealth;
  readonly observer: Pick<Observer, "attemptEnded" | "failedOver">;
  readonly times: GateTimes;
  readonly retryOn: "any" | "connect";
  readonly createCapture: CaptureFactory;
  readonly budget: HeldBudget;
}

/** Whether, and why, the loop must stop. */
export interface Stop {
  readonly cancellation: Cancellation;
  readonly cause: "client" | "deadline" | null;
}

export interface FailoverRequest {
  readonly ledger: RequestLedger;
  /** In order of trial. */
  readonly candidates: readonly Upstream[];
  readonly stop: Stop;
  readonly guard: TokenGuard;
  readonly early: EarlyOutput;
}

/** How the choice of upstream ended. */
export type FinalChoice =
  | ReplyAssessment
  | { readonly type: "failed"; readonly error: RouterError }
  | { readonly type: "client_gone" };

/** How much of an abandoned error reply is read for its message, and for how long. */
const ERROR_TEXT_LIMITS = { limitMs: 250, limitBytes: 64 * 1024 }; // docs/tuning.md#relay-and-settlement

/** Runs the loop for one request. Never rejects. */
export function failover(deps: FailoverDeps, request: FailoverRequest): Promise<FinalChoice> {
  return new FailoverLoop(deps, request).run();
}

class FailoverLoop {
  readonly #deps: FailoverDeps;
  readonly #request: FailoverRequest;
  readonly #ledger: RequestLedger;
  readonly #queue: CandidateQueue;
  /** When the current attempt was sent; monotonic. */
  #sentMs = 0;
  /** An error answer that outweighs any failure of the cooling upstreams that are left. */
  #fallback: WholeReply | null = null;

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

  async run(): Promise<FinalChoice> {
    let outcome: FailedOutcome = { type: "no_credential" };
    for (let upstream = this.#queue.next(); upstream !== null; upstream = this.#queue.next()) {
      const sent = await this.#send(upstream);
      const judged = sent.type === "reply" && !this.#isCancelled()
        ? this.#judge(upstream, sent)
        : this.#unanswered(upstream, sent);
      const tried = judged instanceof Promise ? await judged : judged;
      if (isFinal(tried)) return tried.type === "failed" ? this.#fallback ?? tried : tried;
      outcome = tried;
    }
    return this.#fallback ?? { type: "failed", error: finalError(outcome) };
  }

  /** Sends the request to one upstream. */
  #send(upstream: Upstream): SendResult | Promise<SendResult> {
    const { inbound } = this.#ledger;
    this.#ledger.beginAttempt(upstream);
    if (!this.#queue.isUsable(upstream)) return { type: "no_credential" };
    this.#deps.health.apply(upstream, { type: "try" }, "its cool-down has elapsed");
    this.#sentMs = this.#deps.clock.monotonic();
    // With an answer in hand, giving up soon helps the client.
    const isLast = this.#queue.isUsedUp && this.#fallback === null;
    return send(this.#deps, { inbound, upstream }, {
      headersTimeoutMs: firstByteTimeout(inbound, upstream, isLast),
      cancellation: this.#request.stop.cancellation,
      guard: this.#request.guard,
    });
  }

  /** No usable reply. */
  #unanswered(upstream: Upstream, sent: SendResult): FinalChoice | FailedOutcome {
    if (sent.type === "no_credential") return this.#abandon(upstream, sent, { isNext: true });
    if (sent.type === "reply") return this.#stop(upstream, sent.body);
    if (sent.type === "client_gone" || this.#isCancelled()) return this.#stop(upstream, null);
    const decision = decide(sent, this.#decisionContext());
    return this.#abandon(upstream, sent, { isNext: decision.type === "next" });
  }

  /** Judges one reply: the final choice, or the failure after which the loop goes on. */
  #judge(
    upstream: Upstream,
    reply: AttemptReply,
  ): FinalChoice | FailedOutcome | Promise<FinalChoice | FailedOutcome> {
    const { clock, health } = this.#deps;
    this.#ledger.attemptAnswered(reply.status);
    health.noteLatency(upstream.id, clock.monotonic() - this.#sentMs);
    this.#noteStatus(upstream, reply);
    const decision = decide({ type: "response", status: reply.status }, this.#decisionContext());
    const isOutweighed = this.#fallback !== null && isHealthFailure(reply.status);
    const canRelay = decision.type === "relay" && !(this.#request.early.isBegun && reply.status >= 300) &&
      !isOutweighed;
    if (!canRelay) return this.#refuse(upstream, reply, { isNext: decision.type === "next" });
    const { status, headers, contentLength } = reply;
    const assessment = this.#assess(reply, { upstream, status, headers, contentLength });
    return assessment instanceof Promise
      ? assessment.then((assessment) => this.#assessed(assessment, reply))
      : this.#assessed(assessment, reply);
  }

  /** A reply that is not relayed because of its status. */
  async #refuse(
    upstream: Upstream,
    reply: AttemptReply,
    { isNext }: { readonly isNext: boolean },
  ): Promise<FinalChoice | FailedOutcome> {
    const { text, bytes } = await this.#readError(reply);
    reply.body.cancel();
    if (this.#isCancelled()) return this.#stop(upstream, null);
    if (isNext && bytes !== null) this.#keepAnswer(upstream, reply, bytes);
    const message = `HTTP ${reply.status}${text === "" ? "" : `: ${text}`}`;
    return this.#abandon(upstream, { type: "response", status: reply.status }, { isNext, message });
  }

  #assess(reply: AttemptReply, head: UpstreamHead): ReplyAssessment | Promise<ReplyAssessment> {
    const { inbound } = this.#ledger;
    return assess(reply.body, {
      inbound,
      head,
      clock: this.#deps.clock,
      times: this.#deps.times,
      mask: maskFor(head.upstream),
      budget: this.#deps.budget,
      capture: (isEventStream) =>
        this.#createCapture({ headers: head.headers, status: head.status, isEventStream }),
      early: this.#request.early,
    });
  }

  #createCapture(reply: Omit<Parameters<CaptureFactory>[0], "kind" | "isLookUp">): Capture {
    const { kind, method } = this.#ledger.inbound;
    return this.#deps.createCapture({ ...reply, kind, isLookUp: isLookUp(method) });
  }

  /** Decides on a reply that has been assessed. */
  #assessed(
    assessment: ReplyAssessment,
    reply: AttemptReply,
  ): FinalChoice | FailedOutcome {
    const { upstream, status } = assessment;
    if (this.#isCancelled()) return this.#stop(upstream, reply.body);
    const misfit = this.#misfit(assessment);
    const problem = withoutKeys(assessment.problem, upstream) ?? misfit;
    if (problem === null) {
      if (status < 400) {
        this.#deps.health.report(upstream, { type: "served", client: this.#ledger.client }, "it answered");
      }
      return this.#withoutLateBom(assessment);
    }
    const decision = decide(problem, this.#decisionContext());
    if (decision.type !== "relay" || misfit !== null) {
      reply.body.cancel();
      return this.#abandon(upstream, problem, { isNext: decision.type === "next" });
    }
    this.#applyHealth(upstream, problem);
    if (assessment.type === "whole") return { ...assessment, problem };
    const choice = this.#withoutLateBom(assessment);
    // Joined, so that a key that was split between two chunks is masked.
    return { ...choice, problem, held: [concat(choice.held)] };
  }

  /** Drops a byte order mark when the client's stream has already begun: it is valid only at the start. */
  #withoutLateBom<Assessment extends ReplyAssessment>(assessment: Assessment): Assessment {
    if (!this.#request.early.isBegun || assessment.type !== "open") return assessment;
    const [first, ...rest] = assessment.held;
    const isBom = first?.[0] === 0xef && first[1] === 0xbb && first[2] === 0xbf;
    return isBom ? { ...assessment, held: [first.slice(3), ...rest] } : assessment;
  }

  /** The problem of a reply that is no stream, when the head of a stream has been sent; else null. */
  #misfit(assessment: ReplyAssessment): ReplyProblem | null {
    if (!this.#request.early.isBegun || (assessment.type === "open" && assessment.isEventStream)) return null;
    return MISFIT;
  }

  #decisionContext(): Parameters<typeof decide>[1] {
    const { headers } = this.#ledger.inbound;
    return {
      isLast: this.#queue.isUsedUp,
      retryOn: this.#deps.retryOn,
      isConditional: headers.has("if-none-match") || headers.has("if-modified-since"),
    };
  }

  #isCancelled(): boolean {
    return this.#request.stop.cause !== null;
  }

  /** The client left, or the deadline passed: neither is the upstream's fault. */
  #stop(upstream: Upstream, body: ReplyBody | null): FinalChoice {
    body?.cancel();
    const isDeadline = this.#request.stop.cause === "deadline";
    this.#deps.health.apply(upstream, { type: "abandoned" }, "the attempt was abandoned");
    const attempt = isDeadline
      ? this.#ledger.endAttempt("deadline_exceeded", "the request's deadline passed")
      : this.#ledger.endAttempt("client_gone", "the client left");
    if (attempt !== null) this.#deps.observer.attemptEnded(attempt);
    return isDeadline ? { type: "failed", error: deadlineError() } : { type: "client_gone" };
  }

  /** Ends the attempt in ledger, breaker and metrics; returns the final failure when there is no next attempt. */
  #abandon(
    upstream: Upstream,
    outcome: FailedOutcome,
    { isNext, message = describe(outcome) }: { isNext: boolean; message?: string },
  ): FinalChoice | FailedOutcome {
    this.#applyHealth(upstream, outcome);
    const errorClass = errorClassOf(outcome);
    const attempt = this.#ledger.endAttempt(errorClass, message);
    if (attempt !== null) this.#deps.observer.attemptEnded(attempt);
    if (!isNext) return { type: "failed", error: finalError(outcome) };
    if (!this.#queue.isEmpty) this.#deps.observer.failedOver(upstream.name, errorClass);
    return outcome;
  }

  #applyHealth(upstream: Upstream, outcome: FailedOutcome): void {
    if (outcome.type === "response") return;
    this.#deps.health.report(upstream, healthReportOf(outcome, this.#ledger.client), describe(outcome));
  }

  #noteStatus(upstream: Upstream, reply: AttemptReply): void {
    const { status, headers } = reply;
    const { health, clock } = this.#deps;
    const waitMs = status === 429 || status === 503 ? retryAfterMs(headers, clock.now()) : null;
    const { client } = this.#ledger;
    const report = statusReport(status, { client, isAsis: upstream.sk === ASIS, waitMs });
    if (report === null) return;
    health.report(upstream, report, statusReason(report, status));
  }

  /**
   * Keeps an error answer that is not the upstream's fault (a 400, a 404) when only cooling upstreams are left: a
   * client's mistake must not turn into "unreachable" because a dead upstream was tried last.
   */
  #keepAnswer(upstream: Upstream, reply: AttemptReply, body: Uint8Array): void {
    const { status, headers, contentLength } = reply;
    if (status < 400 || isHealthFailure(status) || this.#request.early.isBegun) return;
    if (!this.#queue.isCooling) return;
    const mask = maskFor(upstream);
    const bytes = mask === null ? Uint8Array.from(body) : concat([mask.push(body), mask.flush()]);
    const capture = this.#createCapture({ headers, status, isEventStream: false });
    capture.push(bytes);
    const captured = capture.finish(true);
    this.#fallback = {
      type: "whole",
      upstream,
      status,
      headers,
      contentLength,
      bytes,
      captured,
      problem: null,
    };
  }

  /** The message of an error reply, as far as it arrives soon; `bytes` only when the body is complete. */
  async #readError(reply: AttemptReply): Promise<{ text: string; bytes: Uint8Array | null }> {
    const reader = new TimedReader(reply.body, this.#deps.clock);
    const { bytes, isWhole } = await collect(reader, ERROR_TEXT_LIMITS);
    const { text } = readErrorBody(bytes, reply.headers.get("content-encoding"));
    return { text: text.slice(0, 300), bytes: isWhole ? bytes : null };
  }
}

const FINAL: ReadonlySet<string> = new Set<FinalChoice["type"]>(["whole", "open", "failed", "client_gone"]);

function isFinal(tried: FinalChoice | FailedOutcome): tried is FinalChoice {
  return FINAL.has(tried.type);
}
