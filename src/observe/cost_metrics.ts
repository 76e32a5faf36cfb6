/**
 * The metric families about what requests cost, by upstream and model.
 *
 * Owns how a request's cost is shared among the upstreams that it was tried at: the sum of the series is what requests cost.
 * By client: client_metrics.ts.
 */
import { NANO_PER_USD } from "../core/money.ts";
import { isUnpriced, knownNano, sharesOf } from "../core/request_cost.ts";
import type { RequestRecord } from "../core/types.ts";
import type { FamilyMaker } from "./metric_families.ts";
import type { Counter } from "./prometheus.ts";

type Labels = "upstream" | "model";

/** How a settled request is labelled. */
export interface CostLabels {
  readonly model: string;
  /** null: it has no series. */
  readonly upstream: string | null;
  /** Whether an upstream has series. */
  readonly admit: (upstream: string) => boolean;
}

export class CostMetrics {
  readonly #cost: Counter<Labels>;
  readonly #unpriced: Counter<Labels>;

  constructor(make: FamilyMaker) {
    const labels = ["upstream", "model"] as const;
    this.#cost = make.counter(
      "cost_usd_total",
      "What requests cost, as far as known, in US dollars.",
      labels,
    );
    this.#unpriced = make.counter("unpriced_requests_total", "Requests whose cost is not known.", labels);
  }

  requestSettled(record: RequestRecord, { model, upstream, admit }: CostLabels): void {
    let restNano = knownNano(record);
    for (const { upstreamId, costNano } of sharesOf(record)) {
      restNano -= costNano;
      const name = record.attempts.find((each) => each.upstreamId === upstreamId)?.upstreamName;
      if (name !== undefined && admit(name)) {
        this.#cost.inc({ upstream: name, model }, costNano / NANO_PER_USD);
      }
    }
    if (upstream === null) return;
    if (record.costNano !== null || restNano > 0) {
      this.#cost.inc({ upstream, model }, restNano / NANO_PER_USD);
    }
    if (isUnpriced(record)) this.#unpriced.inc({ upstream, model });
  }

  forget(upstream: string, models: Iterable<string>): void {
    for (const model of models) {
      for (const counter of [this.#cost, this.#unpriced]) {
        counter.remove({ upstream, model });
      }
    }
  }
}
