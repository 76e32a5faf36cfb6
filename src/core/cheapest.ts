/**
 * The order of the policy `cheapest`. Pure: what each upstream costs comes in.
 */
import type { TokenRates } from "./prices.ts";
import type { Upstream } from "./types.ts";

/** Tokens of a request of usual length, and of its answer. */
const USUAL_INPUT = 3_000; // docs/tuning.md#relay-and-settlement
const USUAL_OUTPUT = 1_000; // docs/tuning.md#relay-and-settlement

/** In 1e-9 US dollars: what a request of usual length costs. */
export function usualCost({ input, output, request }: TokenRates): number {
  return USUAL_INPUT * input + USUAL_OUTPUT * output + request;
}

/** The cheapest first, those whose price is not known last. Ties keep their order. @param costOf null: unknown */
export function cheapestFirst(
  upstreams: readonly Upstream[],
  costOf: (upstream: Upstream) => number | null,
): Upstream[] {
  return upstreams
    .map((upstream) => ({ upstream, cost: costOf(upstream) ?? Infinity }))
    .sort((a, b) => a.cost === b.cost ? 0 : a.cost - b.cost)
    .map(({ upstream }) => upstream);
}
