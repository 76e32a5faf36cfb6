/**
 * What a server knows of its upstreams' models, with what it is learned from and used for: the catalogue, the asking, the
 * endpoint, and the checks of upstreams without traffic.
 */
import type { Settings } from "../config/settings.ts";
import { ModelCatalog } from "../core/model_catalog.ts";
import { logRequest } from "../observe/log.ts";
import type { UpstreamHealth } from "../proxy/attempt/upstream_health.ts";
import { type AnsweredModels, ModelsEndpoint } from "../proxy/models/models_endpoint.ts";
import type { InFlight } from "../proxy/ledger/in_flight.ts";
import type { Registry } from "../store/config/registry.ts";
import type { ConfigStore } from "../store/store.ts";
import type { ModelListNotes } from "../store/write/model_list_notes.ts";
import type { UpstreamClient } from "../wire/upstream_client.ts";
import { ActiveChecks } from "./active_checks.ts";
import { systemClock } from "./clock.ts";
import { newRequestId } from "./ids.ts";
import { maxListAgeMs, ModelLists } from "./model_lists.ts";
import type { Observers } from "./observers.ts";

export interface ServerModels {
  readonly catalog: ModelCatalog;
  /** null: requests for models are relayed. */
  readonly endpoint: ModelsEndpoint | null;
  /** Ends what is asked, before the client closes. */
  stop(): void;
}

/** To be called before the registry is started, and after the metrics know of its upstreams. */
export function makeModels(
  { models: { source, refreshMs, checkMs } }: Pick<Settings, "models">,
  { client, registry, config, modelLists, health, inFlight, observers: { metrics } }: {
    readonly client: UpstreamClient;
    readonly registry: Registry;
    readonly config: Pick<ConfigStore, "listModelLists">;
    readonly modelLists: ModelListNotes;
    readonly health: UpstreamHealth;
    readonly inFlight: Pick<InFlight, "count">;
    readonly observers: Observers;
  },
): ServerModels {
  const catalog = new ModelCatalog({ maxAgeMs: maxListAgeMs(refreshMs) });
  const asking = { client, clock: systemClock, random: Math.random };
  const lists = source === "first" ? null : new ModelLists({
    ...asking,
    ...{ catalog, notes: modelLists, refreshMs, isBusy: () => inFlight.count > 0 },
    stored: () => config.listModelLists({ hasObjects: true }),
    onCount: (name, count) => metrics.upstreamModels(name, count),
  });
  const checks = checkMs === null ? null : new ActiveChecks({
    ...{ ...asking, health, everyMs: checkMs },
    onChecked: (name, result) => metrics.upstreamChecked(name, result),
  });
  const unlisten = registry.onChange(({ upstreams }) => {
    if (lists === null) catalog.configured(upstreams);
    else lists.configured(upstreams);
    checks?.configured(upstreams);
  });
  const endpoint = lists === null ? null : new ModelsEndpoint({
    ...{ client, clock: systemClock, catalog, newId: newRequestId },
    answered: (limitMs) => lists.answered(limitMs),
    onAnswered: (answered) => {
      metrics.modelsAnswered(answered.status);
      logAnswer(answered);
    },
  });
  return {
    catalog,
    endpoint,
    stop: () => {
      unlisten();
      lists?.stop();
      checks?.stop();
      endpoint?.stop();
    },
  };
}

function logAnswer({ status, ...answered }: AnsweredModels): void {
  const outcome = status < 400 ? "complete" : "no_upstream";
  logRequest({ ...answered, status, outcome, model: null, upstreamId: null, attempts: [] }, null);
}
