/**
 * Admits requests: limits their number, reads and classifies each one, and chooses its candidates.
 *
 * A request keeps the snapshot taken at its start. request_run.ts does the rest.
 */
import { withoutRepeatedVersion } from "../core/api_path.ts";
import { networkOf } from "../core/client_ip.ts";
import type { ClientRules } from "../core/client_rules.ts";
import { clientCredentials } from "../core/credentials.ts";
import { classify, hasUsageOption } from "../core/endpoint.ts";
import type { RouterError } from "../core/errors.ts";
import { type FixedHeaders, READABLE_BY_ALL } from "../core/fixed_headers.ts";
import type { ModelCatalog } from "../core/model_catalog.ts";
import type { JsonBody } from "../core/json_body.ts";
import type { Prices } from "../core/prices.ts";
import { furtherModels, JsonPieces } from "../core/request_fields.ts";
import type { SecretMask } from "../core/secret_set.ts";
import { maskSecret } from "../core/secrets.ts";
import { ASIS, type Inbound, type Upstream } from "../core/types.ts";
import type { RegistrySnapshot } from "../store/store.ts";
import type { InboundExchange } from "../wire/exchange.ts";
import { CandidateOrder, type CandidateOrderDeps, type OrderedCandidates } from "./candidate_order.ts";
import type { ClientView } from "./client_view.ts";
import { BodyDecoder, type CodedBody } from "./coded_body.ts";
import { RequestLedger } from "./ledger/request_ledger.ts";
import { type RequestText, requestText } from "./ledger/request_text.ts";
import { type Admission, admittedLater } from "./limits/admission.ts";
import type { ClientAdmission } from "./limits/client_admission.ts";
import { askedModels, type ModelsEndpoint } from "./models/models_endpoint.ts";
import { PreparedSnapshot } from "./prepared_snapshot.ts";
import type { ReceivingAccount, ReceivingBudget } from "./receiving_budget.ts";
import { tokenInPath, tooManyRequests, unreadable } from "./refusals.ts";
import { type AfterTurn, FairReadScheduler } from "./relay/fair_reads.ts";
import { type BodyRead, readBody, type Receiving } from "./request_body.ts";
import { RequestRun, type RunDeps, type RunLimits } from "./request_run.ts";

export interface ProxyLimits extends RunLimits {
  readonly maxBodyBytes: number;
  readonly recordBodyLimitBytes: number;
  /** Requests at once; null: any number. */
  readonly maxConcurrent: number | null;
}

export interface ProxyDeps extends RunDeps, Omit<CandidateOrderDeps, keyof RunDeps> {
  readonly limits: ProxyLimits;
  readonly receiving: ReceivingBudget;
  /** null: tokens have no limits. */
  readonly admission: ClientAdmission | null;
  /** Default: a timer. */
  readonly afterTurn?: AfterTurn;
  /** Unique, sortable (ULID). */
  readonly newId: () => string;
  readonly random: () => number;
  readonly prices: Prices;
  readonly models: {
    readonly catalog: ModelCatalog;
    /** null: requests for models are relayed as all others. */
    readonly endpoint: ModelsEndpoint | null;
  };
}

/** What the web layer knows about a request. */
export interface RequestContext {
  readonly path: string;
  readonly query: string;
  readonly clientIp: string;
  readonly clientName: string | null;
  readonly clientToken: string | null;
  /** What its token may do; null or absent: everything. */
  readonly rules?: ClientRules | null;
  readonly snapshot: RegistrySnapshot;
  /** Header fields of every answer; default: those that let any page read it. */
  readonly fixedHeaders?: FixedHeaders;
}

/** What is known of a request before its body is read. */
interface RequestStart {
  readonly prepared: PreparedSnapshot;
  readonly view: ClientView;
  /** There are rules about models, so it must be certain which one is meant. */
  readonly isStrict: boolean;
  readonly startedAtMs: number;
  readonly startedMonoMs: number;
  /** Its token's limit on requests has counted it. */
  readonly isCounted: boolean;
}

/** A request that has been read. */
interface ReadRequest {
  readonly inbound: Inbound;
  /** Its body without content codings. */
  readonly plain: Uint8Array<ArrayBuffer> | null;
  readonly json: JsonBody | null;
  readonly recorded: RequestText;
  readonly prepared: PreparedSnapshot;
  readonly view: ClientView;
  /** Returns the body's memory to the budget. */
  readonly releaseBody: () => void;
  readonly isCut: boolean;
  readonly refusal: RouterError | null;
  /** Its token's limit on requests has counted it. */
  readonly isCounted: boolean;
}

const MODELS_PATH = "/v1/models";

/** Relays requests. One object for the life of the program. */
export class Proxy {
  readonly #deps: ProxyDeps;
  readonly #order: CandidateOrder;
  #snapshot: PreparedSnapshot | null = null;
  readonly #pace: FairReadScheduler;
  readonly #decoder: BodyDecoder;

  constructor(deps: ProxyDeps) {
    this.#deps = deps;
    this.#order = new CandidateOrder(deps);
    this.#decoder = new BodyDecoder(deps.limits, deps.clock);
    this.#pace = new FairReadScheduler(deps.clock, deps.afterTurn);
  }

  /**
   * Answers one request. Resolves when the answer has gone out, or the client has gone.
   * @throws RouterError when the request cannot be accepted at all (400, 403, 408, 413, 429, 503); nothing is recorded then.
   */
  handle(client: InboundExchange, context: RequestContext): Promise<void> {
    const startedAtMs = this.#deps.clock.now();
    const startedMonoMs = this.#deps.clock.monotonic();
    const { limits, inFlight } = this.#deps;
    if (limits.maxConcurrent !== null && inFlight.count >= limits.maxConcurrent) {
      throw tooManyRequests(limits.maxConcurrent);
    }
    this.#pace.begun();
    const prepared = this.#prepared(context.snapshot);
    const view = prepared.viewOf(context.rules ?? null, context.clientToken);
    if (view.guard.isInPath(context.path)) throw tokenInPath();
    const isStrict = prepared.isRestricted || view.models !== null;
    const start: RequestStart = { prepared, view, isStrict, startedAtMs, startedMonoMs, isCounted: false };
    const { endpoint } = this.#deps.models;
    const asked = endpoint === null ? null : askedModels(client.method, context.path);
    if (endpoint === null || asked === null) return this.#receive(client, context, start);
    if (context.rules) this.#deps.admission?.admitLookUp(context.rules);
    return endpoint.answer(client, {
      ...{ asked, path: context.path, query: context.query, guard: view.guard, startedMonoMs },
      allowed: prepared.allowed({ model: null, method: "GET", path: MODELS_PATH, body: null }, view),
      models: view.models,
      fixedHeaders: context.fixedHeaders ?? READABLE_BY_ALL,
    }).then((isAnswered) =>
      isAnswered ? undefined : this.#receive(client, context, { ...start, isCounted: true })
    );
  }

  /** Reads the body, and answers. */
  #receive(client: InboundExchange, context: RequestContext, start: RequestStart): Promise<void> {
    const { limits, inFlight } = this.#deps;
    const { isStrict } = start;
    let account: ReceivingAccount | null = null;
    const releaseBody = () => account?.release();
    const receive = (): Receiving => {
      account ??= this.#deps.receiving.open(context.clientName ?? networkOf(context.clientIp));
      return { account, pieces: new JsonPieces({ isStrict }) };
    };
    const answer = (read: BodyRead | CodedBody) =>
      this.#answer(client, context, { ...start, read, releaseBody });
    const read = readBody(client.body, { limits, clock: this.#deps.clock, receive });
    const label = client.body === null || isBodyless(client) ? null : client.headers.get("content-encoding");
    if (label === null && !(read instanceof Promise)) return answer(read);
    inFlight.beginReceiving();
    const whole = label === null ? Promise.resolve(read) : this.#decoder.decode({
      read,
      label,
      receive,
      contentType: client.headers.get("content-type"),
      isStrict,
    });
    // No function that awaits the end of the answer keeps the body in a variable, so that it can be collected earlier.
    return whole.then((body) => {
      inFlight.endReceiving();
      return answer(body);
    }, (error) => {
      inFlight.endReceiving();
      releaseBody();
      throw error;
    });
  }

  #answer(
    client: InboundExchange,
    context: RequestContext,
    { read, prepared, view, isStrict, startedAtMs, startedMonoMs, releaseBody, isCounted }: RequestStart & {
      readonly read: BodyRead | CodedBody;
      /** Returns the body's memory to the budget. */
      readonly releaseBody: () => void;
    },
  ): Promise<void> {
    const body = isBodyless(client) ? null : read.bytes;
    const plain = read.type === "coded" ? read.plain ?? body : body;
    const contentType = client.headers.get("content-type");
    const recorded = requestText(plain, contentType, this.#deps.limits.recordBodyLimitBytes);
    const path = withoutRepeatedVersion(context.path);
    const fields = classify(path, {
      contentType,
      bytes: plain,
      text: recorded.isTruncated ? null : recorded.text,
      members: read.type === "cut" ? null : read.members,
      isStrict,
    });
    const { kind, model, shownModel, modelPlace, modelInPath, isStream } = fields;
    const usageSplice = hasUsageOption(kind) && client.method === "POST" ? fields.usageSplice : null;
    const unread = isStrict ? problemOf(read) ?? fields.problem : null;
    const problem = unread ?? (view.models === null ? null : furtherModels(fields.json));
    const inbound: Inbound = {
      kind,
      model,
      shownModel,
      modelPlace,
      modelInPath,
      isStream,
      usageSplice,
      id: this.#deps.newId(),
      method: client.method,
      path,
      query: context.query,
      headers: client.headers,
      body,
      decodedBody: plain === body || (usageSplice === null && !prepared.changesBody(model)) ? null : plain,
      clientIp: context.clientIp,
      clientName: context.clientName,
      clientToken: context.clientToken,
      startedAtMs,
      startedMonoMs,
    };
    return this.#run(client, context, {
      inbound,
      plain,
      json: fields.json,
      recorded: plain === body ? recorded : { ...recorded, bytes: plain?.length ?? 0 },
      prepared,
      view,
      releaseBody,
      isCut: read.type === "cut",
      refusal: problem === null ? null : unreadable(problem, unread !== null && prepared.isRestricted),
      isCounted,
    });
  }

  /** Chooses the candidates of a request that has been read, and answers it. */
  #run(
    client: InboundExchange,
    context: RequestContext,
    request: ReadRequest,
  ): Promise<void> {
    const ordered = this.#order.of(request.inbound, request.json, request);
    const rules = context.rules ?? null;
    const { admission } = this.#deps;
    if (rules === null || admission === null) return this.#start(client, context, { ...request, ordered });
    const start = (admitted: Admission) => {
      try {
        return this.#start(client, context, { ...request, ordered, admitted });
      } catch (error) {
        admitted.withdraw();
        throw error;
      }
    };
    const { inbound, plain, json, isCounted, isCut, refusal, releaseBody } = request;
    const { candidates } = ordered;
    const isForNobody = isCut || refusal !== null || candidates.length === 0;
    try {
      const admitted = admission.admit(rules, { inbound, plain, json, candidates, isForNobody, isCounted });
      if (!(admitted instanceof Promise)) return start(admitted);
      return admittedLater(admitted, this.#deps.inFlight, releaseBody).then(start);
    } catch (error) {
      releaseBody();
      throw error;
    }
  }

  #start(
    client: InboundExchange,
    context: RequestContext,
    { inbound, recorded, view, releaseBody, isCut, refusal, ordered, admitted }:
      & Omit<ReadRequest, "json" | "plain" | "prepared" | "isCounted">
      & { readonly ordered: OrderedCandidates; readonly admitted?: Admission },
  ): Promise<void> {
    const { candidates, ties, models } = ordered;
    this.#deps.observer.requestStarted();
    const ledger = this.#openLedger(inbound, recorded, { candidates, secrets: view.secrets });
    ledger.ties = ties;
    if (admitted !== undefined) ledger.admission = admitted;
    const run = new RequestRun(this.#deps, {
      client,
      ledger,
      pace: this.#pace,
      releaseBody,
      fixedHeaders: context.fixedHeaders ?? READABLE_BY_ALL,
    });
    const { snapshot } = context;
    const { rules, guard } = view;
    return run.answer({ snapshot, candidates, models, isCut, refusal, guard, rules });
  }

  /** Ends all requests under way; their records keep what had arrived. */
  async stop(): Promise<void> {
    this.#deps.models.endpoint?.stop();
    this.#deps.admission?.close();
    await this.#deps.inFlight.stop();
    await this.#deps.admission?.stop();
  }

  #openLedger(
    inbound: Inbound,
    recorded: RequestText,
    { candidates, secrets }: { readonly candidates: readonly Upstream[]; readonly secrets: SecretMask },
  ): RequestLedger {
    const { clientToken, headers } = inbound;
    // Only `asis` upstreams get the client's own key, so only their replies can repeat it.
    const isOwnKeySent = candidates.some(({ sk }) => sk === ASIS);
    return new RequestLedger(inbound, {
      requestText: recorded,
      authorization: clientToken === null ? null : maskSecret(clientToken),
      secrets,
      credentials: isOwnKeySent ? clientCredentials(headers) : [],
      prices: this.#deps.prices,
    }, this.#deps.clock);
  }

  #prepared(snapshot: RegistrySnapshot): PreparedSnapshot {
    if (this.#snapshot?.snapshot !== snapshot) this.#snapshot = new PreparedSnapshot(snapshot);
    return this.#snapshot;
  }
}

/** Why upstreams may decode a body to something else. */
function problemOf(read: BodyRead | CodedBody): string | null {
  return read.type === "coded" ? read.problem : null;
}

/** What is sent with these methods means nothing (RFC 9110 section 9.3). */
function isBodyless({ method }: Pick<InboundExchange, "method">): boolean {
  return method === "GET" || method === "HEAD";
}
