/**
 * The breakers of a server's upstreams and the shares of their failed attempts, and who is told of changes: metrics, log,
 * alerts, and the database, where `list` sees them.
 */
import type { Settings } from "../config/settings.ts";
import type { TimerId } from "../core/clock.ts";
import type { Upstream } from "../core/types.ts";
import { conditionOf } from "../core/condition.ts";
import type { Finding } from "../core/foreign_findings.ts";
import { failedPercent } from "../core/failure_window.ts";
import type { HeldBack, UpstreamCounts } from "../http/health.ts";
import { getLog } from "../observe/log.ts";
import { redactor } from "../observe/redact.ts";
import type { AttemptRates } from "../proxy/attempt/attempt_rates.ts";
import {
  type HealthListener,
  type HealthView,
  type SeenChange,
  UpstreamHealth,
} from "../proxy/attempt/upstream_health.ts";
import type { Registry } from "../store/config/registry.ts";
import type { ConfigStore, UpstreamStateNote } from "../store/store.ts";
import type { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";
import { KeyAnnouncer, keyNotesOf } from "./key_health.ts";
import { makeRates } from "./rates.ts";

/** How often episodes that are over are ended. */
const SWEEP_MS = 5_000;

export interface ServerHealth {
  readonly health: UpstreamHealth;
  readonly rates: AttemptRates;
  /** Of the enabled upstreams, how many are how; those that are just `ok` left out. */
  counts(): UpstreamCounts;
  /** Of the enabled upstreams, how many are held back in which state. */
  heldBack(): HeldBack;
  /** What this server has found of an upstream by its own attempts; null: it is well. Without secrets. */
  own(upstreamId: number): OwnNote | null;
  /** Calls back when that may have changed, of any upstream. */
  onNoted(callback: () => void): void;
  stop(): void;
}

export interface OwnNote extends UpstreamStateNote {
  /** Times are monotonic. */
  readonly findings: readonly Finding[];
}

export function makeHealth(
  { breakerMaxMs }: Pick<Settings, "breakerMaxMs">,
  { observers, upstreamStates, registry, config, secrets }: {
    readonly observers: Observers;
    readonly config: ConfigStore;
    readonly upstreamStates: UpstreamStateNotes;
    readonly registry: Registry;
    readonly secrets: () => readonly string[];
  },
): ServerHealth {
  // A client may name a secret as its model.
  const redact = redactor(secrets);
  const announce = announcer(observers);
  const keys = new KeyAnnouncer(observers, () => health);
  const callbacks: (() => void)[] = [];
  const onChange: HealthListener = (upstream, change) => {
    const seen = redacted(change, redact);
    if (change.key === undefined) announce(upstream, seen);
    else keys.changed(upstream, seen);
    observers.metrics.upstreamState(upstream.name, health.view(upstream.id).state);
    noted(upstream);
  };
  const health = new UpstreamHealth(systemClock, onChange, breakerMaxMs);
  registry.onChange(({ upstreams }, enabledAnew) => {
    observers.metrics.upstreamsChanged(
      upstreams.filter(({ isEnabled }) => isEnabled).map(({ name }) => name),
    );
    health.configured(upstreams, enabledAnew);
    keys.configured(upstreams).forEach(noted);
  });
  // After the metrics know which upstreams there are.
  const rates = makeRates({
    ...{ observers, upstreamStates, registry, config },
    onChange: (upstream) => noted(upstream),
  });
  const noted = ({ id }: Pick<Upstream, "id">) => {
    note(upstreamStates, { id, health, rates, redact });
    for (const callback of callbacks) callback();
  };
  const sweeps = repeated(() => {
    health.sweep();
    rates.sweep();
    for (const upstream of registry.snapshot().upstreams) {
      if (isShareNew(upstreamStates, { upstream, rates })) noted(upstream);
    }
  });
  return {
    health,
    rates,
    counts: () => countAll({ health, rates }, registry.snapshot().upstreams),
    heldBack: () => countHeldBack(health, registry.snapshot().upstreams),
    own: (id) => ownNote(upstreamStates, { id, health, rates, redact }),
    onNoted: (callback) => callbacks.push(callback),
    stop: () => sweeps.stop(),
  };
}

/** Calls every {@link SWEEP_MS}. */
function repeated(act: () => void): { stop(): void } {
  let timer: TimerId;
  const run = () => {
    act();
    timer = systemClock.setTimer(run, SWEEP_MS);
  };
  timer = systemClock.setTimer(run, SWEEP_MS);
  return { stop: () => systemClock.clearTimer(timer) };
}

function redacted(change: SeenChange, redact: (text: string) => string): SeenChange {
  const { model, reason } = change;
  return { ...change, model: model === null ? null : redact(model), reason: redact(reason) };
}

function countHeldBack(health: UpstreamHealth, upstreams: readonly Upstream[]): HeldBack {
  const counts: { -readonly [State in keyof HeldBack]: HeldBack[State] } = {};
  for (const { id, isEnabled } of upstreams) {
    const { state } = health.view(id);
    if (isEnabled && state !== "closed") counts[state] = (counts[state] ?? 0) + 1;
  }
  return counts;
}

function announcer({ notifier }: Observers): HealthListener {
  const log = getLog("health");
  return ({ name }, { model, reason, news }) => {
    const which = model === null ? {} : { model };
    const what = model === null ? "upstream {name}" : "upstream {name}, model {model},";
    const shown = { name, model: model === "" ? "-" : model, reason };
    switch (news) {
      case "down":
        log.warn(`${what} is down: {reason}`, shown);
        return notifier.raise({ type: "upstream_down", upstream: name, ...which, reason });
      case "no_credit":
        log.warn(`${what} has no credit left: {reason}`, shown);
        return notifier.raise({ type: "upstream_no_credit", upstream: name, reason });
      case "recovered":
        log.info(`${what} has recovered`, shown);
        return notifier.raise({ type: "upstream_recovered", upstream: name, ...which });
      case null:
        return;
      default:
        return news satisfies never;
    }
  };
}

function countAll(
  { health, rates }: Pick<ServerHealth, "health" | "rates">,
  upstreams: readonly Upstream[],
): UpstreamCounts {
  const counts: { -readonly [Word in keyof UpstreamCounts]: UpstreamCounts[Word] } = {};
  for (const { id, isEnabled } of upstreams) {
    if (!isEnabled) continue;
    const { isTested, isDegraded } = rates.view(id);
    const breaker = health.view(id).state;
    const condition = conditionOf({ isUsable: true, isEnabled, breaker, isTested });
    const word = isDegraded && (condition === "ok" || condition === "untested") ? "degraded" : condition;
    if (word !== "ok") counts[word] = (counts[word] ?? 0) + 1;
  }
  return counts;
}

interface Noted extends Pick<ServerHealth, "health" | "rates"> {
  readonly redact: (text: string) => string;
}

/** What others see of a degraded upstream follows its share. */
function isShareNew(
  notes: UpstreamStateNotes,
  { upstream: { id }, rates }: Pick<ServerHealth, "rates"> & { readonly upstream: Upstream },
): boolean {
  const now = rates.view(id);
  const { failures } = notes.get(id) ?? {};
  return now.isDegraded && (failures === undefined || failedPercent(failures) !== failedPercent(now));
}

function note(
  notes: UpstreamStateNotes,
  { id, health, rates, redact }: Noted & { readonly id: number },
): void {
  const made = noteOf(health.view(id), { id, health, rates, redact });
  if (made === null) notes.clear((each) => each === id);
  else notes.note(made);
}

function ownNote(
  notes: UpstreamStateNotes,
  { id, health, rates, redact }: Noted & { readonly id: number },
): OwnNote | null {
  const { view, findings } = health.own(id);
  const made = noteOf(view, { id, health, rates, redact });
  if (made === null) return null;
  // A model that holds a secret is none that other clients ask for.
  const told = findings.filter(({ model }) => model === null || redact(model) === model)
    .map((finding) => ({ ...finding, reason: redact(finding.reason) }));
  return { ...made, changedAtMs: notes.get(id)?.changedAtMs ?? made.changedAtMs, findings: told };
}

/** null: it is well. */
function noteOf(
  view: HealthView,
  { id, health, rates, redact }: Noted & { readonly id: number },
): UpstreamStateNote | null {
  const keys = keyNotesOf(health, id, redact);
  const { attempts, failed, isDegraded } = rates.view(id);
  if (view.state === "closed" && !isDegraded && keys.keys === undefined) return null;
  const changedAtMs = systemClock.now();
  const untilMs = view.untilMs === null ? null : changedAtMs + view.untilMs - systemClock.monotonic();
  const failures = isDegraded ? { failures: { attempts, failed } } : {};
  return {
    ...{ upstreamId: id, state: view.state, untilMs, changedAtMs },
    ...{ reason: redact(view.reason ?? ""), ...failures, ...keys },
  };
}
