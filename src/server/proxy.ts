/**
 * The failover proxy of a server, with what it works with.
 */
import { createCapture } from "../capture/create.ts";
import type { Settings } from "../config/settings.ts";
import { OwnerMemory } from "../core/owned_ids.ts";
import type { SpendStore } from "../core/spend.ts";
import { errorForms } from "../http/error_answer.ts";
import { HeldBudget } from "../proxy/assess/held_budget.ts";
import { Affinity } from "../proxy/affinity/affinity.ts";
import { Hedging } from "../proxy/attempt/hedging.ts";
import type { Waiting } from "../proxy/attempt/waiting.ts";
import { Speeds } from "../proxy/attempt/speeds.ts";
import type { UsageAsking } from "../proxy/attempt/usage_asking.ts";
import { getLog } from "../observe/log.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { Proxy } from "../proxy/handler.ts";
import type { InFlight } from "../proxy/ledger/in_flight.ts";
import type { ProgressRows } from "../proxy/ledger/progress_rows.ts";
import { alertSettled, countSettled, type SettledListener } from "../proxy/ledger/settlement.ts";
import { ReceivingBudget } from "../proxy/receiving_budget.ts";
import type { Registry } from "../store/config/registry.ts";
import type { OpenDatabase } from "../store/database/open.ts";
import type { RecordSink } from "../store/store.ts";
import { systemClock } from "./clock.ts";
import { newRequestId } from "./ids.ts";
import { makeAdmission } from "./limits.ts";
import type { LoopTurns } from "./loop_turns.ts";
import type { ServerPrices } from "./prices.ts";
import type { ServerModels } from "./models.ts";
import type { Observers } from "./observers.ts";

export interface ProxyParts {
  readonly observers: Observers;
  readonly sink: RecordSink;
  readonly health: UpstreamHealth;
  readonly registry: Pick<Registry, "onChange" | "snapshot">;
  readonly inFlight: InFlight;
  readonly progressRows: ProgressRows;
  readonly client: UpstreamClient;
  readonly turns: LoopTurns;
  /** Who owns an id that a reply has named. */
  readonly database: Pick<OpenDatabase, "findOwner">;
  readonly models: ServerModels;
  readonly waiting: Waiting;
  readonly spend: SpendStore | null;
  readonly pricing: Pick<ServerPrices, "prices">;
  readonly usage: UsageAsking;
  /** Called for each request that ended, after the metrics and before the alerts; may still grow. */
  readonly settledListeners: readonly SettledListener[];
}

export function makeProxy(settings: Settings, parts: ProxyParts): Proxy {
  const {
    observers,
    observers: { metrics, notifier },
    spend,
    settledListeners,
    turns,
    database,
    pricing: { prices },
    ...rest
  } = parts;
  const owners = new OwnerMemory(database.findOwner);
  return new Proxy({
    ...rest,
    admission: makeAdmission(settings, { observers, registry: rest.registry, spend, prices }),
    afterTurn: turns.after,
    clock: systemClock,
    prices,
    observer: metrics,
    affinity: new Affinity({
      mode: settings.affinity,
      owners,
      capacity: rest.waiting.capacity,
      clock: systemClock,
    }),
    onSettled: [
      countSettled(metrics),
      (...settled) => {
        for (const listener of settledListeners) listener(...settled);
      },
      alertSettled(notifier),
    ],
    errorForms,
    createCapture: ({ headers, ...options }) =>
      createCapture({
        ...options,
        contentType: headers.get("content-type"),
        contentEncoding: headers.get("content-encoding"),
      }),
    times: settings,
    budget: new HeldBudget(settings.maxHeldBytes),
    receiving: new ReceivingBudget(settings.maxReceivingBytes),
    retry: settings,
    hedging: new Hedging({ delay: settings.hedgeDelay, budgetPercent: settings.hedgeBudgetPercent }),
    speeds: new Speeds(systemClock),
    gate: settings.gate,
    keepaliveMs: settings.keepaliveMs,
    onGateDegraded: (requestId) => {
      metrics.gateDegraded();
      getLog("proxy").warn(
        "the stream of request {requestId} is relayed as it comes, not held whole: the memory for held replies (--max-held) is used up",
        { requestId },
      );
    },
    limits: settings,
    policy: settings.policy,
    newId: newRequestId,
    random: Math.random,
  });
}
