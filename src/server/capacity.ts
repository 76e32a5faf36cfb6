/**
 * The limits of a server's upstreams, and the queue of the requests that wait because of them.
 */
import type { Settings } from "../config/settings.ts";
import { UpstreamCapacity } from "../proxy/attempt/upstream_capacity.ts";
import { Waiting } from "../proxy/attempt/waiting.ts";
import type { Registry } from "../store/config/registry.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";

export function makeWaiting(
  { queueTimeoutMs, maxQueued }: Pick<Settings, "queueTimeoutMs" | "maxQueued">,
  { registry, observers: { metrics } }: {
    readonly registry: Pick<Registry, "onChange" | "snapshot">;
    readonly observers: Pick<Observers, "metrics">;
  },
): Waiting {
  const capacity = new UpstreamCapacity(systemClock);
  const parts = { capacity, clock: systemClock, observer: metrics.capacity };
  const waiting = new Waiting(parts, { timeoutMs: queueTimeoutMs, maxQueued });
  registry.onChange(({ upstreams }) => capacity.configured(upstreams));
  metrics.capacity.read = () => {
    const views = capacity.views();
    const enabled = registry.snapshot().upstreams.filter(({ isEnabled }) => isEnabled);
    return {
      queueLength: waiting.length,
      upstreams: enabled.map(({ id, name }) => {
        const { inFlight, autoLimit } = views.get(id) ?? { inFlight: 0, autoLimit: null };
        return { name, inFlight, autoLimit };
      }),
    };
  };
  return waiting;
}
