/**
 * One request from Hono to settled record.
 *
 * Reads and classifies the request, runs the failover loop over the snapshot taken at its start, and gives
 * the client the chosen reply. Every way out passes through one settlement.
 */
import { requestText } from "./ledger/request_text.ts";
import { Cancellation } from "../core/cancellation.ts";
import { cutText, MAX_SHOWN_NAME_LENGTH } from "../core/cut_text.ts";
import { networkOf } from "../core/client_ip.ts";
import { clientCredentials } from "../core/credentials.ts";
import { classify } from "../core/endpoint.ts";
import { RouterError } from "../core/errors.ts";
import type { HeaderFields, HeaderView } from "../core/header_fields.ts";
import { JsonPieces } from "../core/request_fields.ts";
import { candidates } from "../core/policy.ts";
import type { ListNode } from "../core/linked_list.ts";
import { maskSecret } from "../core/secrets.ts";
import type { TokenGuard } from "../core/token_guard.ts";
import { ASIS, type CapturedReply, type Inbound, type OrderPolicy, type Upstream } from "../core/types.ts";
import type { Observer } from "../observe/observer.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import type { AnswerHead, InboundExchange } from "../wire/exchange.ts";
import { CLIENT_GONE_STATUS, STOPPED_MESSAGE, verdictOnRelay, verdictOnWhole } from "./ledger/verdict.ts";
import { EarlyReply } from "./relay/early_reply.ts";
import {
  type EarlyStep,
  failover,
  type FailoverDeps,
  type FinalChoice,
  type Stop,
} from "./attempt/failover.ts";
import { type FixedHeaders, READABLE_BY_ALL } from "../core/fixed_headers.ts";
import { clientHeaders } from "./relay/reply_headers.ts";
import { hasNoBody } from "./assess/gate.ts";
import type { InFlight, RequestUnderWay } from "./ledger/in_flight.ts";
import type { ProgressRow, ProgressRows } from "./ledger/progress_rows.ts";
import { maskFor } from "./relay/masking.ts";
import { FairReadScheduler } from "./relay/fair_reads.ts";
import type { ReceivingAccount, ReceivingBudget } from "./receiving_budget.ts";
import { Relay, type RelayEnd } from "./relay/relay.ts";
import { type BodyRead, readBody } from "./request_body.ts";
import { RequestLedger } from "./ledger/request_ledger.ts";
import { resettle, settle, type SettlementDeps } from "./ledger/settlement.ts";
import { SnapshotIndex } from "./prepared_snapshot.ts";

export interface ProxyLimits {
  readonly maxBodyBytes: number;
  readonly recordBodyLimitBytes: number;
  readonly deadlineMs: number | null;
  /** How long a client may send, or take, nothing. */
  readonly clientTimeoutMs: number;
  /** Requests at once; null: any number. */
  readonly maxConcurrent: number | null;
}

export interface ProxyDeps extends FailoverDeps, SettlementDeps {
  readonly observer: Observer;
  readonly inFlight: InFlight;
  readonly progressRows: ProgressRows;
  readonly limits: ProxyLimits;
  readonly receiving: ReceivingBudget;
  /** null: the database's policy, or `order`. */
  readonly policy: OrderPolicy | null;
  /** Unique, sortable (ULID). */
  readonly newId: () => string;
  readonly random: () => number;
}

/** What the web layer knows about a request. */
export interface RequestContext {
  readonly path: string;
  readonly query: string;
  readonly clientIp: string;
  readonly clientName: string | null;
  readonly clientToken: string | null;
  readonly snapshot: RegistrySnapshot;
  /** What every answer has; absent: what any page may read. */
  readonly fixedHeaders?: FixedHeaders;
}

/** Relays requests. One object for the life of the program. */
export class Proxy {
  readonly #deps: ProxyDeps;
  #turn = 0;
  #index: SnapshotIndex | null = null;
  readonly #pace: FairReadScheduler;

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
    this.#pace = new FairReadScheduler(deps.clock);
  }

  /**
   * Answers one request. Resolves when the answer has gone out, or the client has gone.
   * @throws RouterError when the request cannot be accepted at all (400, 408, 413, 429); nothing is recorded then.
   */
  handle(client: InboundExchange, context: RequestContext): Promise<void> {
    const startedAtMs = this.#deps.clock.now();
    const startedMonoMs = this.#deps.clock.monotonic();
    const { limits, inFlight } = this.#deps;
    if (limits.maxConcurrent !== null && inFlight.count >= limits.maxConcurrent) {
      throw tooManyRequests(limits.maxConcurrent);
    }
    const index = this.#indexOf(context.snapshot);
    if (index.guard.isInPath(context.path)) throw tokenInPath();
    let account: ReceivingAccount | null = null;
    const releaseBody = () => account?.release();
    const answer = (read: BodyRead) =>
      this.#answer(client, context, { read, index, startedAtMs, startedMonoMs, releaseBody });
    const read = readBody(client.body, {
      limits,
      clock: this.#deps.clock,
      receive: () => {
        account = this.#deps.receiving.open(context.clientName ?? networkOf(context.clientIp));
        return { account, pieces: new JsonPieces({ isStrict: index.isRestricted }) };
      },
    });
    if (!(read instanceof Promise)) return answer(read);
    inFlight.beginReceiving();
    // No function that waits for the end of the answer has the body in a variable: a large one need not stay so long.
    return read.then((body) => {
      inFlight.endReceiving();
      return answer(body);
    }, (error) => {
      inFlight.endReceiving();
      throw error;
    });
  }

  #answer(
    client: InboundExchange,
    context: RequestContext,
    { read, index, startedAtMs, startedMonoMs, releaseBody }: {
      readonly read: BodyRead;
      readonly index: SnapshotIndex;
      readonly startedAtMs: number;
      readonly startedMonoMs: number;
      /** The memory of the body is free again, or soon. */
      readonly releaseBody: () => void;
    },
  ): Promise<void> {
    const isBodyless = client.method === "GET" || client.method === "HEAD";
    const body = isBodyless ? null : read.bytes;
    const contentType = client.headers.get("content-type");
    const recorded = requestText(body, contentType, this.#deps.limits.recordBodyLimitBytes);
    const { kind, model, shownModel, modelPlace, isStream, problem } = classify(context.path, {
      contentType,
      contentEncoding: client.headers.get("content-encoding"),
      bytes: body,
      text: recorded.isTruncated ? null : recorded.text,
      members: read.type === "body" ? read.members : null,
      isStrict: index.isRestricted,
    });
    const inbound: Inbound = {
      kind,
      model,
      shownModel,
      modelPlace,
      isStream,
      id: this.#deps.newId(),
      method: client.method,
      path: context.path,
      query: context.query,
      headers: client.headers,
      body,
      clientIp: context.clientIp,
      clientName: context.clientName,
      clientToken: context.clientToken,
      startedAtMs,
      startedMonoMs,
    };
    const candidates = this.#candidates(inbound, index);
    // A client's own key goes to no other upstream, so that no other one can say it.
    const isOwnKeySent = candidates.some(({ sk }) => sk === ASIS);
    const ledger = new RequestLedger(inbound, {
      requestText: recorded,
      authorization: context.clientToken === null ? null : maskSecret(context.clientToken),
      secrets: index.secrets,
      credentials: isOwnKeySent ? clientCredentials(client.headers) : [],
    }, this.#deps.clock);
    this.#deps.observer.requestStarted();
    const exchange = new RequestRun(this.#deps, {
      client,
      ledger,
      pace: this.#pace,
      releaseBody,
      fixedHeaders: context.fixedHeaders ?? READABLE_BY_ALL,
    });
    return exchange.answer({
      context,
      candidates,
      upstreamCount: index.enabledCount,
      isCut: read.type === "cut",
      refusal: problem === null || !index.isRestricted ? null : unreadable(problem),
      guard: index.guard,
    });
  }

  /** Ends what is still under way; its records keep what had arrived. */
  async stop(): Promise<void> {
    await this.#deps.inFlight.stop();
  }

  #indexOf(snapshot: RegistrySnapshot): SnapshotIndex {
    if (this.#index?.snapshot !== snapshot) this.#index = new SnapshotIndex(snapshot);
    return this.#index;
  }

  #candidates(inbound: Inbound, index: SnapshotIndex): Upstream[] {
    return candidates(index.allowed(inbound), {
      policy: this.#deps.policy ?? index.snapshot.policy ?? "order",
      standing: (id) => this.#deps.health.standing(id),
      random: this.#deps.random,
      turn: this.#turn++,
    });
  }
}

/** The exchange of one request with its client. */
class RequestRun implements Stop, RequestUnderWay {
  readonly #deps: ProxyDeps;
  readonly #client: InboundExchange;
  readonly ledger: RequestLedger;
  readonly #pace: FairReadScheduler;
  readonly cancellation = new Cancellation();
  readonly #releaseBody: () => void;
  readonly #fixedHeaders: FixedHeaders;
  readonly #node: ListNode<RequestUnderWay>;
  readonly #row: ListNode<ProgressRow>;
  #cause: "client" | "deadline" | null = null;
  readonly #early: EarlyReply;
  #relayed: Relay | null = null;

  constructor(
    deps: ProxyDeps,
    { client, ledger, pace, releaseBody, fixedHeaders }: {
      readonly client: InboundExchange;
      readonly ledger: RequestLedger;
      readonly pace: FairReadScheduler;
      readonly releaseBody: () => void;
      readonly fixedHeaders: FixedHeaders;
    },
  ) {
    this.#deps = deps;
    this.#client = client;
    this.ledger = ledger;
    this.#pace = pace;
    this.#releaseBody = releaseBody;
    this.#fixedHeaders = fixedHeaders;
    this.#node = deps.inFlight.add(this);
    this.#row = deps.progressRows.add(ledger);
    this.#early = new EarlyReply(client, () => this.#cancel("client"));
  }

  get cause(): "client" | "deadline" | null {
    return this.#cause;
  }

  async answer(
    plan: {
      readonly context: RequestContext;
      readonly candidates: Upstream[];
      /** Enabled ones, whether or not they take this request. */
      readonly upstreamCount: number;
      readonly isCut: boolean;
      /** Why it is not relayed at all. */
      readonly refusal: RouterError | null;
      readonly guard: TokenGuard;
    },
  ): Promise<void> {
    if (plan.isCut || this.#client.isGone) return await this.#settleClientGone();
    if (plan.refusal !== null) return await this.#failed(plan.refusal);
    const { snapshot } = plan.context;
    if (plan.candidates.length === 0) {
      return await this.#failed(noUpstreamError(snapshot, this.ledger.inbound));
    }

    const forgetClient = this.#client.onGone(() => this.#clientLeft());
    const { deadlineMs } = this.#deps.limits;
    const deadline = deadlineMs === null
      ? null
      : this.#deps.clock.setTimer(() => this.#cancel("deadline"), deadlineMs - this.ledger.elapsedMs());
    try {
      const choice = await failover(this.#deps, {
        ledger: this.ledger,
        candidates: plan.candidates,
        upstreamCount: plan.upstreamCount,
        stop: this,
        guard: plan.guard,
        sendEarly: (step) => this.#sendEarly(step),
      });
      if (deadline !== null) this.#deps.clock.clearTimer(deadline);
      await this.#final(choice);
    } finally {
      forgetClient();
    }
  }

  /** Ends it now, because the program must. */
  async stop(): Promise<void> {
    if (this.#relayed !== null) return await this.#relayed.stop();
    this.#endAttempt(null, null);
    const settled = this.#settle({
      outcome: "crashed",
      status: CLIENT_GONE_STATUS,
      captured: null,
      error: STOPPED_MESSAGE,
    });
    this.#cancel("client");
    await settled;
  }

  #clientLeft(): void {
    if (this.#relayed === null) this.#cancel("client");
    else void this.#relayed.cancel();
  }

  #cancel(cause: "client" | "deadline"): void {
    this.#cause ??= cause;
    this.cancellation.cancel();
  }

  #final(choice: FinalChoice): Promise<void> {
    switch (choice.type) {
      case "whole":
        return this.#whole(choice);
      case "open":
        if (!this.#early.isBegun) this.#client.begin(this.#head(choice));
        return this.#relay(choice);
      case "failed":
        return this.#failed(choice.error);
      case "client_gone":
        return this.#settleClientGone();
      default:
        return choice satisfies never;
    }
  }

  async #whole(choice: Extract<FinalChoice, { type: "whole" }>): Promise<void> {
    if (this.#early.isBegun) {
      return await this.#failed(new RouterError(502, "upstream_invalid", "The reply is not a stream"));
    }
    this.ledger.chosen(choice.upstream, null);
    const { errorClass, ...verdict } = verdictOnWhole(choice.status, choice.captured, choice.problem);
    const head = this.#head(choice);
    this.#endAttempt(errorClass, verdict.error);
    await this.#settle({ ...verdict, captured: choice.captured });
    const { method } = this.ledger.inbound;
    await this.#reply(head, hasNoBody(choice.status, method) ? null : choice.bytes);
  }

  /** A client that has left by now gets no answer; its request is settled. */
  #reply(head: AnswerHead, body: Uint8Array | null): Promise<void> {
    if (this.#client.isGone) return Promise.resolve();
    // It may leave while it is being answered.
    return this.#client.reply(head, body).catch(() => {});
  }

  /** The pump of an open reply, wired to the settlement. */
  async #relay(choice: Extract<FinalChoice, { type: "open" }>): Promise<void> {
    const ledger = this.ledger;
    const { capture, status, isEventStream } = choice;
    ledger.chosen(choice.upstream, capture);
    ledger.releaseBody();
    this.#releaseBody();
    let settledBytes: number | null = null;
    const onEnd = async (end: RelayEnd) => {
      const isStillOpen = end.type === "terminal" && isEventStream;
      const isCleanEnd = end.type === "end" || end.type === "terminal";
      const captured = isStillOpen ? capture.partial() : capture.finish(isCleanEnd);
      const isOurs = end.type === "client_gone" || end.type === "stopped";
      if (settledBytes !== null && (isOurs || captured.bytes === settledBytes)) return;
      const { hasContent, errorMessage } = capture.progress;
      const effective: RelayEnd = settledBytes === null ? end : { type: "end" };
      const verdict = verdictOnRelay(effective, captured, {
        status,
        isEventStream,
        hasContent,
        errorMessage,
      });
      const { errorClass, ...ending } = verdict;
      if (settledBytes !== null) return await resettle(this.#deps, ledger, { ...ending, captured });
      settledBytes = captured.bytes;
      if (verdict.outcome === "upstream_cut" || verdict.outcome === "idle_timeout") {
        const report = { type: "failed", client: ledger.client } as const;
        this.#deps.health.report(choice.upstream, report, verdict.error ?? verdict.outcome);
      }
      this.#endAttempt(errorClass, verdict.error);
      await this.#settle({ ...ending, captured });
    };
    this.#relayed = new Relay(
      // What has gone out early is no longer among what comes.
      this.#early.isBegun ? { ...choice, contentLength: null } : choice,
      { onProgress: (bytes) => ledger.noteProgress(bytes), onEnd },
      {
        client: this.#client,
        clock: this.#deps.clock,
        idleTimeoutMs: this.#deps.times.idleTimeoutMs,
        clientTimeoutMs: this.#deps.limits.clientTimeoutMs,
        pace: this.#pace,
      },
    );
    if (this.#client.isGone) await this.#relayed.cancel();
    await this.#relayed.run();
  }

  /** The head goes out before the choice is final. */
  async #sendEarly({ head, bytes }: EarlyStep): Promise<void> {
    if (!this.#early.isBegun) {
      this.ledger.chosen(head.upstream, null);
      this.#early.begin(this.#head({ ...head, contentLength: null }));
    }
    await this.#early.send(bytes);
  }

  async #failed(error: RouterError): Promise<void> {
    await this.#settleFailure(error);
    if (this.#early.isBegun) return await this.#early.fail(error);
    const { headers, body } = errorAnswer(error, this.#headers(null, null));
    await this.#reply({ status: error.status, headers }, body);
  }

  #settleFailure(error: RouterError): Promise<void> {
    const { attempts } = this.ledger;
    const isUntried = attempts.every((attempt) => attempt.errorClass === "no_credential");
    return this.#settle({
      outcome: isUntried ? "no_upstream" : "upstream_error",
      status: error.status,
      captured: null,
      responseText: JSON.stringify(error.toEnvelope()),
      error: error.message,
    });
  }

  #settleClientGone(): Promise<void> {
    const captured: CapturedReply | null = this.ledger.capture?.partial() ?? null;
    return this.#settle({
      outcome: "client_gone",
      status: CLIENT_GONE_STATUS,
      captured,
      error: "the client left before the reply began",
    });
  }

  #endAttempt(...[errorClass, message]: Parameters<RequestLedger["endAttempt"]>): void {
    const attempt = this.ledger.endAttempt(errorClass, message);
    if (attempt !== null) this.#deps.observer.attemptEnded(attempt);
  }

  #settle(ending: Parameters<typeof settle>[2]): Promise<void> {
    this.#deps.inFlight.remove(this.#node);
    this.#deps.progressRows.remove(this.#row);
    this.#releaseBody();
    return settle(this.#deps, this.ledger, ending);
  }

  #head(
    { status, headers, upstream, contentLength }: EarlyStep["head"] & {
      readonly contentLength: number | null;
    },
  ): AnswerHead {
    return { status, headers: this.#headers(headers, upstream), contentLength };
  }

  #headers(upstream: HeaderView | null, chosen: Upstream | null): HeaderFields {
    return clientHeaders(upstream, {
      requestId: this.ledger.inbound.id,
      upstreamName: chosen?.name ?? null,
      mask: chosen === null ? null : maskFor(chosen),
      attempts: this.ledger.attemptCount,
      fixed: this.#fixedHeaders,
    });
  }
}

/** An error of our own as an answer. */
export function errorAnswer(
  error: RouterError,
  headers: HeaderFields,
): { readonly headers: HeaderFields; readonly body: Uint8Array } {
  headers.set("content-type", "application/json");
  return { headers, body: new TextEncoder().encode(JSON.stringify(error.toEnvelope())) };
}

/** Every request for a model that nobody allows gets them, and has them in its record and its log lines. */
const MAX_SHOWN_PATTERNS_LENGTH = 1024;

/** Why there is nothing to try. */
function noUpstreamError(snapshot: RegistrySnapshot, inbound: Inbound): RouterError {
  const enabled = snapshot.upstreams.filter((upstream) => upstream.isEnabled);
  if (enabled.length > 0) {
    const patterns = [...new Set(enabled.flatMap((upstream) => upstream.allow))].join(", ");
    const allowed = cutText(patterns, MAX_SHOWN_PATTERNS_LENGTH);
    const name = cutText(inbound.model ?? inbound.path, MAX_SHOWN_NAME_LENGTH);
    const subject = `${inbound.model === null ? "path" : "model"} ${name}`;
    return new RouterError(
      404,
      "model_not_found",
      `No upstream allows the ${subject}${allowed === "" ? "" : `; allowed: ${allowed}`}`,
    );
  }
  const advice = snapshot.upstreams.length > 0
    ? "Every upstream is disabled; enable one: openai-api-route enable NAME"
    : "No upstream is configured; add one: openai-api-route add --sk KEY --endpoint URL";
  return new RouterError(503, "no_upstream", advice);
}

/** Rules about models hold only where every upstream reads the same model as we do. */
function unreadable(problem: string): RouterError {
  return new RouterError(
    400,
    "invalid_request",
    `The request body is refused, because upstreams have rules about models and ${problem}; ` +
      "send plain JSON in UTF-8 (RFC 8259), or a plain form",
  );
}

/** It cannot be left out of a path, as it is of headers and queries, without asking for something else. */
function tokenInPath(): RouterError {
  return new RouterError(
    400,
    "invalid_request",
    "The path holds a token of this router, which would go to an upstream; send the token as a credential only",
  );
}

function tooManyRequests(limit: number): RouterError {
  return new RouterError(
    429,
    "too_many_requests",
    `${limit} requests are under way, which is the limit (--max-concurrent); try again in a moment`,
  );
}
