/**
 * The metric families of the upstreams' limits, and of the requests that wait because of them.
 */
import type { FamilyMaker } from "./metric_families.ts";
import type { Counter, Histogram } from "./prometheus.ts";

const WAIT_BUCKETS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

/** Read at each scrape. */
export interface CapacityReadings {
  readonly queueLength: number;
  readonly upstreams: readonly {
    readonly name: string;
    readonly inFlight: number;
    /** null: its limit is not `auto`. */
    readonly autoLimit: number | null;
  }[];
}

const NOTHING: CapacityReadings = { queueLength: 0, upstreams: [] };

export class CapacityMetrics {
  readonly #waits: Histogram;
  readonly #refused: Counter<"reason">;
  /** Set once the parts that are read exist. */
  read: () => CapacityReadings = () => NOTHING;

  constructor(make: FamilyMaker) {
    make.readUpstreamGauge("upstream_in_flight", {
      help: "Requests under way at the upstream, with all of its keys.",
      samples: () => this.read().upstreams.map(({ name, inFlight }) => [{ upstream: name }, inFlight]),
    });
    make.readUpstreamGauge("upstream_limit", {
      help: "Requests at once that max_parallel=auto allows the upstream now.",
      samples: () =>
        this.read().upstreams.flatMap(({ name, autoLimit }) =>
          autoLimit === null ? [] : [[{ upstream: name }, autoLimit]]
        ),
    });
    make.readGauge("queue_length", "Requests that wait for an upstream that has room.", (gauge) => {
      gauge.set(this.read().queueLength);
    });
    this.#waits = make.histogram(
      "queue_seconds",
      "Time that requests waited for an upstream that had room.",
      {
        buckets: WAIT_BUCKETS_S,
      },
    );
    this.#refused = make.counter(
      "queue_refused_total",
      "Requests that waited in vain (timeout), or could not wait (full).",
      ["reason"],
    );
    // A series that is there before its first request has a rate.
    for (const reason of ["timeout", "full"]) this.#refused.inc({ reason }, 0);
  }

  queued(ms: number): void {
    if (Number.isFinite(ms)) this.#waits.observe(Math.max(0, ms) / 1000);
  }

  queueRefused(reason: "timeout" | "full"): void {
    this.#refused.inc({ reason });
  }
}
