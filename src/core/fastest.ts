/**
 * The order of the policy `fastest`. Pure: what is known of each upstream comes in.
 */
import type { Upstream } from "./types.ts";

/** What is known of one upstream and the model of a request. */
export interface SpeedView {
  /** For an answer of usual length; null: unknown. */
  readonly expectedMs: number | null;
  /** Nothing was heard of it for so long that this request should find out. */
  readonly isDue: boolean;
}

/** Tokens of an answer of usual length. */
const USUAL_TOKENS = 300; // docs/tuning.md#relay-and-settlement

/** Milliseconds until an answer of usual length is complete. @param tokensPerMs null: unknown */
export function expectedMs(firstTokenMs: number, tokensPerMs: number | null): number {
  return firstTokenMs + (tokensPerMs === null || tokensPerMs <= 0 ? 0 : USUAL_TOKENS / tokensPerMs);
}

/**
 * The fastest first, those that nothing is known of last; of those that are due, the first one before all others. Ties
 * keep their order.
 */
export function fastestFirst(
  upstreams: readonly Upstream[],
  view: (upstream: Upstream) => SpeedView,
): { readonly ordered: Upstream[]; readonly explored: Upstream | null } {
  const views = upstreams.map((upstream) => ({ upstream, ...view(upstream) }));
  const due = views.length < 2 ? undefined : views.find(({ isDue }) => isDue);
  views.sort((a, b) => {
    if (a === due || b === due) return a === due ? -1 : 1;
    return compare(a.expectedMs, b.expectedMs);
  });
  return { ordered: views.map(({ upstream }) => upstream), explored: due?.upstream ?? null };
}

function compare(one: number | null, other: number | null): number {
  if (one === null || other === null) return one === other ? 0 : one === null ? 1 : -1;
  return one - other;
}
