/**
 * The metric families of `/v1/metrics`, grouped by what they measure.
 *
 * Owns names, help texts, labels and buckets; metrics.ts owns when they count, and the label values. Families are
 * exposed in the order in which they are made.
 */
import { Counter, Gauge, Histogram, type Registry } from "./prometheus.ts";

const PREFIX = "openai_api_route_";

const SHARED_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1];
const DURATION_BUCKETS_S = [
  ...SHARED_BUCKETS_S,
  2.5,
  5,
  10,
  20,
  30,
  60,
  120,
  300,
  600,
];
const COMMIT_BUCKETS_S = [
  0.0001,
  0.00025,
  0.0005,
  0.001,
  0.0025,
  ...SHARED_BUCKETS_S,
  5,
  10,
];

/** Makes families of one registry, with the program's prefix. */
export class FamilyMaker {
  readonly #registers: Registry[];

  constructor(registry: Registry) {
    this.#registers = [registry];
  }

  counter<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> {
    return new Counter<T>({ name: PREFIX + name, help, labelNames, registers: this.#registers });
  }

  gauge<T extends string>(name: string, help: string, labelNames: readonly T[] = []): Gauge<T> {
    return new Gauge<T>({ name: PREFIX + name, help, labelNames, registers: this.#registers });
  }

  /** A gauge whose value is read at each scrape. */
  readGauge(name: string, help: string, collect: (gauge: Gauge) => void): void {
    new Gauge({
      name: PREFIX + name,
      help,
      registers: this.#registers,
      collect() {
        collect(this);
      },
    });
  }

  /** A gauge with labels whose series are set anew at each scrape. */
  readGaugeOf<T extends string>(
    name: string,
    { help, labelNames, fill }: {
      readonly help: string;
      readonly labelNames: readonly T[];
      readonly fill: (gauge: Gauge<T>) => void;
    },
  ): void {
    new Gauge<T>({
      name: PREFIX + name,
      help,
      labelNames,
      registers: this.#registers,
      collect() {
        this.reset();
        fill(this);
      },
    });
  }

  /** The same for each upstream: the series of those that are not read any more are gone. */
  readUpstreamGauge(
    name: string,
    { help, samples }: {
      readonly help: string;
      readonly samples: () => readonly (readonly [{ readonly upstream: string }, number])[];
    },
  ): void {
    new Gauge({
      name: PREFIX + name,
      help,
      labelNames: ["upstream"],
      registers: this.#registers,
      collect() {
        this.reset();
        for (const [labels, value] of samples()) this.set(labels, value);
      },
    });
  }

  histogram<T extends string>(
    name: string,
    help: string,
    { labelNames = [], buckets }: { readonly labelNames?: readonly T[]; readonly buckets: number[] },
  ): Histogram<T> {
    return new Histogram<T>({ name: PREFIX + name, help, labelNames, buckets, registers: this.#registers });
  }
}

/** Requests that ended: how many, how long, and their tokens. */
export interface RequestFamilies {
  readonly total: Counter<"kind" | "model" | "status" | "outcome">;
  readonly duration: Histogram<"kind" | "is_stream">;
  readonly firstToken: Histogram<"upstream">;
  readonly tokens: Counter<"upstream" | "model" | "type">;
  readonly estimatedTokens: Counter<"upstream" | "model" | "type">;
  readonly affinity: Counter<"kind">;
}

export function requestFamilies(make: FamilyMaker): RequestFamilies {
  return {
    total: make.counter("requests_total", "Requests that ended, by how they ended.", [
      "kind",
      "model",
      "status",
      "outcome",
    ]),
    duration: make.histogram(
      "request_duration_seconds",
      "Time from the start of a request to the end of its response.",
      { labelNames: ["kind", "is_stream"], buckets: DURATION_BUCKETS_S },
    ),
    firstToken: make.histogram(
      "first_token_seconds",
      "Time from the start of a request to the first content of its stream.",
      { labelNames: ["upstream"], buckets: DURATION_BUCKETS_S },
    ),
    estimatedTokens: make.counter(
      "estimated_tokens_total",
      "Tokens as the router estimates them, of requests of which the upstream reported none.",
      ["upstream", "model", "type"],
    ),
    tokens: make.counter("tokens_total", "Tokens as the upstreams reported them.", [
      "upstream",
      "model",
      "type",
    ]),
    affinity: make.counter("affinity_total", "Requests that ended, by what tied them to an upstream.", [
      "kind",
    ]),
  };
}

/** The same by client. */
export interface ClientFamilies {
  readonly requests: Counter<"client" | "result">;
  readonly tokens: Counter<"client" | "type">;
  /** In US dollars. */
  readonly cost: Counter<"client">;
  readonly estimated: Counter<"client" | "type">;
}

export function clientFamilies(make: FamilyMaker): ClientFamilies {
  return {
    requests: make.counter(
      "client_requests_total",
      "Requests that ended, by the name of the client's token.",
      [
        "client",
        "result",
      ],
    ),
    tokens: make.counter("client_tokens_total", "Tokens as the upstreams reported them, by client.", [
      "client",
      "type",
    ]),
    cost: make.counter(
      "client_cost_usd_total",
      "What requests cost by client, as far as known, in US dollars.",
      [
        "client",
      ],
    ),
    estimated: make.counter("client_estimated_tokens_total", "Estimated tokens, by client.", [
      "client",
      "type",
    ]),
  };
}

/** How attempts at upstreams ended, and the states of their breakers. */
export interface UpstreamFamilies {
  readonly attempts: Counter<"upstream" | "result">;
  readonly failovers: Counter<"upstream" | "reason">;
  readonly hedges: Counter<"won">;
  readonly gateDegraded: Counter;
  readonly state: Gauge<"upstream" | "state">;
  readonly degraded: Gauge<"upstream">;
  readonly keys: Gauge<"upstream" | "state">;
  readonly models: Gauge<"upstream">;
  readonly modelAnswers: Counter<"status">;
  readonly checks: Counter<"upstream" | "result">;
}

export function upstreamFamilies(make: FamilyMaker): UpstreamFamilies {
  return {
    attempts: make.counter("attempts_total", "Tries of an upstream, by result.", ["upstream", "result"]),
    failovers: make.counter("failovers_total", "Requests that moved on from an upstream.", [
      "upstream",
      "reason",
    ]),
    hedges: make.counter("hedges_total", "Requests sent to a second upstream while the first was silent.", [
      "won",
    ]),
    gateDegraded: make.counter(
      "gate_degraded_total",
      "Streams that were to be held whole and were not, because the memory for held replies was used up.",
    ),
    state: make.gauge("upstream_state", "1 for the state that the upstream's breaker is in.", [
      "upstream",
      "state",
    ]),
    degraded: make.gauge(
      "upstream_degraded",
      "1 while more than a tenth of the upstream's attempts in the last ten minutes failed.",
      ["upstream"],
    ),
    keys: make.gauge("upstream_keys", "Keys of an upstream that has several, by how they are.", [
      "upstream",
      "state",
    ]),
    models: make.gauge("upstream_models", "Models that the upstream lists.", ["upstream"]),
    modelAnswers: make.counter(
      "model_answers_total",
      "Requests for models that the router answered itself, without a record.",
      ["status"],
    ),
    checks: make.counter("upstream_checks_total", "Checks of upstreams without traffic, by result.", [
      "upstream",
      "result",
    ]),
  };
}

/** Records on their way from the journal to PostgreSQL. */
export interface RemoteFamilies {
  readonly shipped: Counter;
  readonly rejected: Counter;
  readonly ship: Histogram;
}

export function remoteFamilies(make: FamilyMaker): RemoteFamilies {
  return {
    shipped: make.counter("records_shipped_total", "Records committed in PostgreSQL."),
    rejected: make.counter("records_rejected_total", "Records that PostgreSQL cannot store."),
    ship: make.histogram("record_ship_seconds", "Time to commit one batch of records in PostgreSQL.", {
      buckets: COMMIT_BUCKETS_S,
    }),
  };
}

/** Records on their way into the database, and out of it. */
export interface RecordFamilies {
  readonly written: Counter;
  readonly dropped: Counter<"reason">;
  readonly queue: Gauge;
  readonly commit: Histogram;
  readonly ackLate: Counter;
  readonly deleted: Counter<"reason">;
  readonly bodiesDeleted: Counter;
  readonly choreFailures: Counter<"chore">;
}

export function recordFamilies(make: FamilyMaker): RecordFamilies {
  return {
    written: make.counter("records_written_total", "Records committed to the database."),
    dropped: make.counter("records_dropped_total", "Records that the database could not take.", ["reason"]),
    queue: make.gauge("record_queue_bytes", "Bytes of records that wait to be written."),
    commit: make.histogram("record_commit_seconds", "Time to commit one batch of records.", {
      buckets: COMMIT_BUCKETS_S,
    }),
    ackLate: make.counter(
      "record_ack_late_total",
      "Responses that ended before their record was acknowledged.",
    ),
    deleted: make.counter("records_deleted_total", "Records deleted because of a limit.", ["reason"]),
    bodiesDeleted: make.counter(
      "bodies_deleted_total",
      "Records whose texts were deleted because of a limit.",
    ),
    choreFailures: make.counter(
      "chore_failures_total",
      "Failed steps of the deletion, the full-text index and the statistics.",
      ["chore"],
    ),
  };
}
