/**
 * The failover proxy of a server, with what it works with.
 */
import { createCapture } from "../capture/create.ts";
import type { Settings } from "../config/settings.ts";
import type { RequestRecord } from "../core/types.ts";
import { HeldBudget } from "../proxy/assess/held_budget.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import type { UpstreamClient } from "../proxy/attempt/transport.ts";
import { Proxy } from "../proxy/handler.ts";
import type { InFlightRows } from "../proxy/ledger/in_flight.ts";
import { ReceivingBudget } from "../proxy/receiving_budget.ts";
import type { RecordQueue } from "../store/write/record_queue.ts";
import { systemClock } from "./clock.ts";
import { newRequestId } from "./ids.ts";
import type { Observers } from "./observers.ts";

/** Told of each request that ended. */
export type SettledListener = (record: RequestRecord, upstreamName: string | null) => void;

export interface ProxyParts {
  readonly observers: Observers;
  readonly queue: RecordQueue;
  readonly health: UpstreamHealth;
  readonly inFlight: InFlightRows;
  readonly client: UpstreamClient;
  /** May still grow. */
  readonly settledListeners: readonly SettledListener[];
}

export function makeProxy(settings: Settings, parts: ProxyParts): Proxy {
  const { observers, queue, health, inFlight, client, settledListeners } = parts;
  return new Proxy({
    client,
    clock: systemClock,
    health,
    observer: observers.metrics,
    notifier: observers.notifier,
    sink: queue,
    inFlight,
    logRequest: (record, upstreamName) => {
      for (const listener of settledListeners) listener(record, upstreamName);
    },
    createCapture: ({ headers, ...options }) =>
      createCapture({
        ...options,
        contentType: headers.get("content-type"),
        contentEncoding: headers.get("content-encoding"),
      }),
    times: settings,
    budget: new HeldBudget(settings.maxHeldBytes),
    receiving: new ReceivingBudget(settings.maxReceivingBytes),
    retryOn: settings.retryOn,
    limits: settings,
    policy: settings.policy,
    newId: newRequestId,
    random: Math.random,
  });
}
