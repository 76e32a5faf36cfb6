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
  const { inbound, entries, captured, usage, upstream, isFailed } = request;
  const own = usage === null || upstream === null
    ? null
    : costOf(prices, request, { upstream, usage, responseModel: captured?.model ?? null });
  if (own === null && entries.every((entry) => entry.isGiven || entry.usage === null)) {
    return { attempts: ended, costNano: null };
  }
  const isFree = FREE_PATHS.some((end) => inbound.path.endsWith(end));
  let others = 0;
  let isKnown = own !== null;
  const attempts = entries.flatMap((entry) => {
    if (entry.ended === null) return [];
    if (entry.isGiven) return own === null ? entry.ended : { ...entry.ended, costNano: isFree ? 0 : own };
    if (entry.usage === null) return entry.ended;
    const costNano = costOf(prices, request, { ...entry, usage: entry.usage });
    if (costNano !== null) {
      others += costNano;
      isKnown = true;
    }
    return { ...entry.ended, usage: entry.usage, costNano };
  });
  // Its price is what most of the sum would be.
  const isOwnMissing = own === null && captured !== null && (usage !== null || !isFailed);
  if (!isKnown || isOwnMissing) return { attempts, costNano: null };
  return { attempts, costNano: isFree ? 0 : (own ?? 0) + others };
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
