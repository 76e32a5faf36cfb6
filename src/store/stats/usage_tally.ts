/**
 * Requests added up by time and model, by time and client, and by time and upstream, before they go to the tables
 * `usage_stats` and `client_totals`.
 *
 * Owns which names count by themselves: clients choose the names of models, so steps hold a limited number, and the rest of a
 * step is counted together. Pure.
 */
import { isAnswered, isFailure } from "../../core/outcome.ts";
import { sharesOf } from "../../core/request_cost.ts";
import { COST_SUMS } from "../database/cost_columns.ts";
import {
  addCosts,
  type CostSums,
  costSumsOf,
  costSumsOfRow,
  costValuesOf,
  NO_COSTS,
  tokens,
} from "./counted_costs.ts";
import { Histogram } from "./histogram.ts";
import { type CountedRequest, isKept, type Resolution } from "./tally.ts";

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Coarser than those of all requests, because each step has many rows. Days (UTC) are for costs alone. */
export const USAGE_RESOLUTIONS = [
  { stepSeconds: 10, keepSeconds: 70 * MINUTE },
  { stepSeconds: 10 * MINUTE, keepSeconds: 26 * HOUR },
  { stepSeconds: HOUR, keepSeconds: 8 * DAY },
  { stepSeconds: 6 * HOUR, keepSeconds: 31 * DAY },
  { stepSeconds: DAY, keepSeconds: 400 * DAY },
] as const satisfies readonly Resolution[];

/** The name of an upstream is its number, because it may be called otherwise tomorrow. */
export const DIMENSIONS = ["model", "client", "upstream"] as const;
export type Dimension = typeof DIMENSIONS[number];

/** Names that one step holds. Those of clients come from the list of tokens. */
export const MAX_STEP_NAMES: Readonly<Record<Dimension, number>> = { model: 40, client: 100, upstream: 100 }; // docs/tuning.md#store-search-and-statistics
/** Clients whose totals are kept. */
export const MAX_CLIENTS = 1_000;
/** The filters of records take no longer ones. */
const MAX_NAME_LENGTH = 200;

export interface UsageSums extends CostSums {
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
  /** Of requests that were answered well; days have none. */
  readonly latencies: Histogram;
}

export interface ClientTotal extends UsageSums {
  readonly client: string;
  lastUsedMs: number;
}

const NOTHING: UsageSums = {
  ...{ requests: 0, errors: 0, inputTokens: 0, outputTokens: 0, cachedTokens: 0 },
  ...NO_COSTS,
};

/** The rows of one step of time. */
interface TimeStep {
  readonly stepSeconds: number;
  readonly at: number;
  /** In the order of {@link DIMENSIONS}. */
  readonly names: readonly Map<string, StepUsage>[];
  readonly rests: (StepUsage | null)[];
}

export class UsageTally {
  readonly #nowSeconds: number;
  /** For each resolution, by the start of the step. */
  readonly #times: readonly Map<number, TimeStep>[] = USAGE_RESOLUTIONS.map(() => new Map());
  readonly #totals = new Map<string, ClientTotal>();

  constructor(nowMs: number) {
    this.#nowSeconds = nowMs / 1000;
  }

  /** In no particular order. */
  *steps(): Iterable<StepUsage> {
    for (const times of this.#times) {
      for (const { names, rests } of times.values()) {
        for (const known of names) yield* known.values();
        for (const rest of rests) if (rest !== null) yield rest;
      }
    }
  }

  totals(): Iterable<ClientTotal> {
    return this.#totals.values();
  }

  add(request: CountedRequest): void {
    const { outcome, status, elapsedMs, client } = request;
    const latencyMs = isAnswered(outcome, status) ? elapsedMs : null;
    const one = sumsOf(request, isFailure(outcome, status));
    const names = DIMENSIONS.map((dimension) => nameOf(request, dimension));
    const shares = sharesOf(request);
    for (let index = 0; index < USAGE_RESOLUTIONS.length; index++) {
      const time = this.#time(request, index);
      if (time === null) continue;
      for (let place = 0; place < DIMENSIONS.length; place++) {
        const step = stepOf(time, place, names[place] ?? null);
        addSums(step, one);
        if (latencyMs !== null && time.stepSeconds < DAY) step.latencies.add(latencyMs);
        if (DIMENSIONS[place] !== "upstream") continue;
        for (const { upstreamId, costNano } of shares) {
          step.costNano -= costNano;
          stepOf(time, place, String(upstreamId)).costNano += costNano;
        }
      }
    }
    if (client === null || !isCountedName(client)) return;
    const total = this.#total(client);
    if (total === null) return;
    addSums(total, one);
    total.lastUsedMs = Math.max(total.lastUsedMs, request.createdAtMs);
  }

  /** null: steps of its time are not kept. */
  #time(request: CountedRequest, index: number): TimeStep | null {
    const resolution = USAGE_RESOLUTIONS[index];
    const times = this.#times[index];
    if (resolution === undefined || times === undefined) return null;
    if (!isKept(request, { resolution, nowSeconds: this.#nowSeconds })) return null;
    const { stepSeconds } = resolution;
    const at = Math.floor(request.createdAtMs / 1000 / stepSeconds) * stepSeconds;
    let time = times.get(at);
    if (time === undefined) {
      const rests: (StepUsage | null)[] = DIMENSIONS.map(() => null);
      time = { stepSeconds, at, names: DIMENSIONS.map(() => new Map()), rests };
      times.set(at, time);
    }
    return time;
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

/** @param place of the dimension @param name null: it is not counted by itself */
function stepOf({ stepSeconds, at, names, rests }: TimeStep, place: number, name: string | null): StepUsage {
  const dimension = DIMENSIONS[place] ?? "model";
  const known = names[place];
  const found = name === null ? undefined : known?.get(name);
  if (found !== undefined) return found;
  const make = (own: Pick<UsageKey, "name" | "isRest">): StepUsage => ({
    ...{ stepSeconds, at, dimension, ...own },
    ...NOTHING,
    latencies: new Histogram(),
  });
  if (name === null || known === undefined || known.size >= MAX_STEP_NAMES[dimension]) {
    return rests[place] ??= make({ name: "", isRest: true });
  }
  const step = make({ name, isRest: false });
  known.set(name, step);
  return step;
}

/** Empty: it has none; null: it is not counted by itself. */
function nameOf(request: CountedRequest, dimension: Dimension): string | null {
  if (dimension === "upstream") return request.upstreamId === null ? "" : String(request.upstreamId);
  const name = request[dimension] ?? "";
  return isCountedName(name) ? name : null;
}

/** Whether the records of a name can be found by it: the filters trim, and take `*` and `?` as wildcards. */
function isCountedName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && name.isWellFormed() && name.trim() === name && !/[*?]/.test(name);
}

function sumsOf(request: CountedRequest, hasFailed: boolean): UsageSums {
  const reported = request.areTokensEstimated ? null : request.usage;
  return {
    requests: 1,
    errors: hasFailed ? 1 : 0,
    inputTokens: tokens(reported?.inputTokens),
    outputTokens: tokens(reported?.outputTokens),
    cachedTokens: tokens(reported?.cachedTokens),
    ...costSumsOf(request),
  };
}

export function addSums(to: UsageSums, more: UsageSums): void {
  to.requests += more.requests;
  to.errors += more.errors;
  to.inputTokens += more.inputTokens;
  to.outputTokens += more.outputTokens;
  to.cachedTokens += more.cachedTokens;
  addCosts(to, more);
}

/** The columns of {@link UsageSums}, in the order of {@link valuesOf}. */
export const SUM_COLUMNS: readonly string[] = [
  ...["requests", "errors", "input_tokens", "output_tokens", "cached_tokens"],
  ...Object.keys(COST_SUMS),
];

export function valuesOf(sums: UsageSums): number[] {
  const { requests, errors, inputTokens, outputTokens, cachedTokens } = sums;
  return [requests, errors, inputTokens, outputTokens, cachedTokens, ...costValuesOf(sums)];
}

/** The numbers of a row. */
export function sumsOfRow(row: Readonly<Record<string, unknown>>): UsageSums {
  return {
    requests: Number(row["requests"]),
    errors: Number(row["errors"]),
    inputTokens: Number(row["input_tokens"]),
    outputTokens: Number(row["output_tokens"]),
    cachedTokens: Number(row["cached_tokens"]),
    ...costSumsOfRow(row),
  };
}
