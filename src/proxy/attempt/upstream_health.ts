/**
 * The health and latency of all upstreams, in memory.
 *
 * Owns no rules: those are in core/breaker.ts, core/blame.ts and core/upstream_states.ts.
 */
import type { HealthReport } from "../../core/blame.ts";
import { DEFAULT_MAX_OUTAGE_MS, type Moment, shownState } from "../../core/breaker.ts";
import type { Clock } from "../../core/clock.ts";
import type { Finding, ForeignFinding } from "../../core/foreign_findings.ts";
import type { UpstreamStanding } from "../../core/policy.ts";
import type { Upstream } from "../../core/types.ts";
import { KeyTurns } from "../../core/key_order.ts";
import type { KeyStanding } from "../../core/key_cells.ts";
import { modelAt } from "../../core/model_alias.ts";
import { isSameTarget } from "../../core/upstream_target.ts";
import type { HealthCell } from "../../core/health_cells.ts";
import { type CheckResult, type HealthChange, UpstreamStates } from "../../core/upstream_states.ts";
import {
  allKeysView,
  type HealthView,
  type KeyedUpstream,
  type KeyView,
  keyViews,
  type NamedKey,
  nameKey,
} from "./key_views.ts";
import { type HealthRequest, RequestSubject } from "./request_subject.ts";

/** Weight of the newest sample in the smoothed latency. */
const LATENCY_WEIGHT = 0.2; // docs/tuning.md#relay-and-settlement

/** What changed, of the upstream or one of several keys. */
export interface SeenChange extends Omit<HealthChange, "key"> {
  readonly key?: NamedKey;
}

/** Called when what others see of an upstream has changed, or the time until which it is open. */
export type HealthListener = (upstream: Pick<Upstream, "id" | "name">, change: SeenChange) => void;

export type { HealthView };

/** What this process has found of an upstream by its own attempts. */
export interface OwnHealth {
  readonly view: HealthView;
  readonly findings: readonly Finding[];
}

export type { KeyView };

type MonotonicClock = Pick<Clock, "monotonic">;

const WELL: HealthView = { state: "closed", untilMs: null, reason: null };
const UNKNOWN: UpstreamStanding = { availability: "ready", latencyMs: null };

interface KnownUpstream {
  upstream: Upstream;
  readonly states: UpstreamStates;
  /** What is said of it while it is well. */
  readonly ready: { readonly availability: "ready"; latencyMs: number | null };
  /** When the latest attempt began; monotonic. */
  triedAtMs: number;
}

export class UpstreamHealth {
  readonly #clock: MonotonicClock;
  readonly #onChange: HealthListener;
  readonly #maxOutageMs: number;
  readonly #known = new Map<number, KnownUpstream>();
  /** Whose turn it is among the keys of an upstream. */
  readonly keyTurns = new KeyTurns();

  /** @param maxOutageMs the longest pause after connection errors, timeouts, 5xx and broken streams */
  constructor(clock: MonotonicClock, onChange: HealthListener, maxOutageMs = DEFAULT_MAX_OUTAGE_MS) {
    this.#clock = clock;
    this.#onChange = onChange;
    this.#maxOutageMs = maxOutageMs;
  }

  /** Whether this request may go there now, and how fast it answers. */
  standing(upstream: Upstream, request: HealthRequest): UpstreamStanding {
    const known = this.#known.get(upstream.id);
    if (known === undefined) return UNKNOWN;
    if (known.states.isWell) return known.ready;
    const subject = new RequestSubject(upstream, request);
    const availability = known.states.availability(subject, this.#clock.monotonic());
    return { availability, latencyMs: known.ready.latencyMs };
  }

  /** How one of several keys stands for this request, apart from its upstream. */
  keyStanding(upstream: Upstream, request: HealthRequest): KeyStanding {
    const states = this.#known.get(upstream.id)?.states;
    if (states === undefined || states.isWell) return "ready";
    const model = request.model === null ? "" : modelAt(upstream, request.model);
    return states.keyStanding({ model }, upstream.sk, this.#clock.monotonic());
  }

  /** Whether another request is just finding out whether it is well again. */
  isOnTrial(upstream: Upstream, request: HealthRequest): boolean {
    const states = this.#known.get(upstream.id)?.states;
    if (states === undefined || states.isWell) return false;
    return states.isOnTrial(new RequestSubject(upstream, request), this.#clock.monotonic());
  }

  /** An attempt that is about to begin. */
  begin(upstream: Upstream, request: HealthRequest): AttemptHealth {
    const known = this.#knownOf(upstream);
    const { states } = known;
    this.keyTurns.used(upstream);
    const subject = new RequestSubject(upstream, request);
    const nowMs = this.#clock.monotonic();
    known.triedAtMs = nowMs;
    const moment = { nowMs, startedMs: nowMs, maxOutageMs: this.#maxOutageMs };
    if (!states.isWell) states.begin(subject, moment);
    return new AttemptHealth(this.#clock, states, { subject, moment });
  }

  /** When the latest attempt began; monotonic. null: there was none. */
  triedAtMs(upstreamId: number): number | null {
    const atMs = this.#known.get(upstreamId)?.triedAtMs ?? -Infinity;
    return atMs === -Infinity ? null : atMs;
  }

  /** A check of an upstream without traffic is over. `reason` is for people. */
  checked(
    upstream: Upstream,
    { result, reason, startedMs }: {
      readonly result: CheckResult;
      readonly reason: string;
      readonly startedMs: number;
    },
  ): void {
    const moment = { nowMs: this.#clock.monotonic(), startedMs, maxOutageMs: this.#maxOutageMs };
    this.#knownOf(upstream).states.checked(result, reason, moment);
  }

  noteLatency(upstream: Upstream, latencyMs: number): void {
    const { ready } = this.#knownOf(upstream);
    const before = ready.latencyMs;
    ready.latencyMs = before === null ? latencyMs : before + LATENCY_WEIGHT * (latencyMs - before);
  }

  view(upstreamId: number): HealthView {
    const known = this.#known.get(upstreamId);
    return known === undefined ? WELL : viewOf(known.states.unwell(), known);
  }

  /** Of several keys, those that are held back. */
  keys(upstreamId: number): KeyView[] {
    const known = this.#known.get(upstreamId);
    return known === undefined ? [] : keyViews(known);
  }

  /** The same without what only other replicas have found. */
  own(upstreamId: number): OwnHealth {
    const known = this.#known.get(upstreamId);
    if (known === undefined) return { view: WELL, findings: [] };
    const { states } = known;
    return { view: viewOf(states.ownUnwell(), known), findings: states.findings() };
  }

  /**
   * All that other replicas have found by now.
   *
   * @param upstreams those that are configured
   * @param findingsOf what was found of an upstream, with its present endpoint and key; times are monotonic
   */
  hear(
    upstreams: readonly Upstream[],
    findingsOf: (upstream: Upstream) => readonly ForeignFinding[],
  ): void {
    const moment = { nowMs: this.#clock.monotonic(), maxOutageMs: this.#maxOutageMs };
    for (const upstream of upstreams) {
      const findings = findingsOf(upstream);
      if (findings.length > 0 || this.#known.has(upstream.id)) {
        this.#knownOf(upstream).states.hear(findings, moment);
      }
    }
  }

  /** Ends what is over by now; to be called now and then. */
  sweep(): void {
    const nowMs = this.#clock.monotonic();
    for (const { states } of this.#known.values()) states.sweep(nowMs);
  }

  /**
   * The upstreams as configured now. Those that are gone, or have only other keys or another endpoint, are forgotten, and
   * so is what is known of single keys that are gone.
   *
   * @param enabled ids of those that the operator has just enabled: they are tried again at once
   */
  configured(upstreams: readonly Upstream[], enabled: ReadonlySet<number>): void {
    const byId = new Map(upstreams.map((upstream) => [upstream.id, upstream]));
    for (const [id, known] of this.#known) {
      const upstream = byId.get(id);
      // What was found of the only key was found of the upstream; of several it is not.
      const isSame = upstream !== undefined && isSameTarget(upstream, known.upstream) &&
        (upstream.keys.length > 1) === (known.upstream.keys.length > 1);
      if (upstream !== undefined) known.upstream = upstream;
      if (!isSame || enabled.has(id)) known.states.clear("the upstream was changed");
      if (!isSame) this.#known.delete(id);
      else known.states.keepKeys(new Set(upstream.keys));
    }
  }

  #knownOf(upstream: Upstream): KnownUpstream {
    let known = this.#known.get(upstream.id);
    if (known === undefined) {
      const states = new UpstreamStates((change) => {
        // An attempt may outlive its upstream, or the upstream's key.
        if (this.#known.get(upstream.id) !== made) return;
        const { key, ...rest } = change;
        if (key === undefined) return this.#onChange(made.upstream, rest);
        this.#onChange(made.upstream, { ...rest, key: nameKey(key, made.upstream) });
      });
      const made: KnownUpstream = {
        ...{ upstream, states, triedAtMs: -Infinity },
        ready: { availability: "ready", latencyMs: null },
      };
      known = made;
      this.#known.set(upstream.id, known);
    }
    return known;
  }
}

/** What one attempt reports of its upstream: once, when it is over. */
export class AttemptHealth {
  readonly #clock: MonotonicClock;
  readonly #states: UpstreamStates;
  readonly #subject: RequestSubject;
  /** Of the latest report. */
  readonly #moment: { -readonly [Key in keyof Moment]: Moment[Key] };
  #isOver = false;

  constructor(
    clock: MonotonicClock,
    states: UpstreamStates,
    { subject, moment }: { readonly subject: RequestSubject; readonly moment: Moment },
  ) {
    this.#clock = clock;
    this.#states = states;
    this.#subject = subject;
    this.#moment = moment;
  }

  /** The reply has shown content: if this was a trial, others need not wait for its end. */
  content(): void {
    if (!this.#isOver && !this.#states.isWell) this.#states.content(this.#subject, this.#now());
  }

  /** Another client was served lately with what this one asks for. */
  servesOthers(): boolean {
    return this.#states.servesOthers(this.#subject, this.#clock.monotonic());
  }

  /** Another key of the same upstream was then accepted for the same request. */
  confirmRefusal(reason: string): void {
    const report: HealthReport = { type: "refused", by: "router", isProven: true };
    this.#states.report(this.#subject, { report, reason }, this.#now());
  }

  /** The attempt is over; a second end changes nothing. `reason` is for people. */
  end(report: HealthReport, reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#states.report(this.#subject, { report, reason }, this.#now());
  }

  #now(): Moment {
    this.#moment.nowMs = this.#clock.monotonic();
    return this.#moment;
  }
}

function viewOf(cells: readonly HealthCell[], known: KeyedUpstream): HealthView {
  return cells.length === 0 ? allKeysView(known) ?? WELL : cellsView(cells);
}

function cellsView(cells: readonly HealthCell[]): HealthView {
  // The upstream as a whole comes first; of the models, one that is open.
  const cell = cells.find(({ model, state }) => model === null || state.type === "open") ?? cells[0];
  if (cell === undefined) return WELL;
  const { model, reason, state } = cell;
  const more = cells.filter((each) => each.model !== null).length - 1;
  const others = more < 1 ? "" : ` and ${more} more`;
  return {
    state: shownState(state),
    untilMs: state.type === "open" ? state.untilMs : null,
    reason: model === null ? reason : `${model === "" ? "no model" : `model ${model}`}${others}: ${reason}`,
  };
}
