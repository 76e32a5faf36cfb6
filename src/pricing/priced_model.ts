/**
 * A model with its price, whatever list that comes from. Pure.
 */
import type { Usage } from "../core/usage.ts";
import { costPico, type RateCard } from "./rates.ts";

/** When a price counts: from a moment on, or at hours of the day (UTC; past midnight when the end is before the start). */
export type PriceTime =
  | { readonly type: "from"; readonly atMs: number }
  | { readonly type: "daily"; readonly startMs: number; readonly endMs: number };

export interface PricePeriod {
  /** null: always. */
  readonly when: PriceTime | null;
  readonly card: RateCard;
}

/** What a service tier costs: the ordinary price times a factor, or a price of its own. */
export type TierPrice = number | RateCard;

export interface PricedModel {
  /** The last one that counts; the first one where none does. */
  readonly periods: readonly [PricePeriod, ...PricePeriod[]];
  /** null: the same for every tier; a tier that is missing has an unknown price. */
  readonly tiers: ReadonlyMap<string, TierPrice> | null;
  /** Of sound, in one request. */
  readonly minSeconds: number;
}

export const NO_TIERS: ReadonlyMap<string, TierPrice> = new Map();
const DAY_MS = 86_400_000;

/** In 1e-12 US dollars; null: unknown. */
export function priceOf(
  { periods, tiers, minSeconds }: PricedModel,
  usage: Usage,
  atMs: number,
): number | null {
  const card = cardAt(periods, atMs);
  const tier = usage.details?.tier;
  if (tier === undefined || tiers === null) return costPico(card, usage, { minSeconds, tokenFactor: 1 });
  const price = tiers.get(tier);
  if (price === undefined) return null;
  return typeof price === "number"
    ? costPico(card, usage, { minSeconds, tokenFactor: price })
    : costPico(price, usage, { minSeconds, tokenFactor: 1 });
}

export function cardAt(periods: PricedModel["periods"], atMs: number): RateCard {
  for (let place = periods.length - 1; place > 0; place--) {
    const period = periods[place];
    if (period !== undefined && (period.when === null || isAt(period.when, atMs))) return period.card;
  }
  return periods[0].card;
}

function isAt(when: PriceTime, atMs: number): boolean {
  if (when.type === "from") return atMs >= when.atMs;
  const { startMs, endMs } = when;
  const time = ((atMs % DAY_MS) + DAY_MS) % DAY_MS;
  return endMs < startMs ? time >= startMs || time < endMs : time >= startMs && time < endMs;
}
