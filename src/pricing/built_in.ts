/**
 * The prices that the program brings along: those of `@pydantic/genai-prices`, which is part of the executable.
 *
 * Nothing is fetched: its functions that would are not called. What a list of that form means is decided here, since its own
 * `calcPrice` takes 25 us, and gives 0 for what has no price.
 */
import {
  type ConditionalPrice,
  findProvider,
  type ModelInfo,
  type ModelPrice,
  type Provider,
  type TieredPrices,
} from "@pydantic/genai-prices";
import { isModel, type NameSource, plainName, vendorNameOf, withDashedDate } from "./model_names.ts";
import {
  NO_TIERS,
  type PricedModel,
  type PricePeriod,
  type PriceTime,
  type TierPrice,
} from "./priced_model.ts";
import { type Rate, type RateCard, type RateName, rateOf } from "./rates.ts";

/** The version that deno.json pins, and the day of its release. */
export const BUILT_IN_PRICES = { version: "0.1.8", date: "2026-09-23" } as const;

const DAY_MS = 86_400_000;

/** Providers whose models other hosts offer under the same names, by what such a name begins with. */
const VENDORS: ReadonlyMap<string, string> = new Map([
  ["openai", "openai"],
  ["azure", "openai"],
  ["anthropic", "anthropic"],
  ["google", "google"],
  ["gemini", "google"],
  ["vertex_ai", "google"],
  ["deepseek", "deepseek"],
  ["deepseek-ai", "deepseek"],
  ["x-ai", "x-ai"],
  ["xai", "x-ai"],
  ["mistral", "mistral"],
  ["mistralai", "mistral"],
  ["moonshot", "moonshotai"],
  ["moonshotai", "moonshotai"],
  ["cohere", "cohere"],
  ["perplexity", "perplexity"],
  ["minimax", "minimax"],
  ["z-ai", "zai"],
  ["zai", "zai"],
  ["voyage", "voyageai"],
  ["groq", "groq"],
]);
/** Asked in this order for a name that says nothing of its vendor. */
const NAMED_VENDORS = [
  "openai",
  "anthropic",
  "google",
  "deepseek",
  "x-ai",
  "mistral",
  "moonshotai",
  "zai",
  "minimax",
];

/** They are charged for searches besides, of which their replies do not say how many there were. */
const CHARGED_BY_SEARCH = ["-search-preview", "-search-api"];

/** By the list's names of prices; the units of each. Others are of things that no reply reports. */
const RATE_NAMES: Readonly<Record<string, { readonly name: RateName; readonly units: number }>> = {
  input_mtok: { name: "input", units: 1e6 },
  output_mtok: { name: "output", units: 1e6 },
  cache_read_mtok: { name: "cacheRead", units: 1e6 },
  cache_write_mtok: { name: "cacheWrite", units: 1e6 },
  cache_write_1h_mtok: { name: "cacheWrite1h", units: 1e6 },
  input_audio_mtok: { name: "inputAudio", units: 1e6 },
  cache_audio_read_mtok: { name: "cachedAudio", units: 1e6 },
  output_audio_mtok: { name: "outputAudio", units: 1e6 },
  input_image_mtok: { name: "inputImage", units: 1e6 },
  output_image_mtok: { name: "outputImage", units: 1e6 },
  output_reasoning_mtok: { name: "outputReasoning", units: 1e6 },
  input_audio_hours: { name: "second", units: 3600 },
  requests_kcount: { name: "request", units: 1e3 },
  web_searches_kcount: { name: "webSearch", units: 1e3 },
};

/**
 * Tiers whose prices are the ordinary ones times a factor, by provider. Others have prices for each model.
 *
 * @see https://platform.openai.com/docs/guides/flex-processing
 * @see https://platform.openai.com/docs/guides/batch
 * @see https://platform.claude.com/docs/en/build-with-claude/batch-processing#pricing
 * @see https://console.groq.com/docs/flex-processing
 */
const TIERS: Readonly<Record<string, ReadonlyMap<string, TierPrice>>> = {
  openai: new Map([["flex", 0.5], ["batch", 0.5]]),
  azure: new Map([["batch", 0.5]]),
  anthropic: new Map([["batch", 0.5]]),
  groq: new Map([["flex", 1]]),
};

/** @see https://groq.com/pricing */
const MIN_SECONDS: Readonly<Record<string, number>> = {
  "whisper-large-v3": 10,
  "whisper-large-v3-turbo": 10,
};

/** The price of a model at an endpoint; null: unknown. Takes up to a millisecond. */
export function builtInPrice(endpoint: string, model: string): PricedModel | null {
  const name = plainName(model);
  if (name === "" || CHARGED_BY_SEARCH.some((part) => name.includes(part))) return null;
  const host = findProvider({ providerApiUrl: endpoint });
  // What the host does not list is not somebody else's.
  if (host !== undefined) return officialPrice(host, name);
  const { vendor, name: own } = vendorNameOf(name);
  const ids = vendor === null ? NAMED_VENDORS : [VENDORS.get(vendor)].filter((id) => id !== undefined);
  for (const id of ids) {
    const provider = findProvider({ providerId: id });
    const found = provider === undefined ? null : modelOf(provider, own, "other");
    // Free at its provider is not free elsewhere.
    if (provider !== undefined && found !== null && !isFree(found)) return pricedModel(provider, found);
  }
  return null;
}

function officialPrice(host: Provider, name: string): PricedModel | null {
  const { name: own } = vendorNameOf(name);
  const candidates = own === name ? [name] : [name, own];
  const fallbacks = (host.fallback_model_providers ?? []).flatMap((id) =>
    findProvider({ providerId: id }) ?? []
  );
  for (const candidate of candidates) {
    for (const provider of [host, ...fallbacks]) {
      const found = modelOf(provider, candidate, "official");
      if (found !== null) return pricedModel(host.id === "azure" ? host : provider, found);
    }
  }
  return null;
}

function modelOf({ models }: Provider, name: string, source: NameSource): ModelInfo | null {
  const find = (each: string) => models.find(({ match }) => isModel(match, each, source));
  const dashed = withDashedDate(name);
  return find(name) ?? (dashed === name ? undefined : find(dashed)) ?? null;
}

function isFree({ prices }: ModelInfo): boolean {
  const all = Array.isArray(prices) ? prices.map((each) => each.prices) : [prices];
  return all.some((each) => Object.keys(each).length === 0);
}

/** As the list has it. */
export function pricedModel({ id }: Provider, { id: modelId, prices }: ModelInfo): PricedModel | null {
  const [first, ...rest] = Array.isArray(prices)
    ? prices.map(periodOf)
    : [{ when: null, card: cardOf(prices) }];
  if (first === undefined || first.card === null) return null;
  const others = rest.flatMap(({ when, card }) => card === null ? [] : [{ when, card }]);
  if (others.length !== rest.length) return null;
  return {
    periods: [{ when: first.when, card: first.card }, ...others],
    tiers: TIERS[id] ?? NO_TIERS,
    minSeconds: id === "groq" ? MIN_SECONDS[modelId] ?? 0 : 0,
  };
}

interface ReadPeriod {
  readonly when: PricePeriod["when"];
  readonly card: RateCard | null;
}

function periodOf({ constraint, prices }: ConditionalPrice): ReadPeriod {
  return { when: constraint === undefined ? null : timeOf(constraint), card: cardOf(prices) };
}

function timeOf(constraint: NonNullable<ConditionalPrice["constraint"]>): PriceTime {
  if (constraint.type === "start_date") return { type: "from", atMs: Date.parse(constraint.start_date) };
  return { type: "daily", startMs: timeOfDay(constraint.start_time), endMs: timeOfDay(constraint.end_time) };
}

/** Of a time such as `16:30:00Z`, in milliseconds since midnight UTC. */
function timeOfDay(time: string): number {
  return (Date.parse(`1970-01-01T${time}`) + DAY_MS) % DAY_MS;
}

/** null: it has prices, but of nothing that replies report. */
function cardOf(prices: ModelPrice): RateCard | null {
  const names = Object.keys(prices);
  // Empty is free.
  if (names.length === 0) return { input: 0, output: 0, second: 0, image: 0, request: 0 };
  const card: { -readonly [Name in RateName]?: Rate } = {};
  for (const name of names) {
    const known = Object.hasOwn(RATE_NAMES, name) ? RATE_NAMES[name] : undefined;
    const price = prices[name];
    if (known !== undefined && price !== undefined) card[known.name] = rateFrom(price, known.units);
  }
  return Object.keys(card).length === 0 ? null : card;
}

function rateFrom(price: number | TieredPrices, units: number): Rate {
  if (typeof price === "number") return rateOf(price, units);
  const steps = price.tiers
    .toSorted((a, b) => a.start - b.start)
    .map(({ start, price: step }) => ({ above: start, rate: rateOf(step, units) }));
  return { base: rateOf(price.base, units), steps };
}
