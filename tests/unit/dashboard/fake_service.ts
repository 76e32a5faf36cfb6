/**
 * A fake admin service: returns given data and records the calls.
 */
import { Hono } from "hono";
import { NO_OPTIONS_SHOWN } from "../../../src/control/upstream_option_view.ts";
import type { AdminEnv } from "../../../src/http/admin/env.ts";
import type { AdminPage } from "../../../src/http/admin/routes.ts";
import type {
  AdminService,
  ChannelTest,
  CostReport,
  LiveRequest,
  ModelView,
  Neighbours,
  RecordCount,
  RecordDetail,
  RecordPage,
  RecordSummary,
  RefusedSummary,
  ReplayResult,
  ServerStatus,
  Stats,
  StatsPoint,
  StatsRange,
  TokenSpending,
  TokenView,
  UpstreamTest,
  UpstreamView,
  UsageReport,
} from "../../../src/control/admin_service.ts";
import { dashboardPage } from "../../../src/dashboard/routes/page.tsx";
import type { StoredRecord } from "../../../src/store/store.ts";

export const NOW = Date.UTC(2026, 10, 26, 12, 0, 0);

export interface FakeState {
  readonly upstreams?: readonly UpstreamView[];
  readonly models?: readonly ModelView[];
  readonly tokens?: readonly TokenView[];
  /** Newest first. */
  readonly records?: readonly StoredRecord[];
  /** Replaces the page made from `records`. */
  readonly recordPage?: RecordPage;
  readonly attempts?: RecordDetail["attempts"];
  readonly hit?: RecordSummary["hit"];
  readonly live?: readonly LiveRequest[];
  readonly stats?: (range: StatsRange) => Stats;
  readonly usage?: UsageReport;
  readonly costs?: CostReport;
  readonly spending?: TokenSpending;
  readonly replay?: ReplayResult;
  readonly test?: UpstreamTest;
  readonly count?: RecordCount;
  readonly neighbours?: Neighbours;
  readonly refused?: RefusedSummary;
  readonly status?: Partial<ServerStatus>;
  readonly channelTest?: ChannelTest;
  readonly settings?: ReturnType<AdminService["settings"]>;
  /** Thrown by every operation that changes something. */
  readonly refusal?: Error;
}

/** A call with its arguments. */
export type Call = readonly [name: string, ...args: unknown[]];

const NO_COSTS = { costNano: 0, unpriced: 0, estimatedTokens: 0 } as const;

/** A token that was never used. */
export function tokenOf(name: string, changes: Partial<TokenView> = {}): TokenView {
  return {
    id: null,
    name,
    token: "sk-…b",
    state: "active",
    problem: null,
    isEnabled: true,
    expiresAtMs: null,
    allow: [],
    deny: [],
    upstreams: [],
    rpm: null,
    tpm: null,
    maxParallel: null,
    budgetUsd: null,
    budgetPeriod: null,
    spentUsd: null,
    gate: null,
    createdAtMs: null,
    lastUsedMs: null,
    requests: 0,
    errors: 0,
    inputTokens: 0,
    outputTokens: 0,
    cachedTokens: 0,
    ...NO_COSTS,
    countedSinceMs: null,
    ...changes,
  };
}

export const NO_USAGE: UsageReport = {
  range: "15m",
  fromMs: NOW - 900_000,
  toMs: NOW,
  stepMs: 450_000,
  sinceMs: null,
  steps: [NOW - 900_000, NOW - 450_000],
  models: { rows: [], others: null },
  clients: { rows: [], others: null },
  upstreams: { rows: [], others: null },
};

/** Two days on which nothing was spent. */
export const NO_SPENDING: CostReport = {
  ...NO_USAGE,
  range: "30d",
  stepMs: 86_400_000,
  steps: [NOW - NOW % 86_400_000 - 86_400_000, NOW - NOW % 86_400_000],
};

export class FakeService implements AdminService {
  readonly calls: Call[] = [];
  readonly #state: FakeState;

  constructor(state: FakeState = {}) {
    this.#state = state;
  }

  upstreams: AdminService["upstreams"] = () => Promise.resolve(this.#state.upstreams ?? []);
  addUpstream: AdminService["addUpstream"] = (input) =>
    this.#do(upstream(9, { name: "new" }), "addUpstream", input);
  editUpstream: AdminService["editUpstream"] = (id, changes) =>
    this.#do(upstream(id), "editUpstream", id, changes);
  moveUpstream: AdminService["moveUpstream"] = (id, place) => this.#do(undefined, "moveUpstream", id, place);
  removeUpstream: AdminService["removeUpstream"] = (id) => this.#do(undefined, "removeUpstream", id);
  testUpstream: AdminService["testUpstream"] = (id) =>
    this.#do(this.#state.test ?? failedTest("refused"), "testUpstream", id);

  models: AdminService["models"] = (search) => {
    const models = (this.#state.models ?? []).filter(({ model }) => model.includes(search));
    return Promise.resolve({ models, count: models.length });
  };

  tokens: AdminService["tokens"] = () => Promise.resolve(this.#state.tokens ?? []);
  addToken: AdminService["addToken"] = (token, chosen) =>
    this.#do({ id: null, name: token.name, secret: "sk-fresh-secret" }, "addToken", token, chosen);
  editToken: AdminService["editToken"] = (which, input) =>
    this.#do(tokenOf(which), "editToken", which, input);
  rotateToken: AdminService["rotateToken"] = (which) =>
    this.#do({ id: 1, name: which, secret: "sk-fresh-secret" }, "rotateToken", which);
  removeToken: AdminService["removeToken"] = (name) => this.#do(undefined, "removeToken", name);

  tokenSpending: AdminService["tokenSpending"] = () => Promise.resolve(this.#state.spending ?? null);

  records: AdminService["records"] = (page) => {
    this.calls.push(["records", page]);
    if (this.#state.recordPage !== undefined) return Promise.resolve(this.#state.recordPage);
    const { limit, beforeId = Infinity } = page;
    const found = (this.#state.records ?? []).filter(({ id }) => id < beforeId);
    const shown = found.slice(0, limit);
    return Promise.resolve({
      records: shown.map((each) => summaryOf(each, this.#state.hit ?? [])),
      nextBeforeId: found.length > limit ? shown.at(-1)?.id ?? null : null,
    });
  };
  record: AdminService["record"] = (id) => {
    const record = (this.#state.records ?? []).find((each) => each.id === id || each.requestId === id);
    if (record === undefined) return Promise.resolve(null);
    return Promise.resolve({ record, attempts: this.#state.attempts ?? [], upstreamName: "alpha" });
  };
  countRecords: AdminService["countRecords"] = () =>
    Promise.resolve(this.#state.count ?? { count: this.#state.records?.length ?? 0, isComplete: true });
  neighbours: AdminService["neighbours"] = (query) => {
    this.calls.push(["neighbours", query]);
    return Promise.resolve(this.#state.neighbours ?? { newerId: null, olderId: null });
  };
  wholeRecords: AdminService["wholeRecords"] = () => Promise.resolve({ records: [], nextBeforeId: null });
  deleteRecord: AdminService["deleteRecord"] = (id) => this.#do(undefined, "deleteRecord", id);
  replay: AdminService["replay"] = (id, upstreamId) =>
    this.#do(this.#state.replay ?? sameReply("same"), "replay", id, upstreamId);

  usage: AdminService["usage"] = (span) => {
    this.calls.push(["usage", span]);
    return Promise.resolve(this.#state.usage ?? NO_USAGE);
  };
  costs: AdminService["costs"] = (span) => {
    this.calls.push(["costs", span]);
    return Promise.resolve(this.#state.costs ?? NO_SPENDING);
  };
  stats: AdminService["stats"] = (span) => {
    this.calls.push(["stats", span]);
    const stats = (this.#state.stats ?? quietStats)(typeof span === "string" ? span : "24h");
    return Promise.resolve(typeof span === "string" ? stats : { ...stats, range: "custom" });
  };
  refused: AdminService["refused"] = () => this.#state.refused ?? { lastHour: 0, last: null, limited: [] };
  status: AdminService["status"] = () =>
    Promise.resolve({
      version: "1.2.3",
      startedAtMs: NOW - 90 * 60_000,
      uptimeMs: 90 * 60_000,
      database: { path: "./db.sqlite", bytes: 12_300_000 },
      policy: "order",
      isPolicyFixed: false,
      retention: { keepDays: 30, keepBodiesDays: null, maxDatabaseBytes: null },
      postgres: null,
      channels: [],
      ...this.#state.status,
    });
  setPolicy: AdminService["setPolicy"] = async (policy) =>
    await this.#do(await this.status(), "setPolicy", policy);
  testChannel: AdminService["testChannel"] = (name) =>
    this.#do(this.#state.channelTest ?? { isOk: true, message: "It took the message" }, "testChannel", name);
  live: AdminService["live"] = () => this.#state.live ?? [];
  waiting: AdminService["waiting"] = () =>
    (this.#state.live ?? []).filter(({ waitingMs }) => waitingMs !== null).length;
  subscribe: AdminService["subscribe"] = () => () => {};
  watch: AdminService["watch"] = () => null;
  settings: AdminService["settings"] = () => this.#state.settings ?? [];

  #do<T>(result: T, ...call: Call): Promise<T> {
    this.calls.push(call);
    return this.#state.refusal === undefined ? Promise.resolve(result) : Promise.reject(this.#state.refusal);
  }
}

/** The page's routes, mounted behind a login that always succeeds. */
export function mounted(service: AdminService): Hono<AdminEnv> {
  const page: AdminPage = dashboardPage({ service, now: () => NOW });
  const app = new Hono<AdminEnv>();
  app.get("/admin/login", (c) => page.renderLogin(c, { next: "/admin", problem: null }));
  app.route("/admin/assets", page.assets);
  app.use(async (c, next) => {
    c.set("admin", { csrfToken: "csrf-1" });
    await next();
  });
  app.route("/admin", page.views);
  return app;
}

export function upstream(id: number, changes: Partial<UpstreamView> = {}): UpstreamView {
  return {
    id,
    place: id,
    name: `upstream-${id}`,
    endpoint: `https://api-${id}.example/v1`,
    key: "sk-…wxyz",
    keys: [{ n: 1, key: "sk-…wxyz", state: "ok", untilMs: null, reason: null, inFlight: 0 }],
    inFlight: 0,
    limit: null,
    isEnabled: true,
    timeoutSeconds: null,
    allow: [],
    deny: [],
    modelMap: {},
    authStyle: null,
    weight: 1,
    ...NO_OPTIONS_SHOWN,
    state: "ok",
    breaker: "closed",
    recent: { attempts: 0, failed: 0, isDegraded: false },
    openUntilMs: null,
    reason: null,
    lastError: null,
    problem: null,
    modelCount: null,
    ...changes,
  };
}

export function record(id: number, changes: Partial<StoredRecord> = {}): StoredRecord {
  return {
    id,
    requestId: `01JDREQUEST${id}`,
    createdAtMs: NOW - id * 1000,
    ip: "127.0.0.1",
    method: "POST",
    path: "/v1/chat/completions",
    body: JSON.stringify({ model: "gpt-4o", messages: [{ role: "user", content: "Hello" }] }),
    model: "gpt-4o",
    isStream: true,
    response: "Hello, how can I help?",
    reasoning: null,
    toolCalls: [],
    responseModel: "gpt-4o-2024-08-06",
    finishReason: "stop",
    usage: { inputTokens: 12, outputTokens: 34, cachedTokens: null, reasoningTokens: null },
    elapsedMs: 1234,
    firstByteMs: 210,
    firstTokenMs: 230,
    status: 200,
    outcome: "complete",
    upstreamId: 1,
    attemptCount: 1,
    authorization: "sk-…abcd",
    client: "laptop",
    userAgent: "OpenAI/Python 1.99",
    requestBytes: 120,
    responseBytes: 4321,
    error: null,
    isTruncated: false,
    instance: null,
    affinity: null,
    queuedMs: null,
    areTokensEstimated: false,
    costNano: null,
    ...changes,
  };
}

function summaryOf(stored: StoredRecord, hit: RecordSummary["hit"]): RecordSummary {
  const { reasoning: _reasoning, body: _body, response, ...rest } = stored;
  const reply = (response ?? "").slice(0, 200);
  return {
    ...rest,
    upstreamName: "alpha",
    prompt: "What was asked",
    reply,
    hit,
    hitIn: hit.length > 0 ? "request" : null,
  };
}

export function quietStats(range: StatsRange): Stats {
  return statsOf(range, () => ({}));
}

/** The points of a range, each with the values that the function returns. */
export function statsOf(range: StatsRange, pointOf: (index: number) => Partial<StatsPoint>): Stats {
  const [count, stepMs] = {
    "15m": [60, 15_000],
    "1h": [60, 60_000],
    "24h": [144, 600_000],
    "7d": [168, 3_600_000],
    "30d": [180, 14_400_000],
  }[range] as [
    number,
    number,
  ];
  const points = Array.from({ length: count }, (_, index) => ({
    ...EMPTY_POINT,
    atMs: NOW - (count - index) * stepMs,
    ...pointOf(index),
  }));
  const sum = (pick: (point: StatsPoint) => number) =>
    points.reduce((total, point) => total + pick(point), 0);
  return {
    range,
    fromMs: NOW - count * stepMs,
    toMs: NOW,
    stepMs,
    points,
    total: {
      ...EMPTY_POINT,
      ...points.at(-1),
      requests: sum(({ requests }) => requests),
      errors: sum(({ errors }) => errors),
      inputTokens: sum(({ inputTokens }) => inputTokens),
      outputTokens: sum(({ outputTokens }) => outputTokens),
      costNano: sum(({ costNano }) => costNano),
      unpriced: sum(({ unpriced }) => unpriced),
      estimatedTokens: sum(({ estimatedTokens }) => estimatedTokens),
    },
    upstreams: [],
  };
}

const EMPTY_POINT = {
  ...NO_COSTS,
  requests: 0,
  errors: 0,
  p50Ms: null,
  p95Ms: null,
  firstTokenP50Ms: null,
  firstTokenP95Ms: null,
  inputTokens: 0,
  outputTokens: 0,
};

function failedTest(message: string): UpstreamTest {
  return { isOk: false, status: null, durationMs: 12, message, models: [] };
}

function sameReply(text: string): ReplayResult {
  return {
    requestId: "01JDREPLAY",
    status: 200,
    text,
    reasoning: "",
    toolCalls: [],
    elapsedMs: 321,
    diff: [{ type: "same", text }],
  };
}
