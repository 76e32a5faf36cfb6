/**
 * One attempt: sends the request to one upstream, assesses the reply, and says how it ended.
 *
 * Owns its place in the ledger and its cancellation. Chooses nothing: failover.ts decides what follows.
 */
import { Buffer } from "node:buffer";
import type { Capture } from "../../capture/capture.ts";
import { statusReport } from "../../core/blame.ts";
import { concat } from "../../core/bytes.ts";
import { Cancellation } from "../../core/cancellation.ts";
import type { Clock } from "../../core/clock.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import { type Decision, retryAfterMs } from "../../core/policy.ts";
import type { TokenGuard } from "../../core/token_guard.ts";
import { ASIS, type EndpointKind, type ErrorClass, type Upstream } from "../../core/types.ts";
import type { Observer } from "../../observe/observer.ts";
import { collect } from "../../wire/collect.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import type { UpstreamClient } from "../../wire/upstream_client.ts";
import { assess } from "../assess/assess.ts";
import type { EarlyOutput, GateTimes, ReplyAssessment, ReplyProblem } from "../assess/assessment.ts";
import type { HeldBudget } from "../assess/held_budget.ts";
import { onlyError } from "../assess/whole_reply.ts";
import type { AttemptEntry, RequestLedger } from "../ledger/request_ledger.ts";
import { maskFor } from "../relay/masking.ts";
import {
  describe,
  errorClassOf,
  type FailedOutcome,
  healthReportOf,
  MISFIT,
  statusReason,
  withoutKeys,
} from "./failure.ts";
import { type AttemptReply, send, type SendResult } from "./transport.ts";
import type { UpstreamHealth } from "./upstream_health.ts";

/** Makes the capture of one reply. */
export type CaptureFactory = (options: {
  readonly kind: EndpointKind;
  readonly headers: HeaderView;
  readonly status: number;
  readonly isEventStream: boolean;
}) => Capture;

export interface AttemptDeps {
  readonly client: UpstreamClient;
  readonly clock: Clock;
  readonly health: UpstreamHealth;
  readonly observer: Pick<Observer, "attemptEnded">;
  readonly times: GateTimes;
  readonly createCapture: CaptureFactory;
  readonly budget: HeldBudget;
}

/** Whether, and why, a request must stop. */
export interface Stop {
  readonly cancellation: Cancellation;
  readonly cause: "client" | "deadline" | null;
}

/** The request of which this is an attempt. */
export interface AttemptedRequest {
  readonly ledger: RequestLedger;
  readonly stop: Stop;
  readonly guard: TokenGuard;
  readonly early: EarlyOutput;
}

/** What an attempt asks of its request. */
export interface AttemptJudge {
  /** Nobody else is left to ask. */
  readonly isLast: boolean;
  decide(outcome: FailedOutcome): Decision;
}

/** The error reply of a failed attempt, complete. */
export interface ErrorReply {
  readonly head: AttemptReply;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** How an attempt ended. */
export type AttemptResult =
  /** To be relayed; the attempt ends with the relay. */
  | { readonly type: "chosen"; readonly reply: ReplyAssessment }
  /** The attempt is over. */
  | {
    readonly type: "failed";
    readonly outcome: FailedOutcome;
    readonly isNext: boolean;
    /** null: there is none that could be relayed. */
    readonly errorReply: ErrorReply | null;
  }
  /** The client left, or the deadline passed; the attempt is over. */
  | { readonly type: "stopped" };

/** How much of an abandoned error reply is read, and for how long. */
const ERROR_TEXT_LIMITS = { limitMs: 250, limitBytes: 64 * 1024 }; // docs/tuning.md#relay-and-settlement

export class UpstreamAttempt {
  readonly upstream: Upstream;
  readonly #deps: AttemptDeps;
  readonly #request: AttemptedRequest;
  readonly #entry: AttemptEntry;
  readonly #cancellation = new Cancellation();
  /** When it was sent; monotonic. */
  #sentMs = 0;

  constructor(deps: AttemptDeps, request: AttemptedRequest, upstream: Upstream) {
    this.#deps = deps;
    this.#request = request;
    this.upstream = upstream;
    this.#entry = request.ledger.beginAttempt(upstream);
  }

  /** Sends the request. Never rejects. */
  send(headersTimeoutMs: number): Promise<SendResult> {
    const { stop, guard, ledger } = this.#request;
    this.#deps.health.apply(this.upstream, { type: "try" }, "its cool-down has elapsed");
    this.#sentMs = this.#deps.clock.monotonic();
    stop.cancellation.onCancel(() => this.#cancellation.cancel());
    return send(this.#deps, { inbound: ledger.inbound, upstream: this.upstream }, {
      headersTimeoutMs,
      cancellation: this.#cancellation,
      guard,
    });
  }

  /** Says what came of {@link send}; at once when the whole reply arrived with its head. Never rejects. */
  conclude(sent: SendResult, judge: AttemptJudge): AttemptResult | Promise<AttemptResult> {
    if (sent.type === "reply") {
      if (!this.#isCancelled) return this.#judge(sent, judge);
      sent.body.cancel();
      return this.#stopped();
    }
    const isStopped = sent.type === "client_gone" || (sent.type !== "no_credential" && this.#isCancelled);
    return isStopped ? this.#stopped() : this.#failed(sent, judge);
  }

  /** Closes the attempt in ledger and metrics, once. */
  end(errorClass: ErrorClass | null, message: string | null): void {
    const ended = this.#request.ledger.endAttempt(this.#entry, { errorClass, message });
    if (ended !== null) this.#deps.observer.attemptEnded(ended);
  }

  get #isCancelled(): boolean {
    return this.#request.stop.cause !== null;
  }

  /** The client left, or the deadline passed: neither is the upstream's fault. */
  #stopped(): AttemptResult {
    this.#deps.health.apply(this.upstream, { type: "abandoned" }, "the attempt was abandoned");
    if (this.#request.stop.cause === "deadline") {
      this.end("deadline_exceeded", "the request's deadline passed");
    } else {
      this.end("client_gone", "the client left");
    }
    return { type: "stopped" };
  }

  /** No usable reply. */
  #failed(outcome: FailedOutcome, judge: AttemptJudge): AttemptResult {
    this.#report(outcome);
    this.end(errorClassOf(outcome), describe(outcome));
    return { type: "failed", outcome, isNext: judge.decide(outcome).type === "next", errorReply: null };
  }

  #judge(reply: AttemptReply, judge: AttemptJudge): AttemptResult | Promise<AttemptResult> {
    this.#entry.status = reply.status;
    this.#deps.health.noteLatency(this.upstream.id, this.#deps.clock.monotonic() - this.#sentMs);
    const decision = judge.decide({ type: "response", status: reply.status });
    if (decision.type !== "relay") return this.#refuse(reply, { isNext: decision.type === "next" });
    const assessment = this.#assess(reply, judge);
    return assessment instanceof Promise
      ? assessment.then((assessment) => this.#assessed(assessment, reply, judge))
      : this.#assessed(assessment, reply, judge);
  }

  /** A reply that is not relayed because of its status. */
  async #refuse(reply: AttemptReply, { isNext }: { readonly isNext: boolean }): Promise<AttemptResult> {
    const { status } = reply;
    const reader = new TimedReader(reply.body, this.#deps.clock);
    const { bytes, isWhole } = await collect(reader, ERROR_TEXT_LIMITS);
    reply.body.cancel();
    if (this.#isCancelled) return this.#stopped();
    const text = (onlyError(bytes)?.message ?? Buffer.from(bytes).toString("utf8").trim()).slice(0, 300);
    const outcome: FailedOutcome = { type: "response", status };
    this.#reportStatus(reply);
    this.end(errorClassOf(outcome), `HTTP ${status}${text === "" ? "" : `: ${text}`}`);
    const errorReply = status >= 400 && isWhole ? { head: reply, bytes } : null;
    return { type: "failed", outcome, isNext, errorReply };
  }

  #assess(
    { body, status, headers, contentLength }: AttemptReply,
    { isLast }: AttemptJudge,
  ): ReplyAssessment | Promise<ReplyAssessment> {
    const { ledger: { inbound }, early } = this.#request;
    const { clock, times, budget } = this.#deps;
    return assess(body, {
      inbound,
      head: { upstream: this.upstream, status, headers, contentLength },
      clock,
      times,
      isLast,
      mask: maskFor(this.upstream),
      budget,
      capture: (isEventStream) =>
        this.#deps.createCapture({ kind: inbound.kind, headers, status, isEventStream }),
      early,
    });
  }

  /** Decides on a reply that has been assessed. */
  #assessed(assessment: ReplyAssessment, reply: AttemptReply, judge: AttemptJudge): AttemptResult {
    if (this.#isCancelled) {
      reply.body.cancel();
      return this.#stopped();
    }
    const misfit = this.#misfit(assessment);
    const problem = withoutKeys(assessment.problem, this.upstream) ?? misfit;
    if (problem === null) {
      if (assessment.status < 400) this.#served();
      else this.#reportStatus(reply);
      return { type: "chosen", reply: this.#withoutLateBom(assessment) };
    }
    if (misfit !== null || judge.decide(problem).type !== "relay") {
      reply.body.cancel();
      return this.#failed(problem, judge);
    }
    this.#report(problem);
    if (assessment.type === "whole") return { type: "chosen", reply: { ...assessment, problem } };
    const choice = this.#withoutLateBom(assessment);
    // Joined, so that a key that was split between two chunks is masked.
    return { type: "chosen", reply: { ...choice, problem, held: [concat(choice.held)] } };
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

  #served(): void {
    const { client } = this.#request.ledger;
    this.#deps.health.report(this.upstream, { type: "served", client }, "it answered");
  }

  #report(outcome: FailedOutcome): void {
    const report = healthReportOf(outcome, this.#request.ledger.client);
    this.#deps.health.report(this.upstream, report, describe(outcome));
  }

  #reportStatus({ status, headers }: AttemptReply): void {
    const { health, clock } = this.#deps;
    const waitMs = status === 429 || status === 503 ? retryAfterMs(headers, clock.now()) : null;
    const { client } = this.#request.ledger;
    const report = statusReport(status, { client, isAsis: this.upstream.sk === ASIS, waitMs });
    if (report !== null) health.report(this.upstream, report, statusReason(report, status));
  }
}
