/**
 * The numbers of `/v1/metrics`: the {@link Observer} over prom-client, with a registry of its own.
 *
 * Owns metric names, labels and buckets, and keeps every label bounded. Must not put a token, a key or a
 * raw path in a label, and must not throw.
 */
import { Counter, Gauge, Histogram, Registry } from "./prometheus.ts";
import type { Attempt, EndpointKind, RequestRecord, Usage } from "../core/types.ts";
import type { Observer, UpstreamState } from "./observer.ts";
import {
  denoProcessReadings,
  type ProcessReadings,
  read,
  registerProcessMetrics,
  setOrRemove,
} from "./process_metrics.ts";

const PREFIX = "openai_api_route_";

/** Distinct model labels; what comes later is counted as `other`. */
const MAX_MODELS = 100;
const MAX_MODEL_LENGTH = 100;

const DURATION_BUCKETS_S = [
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  20,
  30,
  60,
  120,
  300,
  600,
];
const COMMIT_BUCKETS_S = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  5,
  10,
];

const STATES: readonly UpstreamState[] = ["closed", "open", "half_open"];

const TOKEN_TYPES = ["input", "output", "cached", "reasoning"] as const;

export interface MetricsOptions {
  /** The program's version, for `build_info`. */
  readonly version: string;
  /** The runtime's version, for `build_info`. */
  readonly deno: string;
  /** Size of the database with its journal; called at each scrape. When it throws, the sample is left out. */
  readonly databaseBytes: () => number;
  /** Default: this process. */
  readonly process?: ProcessReadings;
}

/** Counts everything that the program does, for Prometheus. */
export class Metrics implements Observer {
  readonly #registry = new Registry();
  readonly #models = new Set<string>();
  /** Upstreams that have series. */
  readonly #upstreams = new Set<string>();
  /** null until the first {@link upstreamsChanged}: until then every upstream is taken as configured. */
  #configured: ReadonlySet<string> | null = null;
  readonly #attemptResults = new Set<string>();
  readonly #failoverReasons = new Set<string>();

  readonly #requests: Counter<"kind" | "model" | "status" | "outcome">;
  readonly #requestDuration: Histogram<"kind" | "is_stream">;
  readonly #firstToken: Histogram<"upstream">;
  readonly #tokens: Counter<"upstream" | "model" | "type">;
  readonly #attempts: Counter<"upstream" | "result">;
  readonly #failovers: Counter<"upstream" | "reason">;
  readonly #upstreamState: Gauge<"upstream" | "state">;
  readonly #inFlight: Gauge;
  readonly #recordsWritten: Counter;
  readonly #recordsDropped: Counter<"reason">;
  readonly #recordQueue: Gauge;
  readonly #recordCommit: Histogram;
  readonly #recordAckLate: Counter;
  readonly #recordsDeleted: Counter<"reason">;
  readonly #bodiesDeleted: Counter;
  readonly #refused: Counter<"status" | "reason">;
  readonly #alerts: Counter<"channel" | "result">;

  constructor(options: MetricsOptions) {
    const registers = [this.#registry];
    const counter = <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
      new Counter<T>({ name: PREFIX + name, help, labelNames, registers });
    const gauge = <T extends string>(name: string, help: string, labelNames: readonly T[] = []) =>
      new Gauge<T>({ name: PREFIX + name, help, labelNames, registers });

    this.#requests = counter("requests_total", "Requests that ended, by how they ended.", [
      "kind",
      "model",
      "status",
      "outcome",
    ]);
    this.#requestDuration = new Histogram({
      name: `${PREFIX}request_duration_seconds`,
      help: "Time from the start of a request to the end of its response.",
      labelNames: ["kind", "is_stream"],
      buckets: DURATION_BUCKETS_S,
      registers,
    });
    this.#firstToken = new Histogram({
      name: `${PREFIX}first_token_seconds`,
      help: "Time from the start of a request to the first content of its stream.",
      labelNames: ["upstream"],
      buckets: DURATION_BUCKETS_S,
      registers,
    });
    this.#tokens = counter("tokens_total", "Tokens as the upstreams reported them.", [
      "upstream",
      "model",
      "type",
    ]);
    this.#attempts = counter("attempts_total", "Tries of an upstream, by result.", ["upstream", "result"]);
    this.#failovers = counter("failovers_total", "Requests that moved on from an upstream.", [
      "upstream",
      "reason",
    ]);
    this.#upstreamState = gauge("upstream_state", "1 for the state that the upstream's breaker is in.", [
      "upstream",
      "state",
    ]);
    this.#inFlight = gauge("in_flight_requests", "Requests that are being served now.");
    this.#recordsWritten = counter("records_written_total", "Records committed to the database.");
    this.#recordsDropped = counter("records_dropped_total", "Records that the database could not take.", [
      "reason",
    ]);
    this.#recordQueue = gauge("record_queue_bytes", "Bytes of records that wait to be written.");
    this.#recordCommit = new Histogram({
      name: `${PREFIX}record_commit_seconds`,
      help: "Time to commit one batch of records.",
      buckets: COMMIT_BUCKETS_S,
      registers,
    });
    this.#recordAckLate = counter(
      "record_ack_late_total",
      "Responses that ended before their record was acknowledged.",
    );
    this.#recordsDeleted = counter("records_deleted_total", "Records deleted because of a limit.", [
      "reason",
    ]);
    this.#bodiesDeleted = counter(
      "bodies_deleted_total",
      "Records whose texts were deleted because of a limit.",
    );
    this.#refused = counter("requests_refused_total", "Requests refused before they reached an upstream.", [
      "status",
      "reason",
    ]);
    this.#alerts = counter("alerts_total", "Alerts by channel and result.", ["channel", "result"]);
    new Gauge({
      name: `${PREFIX}db_bytes`,
      help: "Size of the database files.",
      registers,
      collect() {
        setOrRemove(this, read(options.databaseBytes));
      },
    });
    gauge("build_info", "Versions of the program and its runtime.", ["version", "deno"])
      .set({ version: options.version, deno: options.deno }, 1);
    registerProcessMetrics(this.#registry, options.process ?? denoProcessReadings());
  }

  /** The exposition, in Prometheus' text format. */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  requestStarted(): void {
    this.#inFlight.inc();
  }

  requestSettled(kind: EndpointKind, record: RequestRecord, upstreamName: string | null): void {
    this.#inFlight.dec();
    const model = this.#modelLabel(record.model);
    this.#requests.inc({ kind, model, status: record.status, outcome: record.outcome });
    observeMs(this.#requestDuration, { kind, is_stream: String(record.isStream) }, record.elapsedMs);
    if (upstreamName === null || !this.#admit(upstreamName)) return;
    if (record.firstTokenMs !== null) {
      observeMs(this.#firstToken, { upstream: upstreamName }, record.firstTokenMs);
    }
    if (record.usage !== null) this.#countTokens(upstreamName, model, record.usage);
  }

  requestRefused(status: number, reason: string): void {
    this.#refused.inc({ status, reason: wordLabel(reason) });
  }

  attemptEnded(attempt: Attempt): void {
    if (!this.#admit(attempt.upstreamName)) return;
    const result = attempt.errorClass ?? "ok";
    this.#attemptResults.add(result);
    this.#attempts.inc({ upstream: attempt.upstreamName, result });
  }

  failedOver(upstreamName: string, reason: string): void {
    if (!this.#admit(upstreamName)) return;
    const label = wordLabel(reason);
    this.#failoverReasons.add(label);
    this.#failovers.inc({ upstream: upstreamName, reason: label });
  }

  upstreamState(upstreamName: string, state: UpstreamState): void {
    if (!this.#admit(upstreamName)) return;
    for (const each of STATES) {
      this.#upstreamState.set({ upstream: upstreamName, state: each }, each === state ? 1 : 0);
    }
  }

  /**
   * From the first call on, measurements of upstreams that are not in `names` are left out: a request that
   * ends after its upstream was removed must not bring the series back. A new upstream starts as `closed`.
   */
  upstreamsChanged(names: readonly string[]): void {
    const before = this.#configured;
    this.#configured = new Set(names);
    for (const name of this.#upstreams) {
      if (!this.#configured.has(name)) this.#forget(name);
    }
    for (const name of this.#configured) {
      if (before?.has(name) !== true && !this.#upstreams.has(name)) this.upstreamState(name, "closed");
    }
  }

  recordWritten(count: number): void {
    addTo(this.#recordsWritten, {}, count);
  }

  recordDropped(reason: string, count: number): void {
    addTo(this.#recordsDropped, { reason: wordLabel(reason) }, count);
  }

  recordCommitted(durationMs: number): void {
    observeMs(this.#recordCommit, {}, durationMs);
  }

  recordQueue(bytes: number): void {
    if (Number.isFinite(bytes)) this.#recordQueue.set(bytes);
  }

  recordAckLate(): void {
    this.#recordAckLate.inc();
  }

  recordsDeleted(reason: string, count: number): void {
    addTo(this.#recordsDeleted, { reason: wordLabel(reason) }, count);
  }

  bodiesDeleted(count: number): void {
    addTo(this.#bodiesDeleted, {}, count);
  }

  alertSent(channel: string, result: "ok" | "error" | "dropped"): void {
    this.#alerts.inc({ channel: wordLabel(channel), result });
  }

  #countTokens(upstream: string, model: string, usage: Usage): void {
    addTo(this.#tokens, { upstream, model, type: "input" }, usage.inputTokens);
    addTo(this.#tokens, { upstream, model, type: "output" }, usage.outputTokens);
    addTo(this.#tokens, { upstream, model, type: "cached" }, usage.cachedTokens);
    addTo(this.#tokens, { upstream, model, type: "reasoning" }, usage.reasoningTokens);
  }

  /** The model as requested while labels are left; clients choose it, so it must be bounded. */
  #modelLabel(model: string | null): string {
    if (model === null) return "none";
    if (this.#models.has(model)) return model;
    if (this.#models.size >= MAX_MODELS || !isPlainLabel(model)) return "other";
    this.#models.add(model);
    return model;
  }

  #admit(upstream: string): boolean {
    if (this.#configured !== null && !this.#configured.has(upstream)) return false;
    this.#upstreams.add(upstream);
    return true;
  }

  /** prom-client cannot remove by one label, so every combination that may exist is removed. */
  #forget(upstream: string): void {
    this.#upstreams.delete(upstream);
    this.#firstToken.remove({ upstream });
    for (const result of this.#attemptResults) this.#attempts.remove({ upstream, result });
    for (const reason of this.#failoverReasons) this.#failovers.remove({ upstream, reason });
    for (const state of STATES) this.#upstreamState.remove({ upstream, state });
    for (const model of [...this.#models, "none", "other"]) {
      for (const type of TOKEN_TYPES) this.#tokens.remove({ upstream, model, type });
    }
  }
}

type Labels<T extends string> = Partial<Record<T, string | number>>;

/** prom-client throws on what is not a finite number. */
function observeMs<T extends string>(histogram: Histogram<T>, labels: Labels<T>, durationMs: number): void {
  if (Number.isFinite(durationMs)) histogram.observe(labels, Math.max(0, durationMs) / 1000);
}

/** Upstreams report token counts, so they can be anything; what is no count is not counted. */
function addTo<T extends string>(counter: Counter<T>, labels: Labels<T>, count: number | null): void {
  if (count !== null && Number.isSafeInteger(count) && count >= 0) counter.inc(labels, count);
}

function isPlainLabel(model: string): boolean {
  return model.length <= MAX_MODEL_LENGTH && model.isWellFormed() && !/\p{Cc}/u.test(model);
}

/** Reasons and channels are words of ours; anything else would be an unbounded label. */
function wordLabel(reason: string): string {
  return /^[a-z0-9_]{1,40}$/.test(reason) ? reason : "other";
}
