/**
 * The numbers of `/v1/metrics`: the {@link Observer} over prom-client, with a registry of its own.
 *
 * Owns what is counted when, and keeps every label bounded. Must not put a token, a key or a
 * raw path in a label, and must not throw.
 */
import { SHOWN_STATES, type ShownState } from "../core/breaker.ts";
import { KEY_STATES, type KeyState } from "../core/key_states.ts";
import { CHECK_RESULTS, type CheckResult } from "../core/upstream_states.ts";
import { type Counter, type Gauge, type Histogram, Registry } from "./prometheus.ts";
import type { Attempt, ClientToken, EndpointKind, RequestRecord, Usage } from "../core/types.ts";
import { CapacityMetrics } from "./capacity_metrics.ts";
import { CostMetrics } from "./cost_metrics.ts";
import { ClientMetrics } from "./client_metrics.ts";
import { LimitMetrics } from "./limit_metrics.ts";
import { addTo, isPlainLabel, type Labels, TOKEN_TYPES } from "./metric_labels.ts";
import {
  clientFamilies,
  FamilyMaker,
  type RecordFamilies,
  recordFamilies,
  type RemoteFamilies,
  remoteFamilies,
  type RequestFamilies,
  requestFamilies,
  type UpstreamFamilies,
  upstreamFamilies,
} from "./metric_families.ts";
import type { Observer } from "./observer.ts";
import {
  denoProcessReadings,
  type ProcessReadings,
  read,
  registerProcessMetrics,
  setOrRemove,
} from "./process_metrics.ts";

/** Limit on distinct model labels; later models are counted as `other`. */
const MAX_MODELS = 100; // docs/tuning.md#observe

export interface MetricsOptions {
  /** The program's version, for `build_info`. */
  readonly version: string;
  /** The runtime's version, for `build_info`. */
  readonly deno: string;
  /** Size of the database with its journal; called at each scrape. When it throws, the sample is left out. */
  readonly databaseBytes: () => number;
  /** How PostgreSQL does; called at each scrape. Default: there is none, and no series of it. */
  readonly remote?: () => RemoteReadings;
  /** Default: this process. */
  readonly process?: ProcessReadings;
}

/** PostgreSQL, and what waits for it. */
export interface RemoteReadings {
  readonly isUp: boolean;
  /** In the journal; null: not known yet. */
  readonly waiting: number | null;
  /** Of the record that has waited for longest; null: none waits, or it is not known yet. */
  readonly oldestAgeSeconds: number | null;
}

/** Records measurements for Prometheus. */
export class Metrics implements Observer {
  readonly #registry = new Registry();
  readonly #models = new Set<string>();
  /** Upstreams that have series. */
  readonly #seenUpstreams = new Set<string>();
  /** null until the first {@link upstreamsChanged}: until then every upstream counts as configured. */
  #configured: ReadonlySet<string> | null = null;
  readonly #attemptResults = new Set<string>();
  readonly #failoverReasons = new Set<string>();

  readonly capacity: CapacityMetrics;
  readonly limits: LimitMetrics;
  readonly #costs: CostMetrics;
  readonly #requests: RequestFamilies;
  readonly #clients: ClientMetrics;
  readonly #upstreams: UpstreamFamilies;
  readonly #inFlight: Gauge;
  readonly #records: RecordFamilies;
  readonly #remote: RemoteFamilies | null;
  readonly #refused: Counter<"status" | "reason">;
  readonly #alerts: Counter<"channel" | "result">;

  constructor(options: MetricsOptions) {
    const make = new FamilyMaker(this.#registry);
    this.#requests = requestFamilies(make);
    this.#clients = new ClientMetrics(clientFamilies(make));
    this.#upstreams = upstreamFamilies(make);
    this.capacity = new CapacityMetrics(make);
    this.limits = new LimitMetrics(make);
    this.#costs = new CostMetrics(make);
    this.#inFlight = make.gauge("in_flight_requests", "Requests that are being served now.");
    this.#records = recordFamilies(make);
    this.#remote = options.remote === undefined ? null : remoteFamilies(make);
    if (options.remote !== undefined) readRemote(make, options.remote);
    this.#refused = make.counter(
      "requests_refused_total",
      "Requests refused before they reached an upstream.",
      ["status", "reason"],
    );
    this.#alerts = make.counter("alerts_total", "Alerts by channel and result.", ["channel", "result"]);
    make.readGauge("db_bytes", "Size of the database files.", (gauge) => {
      setOrRemove(gauge, read(options.databaseBytes));
    });
    make.gauge("build_info", "Versions of the program and its runtime.", ["version", "deno"])
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
    this.#clients.requestSettled(record);
    const model = this.#modelLabel(record.model);
    this.#requests.total.inc({ kind, model, status: record.status, outcome: record.outcome });
    this.#requests.affinity.inc({ kind: record.affinity ?? "none" });
    observeMs(this.#requests.duration, { kind, is_stream: String(record.isStream) }, record.elapsedMs);
    const upstream = upstreamName !== null && this.#admit(upstreamName) ? upstreamName : null;
    this.#costs.requestSettled(record, { model, upstream, admit: this.#admits });
    if (upstream === null) return;
    if (record.firstTokenMs !== null) {
      observeMs(this.#requests.firstToken, { upstream }, record.firstTokenMs);
    }
    const { usage, areTokensEstimated } = record;
    if (usage !== null) this.#countTokens({ upstream, model }, { usage, areTokensEstimated });
  }

  requestRefused(status: number, reason: string): void {
    this.#refused.inc({ status, reason: wordLabel(reason) });
  }

  attemptEnded(attempt: Attempt): void {
    if (!this.#admit(attempt.upstreamName)) return;
    const result = attempt.errorClass ?? "ok";
    this.#attemptResults.add(result);
    this.#upstreams.attempts.inc({ upstream: attempt.upstreamName, result });
  }

  gateDegraded(): void {
    this.#upstreams.gateDegraded.inc();
  }

  failedOver(upstreamName: string, reason: string): void {
    if (!this.#admit(upstreamName)) return;
    const label = wordLabel(reason);
    this.#failoverReasons.add(label);
    this.#upstreams.failovers.inc({ upstream: upstreamName, reason: label });
  }

  hedged(isWon: boolean): void {
    this.#upstreams.hedges.inc({ won: isWon ? "yes" : "no" });
  }

  upstreamState(upstreamName: string, state: ShownState): void {
    if (!this.#admit(upstreamName)) return;
    for (const each of SHOWN_STATES) {
      this.#upstreams.state.set({ upstream: upstreamName, state: each }, each === state ? 1 : 0);
    }
  }

  upstreamDegraded(upstreamName: string, isDegraded: boolean): void {
    if (this.#admit(upstreamName)) {
      this.#upstreams.degraded.set({ upstream: upstreamName }, isDegraded ? 1 : 0);
    }
  }

  /** How many keys of an upstream are how; null: it has only one. */
  upstreamKeys(upstreamName: string, counts: Readonly<Record<KeyState, number>> | null): void {
    if (!this.#admit(upstreamName)) return;
    for (const state of KEY_STATES) {
      const labels = { upstream: upstreamName, state };
      if (counts === null) this.#upstreams.keys.remove(labels);
      else this.#upstreams.keys.set(labels, counts[state]);
    }
  }

  /** @param count null: it is not known */
  upstreamModels(upstreamName: string, count: number | null): void {
    if (count === null) this.#upstreams.models.remove({ upstream: upstreamName });
    else if (this.#admit(upstreamName)) this.#upstreams.models.set({ upstream: upstreamName }, count);
  }

  /** A request for models that is not relayed. */
  modelsAnswered(status: number): void {
    this.#upstreams.modelAnswers.inc({ status });
  }

  upstreamChecked(upstreamName: string, result: CheckResult): void {
    if (this.#admit(upstreamName)) this.#upstreams.checks.inc({ upstream: upstreamName, result });
  }

  /**
   * From the first call on, measurements of upstreams not in `names` are ignored: a request that ends after its
   * upstream was removed must not bring the series back. A new upstream starts as `closed`.
   */
  upstreamsChanged(names: readonly string[]): void {
    const before = this.#configured;
    this.#configured = new Set(names);
    for (const name of this.#seenUpstreams) {
      if (!this.#configured.has(name)) this.#forget(name);
    }
    for (const name of this.#configured) {
      if (before?.has(name) !== true && !this.#seenUpstreams.has(name)) this.upstreamState(name, "closed");
    }
  }

  /** The tokens that are accepted now; the series of others are removed. */
  tokensChanged(tokens: readonly ClientToken[]): void {
    this.#clients.tokensChanged(tokens);
  }

  recordWritten(count: number): void {
    addTo(this.#records.written, {}, count);
  }

  recordDropped(reason: string, count: number): void {
    addTo(this.#records.dropped, { reason: wordLabel(reason) }, count);
  }

  recordCommitted(durationMs: number): void {
    observeMs(this.#records.commit, {}, durationMs);
  }

  recordQueue(bytes: number): void {
    if (Number.isFinite(bytes)) this.#records.queue.set(bytes);
  }

  recordAckLate(): void {
    this.#records.ackLate.inc();
  }

  recordsDeleted(reason: string, count: number): void {
    addTo(this.#records.deleted, { reason: wordLabel(reason) }, count);
  }

  bodiesDeleted(count: number): void {
    addTo(this.#records.bodiesDeleted, {}, count);
  }

  choreFailed(chore: string): void {
    addTo(this.#records.choreFailures, { chore }, 1);
  }

  recordsShipped(count: number, durationMs: number): void {
    if (this.#remote === null) return;
    addTo(this.#remote.shipped, {}, count);
    observeMs(this.#remote.ship, {}, durationMs);
  }

  recordRejected(): void {
    this.#remote?.rejected.inc();
  }

  alertSent(channel: string, result: "ok" | "error" | "dropped"): void {
    this.#alerts.inc({ channel: wordLabel(channel), result });
  }

  #countTokens(
    labels: { readonly upstream: string; readonly model: string },
    { usage, areTokensEstimated }: { readonly usage: Usage; readonly areTokensEstimated: boolean },
  ): void {
    const tokens = areTokensEstimated ? this.#requests.estimatedTokens : this.#requests.tokens;
    addTo(tokens, { ...labels, type: "input" }, usage.inputTokens);
    addTo(tokens, { ...labels, type: "output" }, usage.outputTokens);
    addTo(tokens, { ...labels, type: "cached" }, usage.cachedTokens);
    addTo(tokens, { ...labels, type: "reasoning" }, usage.reasoningTokens);
  }

  /** The model as requested, while the limit allows: clients choose it, so labels must be bounded. */
  #modelLabel(model: string | null): string {
    if (model === null) return "none";
    if (this.#models.has(model)) return model;
    if (this.#models.size >= MAX_MODELS || !isPlainLabel(model)) return "other";
    this.#models.add(model);
    return model;
  }

  readonly #admits = (upstream: string): boolean => this.#admit(upstream);

  #admit(upstream: string): boolean {
    if (this.#configured !== null && !this.#configured.has(upstream)) return false;
    this.#seenUpstreams.add(upstream);
    return true;
  }

  /** prom-client cannot remove by one label, so every possible combination is removed. */
  #forget(upstream: string): void {
    this.#seenUpstreams.delete(upstream);
    this.#requests.firstToken.remove({ upstream });
    this.#upstreams.degraded.remove({ upstream });
    this.#upstreams.models.remove({ upstream });
    for (const result of CHECK_RESULTS) this.#upstreams.checks.remove({ upstream, result });
    for (const result of this.#attemptResults) this.#upstreams.attempts.remove({ upstream, result });
    for (const reason of this.#failoverReasons) this.#upstreams.failovers.remove({ upstream, reason });
    for (const state of SHOWN_STATES) this.#upstreams.state.remove({ upstream, state });
    for (const state of KEY_STATES) this.#upstreams.keys.remove({ upstream, state });
    const models = [...this.#models, "none", "other"];
    this.#costs.forget(upstream, models);
    for (const model of models) {
      for (const type of TOKEN_TYPES) {
        this.#requests.tokens.remove({ upstream, model, type });
        this.#requests.estimatedTokens.remove({ upstream, model, type });
      }
    }
  }
}

function readRemote(make: FamilyMaker, remote: () => RemoteReadings): void {
  make.readGauge("postgres_up", "1 while PostgreSQL can be used.", (gauge) => {
    gauge.set(remote().isUp ? 1 : 0);
  });
  make.readGauge("journal_waiting_records", "Records that wait for PostgreSQL.", (gauge) => {
    setOrRemove(gauge, remote().waiting);
  });
  make.readGauge("journal_oldest_seconds", "Age of the record that has waited for longest.", (gauge) => {
    setOrRemove(gauge, remote().oldestAgeSeconds ?? 0);
  });
}

/** prom-client throws on a value that is not a finite number. */
function observeMs<T extends string>(histogram: Histogram<T>, labels: Labels<T>, durationMs: number): void {
  if (Number.isFinite(durationMs)) histogram.observe(labels, Math.max(0, durationMs) / 1000);
}

/** Reasons and channels are words of this program; anything else would be an unbounded label. */
function wordLabel(reason: string): string {
  return /^[a-z0-9_]{1,40}$/.test(reason) ? reason : "other";
}
