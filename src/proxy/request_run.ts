/**
 * One request after it has been read: runs the failover loop, and gives the client the chosen reply.
 *
 * Every path ends in one settlement. Requests are read in handler.ts.
 */
import type { ClientRules } from "../core/client_rules.ts";
import { Cancellation } from "../core/cancellation.ts";
import { RouterError } from "../core/errors.ts";
import type { FixedHeaders } from "../core/fixed_headers.ts";
import { askedHedge } from "../core/hedging.ts";
import { askedGate, type GateMode } from "../core/gate_mode.ts";
import type { HeaderFields, HeaderView } from "../core/header_fields.ts";
import type { ListNode } from "../core/linked_list.ts";
import type { ModelStandings } from "../core/model_order.ts";
import type { TokenGuard } from "../core/token_guard.ts";
import type { CapturedReply, Upstream } from "../core/types.ts";
import type { Observer } from "../observe/observer.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import type { AnswerHead, InboundExchange } from "../wire/exchange.ts";
import { hasNoBody } from "./assess/assess.ts";
import type { OpenReply, UpstreamHead, WholeReply } from "./assess/assessment.ts";
import { failover } from "./attempt/failover.ts";
import type { FailoverDeps, FinalChoice } from "./attempt/failover_request.ts";
import type { Stop } from "./attempt/attempted_request.ts";
import { RequestDemand } from "./attempt/request_demand.ts";
import type { UpstreamAttempt } from "./attempt/upstream_attempt.ts";
import { RequestHolding } from "./assess/holding.ts";
import type { ErrorForms, FailedCall } from "./error_forms.ts";
import type { InFlight, RequestUnderWay } from "./ledger/in_flight.ts";
import type { ProgressRow, ProgressRows } from "./ledger/progress_rows.ts";
import type { Ending, RequestLedger } from "./ledger/request_ledger.ts";
import { resettle, settle, type SettlementDeps } from "./ledger/settlement.ts";
import { CLIENT_GONE_STATUS, STOPPED_MESSAGE, type Verdict, verdictOnWhole } from "./ledger/verdict.ts";
import { noUpstreamError } from "./refusals.ts";
import { EarlyReply, type EarlyReplyOwner, keepaliveOf } from "./relay/early_reply.ts";
import type { FairReadScheduler } from "./relay/fair_reads.ts";
import { maskFor } from "./relay/masking.ts";
import { Relay } from "./relay/relay.ts";
import { type RelayedRequest, RelaySettlement } from "./relay/relay_settlement.ts";
import { addCost, clientHeaders, keepStreaming } from "./relay/reply_headers.ts";
import { usageFilterFor } from "./relay/usage_filter.ts";

export interface RunDeps extends FailoverDeps, SettlementDeps {
  readonly observer: Observer;
  readonly inFlight: InFlight;
  readonly progressRows: ProgressRows;
  readonly errorForms: ErrorForms;
  readonly limits: RunLimits;
  /** How streams are held unless a request says otherwise. */
  readonly gate: GateMode;
  /** Between two keepalives while the choice of upstream is open; 0: none. */
  readonly keepaliveMs: number;
  /** A stream that was to be held whole is not: the memory for held replies is used up. */
  readonly onGateDegraded: (requestId: string) => void;
}

export interface RunLimits {
  readonly deadlineMs: number | null;
  /** How long a client may send, or accept, nothing. */
  readonly clientTimeoutMs: number;
}

/** The parts of one run. */
export interface RunParts {
  readonly client: InboundExchange;
  readonly ledger: RequestLedger;
  readonly pace: FairReadScheduler;
  /** Returns the body's memory to the budget. Idempotent. */
  readonly releaseBody: () => void;
  readonly fixedHeaders: FixedHeaders;
}

/** How the request is to be answered. */
export interface RunPlan {
  readonly snapshot: RegistrySnapshot;
  readonly candidates: readonly Upstream[];
  /** Which of them have the model; null: nothing distinguishes them. */
  readonly models: ModelStandings | null;
  /** The client left while it was sending. */
  readonly isCut: boolean;
  /** Why it is not relayed; null: it is. */
  readonly refusal: RouterError | null;
  readonly guard: TokenGuard;
  /** Of the client's token; null: it may do everything. */
  readonly rules: ClientRules | null;
}

export class RequestRun implements Stop, RequestUnderWay, EarlyReplyOwner, RelayedRequest {
  readonly ledger: RequestLedger;
  readonly cancellation = new Cancellation();
  readonly #deps: RunDeps;
  readonly #client: InboundExchange;
  readonly #pace: FairReadScheduler;
  readonly #releaseBody: () => void;
  readonly #fixedHeaders: FixedHeaders;
  readonly #node: ListNode<RequestUnderWay>;
  readonly #row: ListNode<ProgressRow>;
  readonly #early: EarlyReply;
  #cause: "client" | "deadline" | null = null;
  /** The attempt whose reply is given. */
  #attempt: UpstreamAttempt | null = null;
  #relayed: Relay | null = null;

  constructor(deps: RunDeps, { client, ledger, pace, releaseBody, fixedHeaders }: RunParts) {
    this.#deps = deps;
    this.#client = client;
    this.ledger = ledger;
    this.#pace = pace;
    this.#releaseBody = releaseBody;
    this.#fixedHeaders = fixedHeaders;
    this.#node = deps.inFlight.add(this);
    this.#row = deps.progressRows.add(ledger);
    const keepalive = keepaliveOf(ledger.inbound, deps.keepaliveMs);
    this.#early = new EarlyReply(client, this, { clock: deps.clock, keepalive });
  }

  get cause(): "client" | "deadline" | null {
    return this.#cause;
  }

  /** Resolves when the answer has gone out, or the client has gone. */
  async answer(plan: RunPlan): Promise<void> {
    if (plan.isCut || this.#client.isGone) return await this.#settleClientGone();
    if (plan.refusal !== null) return await this.#failed(plan.refusal);
    if (plan.candidates.length === 0) {
      return await this.#failed(noUpstreamError(plan.snapshot, this.ledger.inbound, plan.rules));
    }

    const asked = askedHedge(this.ledger.inbound.headers);
    const hedge = asked === undefined ? this.#deps.hedging.delay : asked;
    if (hedge instanceof RouterError) return await this.#failed(hedge);

    const gate = askedGate(this.ledger.inbound.headers) ?? plan.rules?.gate ?? this.#deps.gate;
    if (gate instanceof RouterError) return await this.#failed(gate);

    const holding = new RequestHolding(
      gate,
      this.#deps.budget,
      () => this.#deps.onGateDegraded(this.ledger.inbound.id),
    );
    const demand = new RequestDemand(this.ledger.inbound);
    const forgetClient = this.#client.onGone(() => this.clientLeft());
    const { deadlineMs } = this.#deps.limits;
    const deadline = deadlineMs === null
      ? null
      : this.#deps.clock.setTimer(() => this.#cancel("deadline"), deadlineMs - this.ledger.elapsedMs());
    try {
      const choice = await failover(this.#deps, {
        ledger: this.ledger,
        candidates: plan.candidates,
        models: plan.models,
        stop: this,
        guard: plan.guard,
        early: this.#early,
        // Nobody else knows what it names.
        hedge: this.ledger.ties?.owner ? null : hedge,
        holding,
        demand,
      });
      if (deadline !== null) this.#deps.clock.clearTimer(deadline);
      await this.#final(choice);
    } finally {
      void this.#early.finish();
      demand.release();
      holding.release();
      forgetClient();
    }
  }

  async stop(): Promise<void> {
    if (this.#relayed !== null) return await this.#relayed.stop();
    for (const entry of this.ledger.openAttempts) {
      const end = { errorClass: "stopped", message: STOPPED_MESSAGE, partial: null } as const;
      const ended = this.ledger.endAttempt(entry, end);
      if (ended !== null) this.#deps.observer.attemptEnded(ended);
    }
    const settled = this.#settle({
      outcome: "crashed",
      status: CLIENT_GONE_STATUS,
      captured: null,
      error: STOPPED_MESSAGE,
    });
    this.#cancel("client");
    await settled;
  }

  clientLeft(): void {
    if (this.#relayed === null) this.#cancel("client");
    else void this.#relayed.cancel();
  }

  #cancel(cause: "client" | "deadline"): void {
    this.#cause ??= cause;
    this.cancellation.cancel();
  }

  #final(choice: FinalChoice): Promise<void> {
    switch (choice.type) {
      case "reply":
        this.#attempt = choice.attempt;
        return choice.reply.type === "whole" ? this.#whole(choice.reply) : this.#relay(choice.reply);
      case "failed":
        if (choice.upstream !== null) this.ledger.chosen(choice.upstream, null);
        return this.#failed(choice.error);
      case "client_gone":
        return this.#settleClientGone();
      default:
        return choice satisfies never;
    }
  }

  async #whole(reply: WholeReply): Promise<void> {
    if (this.#early.isBegun) {
      return await this.#failed(new RouterError(502, "upstream_invalid", "The reply is not a stream"));
    }
    this.ledger.chosen(reply.upstream, null);
    const verdict = verdictOnWhole(reply.status, reply.captured, reply.problem);
    const { contentLength } = reply;
    const head = this.#head(reply, { contentLength, isEventStream: false });
    this.#attempt?.finish(verdict, null, reply.captured);
    await this.#settle({ ...verdict, captured: reply.captured });
    addCost(head.headers, this.ledger.costNano);
    const { method } = this.ledger.inbound;
    await this.#reply(head, hasNoBody(reply.status, method) ? null : reply.bytes);
  }

  /** Answers, unless the client has left; the request is settled by now. */
  #reply(head: AnswerHead, body: Uint8Array | null): Promise<void> {
    if (this.#client.isGone) return Promise.resolve();
    // The client may leave during the answer.
    return this.#client.reply(head, body).catch(() => {});
  }

  async #relay(reply: OpenReply): Promise<void> {
    const usageFilter = usageFilterFor(reply, { attempt: this.#attempt, usage: this.#deps.usage });
    const { contentLength, isEventStream } = reply;
    const isShorter = usageFilter !== null;
    if (this.#early.isBegun) await this.#early.finish();
    else {
      this.#client.begin(
        this.#head(reply, { contentLength: isShorter ? null : contentLength, isEventStream }),
      );
    }
    this.ledger.chosen(reply.upstream, reply.capture);
    this.ledger.releaseBody();
    this.#releaseBody();
    this.#relayed = new Relay(
      // Bytes that were sent early are not part of what follows, so the length would not match.
      this.#early.isBegun ? { ...reply, contentLength: null } : reply,
      new RelaySettlement(reply, this),
      {
        client: this.#client,
        clock: this.#deps.clock,
        idleTimeoutMs: this.#deps.times.idleTimeoutMs,
        clientTimeoutMs: this.#deps.limits.clientTimeoutMs,
        pace: this.#pace,
        usageFilter,
      },
    );
    if (this.#client.isGone) await this.#relayed.cancel();
    await this.#relayed.run();
  }

  settle(verdict: Verdict, captured: CapturedReply): Promise<void> {
    this.#attempt?.finish(verdict, this.ledger.capture?.progress.error ?? null, captured);
    return this.#settle({ ...verdict, captured });
  }

  resettle({ outcome, status, error }: Verdict, captured: CapturedReply): Promise<void> {
    return resettle(this.#deps, this.ledger, { outcome, status, error, captured });
  }

  beginEarly(head: UpstreamHead): AnswerHead {
    this.ledger.announced(head.upstream);
    return this.#head(head, { contentLength: null, isEventStream: true });
  }

  beginWaiting(): AnswerHead {
    const headers = this.#headers(null, null);
    headers.set("content-type", "text/event-stream");
    keepStreaming(headers);
    return { status: 200, headers, contentLength: null };
  }

  async #failed(error: RouterError): Promise<void> {
    const { errorForms } = this.#deps;
    const { kind, path, shownModel, id, startedAtMs } = this.ledger.inbound;
    const call: FailedCall = { kind, path, model: shownModel, requestId: id, startedAtMs };
    await this.#settleFailure(error, errorForms.document(error, call));
    if (this.#early.isBegun) return await this.#early.fail(errorForms.event(error, call));
    const { headers, body } = errorForms.answer(error, this.#headers(null, null), call);
    await this.#reply({ status: error.status, headers }, body);
  }

  #settleFailure(error: RouterError, responseText: string): Promise<void> {
    const { attempts } = this.ledger;
    const isUntried = attempts.every((attempt) => attempt.errorClass === "no_credential");
    return this.#settle({
      outcome: isUntried ? "no_upstream" : "upstream_error",
      status: error.status,
      captured: null,
      responseText,
      error: error.message,
    });
  }

  #settleClientGone(): Promise<void> {
    return this.#settle({
      outcome: "client_gone",
      status: CLIENT_GONE_STATUS,
      captured: this.ledger.capture?.partial() ?? null,
      error: "the client left before the reply began",
    });
  }

  #settle(ending: Ending): Promise<void> {
    this.#deps.inFlight.remove(this.#node);
    this.#deps.progressRows.remove(this.#row);
    this.#releaseBody();
    return settle(this.#deps, this.ledger, ending);
  }

  #head(
    { status, headers: received, upstream }: UpstreamHead,
    { contentLength, isEventStream }: Pick<OpenReply, "contentLength" | "isEventStream">,
  ): AnswerHead & { readonly headers: HeaderFields } {
    const headers = this.#headers(received, upstream);
    if (isEventStream) keepStreaming(headers);
    return { status, headers, contentLength };
  }

  #headers(upstream: HeaderView | null, chosen: Upstream | null): HeaderFields {
    return clientHeaders(upstream, {
      ...{ requestId: this.ledger.inbound.id, upstreamName: chosen?.name ?? null },
      mask: chosen === null ? null : maskFor(chosen),
      attempts: this.ledger.attemptCount,
      affinity: this.ledger.ties?.affinityOf(chosen?.id ?? null) ?? null,
      ...{ limits: this.ledger.admission?.headers ?? null, fixed: this.#fixedHeaders },
    });
  }
}
