/**
 * The breakers of a server's upstreams, and who is told of their changes: metrics, log, alerts, and the database, where
 * `list` sees them.
 */
import type { Settings } from "../config/settings.ts";
import type { TimerId } from "../core/clock.ts";
import type { Upstream } from "../core/types.ts";
import type { HeldBack } from "../http/health.ts";
import { getLog } from "../observe/log.ts";
import { redactor } from "../observe/redact.ts";
import { type HealthListener, UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { Registry } from "../store/config/registry.ts";
import type { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";

/** How often episodes that are over are ended. */
const SWEEP_MS = 5_000;

export interface ServerHealth {
  readonly health: UpstreamHealth;
  /** Of the enabled upstreams, how many are held back in which state. */
  heldBack(): HeldBack;
  stop(): void;
}

export function makeHealth(
  { breakerMaxMs }: Pick<Settings, "breakerMaxMs">,
  { observers, upstreamStates, registry, secrets }: {
    readonly observers: Observers;
    readonly upstreamStates: UpstreamStateNotes;
    readonly registry: Registry;
    readonly secrets: () => readonly string[];
  },
): ServerHealth {
  // A client may name a secret as its model.
  const redact = redactor(secrets);
  const announce = announcer(observers);
  const onChange: HealthListener = (upstream, change) => {
    const model = change.model === null ? null : redact(change.model);
    announce(upstream, { ...change, model, reason: redact(change.reason) });
    observers.metrics.upstreamState(upstream.name, health.view(upstream.id).state);
    note(upstreamStates, { id: upstream.id, health, redact });
  };
  const health = new UpstreamHealth(systemClock, onChange, breakerMaxMs);
  registry.onChange(({ upstreams }, enabledAnew) => {
    observers.metrics.upstreamsChanged(
      upstreams.filter(({ isEnabled }) => isEnabled).map(({ name }) => name),
    );
    health.configured(upstreams, enabledAnew);
  });
  let timer: TimerId;
  const sweep = () => {
    health.sweep();
    timer = systemClock.setTimer(sweep, SWEEP_MS);
  };
  timer = systemClock.setTimer(sweep, SWEEP_MS);
  return {
    health,
    heldBack: () => countHeldBack(health, registry.snapshot().upstreams),
    stop: () => systemClock.clearTimer(timer),
  };
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

function note(
  notes: UpstreamStateNotes,
  { id, health, redact }: {
    readonly id: number;
    readonly health: UpstreamHealth;
    readonly redact: (text: string) => string;
  },
): void {
  const view = health.view(id);
  if (view.state === "closed") return notes.clear((each) => each === id);
  const changedAtMs = systemClock.now();
  const untilMs = view.untilMs === null ? null : changedAtMs + view.untilMs - systemClock.monotonic();
  notes.note({ upstreamId: id, state: view.state, untilMs, reason: redact(view.reason ?? ""), changedAtMs });
}
