/**
 * Admits requests: limits their number, reads and classifies each one, and chooses its candidates.
 *
 * A request keeps the snapshot taken at its start. request_run.ts does the rest.
 */
import { networkOf } from "../core/client_ip.ts";
import { clientCredentials } from "../core/credentials.ts";
import { classify } from "../core/endpoint.ts";
import { type FixedHeaders, READABLE_BY_ALL } from "../core/fixed_headers.ts";
import { candidates } from "../core/policy.ts";
import { JsonPieces } from "../core/request_fields.ts";
import type { SecretSet } from "../core/secret_set.ts";
import { maskSecret } from "../core/secrets.ts";
import { ASIS, type Inbound, type OrderPolicy, type Upstream } from "../core/types.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import { RequestLedger } from "./ledger/request_ledger.ts";
import { type RequestText, requestText } from "./ledger/request_text.ts";
import { PreparedSnapshot } from "./prepared_snapshot.ts";
import type { ReceivingAccount, ReceivingBudget } from "./receiving_budget.ts";
import { tokenInPath, tooManyRequests, unreadable } from "./refusals.ts";
import { FairReadScheduler } from "./relay/fair_reads.ts";
import { type BodyRead, readBody } from "./request_body.ts";
import { RequestRun, type RunDeps, type RunLimits } from "./request_run.ts";

export interface ProxyLimits extends RunLimits {
  readonly maxBodyBytes: number;
  readonly recordBodyLimitBytes: number;
  /** Requests at once; null: any number. */
  readonly maxConcurrent: number | null;
}

export interface ProxyDeps extends RunDeps {
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
  /** Header fields of every answer; default: those that let any page read it. */
  readonly fixedHeaders?: FixedHeaders;
}

/** Relays requests. One object for the life of the program. */
export class Proxy {
  readonly #deps: ProxyDeps;
  #turn = 0;
  #snapshot: PreparedSnapshot | null = null;
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
    const prepared = this.#prepared(context.snapshot);
    if (prepared.guard.isInPath(context.path)) throw tokenInPath();
    let account: ReceivingAccount | null = null;
    const releaseBody = () => account?.release();
    const answer = (read: BodyRead) =>
      this.#answer(client, context, { read, prepared, startedAtMs, startedMonoMs, releaseBody });
    const read = readBody(client.body, {
      limits,
      clock: this.#deps.clock,
      receive: () => {
        account = this.#deps.receiving.open(context.clientName ?? networkOf(context.clientIp));
        return { account, pieces: new JsonPieces({ isStrict: prepared.isRestricted }) };
      },
    });
    if (!(read instanceof Promise)) return answer(read);
    inFlight.beginReceiving();
    // No function that awaits the end of the answer keeps the body in a variable, so that it can be collected earlier.
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
    { read, prepared, startedAtMs, startedMonoMs, releaseBody }: {
      readonly read: BodyRead;
      readonly prepared: PreparedSnapshot;
      readonly startedAtMs: number;
      readonly startedMonoMs: number;
      /** Returns the body's memory to the budget. */
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
      isStrict: prepared.isRestricted,
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
    const candidates = this.#candidates(inbound, prepared);
    this.#deps.observer.requestStarted();
    const run = new RequestRun(this.#deps, {
      client,
      ledger: this.#openLedger(inbound, recorded, { candidates, secrets: prepared.secrets }),
      pace: this.#pace,
      releaseBody,
      fixedHeaders: context.fixedHeaders ?? READABLE_BY_ALL,
    });
    return run.answer({
      snapshot: context.snapshot,
      candidates,
      isCut: read.type === "cut",
      refusal: problem === null || !prepared.isRestricted ? null : unreadable(problem),
      guard: prepared.guard,
    });
  }

  /** Ends all requests under way; their records keep what had arrived. */
  async stop(): Promise<void> {
    await this.#deps.inFlight.stop();
  }

  #openLedger(
    inbound: Inbound,
    recorded: RequestText,
    { candidates, secrets }: { readonly candidates: readonly Upstream[]; readonly secrets: SecretSet },
  ): RequestLedger {
    const { clientToken, headers } = inbound;
    // Only `asis` upstreams get the client's own key, so only their replies can repeat it.
    const isOwnKeySent = candidates.some(({ sk }) => sk === ASIS);
    return new RequestLedger(inbound, {
      requestText: recorded,
      authorization: clientToken === null ? null : maskSecret(clientToken),
      secrets,
      credentials: isOwnKeySent ? clientCredentials(headers) : [],
    }, this.#deps.clock);
  }

  #prepared(snapshot: RegistrySnapshot): PreparedSnapshot {
    if (this.#snapshot?.snapshot !== snapshot) this.#snapshot = new PreparedSnapshot(snapshot);
    return this.#snapshot;
  }

  #candidates(inbound: Inbound, prepared: PreparedSnapshot): Upstream[] {
    return candidates(prepared.allowed(inbound), {
      policy: this.#deps.policy ?? prepared.snapshot.policy ?? "order",
      standing: (upstream) => this.#deps.health.standing(upstream, inbound),
      random: this.#deps.random,
      turn: this.#turn++,
    });
  }
}
