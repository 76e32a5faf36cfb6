/**
 * What a request cost, with each of its attempts.
 *
 * A failed attempt that was charged is part of it. What nobody reported is not known, and null, which is not 0.
 */
import { modelAt } from "../../core/model_alias.ts";
import type { Prices } from "../../core/prices.ts";
import type { Attempt, CapturedReply, Inbound, Upstream } from "../../core/types.ts";
import type { Usage } from "../../core/usage.ts";
import type { AttemptEntry } from "./ledger_parts.ts";

/** What these answer is free: tokens are counted, and no model is asked. */
const FREE_PATHS = ["/count_tokens", "/input_tokens"];

export interface CostedRequest {
  readonly inbound: Pick<Inbound, "kind" | "method" | "model" | "path" | "startedAtMs">;
  /** In order of start. */
  readonly entries: readonly AttemptEntry[];
  /** Whose reply the client got; null: nobody's. */
  readonly upstream: Upstream | null;
  /** The client's reply; null: there is none. */
  readonly captured: Pick<CapturedReply, "model"> | null;
  /** Of that reply, reported or estimated. */
  readonly usage: Usage | null;
  /** The client got an error: of a reply that says nothing of its use, nothing is missing. */
  readonly isFailed: boolean;
}

export interface RequestCosts {
  readonly attempts: readonly Attempt[];
  /** In 1e-9 US dollars; null: unknown. */
  readonly costNano: number | null;
}

/** Costs of a request that has ended. @param ended its attempts, as they are without costs */
export function requestCosts(
  prices: Prices,
  request: CostedRequest,
  ended: readonly Attempt[],
): RequestCosts {
  const { entries, captured, usage, isFailed } = request;
  const own = ownCost(prices, request);
  if (own === null && entries.every((entry) => entry.isGiven || entry.usage === null)) {
    return { attempts: ended, costNano: null };
  }
  let others: number | null = null;
  const attempts = entries.flatMap((entry) => {
    if (entry.ended === null) return [];
    if (entry.isGiven) return own === null ? entry.ended : { ...entry.ended, costNano: own };
    if (entry.usage === null) return entry.ended;
    const costNano = costOf(prices, request, { ...entry, usage: entry.usage });
    if (costNano !== null) others = (others ?? 0) + costNano;
    return { ...entry.ended, usage: entry.usage, costNano };
  });
  // Its cost is what most of the sum would be.
  const isMissing = own === null && captured !== null && (usage !== null || !isFailed);
  if (isMissing || (own === null && others === null)) return { attempts, costNano: null };
  return { attempts, costNano: (own ?? 0) + (others ?? 0) };
}

/** Of the client's reply; null: unknown, or there is none. */
function ownCost(prices: Prices, request: CostedRequest): number | null {
  const { inbound: { path }, captured, usage, upstream, isFailed } = request;
  if (captured === null || upstream === null) return null;
  if (!isFailed && FREE_PATHS.some((end) => path.endsWith(end))) return 0;
  return usage === null ? null : costOf(prices, request, { upstream, usage, responseModel: captured.model });
}

function costOf(
  prices: Prices,
  { inbound: { kind, model, startedAtMs } }: CostedRequest,
  { upstream, usage, responseModel }: {
    readonly upstream: Upstream;
    readonly usage: Usage;
    readonly responseModel: string | null;
  },
): number | null {
  const asked = model === null ? null : modelAt(upstream, model);
  return prices.costOf(usage, { model: asked, responseModel, upstream, kind, atMs: startedAtMs });
}
