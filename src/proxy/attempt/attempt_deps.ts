/**
 * What one attempt works with. Types only.
 */
import type { Clock } from "../../core/clock.ts";
import type { ModelCatalog } from "../../core/model_catalog.ts";
import type { Observer } from "../../observe/observer.ts";
import type { UpstreamClient } from "../../wire/upstream_client.ts";
import type { CaptureFactory, GateTimes } from "../assess/assessment.ts";
import type { HeldBudget } from "../assess/held_budget.ts";
import type { Speeds } from "./speeds.ts";
import type { UpstreamHealth } from "./upstream_health.ts";
import type { UsageAsking } from "./usage_asking.ts";

export interface AttemptDeps {
  readonly client: UpstreamClient;
  readonly clock: Clock;
  readonly health: UpstreamHealth;
  readonly models: { readonly catalog: Pick<ModelCatalog, "lacks" | "serves"> };
  readonly observer: Pick<Observer, "attemptEnded">;
  readonly times: GateTimes;
  readonly createCapture: CaptureFactory;
  readonly budget: HeldBudget;
  readonly speeds: Speeds;
  /** Absent: no stream is asked for its usage. */
  readonly usage?: Pick<UsageAsking, "isAsked" | "refused" | "coded">;
  readonly retry: {
    /** Codes and types of errors after which nobody else is asked, in lower case. */
    readonly finalCodes: ReadonlySet<string>;
  };
}
