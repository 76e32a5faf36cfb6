/**
 * How the attempts at a server's upstreams end, and who is told when too many fail: metrics, log, alerts, and the database.
 */
import type { FailureCount } from "../core/failure_window.ts";
import { failedPercent, FAILURE_WINDOW_MS } from "../core/failure_window.ts";
import type { Upstream } from "../core/types.ts";
import { targetOf } from "../core/upstream_target.ts";
import { getLog } from "../observe/log.ts";
import { AttemptRates, type RateListener } from "../proxy/attempt/attempt_rates.ts";
import type { Registry } from "../store/config/registry.ts";
import { isCheckOf, type UpstreamChecks } from "../store/config/upstream_checks.ts";
import type { ConfigStore } from "../store/store.ts";
import type { UpstreamStateNotes } from "../store/write/upstream_state_notes.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";

export const WINDOW_MINUTES = FAILURE_WINDOW_MS / 60_000;

/**
 * @param onChange an upstream has become degraded, or is no longer; after everybody else was told
 */
export function makeRates(
  { observers, upstreamStates, registry, config, onChange }: {
    readonly observers: Pick<Observers, "metrics" | "notifier">;
    readonly upstreamStates: Pick<UpstreamStateNotes, "check">;
    readonly registry: Pick<Registry, "onChange">;
    readonly config: Pick<ConfigStore, "listUpstreamChecks">;
    readonly onChange: (upstream: Upstream) => void;
  },
): AttemptRates {
  const listener: RateListener = {
    onChange: (upstream, { attempts, failed, isDegraded }) => {
      observers.metrics.upstreamDegraded(upstream.name, isDegraded);
      announce(observers, upstream.name, { count: { attempts, failed }, isDegraded });
      onChange(upstream);
    },
    onTested: (upstream) => upstreamStates.check({ upstreamId: upstream.id, target: targetOf(upstream) }),
  };
  const rates = new AttemptRates(systemClock, listener);
  registry.onChange(({ upstreams }) => {
    const checks = checksOf(config);
    rates.configured(upstreams, (upstream) => isCheckOf(checks, upstream));
    for (const upstream of upstreams) {
      const { id, name, isEnabled } = upstream;
      if (isEnabled) observers.metrics.upstreamDegraded(name, rates.view(id).isDegraded);
      if (checks.get(id) === null) listener.onTested(upstream);
    }
  });
  return rates;
}

/** Traffic goes on while the database cannot be read; then what has answered before is not known. */
function checksOf(config: Pick<ConfigStore, "listUpstreamChecks">): UpstreamChecks {
  try {
    return config.listUpstreamChecks();
  } catch {
    return new Map();
  }
}

function announce(
  { notifier }: Pick<Observers, "notifier">,
  name: string,
  { count, isDegraded }: { readonly count: FailureCount; readonly isDegraded: boolean },
): void {
  const log = getLog("health");
  const shown = { name, percent: failedPercent(count), attempts: count.attempts, minutes: WINDOW_MINUTES };
  if (isDegraded) {
    log.warn(
      "upstream {name} is degraded: {percent} % of its {attempts} attempts in the last {minutes} minutes failed",
      shown,
    );
    notifier.raise({ type: "upstream_degraded", upstream: name, ...count });
  } else {
    log.info("upstream {name} is no longer degraded: {percent} % of {attempts} attempts failed", shown);
    notifier.raise({ type: "upstream_recovered", upstream: name, ...count });
  }
}
