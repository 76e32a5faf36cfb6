/**
 * What a request adds to the sums of money and tokens.
 *
 * Owns that estimated tokens are apart from reported ones. Pure.
 */
import { type CostedRequest, isUnpriced, knownNano } from "../../core/request_cost.ts";

/** The columns of ../database/cost_columns.ts. */
export interface CostSums {
  /** What is known of the cost, in 1e-9 US dollars. */
  costNano: number;
  /** Requests whose cost is not known, see core/request_cost.ts. */
  unpriced: number;
  /** Input and output of requests whose provider counted nothing; not among other sums of tokens. */
  estimatedTokens: number;
}

export const NO_COSTS: Readonly<CostSums> = { costNano: 0, unpriced: 0, estimatedTokens: 0 };

/** What a provider claims is not always sane; sums must stay exact. */
const MAX_TOKENS = 1_000_000_000;

/** The parts of a request that say what it cost and used. */
interface Costed extends CostedRequest {
  readonly usage: { readonly inputTokens: number | null; readonly outputTokens: number | null } | null;
  /** Its tokens are our own estimate. */
  readonly areTokensEstimated: boolean;
}

export function costSumsOf(request: Costed): CostSums {
  const { usage, areTokensEstimated } = request;
  return {
    costNano: knownNano(request),
    unpriced: isUnpriced(request) ? 1 : 0,
    estimatedTokens: areTokensEstimated ? tokens(usage?.inputTokens) + tokens(usage?.outputTokens) : 0,
  };
}

export function addCosts(to: CostSums, more: CostSums): void {
  to.costNano += more.costNano;
  to.unpriced += more.unpriced;
  to.estimatedTokens += more.estimatedTokens;
}

/** In the order of the columns. */
export function costValuesOf({ costNano, unpriced, estimatedTokens }: CostSums): number[] {
  return [costNano, unpriced, estimatedTokens];
}

/** The numbers of a row. */
export function costSumsOfRow(row: Readonly<Record<string, unknown>>): CostSums {
  return {
    costNano: Number(row["cost_nano"]),
    unpriced: Number(row["unpriced"]),
    estimatedTokens: Number(row["estimated_tokens"]),
  };
}

/** What a provider claims is not always sane. */
export function tokens(count: number | null | undefined): number {
  return count !== null && count !== undefined && count > 0 ? Math.min(Math.round(count), MAX_TOKENS) : 0;
}
