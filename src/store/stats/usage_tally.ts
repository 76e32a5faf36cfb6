/**
 * Requests added up by time and model, and by time and client, before they go to the tables `usage_stats` and
 * `client_totals`.
 *
 * Owns which names count by themselves: clients choose the names of models, so steps hold a limited number, and the rest of a
 * step is counted together. Pure.
 */
import { isAnswered, isFailure } from "../../core/outcome.ts";
import { Histogram } from "./histogram.ts";
import { type CountedRequest, isKept, type Resolution, tokens } from "./tally.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Coarser than those of all requests, because each step has many rows. */
export const USAGE_RESOLUTIONS = [
  { stepSeconds: 10, keepSeconds: 70 * MINUTE },
  { stepSeconds: 10 * MINUTE, keepSeconds: 26 * HOUR },
  { stepSeconds: HOUR, keepSeconds: 8 * DAY },
  { stepSeconds: 6 * HOUR, keepSeconds: 31 * DAY },
] as const satisfies readonly Resolution[];

export const DIMENSIONS = ["model", "client"] as const;
export type Dimension = typeof DIMENSIONS[number];

/** Names that one step holds. Those of clients come from the list of tokens. */
export const MAX_STEP_NAMES: Readonly<Record<Dimension, number>> = { model: 40, client: 100 }; // docs/tuning.md#store-search-and-statistics
/** Clients whose totals are kept. */
export const MAX_CLIENTS = 1_000;
/** The filters of records take no longer ones. */
const MAX_NAME_LENGTH = 200;

export interface UsageSums {
  requests: number;
  errors: number;
  inputTokens: number;
  outputTokens: number;
  /** Part of the input. */
  cachedTokens: number;
}

export interface UsageKey {
  readonly stepSeconds: number;
  /** Start of the step, seconds since the Unix epoch. */
  readonly at: number;
  readonly dimension: Dimension;
  /** Empty: requests without a model or client. */
  readonly name: string;
  /** All names for which there was no room; `name` is empty. */
  readonly isRest: boolean;
}

export interface StepUsage extends UsageKey, UsageSums {
  /** Of requests that were answered well. */
  readonly latencies: Histogram;
}

export interface ClientTotal extends UsageSums {
  readonly client: string;
  lastUsedMs: number;
}

const NOTHING: UsageSums = { requests: 0, errors: 0, inputTokens: 0, outputTokens: 0, cachedTokens: 0 };

export class UsageTally {
  readonly #nowSeconds: number;
  readonly #steps = new Map<string, StepUsage>();
  /** How many names the steps have, by the step's key. */
  readonly #names = new Map<string, number>();
  readonly #totals = new Map<string, ClientTotal>();

  constructor(nowMs: number) {
    this.#nowSeconds = nowMs / 1000;
  }

  /** In no particular order. */
  steps(): Iterable<StepUsage> {
    return this.#steps.values();
  }

  totals(): Iterable<ClientTotal> {
    return this.#totals.values();
  }

  add(request: CountedRequest): void {
    const { outcome, status, elapsedMs, client } = request;
    const hasAnswer = isAnswered(outcome, status);
    const one = sumsOf(request, isFailure(outcome, status));
    for (const resolution of USAGE_RESOLUTIONS) {
      if (!isKept(request, { resolution, nowSeconds: this.#nowSeconds })) continue;
      for (const dimension of DIMENSIONS) {
        const step = this.#step(request, { resolution, dimension });
        addSums(step, one);
        if (hasAnswer && elapsedMs !== null) step.latencies.add(elapsedMs);
      }
    }
    if (client === null || !isCountedName(client)) return;
    const total = this.#total(client);
    if (total === null) return;
    addSums(total, one);
    total.lastUsedMs = Math.max(total.lastUsedMs, request.createdAtMs);
  }

  #step(
    request: CountedRequest,
    { resolution: { stepSeconds }, dimension }: {
      readonly resolution: Resolution;
      readonly dimension: Dimension;
    },
  ): StepUsage {
    const at = Math.floor(request.createdAtMs / 1000 / stepSeconds) * stepSeconds;
    const prefix = `${stepSeconds} ${at} ${dimension}`;
    const name = request[dimension] ?? "";
    const known = isCountedName(name) ? this.#steps.get(`${prefix} =${name}`) : undefined;
    if (known !== undefined) return known;
    const count = this.#names.get(prefix) ?? 0;
    const isRest = !isCountedName(name) || count >= MAX_STEP_NAMES[dimension];
    const key = isRest ? `${prefix} rest` : `${prefix} =${name}`;
    let step = this.#steps.get(key);
    if (step === undefined) {
      const which = { stepSeconds, at, dimension, name: isRest ? "" : name, isRest };
      step = { ...which, ...NOTHING, latencies: new Histogram() };
      this.#steps.set(key, step);
      if (!isRest) this.#names.set(prefix, count + 1);
    }
    return step;
  }

  #total(client: string): ClientTotal | null {
    let total = this.#totals.get(client);
    if (total === undefined) {
      if (this.#totals.size >= MAX_CLIENTS) return null;
      total = { client, ...NOTHING, lastUsedMs: 0 };
      this.#totals.set(client, total);
    }
    return total;
  }
}

/** Whether the records of a name can be found by it: the filters trim, and take `*` and `?` as wildcards. */
function isCountedName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && name.isWellFormed() && name.trim() === name && !/[*?]/.test(name);
}

function sumsOf({ usage }: CountedRequest, hasFailed: boolean): UsageSums {
  return {
    requests: 1,
    errors: hasFailed ? 1 : 0,
    inputTokens: tokens(usage?.inputTokens),
    outputTokens: tokens(usage?.outputTokens),
    cachedTokens: tokens(usage?.cachedTokens),
  };
}

export function addSums(to: UsageSums, more: UsageSums): void {
  to.requests += more.requests;
  to.errors += more.errors;
  to.inputTokens += more.inputTokens;
  to.outputTokens += more.outputTokens;
  to.cachedTokens += more.cachedTokens;
}
