/**
 * One attempt: sends the request to one upstream, assesses the reply, and says how it ended.
 *
 * Owns its place in the ledger and its cancellation. Chooses nothing: failover.ts decides what follows.
 */
import type { Capture } from "../../capture/capture.ts";
import type { Availability } from "../../core/breaker.ts";
import { concat } from "../../core/bytes.ts";
import { Cancellation } from "../../core/cancellation.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import { isLookUp } from "../../core/look_up.ts";
import { bodyStartTimeout, streamLimit } from "../../core/policy.ts";
import type { ReportedError } from "../../core/reported_error.ts";
import type { CapturedReply, ErrorClass, Upstream } from "../../core/types.ts";
import type { LendingSource } from "../../wire/byte_source.ts";
import { assess } from "../assess/assess.ts";
import type { CapturedHead, ReplyAssessment, ReplyProblem } from "../assess/assessment.ts";
import type { AttemptEntry } from "../ledger/request_ledger.ts";
import type { Verdict } from "../ledger/verdict.ts";
import { maskFor } from "../relay/masking.ts";
import type { AttemptDeps } from "./attempt_deps.ts";
import { AttemptReport } from "./attempt_report.ts";
import type { AttemptResult, FailedAttempt } from "./attempt_result.ts";
import type { AttemptedRequest, AttemptJudge } from "./attempted_request.ts";
import { answerOf } from "./best_answer.ts";
import { isStream, readErrorReply, statedError, withoutConnection, withoutLateBom } from "./failed_answer.ts";
import { describe, errorClassOf, type FailedOutcome, MISFIT, withoutKeys } from "./failure.ts";
import type { HeldSlot } from "./held_slot.ts";
import { noteUsage, readPartial } from "./partial_reply.ts";
import { slotEnd } from "./slot_end.ts";
import { type AttemptReply, send, type SendResult } from "./transport.ts";
import { mayRefuseUsage, readUsageRefusal } from "./usage_refusal.ts";

export type { AttemptDeps } from "./attempt_deps.ts";

export class UpstreamAttempt {
  readonly upstream: Upstream;
  /** Its stream was asked for its usage, which the client did not ask for. */
  asksUsage = false;
  readonly #deps: AttemptDeps;
  readonly #request: AttemptedRequest;
  #entry: AttemptEntry;
  readonly #cancellation = new Cancellation();
  /** When it was sent; monotonic. */
  #sentMs = 0;
  /** Before the request was sent. */
  #availability: Availability = "ready";
  /** Another attempt of the request was faster. */
  #isLost = false;
  #headers: HeaderView | null = null;
  #headersTimeoutMs = 0;
  /** Of its stream. */
  #capture: Capture | null = null;
  #report: AttemptReport | null = null;
  /** null: it was not sent. */
  #slot: HeldSlot | null = null;
  /** What its reply said, once the relay of it is over. */
  #captured: CapturedReply | null = null;
  /** Milliseconds from the request to its first content; null: there was none yet. */
  #firstTokenMs: number | null = null;

  constructor(deps: AttemptDeps, request: AttemptedRequest, upstream: Upstream) {
    this.#deps = deps;
    this.#request = request;
    this.upstream = upstream;
    this.#entry = request.ledger.beginAttempt(upstream);
  }

  /** The upstream was thought well when the request was sent to it. */
  get isReady(): boolean {
    return this.#availability === "ready";
  }

  /** The upstream was failing, and this attempt finds out whether it still is. */
  get isTrial(): boolean {
    return this.#availability === "trial";
  }

  /** Milliseconds from the request to the first content; until now while there is none. */
  get firstTokenMs(): number {
    return this.#firstTokenMs ?? this.#elapsedMs;
  }

  get #elapsedMs(): number {
    return this.#deps.clock.monotonic() - this.#sentMs;
  }

  /** Its stream has shown content, and is held back all the same. */
  get hasContent(): boolean {
    return this.#firstTokenMs !== null;
  }

  /** Of the reply; null before it came. */
  get headers(): HeaderView | null {
    return this.#headers;
  }

  /** Sends the request. Never rejects. @param slot given back when the attempt ends */
  send(headersTimeoutMs: number, slot: HeldSlot): Promise<SendResult> {
    const { stop, ledger } = this.#request;
    this.#slot = slot;
    this.#availability = this.#deps.health.standing(this.upstream, ledger.inbound).availability;
    this.#report = new AttemptReport(this.#deps, this.upstream, ledger.inbound);
    this.#sentMs = this.#deps.clock.monotonic();
    this.#headersTimeoutMs = headersTimeoutMs;
    stop.cancellation.onCancel(() => this.#cancellation.cancel());
    this.asksUsage = Boolean(ledger.inbound.usageSplice && this.#deps.usage?.isAsked(this.upstream));
    return this.#send();
  }

  #send(): Promise<SendResult> {
    const { guard, ledger: { inbound } } = this.#request;
    return send(this.#deps, { inbound, upstream: this.upstream }, {
      headersTimeoutMs: this.#headersTimeoutMs,
      cancellation: this.#cancellation,
      guard,
      note: this.#entry,
      asksUsage: this.asksUsage,
    });
  }

  /** Says what came of {@link send}; at once when the whole reply arrived with its head. Never rejects. */
  conclude(sent: SendResult, judge: AttemptJudge<UpstreamAttempt>): AttemptResult | Promise<AttemptResult> {
    if (sent.type === "reply") {
      const mayBeRefusal = this.asksUsage && mayRefuseUsage(sent.status);
      if (!this.#isCancelled && mayBeRefusal) return this.#withoutAsking(sent, judge);
      if (!this.#isCancelled) return this.#judge(sent, judge);
      sent.body.cancel();
      return this.#stopped();
    }
    const isStopped = sent.type === "client_gone" || (sent.type !== "no_credential" && this.#isCancelled);
    return isStopped ? this.#stopped() : this.#failed(sent);
  }

  /** Asks again without asking for usage, if that was refused: it is neither the client's fault nor the upstream's. */
  async #withoutAsking(head: AttemptReply, judge: AttemptJudge<UpstreamAttempt>): Promise<AttemptResult> {
    const { refusal, reply } = await readUsageRefusal(head, this.#deps.clock);
    this.asksUsage = false;
    if (refusal === null || this.#isCancelled) return this.conclude(reply, judge);
    reply.body.cancel();
    this.#entry.status = reply.status;
    const ended = this.#request.ledger.endAttempt(this.#entry, { ...refusal, partial: null });
    if (ended !== null) this.#deps.observer.attemptEnded(ended);
    this.#entry = this.#request.ledger.beginAttempt(this.upstream);
    this.#sentMs = this.#deps.clock.monotonic();
    const sent = await this.#send();
    // Refused all the same, it was not refused for that.
    if (sent.type === "reply" && sent.status < 300) this.#deps.usage?.refused(this.upstream);
    return this.conclude(sent, judge);
  }

  /** The relay of the chosen reply is over: closes the attempt. @param captured what the reply said */
  finish(verdict: Verdict, error: ReportedError | null, captured: CapturedReply | null): void {
    this.#captured = captured;
    this.#entry.isGiven = true;
    if (verdict.outcome === "complete" && captured !== null) {
      const times = { firstTokenMs: this.firstTokenMs, totalMs: this.#elapsedMs };
      this.#deps.speeds.noteReply(this.upstream, this.#request.ledger.inbound, { captured, ...times });
    }
    if (verdict.outcome === "upstream_error") this.#report?.answered(verdict.status, error, this.#headers);
    else this.#report?.relayed(verdict, error);
    this.#report?.settleMissing({ isAnswered: false });
    this.end(verdict.errorClass, verdict.error);
  }

  /** null: it was never sent. */
  get report(): AttemptReport | null {
    return this.#report;
  }

  /** Closes the attempt in ledger and metrics, once. */
  end(errorClass: ErrorClass | null, message: string | null): void {
    const partial = readPartial(this.#capture, this.#entry, this.#request.ledger);
    const ended = this.#request.ledger.endAttempt(this.#entry, { errorClass, message, partial });
    this.#slot?.end(slotEnd({
      errorClass,
      status: this.#entry.status,
      firstTokenMs: this.#request.ledger.inbound.isStream ? this.#firstTokenMs : null,
      usage: this.#captured?.usage ?? null,
    }));
    if (ended !== null) this.#deps.observer.attemptEnded(ended);
  }

  /** Another attempt was faster: closes this one, and its connection. */
  lose(): void {
    this.#isLost = true;
    this.#entry.isGiven = false;
    this.#stopped();
    this.#cancellation.cancel();
  }

  /** The request must stop: closes the attempt at once, without waiting for its connection to notice. */
  abandon(): void {
    this.#stopped();
  }

  get #isCancelled(): boolean {
    return this.#isLost || this.#request.stop.cause !== null;
  }

  /** The client left, the deadline passed, or another upstream was faster: none of it is the upstream's fault. */
  #stopped(): AttemptResult {
    if (this.#entry.ended !== null) return { type: "stopped" };
    if (this.#isLost) this.#report?.outrun();
    else this.#report?.abandoned("the attempt was abandoned");
    const isLate = this.#request.stop.cause === "deadline";
    if (this.#isLost) this.end("hedge_lost", "another upstream was faster");
    else if (isLate) this.end("deadline_exceeded", "the request's deadline passed");
    else this.end("client_gone", "the client left");
    return { type: "stopped" };
  }

  /** No usable reply. */
  #failed(outcome: FailedOutcome): FailedAttempt {
    if (outcome.type !== "response") this.#report?.failed(outcome);
    this.end(errorClassOf(outcome), describe(outcome));
    return { type: "failed", outcome, answer: null, error: null };
  }

  #judge(reply: AttemptReply, judge: AttemptJudge<UpstreamAttempt>): AttemptResult | Promise<AttemptResult> {
    this.#entry.status = reply.status;
    this.#headers = reply.headers;
    this.#deps.health.noteLatency(this.upstream, this.#elapsedMs);
    const decision = judge.decide({ type: "response", status: reply.status }, this);
    if (decision.type !== "relay") return this.#refuse(reply);
    const assessment = this.#assess(reply, judge);
    return assessment instanceof Promise
      ? assessment.then((assessment) => this.#assessed(assessment, reply, judge))
      : this.#assessed(assessment, reply, judge);
  }

  /** A reply that is not relayed at once because of its status. */
  async #refuse(head: AttemptReply): Promise<AttemptResult> {
    const { status } = head;
    const { error, reply } = await readErrorReply(head, {
      upstream: this.upstream,
      clock: this.#deps.clock,
      createCapture: (reply) => this.#createCapture(reply),
    });
    head.body.cancel();
    if (this.#isCancelled) return this.#stopped();
    const outcome: FailedOutcome = { type: "response", status };
    if (reply !== null) noteUsage(this.#entry, reply.captured);
    this.#report?.answered(status, error, this.#headers);
    this.end(errorClassOf(outcome), describe(outcome, error));
    return {
      type: "failed",
      outcome,
      answer: reply === null ? null : answerOf(outcome, reply, error),
      error,
    };
  }

  #assess(
    { body, status, headers, contentLength }: AttemptReply,
    { isLast }: AttemptJudge<UpstreamAttempt>,
  ): ReplyAssessment | Promise<ReplyAssessment> {
    const { ledger: { inbound }, early, holding } = this.#request;
    const { clock, times, budget } = this.#deps;
    return assess(body, {
      inbound,
      head: { upstream: this.upstream, status, headers, contentLength },
      clock,
      times,
      isLast,
      bodyStartTimeoutMs: bodyStartTimeout(this.#headersTimeoutMs),
      streamLimit: streamLimit(this.upstream, this.#sentMs),
      mask: maskFor(this.upstream),
      budget,
      capture: (isEventStream) => {
        const capture = this.#createCapture({ headers, status, isEventStream });
        if (isEventStream) this.#capture = capture;
        return capture;
      },
      early,
      holding,
      onContent: () => this.#contentShown(),
    });
  }

  /** It answers, although it may not be over. */
  #contentShown(): void {
    if (this.#firstTokenMs !== null) return;
    this.#firstTokenMs = this.#elapsedMs;
    this.#report?.content();
  }

  #createCapture(reply: CapturedHead): Capture {
    const { inbound: { kind, method }, ties } = this.#request.ledger;
    const onId = ties?.listenerFor(this.upstream) ?? null;
    return this.#deps.createCapture({ ...reply, kind, isLookUp: isLookUp(method), onId });
  }

  /** Decides on a reply that has been assessed. */
  #assessed(
    assessment: ReplyAssessment,
    head: AttemptReply,
    judge: AttemptJudge<UpstreamAttempt>,
  ): AttemptResult | Promise<AttemptResult> {
    if (this.#isCancelled) {
      head.body.cancel();
      return this.#stopped();
    }
    const { isBegun } = this.#request.early;
    const misfit = isBegun && !isStream(assessment) ? MISFIT : null;
    const problem = withoutKeys(assessment.problem, this.upstream) ?? misfit;
    if (problem === null) {
      if (assessment.status < 400) this.#contentShown();
      else if (assessment.type === "whole") {
        const error = statedError(assessment.captured.text);
        this.#report?.answered(assessment.status, error, this.#headers);
      }
      return this.#chosen(assessment);
    }
    if (misfit !== null || judge.decide(problem, this).type !== "relay") {
      return this.#unusable(problem, { assessment, body: head.body });
    }
    this.#report?.failed(problem);
    if (assessment.type === "whole") return this.#chosen({ ...assessment, problem });
    // Joined, so that a key that was split between two chunks is masked.
    return this.#chosen({ ...assessment, problem, held: [concat(assessment.held)] });
  }

  #chosen(reply: ReplyAssessment): AttemptResult {
    this.#entry.isGiven = true;
    return { type: "chosen", reply: withoutLateBom(reply, this.#request.early.hasSent) };
  }

  /** A success that is none; what it says is kept if it is complete. */
  async #unusable(
    problem: ReplyProblem,
    { assessment, body }: { readonly assessment: ReplyAssessment; readonly body: LendingSource },
  ): Promise<AttemptResult> {
    const isKept = problem.type !== "timeout" && !problem.isCut;
    const reply = isKept ? await withoutConnection(assessment, this.#deps.clock) : null;
    body.cancel();
    if (this.#isCancelled) return this.#stopped();
    if (assessment.type === "whole") noteUsage(this.#entry, assessment.captured);
    this.#report?.failed(problem);
    this.end(errorClassOf(problem), describe(problem));
    const failed: FailedAttempt = { type: "failed", outcome: problem, answer: null, error: null };
    if (!isKept || reply === null) return failed;
    const { error } = problem;
    return { ...failed, error, answer: answerOf(problem, { ...reply, problem }, error) };
  }
}
