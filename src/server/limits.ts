/**
 * The limits and budgets of tokens on a server.
 */
import type { Settings } from "../config/settings.ts";
import { messageOf } from "../core/errors.ts";
import type { Prices } from "../core/prices.ts";
import type { SpendStore } from "../core/spend.ts";
import { getLog } from "../observe/log.ts";
import { ClientAdmission } from "../proxy/limits/client_admission.ts";
import type { Registry } from "../store/config/registry.ts";
import { systemClock } from "./clock.ts";
import type { Observers } from "./observers.ts";

export interface LimitsParts {
  readonly observers: Pick<Observers, "metrics" | "limited" | "notifier">;
  readonly registry: Pick<Registry, "onChange" | "snapshot">;
  /** null: tokens with a budget are refused. */
  readonly spend: SpendStore | null;
  readonly prices: Prices;
}

/** A line of the log about spending that cannot be noted comes no more often. */
const LOG_INTERVAL_MS = 60_000;

export function makeAdmission(
  settings: Settings,
  { observers: { metrics, limited, notifier }, registry, spend, prices }: LimitsParts,
): ClientAdmission {
  let loggedMs = -Infinity;
  const admission = new ClientAdmission({
    ...{ clock: systemClock, prices, spend, notifier },
    timeZone: settings.costs.timeZone,
    observer: {
      clientRefused: (client, reason) => {
        metrics.limits.clientRefused(client, reason);
        limited.refused(client, reason);
      },
      budgetOvershoot: (nano) => metrics.limits.budgetOvershoot(nano),
      spendFailed: (error) => {
        const nowMs = systemClock.monotonic();
        if (nowMs - loggedMs < LOG_INTERVAL_MS) return;
        loggedMs = nowMs;
        getLog("server").warn(
          "what tokens have spent cannot be noted, requests beyond their leases are refused: {message}",
          {
            message: messageOf(error),
          },
        );
      },
    },
  });
  metrics.limits.readBudgets = () => admission.readings();
  registry.onChange(({ clientRules }) => admission.tokensChanged(clientRules));
  admission.tokensChanged(registry.snapshot().clientRules);
  return admission;
}
