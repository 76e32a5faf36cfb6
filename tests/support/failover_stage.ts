/**
 * One request's failover before upstreams that a test answers for, on a clock that it advances.
 */
import { createCapture } from "../../src/capture/create.ts";
import { FAILURES_TO_OPEN } from "../../src/core/breaker.ts";
import { Cancellation } from "../../src/core/cancellation.ts";
import type { GateMode } from "../../src/core/gate_mode.ts";
import { HeaderFields } from "../../src/core/header_fields.ts";
import type { HedgeDelay } from "../../src/core/hedging.ts";
import { ModelCatalog } from "../../src/core/model_catalog.ts";
import { NO_PRICES } from "../../src/core/prices.ts";
import { SecretSet } from "../../src/core/secret_set.ts";
import { NO_TOKENS } from "../../src/core/token_guard.ts";
import type { Attempt, Inbound, Upstream } from "../../src/core/types.ts";
import type { ModelStandings } from "../../src/core/model_order.ts";
import { HeldBudget } from "../../src/proxy/assess/held_budget.ts";
import { failover } from "../../src/proxy/attempt/failover.ts";
import type { FailoverDeps, FinalChoice, RetryRules } from "../../src/proxy/attempt/failover_request.ts";
import { Hedging } from "../../src/proxy/attempt/hedging.ts";
import { RequestDemand } from "../../src/proxy/attempt/request_demand.ts";
import { Speeds } from "../../src/proxy/attempt/speeds.ts";
import { UpstreamCapacity } from "../../src/proxy/attempt/upstream_capacity.ts";
import { UpstreamHealth } from "../../src/proxy/attempt/upstream_health.ts";
import { Waiting } from "../../src/proxy/attempt/waiting.ts";
import { RequestLedger } from "../../src/proxy/ledger/request_ledger.ts";
import type { LendingSource } from "../../src/wire/byte_source.ts";
import type { UpstreamReply, UpstreamRequest } from "../../src/wire/upstream_client.ts";
import { FakeClock } from "./fake_clock.ts";

const encoder = new TextEncoder();

/** A chat request. */
export function anInbound(more: Partial<Inbound> = {}): Inbound {
  return {
    id: "r",
    method: "POST",
    path: "/v1/chat/completions",
    query: "",
    kind: "chat",
    model: "m",
    shownModel: "m",
    modelPlace: null,
    isStream: true,
    headers: new HeaderFields(),
    body: encoder.encode('{"model":"m","stream":true}'),
    clientIp: "192.0.2.1",
    clientName: null,
    clientToken: null,
    startedAtMs: 0,
    startedMonoMs: 0,
    ...more,
  };
}

/** A body to which a test gives bytes. */
class FedBody implements LendingSource {
  isCancelled = false;
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #isEnded = false;
  #isBroken = false;
  #waiting: (() => void)[] = [];

  push(text: string): void {
    this.#chunks.push(encoder.encode(text));
    this.#wake();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake();
  }

  break(): void {
    this.#isBroken = true;
    this.#wake();
  }

  get isDone(): boolean {
    return this.#isEnded && this.#chunks.length === 0;
  }

  take(): Uint8Array<ArrayBuffer> | null {
    return this.#chunks.shift() ?? null;
  }

  lend(): Uint8Array<ArrayBuffer> | null {
    return this.take();
  }

  async read(): Promise<Uint8Array<ArrayBuffer> | null> {
    for (;;) {
      const bytes = this.take();
      if (bytes !== null) return bytes;
      if (this.#isBroken) throw new Error("the connection ended");
      if (this.isDone) return null;
      await this.ready();
    }
  }

  ready(): Promise<void> {
    if (this.#chunks.length > 0 || this.#isEnded || this.#isBroken) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(): void {}

  cancel(): void {
    this.isCancelled = true;
    this.break();
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** A request that an upstream has got. */
export class Asked {
  readonly body = new FedBody();
  readonly #reply = Promise.withResolvers<UpstreamReply>();

  constructor(readonly request: UpstreamRequest) {
    request.cancellation.onCancel(() => {
      this.#reply.reject(new Error("cancelled"));
      this.body.cancel();
    });
  }

  get reply(): Promise<UpstreamReply> {
    return this.#reply.promise;
  }

  /** Its connection was closed by the router. */
  get isCancelled(): boolean {
    return this.request.cancellation.isCancelled;
  }

  /** Sends the head of a reply. */
  head(status: number, headers: Record<string, string>): void {
    const fields = new HeaderFields(Object.entries(headers));
    this.#reply.resolve({ status, headers: fields, contentLength: null, body: this.body });
  }

  answer(status: number, text: string, headers: Record<string, string> = {}): void {
    this.head(status, { "content-type": "application/json", ...headers });
    this.body.push(text);
    this.body.end();
  }

  /** Sends the head of a stream. */
  stream(): void {
    this.head(200, { "content-type": "text/event-stream" });
  }

  word(content: string): void {
    this.body.push(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`);
  }

  fail(error: Error): void {
    this.#reply.reject(error);
  }
}

export interface StageOptions {
  readonly inbound?: Partial<Inbound>;
  readonly retry?: Partial<RetryRules>;
  /** Default: off. */
  readonly hedge?: HedgeDelay;
  /** Default: `content`. */
  readonly gate?: GateMode;
  /** Hedges per hundred requests. */
  readonly budgetPercent?: number;
  /** Shared with other requests; default: its own. */
  readonly waiting?: Waiting;
  /** More of what the loop works with. */
  readonly deps?: Partial<FailoverDeps>;
}

export class FailoverStage {
  readonly clock = new FakeClock();
  readonly health = new UpstreamHealth(this.clock, () => {});
  readonly catalog = new ModelCatalog({ maxAgeMs: null });
  readonly asked: Asked[] = [];
  readonly ended: Attempt[] = [];
  readonly failedOver: string[] = [];
  readonly hedged: boolean[] = [];
  readonly capacity = new UpstreamCapacity(this.clock);
  /** Milliseconds of each wait that is over, and the reasons of refusals. */
  readonly queued: (number | string)[] = [];
  readonly waiting: Waiting;
  /** Neutral bytes that went out early. */
  early = "";
  readonly ledger: RequestLedger;
  readonly stop: { readonly cancellation: Cancellation; cause: "client" | "deadline" | null } = {
    cancellation: new Cancellation(),
    cause: null,
  };
  readonly #options: StageOptions;
  #waiting: { readonly count: number; readonly resolve: () => void }[] = [];

  readonly hedging: Hedging;

  constructor(options: StageOptions = {}) {
    this.#options = options;
    const { hedge: delay = null, budgetPercent = 5 } = options;
    this.hedging = new Hedging({ delay, budgetPercent });
    this.waiting = options.waiting ?? new Waiting({
      capacity: this.capacity,
      clock: this.clock,
      observer: {
        queued: (ms) => void this.queued.push(ms),
        queueRefused: (reason) => void this.queued.push(reason),
      },
    }, { timeoutMs: 10_000, maxQueued: 1_000 });
    const facts = {
      requestText: { text: "", isTruncated: false },
      authorization: null,
      secrets: new SecretSet([]),
      credentials: [],
      prices: NO_PRICES,
    };
    this.ledger = new RequestLedger(anInbound(options.inbound), facts, this.clock);
  }

  run(
    candidates: readonly Upstream[],
    { models = null }: { readonly models?: ModelStandings | null } = {},
  ): Promise<FinalChoice> {
    let isBegun = false;
    const early = {
      get isBegun() {
        return isBegun;
      },
      get hasSent() {
        return isBegun;
      },
      send: (_head: unknown, bytes: Uint8Array) => {
        isBegun = true;
        this.early += new TextDecoder().decode(bytes);
        return Promise.resolve();
      },
      waiting: () => {},
      waited: () => {},
    };
    const { delay: hedge } = this.hedging;
    return failover(this.#deps(), {
      hedge,
      ledger: this.ledger,
      candidates,
      models,
      stop: this.stop,
      guard: NO_TOKENS,
      early,
      demand: new RequestDemand(this.ledger.inbound),
      holding: { mode: this.#options.gate ?? "content", keep: () => {}, degraded: () => {} },
    });
  }

  /** The nth request to any upstream, once it has been sent. */
  async ask(count: number): Promise<Asked> {
    if (this.asked.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    const asked = this.asked[count - 1];
    if (asked === undefined) throw new Error(`there is no request ${count}`);
    return asked;
  }

  /** Waits until a timer with this delay is set, and lets it fire. */
  async pause(delayMs: number): Promise<void> {
    await this.clock.timerSet(delayMs);
    this.clock.advance(delayMs);
  }

  /** Lets an upstream fail as often as it takes to hold it back. */
  holdBack(upstream: Upstream): void {
    for (let count = 0; count < FAILURES_TO_OPEN; count++) {
      this.health.begin(upstream, this.ledger.inbound)
        .end({ type: "failed", at: "upstream", cause: "outage" }, "it failed");
    }
  }

  leave(cause: "client" | "deadline" = "client"): void {
    this.stop.cause = cause;
    this.stop.cancellation.cancel();
  }

  /** Upstream and error class of each attempt that is over, in order of start. */
  get attempts(): string[] {
    return this.ledger.attempts.map(({ upstreamName, errorClass }) =>
      `${upstreamName} ${errorClass ?? "ok"}`
    );
  }

  #deps(): FailoverDeps {
    return {
      client: {
        send: (request) => {
          const asked = new Asked(request);
          this.asked.push(asked);
          this.#waiting = this.#waiting.filter(({ count, resolve }) => {
            if (this.asked.length < count) return true;
            resolve();
            return false;
          });
          return asked.reply;
        },
      },
      clock: this.clock,
      health: this.health,
      models: { catalog: this.catalog },
      observer: {
        attemptEnded: (attempt) => void this.ended.push(attempt),
        hedged: (isWon) => void this.hedged.push(isWon),
        failedOver: (name, errorClass) => void this.failedOver.push(`${name} ${errorClass}`),
      },
      times: { gateMs: 5_000, firstTokenTimeoutMs: 120_000, idleTimeoutMs: 120_000 },
      hedging: this.hedging,
      waiting: this.waiting,
      speeds: new Speeds(this.clock),
      retry: {
        retryOn: "any",
        finalCodes: new Set(["content_filter"]),
        retrySame: null,
        retryWaitMs: 5_000,
        maxAttempts: null,
        ...this.#options.retry,
      },
      random: () => 0.5,
      createCapture: ({ headers, ...options }) =>
        createCapture({ ...options, contentType: headers.get("content-type") }),
      budget: new HeldBudget(1024 * 1024),
      ...this.#options.deps,
    };
  }
}

/** What the client gets: status and upstream, or the code of an error. */
export function given(choice: FinalChoice): string {
  if (choice.type === "failed") return `${choice.error.status} ${choice.error.code}`;
  return choice.type === "reply" ? `${choice.reply.status} ${choice.reply.upstream.name}` : choice.type;
}

/** Lets everything run that waits for nothing but what has happened. */
export async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
