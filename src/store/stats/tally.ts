/**
 * Requests added up by time and upstream, before they go to the table `request_stats`.
 *
 * Owns what is counted and at which resolutions. Pure.
 */
import { isAnswered, isBlamed, isFailure } from "../../core/outcome.ts";
import { sharesOf } from "../../core/request_cost.ts";
import { addCosts, type CostSums, costSumsOf, NO_COSTS, tokens } from "./counted_costs.ts";
import { Histogram } from "./histogram.ts";

/** How finely a span of time is kept, and for how long. */
export interface Resolution {
  readonly stepSeconds: number;
  /** Steps that are older are deleted. */
  readonly keepSeconds: number;
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** For views of an hour, a week and 30 days, with some room. */
export const RESOLUTIONS = [
  { stepSeconds: 10, keepSeconds: 70 * MINUTE },
  { stepSeconds: 10 * MINUTE, keepSeconds: 8 * DAY },
  { stepSeconds: 6 * HOUR, keepSeconds: 31 * DAY },
] as const satisfies readonly Resolution[];

/** The parts of a settled request that are counted. */
export interface CountedRequest {
  readonly createdAtMs: number;
  /** One of `OUTCOMES`, or whatever somebody typed; null: a row of the Go program. */
  readonly outcome: string | null;
  readonly status: number | null;
  readonly upstreamId: number | null;
  readonly elapsedMs: number | null;
  readonly firstTokenMs: number | null;
  readonly usage: {
    readonly inputTokens: number | null;
    readonly outputTokens: number | null;
    readonly cachedTokens: number | null;
  } | null;
  /** As requested. */
  readonly model: string | null;
  /** Name of the client's token. */
  readonly client: string | null;
  readonly method: string | null;
  readonly path: string | null;
  /** Its tokens are our own estimate. */
  readonly areTokensEstimated: boolean;
  /** Of all its attempts, in 1e-9 US dollars; null: unknown. */
  readonly costNano: number | null;
  readonly attempts: readonly {
    readonly upstreamId: number;
    readonly errorClass: string | null;
    readonly status: number | null;
    /** As that of the request; absent: unknown. */
    readonly costNano?: number | null;
  }[];
}

/** Sums of one step and one upstream; upstream 0 stands for none. */
export interface Sums extends CostSums {
  readonly stepSeconds: number;
  /** Start of the step, seconds since the Unix epoch. */
  readonly at: number;
  readonly upstreamId: number;
  requests: number;
  errors: number;
  /** Attempts at this upstream that failed, and that it is to blame for. */
  failures: number;
  inputTokens: number;
  outputTokens: number;
  /** Of requests that were answered well. */
  readonly latencies: Histogram;
  readonly firstTokens: Histogram;
}

export class StatsTally {
  readonly #nowSeconds: number;
  readonly #sums = new Map<string, Sums>();

  constructor(nowMs: number) {
    this.#nowSeconds = nowMs / 1000;
  }

  /** In no particular order. */
  sums(): Iterable<Sums> {
    return this.#sums.values();
  }

  add(request: CountedRequest): void {
    const { outcome, status, upstreamId, usage, elapsedMs, firstTokenMs } = request;
    const hasFailed = isFailure(outcome, status);
    const hasAnswer = isAnswered(outcome, status);
    const reported = request.areTokensEstimated ? null : usage;
    const costs = costSumsOf(request);
    const shares = sharesOf(request);
    for (const resolution of RESOLUTIONS) {
      if (!isKept(request, { resolution, nowSeconds: this.#nowSeconds })) continue;
      const sums = this.#of(request, { resolution, upstreamId: upstreamId ?? 0 });
      sums.requests++;
      if (hasFailed) sums.errors++;
      sums.inputTokens += tokens(reported?.inputTokens);
      sums.outputTokens += tokens(reported?.outputTokens);
      addCosts(sums, costs);
      for (const share of shares) {
        sums.costNano -= share.costNano;
        this.#of(request, { resolution, upstreamId: share.upstreamId }).costNano += share.costNano;
      }
      if (hasAnswer && elapsedMs !== null) sums.latencies.add(elapsedMs);
      if (firstTokenMs !== null) sums.firstTokens.add(firstTokenMs);
      for (const attempt of request.attempts) {
        if (!isBlamed(attempt, request)) continue;
        this.#of(request, { resolution, upstreamId: attempt.upstreamId }).failures++;
      }
    }
  }

  #of(
    { createdAtMs }: CountedRequest,
    { resolution: { stepSeconds }, upstreamId }: {
      readonly resolution: Resolution;
      readonly upstreamId: number;
    },
  ): Sums {
    const at = Math.floor(createdAtMs / 1000 / stepSeconds) * stepSeconds;
    const key = `${stepSeconds} ${at} ${upstreamId}`;
    let sums = this.#sums.get(key);
    if (sums === undefined) {
      sums = {
        stepSeconds,
        at,
        upstreamId,
        requests: 0,
        errors: 0,
        failures: 0,
        inputTokens: 0,
        outputTokens: 0,
        ...NO_COSTS,
        latencies: new Histogram(),
        firstTokens: new Histogram(),
      };
      this.#sums.set(key, sums);
    }
    return sums;
  }
}

/** Whether steps of its time are kept. */
export function isKept(
  { createdAtMs }: CountedRequest,
  { resolution: { keepSeconds, stepSeconds }, nowSeconds }: {
    readonly resolution: Resolution;
    readonly nowSeconds: number;
  },
): boolean {
  const ageSeconds = nowSeconds - createdAtMs / 1000;
  // A clock that was set back leaves rows in the future; one step of margin keeps the current one.
  return ageSeconds <= keepSeconds && ageSeconds >= -stepSeconds;
}
