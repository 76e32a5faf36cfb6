/**
 * The breakers of a server's upstreams, and who is told of their changes: metrics, log, alerts, and the database, where
 * `list` sees them.
 */
import type { BreakerState } from "../core/breaker.ts";
import { getLog } from "../observe/log.ts";
import { type HealthListener, UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { Registry } from "../store/config/registry.ts";
import type { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";

export function makeHealth(
  { observers, upstreamStates, registry }: {
    readonly observers: Observers;
    readonly upstreamStates: UpstreamStateNotes;
    readonly registry: Registry;
  },
): UpstreamHealth {
  const announce = announcer(observers);
  const health = new UpstreamHealth(systemClock, (upstream, change) => {
    announce(upstream, change);
    note(upstreamStates, { id: upstream.id, state: health.state(upstream.id), reason: change.reason });
  });
  registry.onChange(({ upstreams }) => {
    observers.metrics.upstreamsChanged(
      upstreams.filter(({ isEnabled }) => isEnabled).map(({ name }) => name),
    );
    health.retain(new Set(upstreams.map(({ id }) => id)));
  });
  return health;
}

function announcer({ metrics, notifier }: Observers): HealthListener {
  const log = getLog("health");
  return ({ name }, { from, to, reason }) => {
    metrics.upstreamState(name, to);
    if (from === "closed" && to === "open") {
      log.warn("upstream {name} is down: {reason}", { name, reason });
      notifier.raise({ type: "upstream_down", upstream: name, reason });
    } else if (to === "closed") {
      log.info("upstream {name} has recovered", { name });
      notifier.raise({ type: "upstream_recovered", upstream: name });
    }
  };
}

function note(
  notes: UpstreamStateNotes,
  { id, state, reason }: { readonly id: number; readonly state: BreakerState; readonly reason: string },
): void {
  if (state.type === "closed") return notes.clear((each) => each === id);
  const changedAtMs = systemClock.now();
  const untilMs = state.type === "open" ? changedAtMs + state.untilMs - systemClock.monotonic() : null;
  notes.note({ upstreamId: id, state: state.type, untilMs, reason, changedAtMs });
}
