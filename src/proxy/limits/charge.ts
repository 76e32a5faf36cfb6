/**
 * What a request is charged when it has ended. Pure.
 */
import type { Charge } from "../../core/budget_account.ts";
import type { TokenRates } from "../../core/prices.ts";
import type { RequestRecord } from "../../core/types.ts";
import type { Usage } from "../../core/usage.ts";

/** What was reserved for it. */
export interface Reservation {
  readonly tokens: number;
  readonly costNano: number;
  /** By which it was reserved. */
  readonly rates: TokenRates;
}

/**
 * Where nobody reported what it cost, it costs what was reserved, if an upstream may have worked for it, and nothing
 * otherwise. If only its price is not known, as that of a service tier, it costs at least as much as its tokens would have.
 */
export function chargeOf(record: RequestRecord, reserved: Reservation): Charge {
  const { costNano, usage } = record;
  const hasWorked = mayHaveWorked(record);
  const tokens = usage === null ? hasWorked ? reserved.tokens : 0 : tokensOf(usage);
  const isKnown = costNano !== null;
  const least = usage === null ? 0 : leastCost(usage, reserved.rates);
  const cost = isKnown ? costNano : hasWorked ? Math.max(reserved.costNano, least) : 0;
  return {
    costNano: cost,
    requests: 1,
    tokens,
    estimatedNano: isKnown && !record.areTokensEstimated ? 0 : cost,
  };
}

/** The correction from one charge to another one. */
export function correction(from: Charge, to: Charge): Charge {
  return {
    costNano: to.costNano - from.costNano,
    requests: to.requests - from.requests,
    tokens: to.tokens - from.tokens,
    estimatedNano: to.estimatedNano - from.estimatedNano,
  };
}

function mayHaveWorked({ outcome, status, attempts, responseBytes }: RequestRecord): boolean {
  switch (outcome) {
    case "complete":
    case "empty":
      return status < 400;
    case "upstream_cut":
    case "idle_timeout":
    case "error_event":
      return responseBytes > 0;
    // Whoever leaves early pays for what was begun.
    case "client_gone":
    case "crashed":
      return attempts.some(({ errorClass }) =>
        errorClass !== "connect_error" && errorClass !== "no_credential"
      );
    case "upstream_error":
    case "no_upstream":
    case "in_flight":
      return false;
    default:
      return outcome satisfies never;
  }
}

function leastCost(usage: Usage, { input, output, request }: TokenRates): number {
  const given = tokensOf({ ...usage, outputTokens: null });
  const cost = Math.ceil(given * input + tokensOf(usage) * output - given * output + request);
  return Math.min(cost, Number.MAX_SAFE_INTEGER);
}

function tokensOf({ inputTokens, outputTokens, cachedTokens, details }: Usage): number {
  const apart = details?.isCacheApart === true ? (cachedTokens ?? 0) + (details.cacheWriteTokens ?? 0) : 0;
  const sum = (inputTokens ?? 0) + (outputTokens ?? 0) + apart;
  return Number.isSafeInteger(sum) && sum >= 0 ? sum : 0;
}
