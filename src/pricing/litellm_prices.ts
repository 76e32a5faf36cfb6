/**
 * LiteLLM's `model_prices_and_context_window.json` as a list of prices. Pure.
 *
 * Models are found by their whole name, at known hosts with LiteLLM's name of the provider in front first: its globs would be
 * guesses.
 *
 * @see https://docs.litellm.ai/docs/provider_registration/add_model_pricing
 */
import { checkedPrice, hostOf, type JsonEntries, PricesError, shown } from "./file_prices.ts";
import { vendorNameOf } from "./model_names.ts";
import type { FilePrices } from "./price_list.ts";
import type { PricedModel, TierPrice } from "./priced_model.ts";
import { type Rate, type RateCard, type RateName, rateOf, type RateStep } from "./rates.ts";

const FIELDS: Readonly<Record<string, RateName>> = {
  input_cost_per_token: "input",
  output_cost_per_token: "output",
  cache_read_input_token_cost: "cacheRead",
  cache_creation_input_token_cost: "cacheWrite",
  cache_creation_input_token_cost_above_1hr: "cacheWrite1h",
  input_cost_per_audio_token: "inputAudio",
  cache_read_input_audio_token_cost: "cachedAudio",
  output_cost_per_audio_token: "outputAudio",
  input_cost_per_image_token: "inputImage",
  output_cost_per_image_token: "outputImage",
  output_cost_per_reasoning_token: "outputReasoning",
  input_cost_per_request: "request",
};
/** LiteLLM's ends of fields, by the tiers that replies name. */
const TIERS = { priority: "_priority", flex: "_flex", batch: "_batches" } as const;
const STEP = /_above_(\d{1,6})k_tokens$/;
/** Ends of the names of hosts, and LiteLLM's names of their providers. */
const PROVIDERS: readonly (readonly [string, string])[] = [
  ["openai.azure.com", "azure"],
  ["openrouter.ai", "openrouter"],
  ["api.groq.com", "groq"],
  ["api.deepseek.com", "deepseek"],
  ["generativelanguage.googleapis.com", "gemini"],
  ["aiplatform.googleapis.com", "vertex_ai"],
  ["api.mistral.ai", "mistral"],
  ["api.x.ai", "xai"],
  ["api.perplexity.ai", "perplexity"],
  ["api.moonshot.ai", "moonshot"],
  ["api.moonshot.cn", "moonshot"],
  ["api.together.xyz", "together_ai"],
  ["api.fireworks.ai", "fireworks_ai"],
  ["api.deepinfra.com", "deepinfra"],
  ["api.cerebras.ai", "cerebras"],
  ["api.sambanova.ai", "sambanova"],
  ["dashscope-intl.aliyuncs.com", "dashscope"],
  ["dashscope.aliyuncs.com", "dashscope"],
  ["amazonaws.com", "bedrock"],
];
const MAX_ENTRIES = 50_000;

/** Whether these entries are of that form. */
export function isLiteLlm(entries: JsonEntries): boolean {
  return entries.some(([, value]) =>
    typeof value === "object" && value !== null &&
    (Object.hasOwn(value, "litellm_provider") || Object.hasOwn(value, "input_cost_per_token"))
  );
}

/** @throws PricesError */
export function readLiteLlmPrices(entries: JsonEntries): FilePrices {
  if (entries.length > MAX_ENTRIES) throw new PricesError(`it has more than ${MAX_ENTRIES} entries`);
  const prices = new Map<string, PricedModel>();
  for (const [model, value] of entries) {
    // It describes the fields.
    if (model === "sample_spec") continue;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new PricesError(`${shown(model)}: not an object`);
    }
    const priced = readModel(model, value as Readonly<Record<string, unknown>>);
    if (priced !== null) prices.set(model.toLowerCase(), priced);
  }
  return { find: (endpoint, model) => find(prices, endpoint, model.toLowerCase()) };
}

function find(
  prices: ReadonlyMap<string, PricedModel>,
  endpoint: string,
  model: string,
): PricedModel | undefined {
  const host = hostOf(endpoint);
  const provider = PROVIDERS.find(([end]) => host === end || host.endsWith(`.${end}`))?.[1];
  const { name } = vendorNameOf(model);
  const names = provider === undefined
    ? [model, name]
    : [`${provider}/${model}`, `${provider}/${name}`, model, name];
  for (const each of names) {
    const found = prices.get(each);
    if (found !== undefined) return found;
  }
  return undefined;
}

type Entry = Readonly<Record<string, unknown>>;

/** null: it has no price of anything that replies report. */
function readModel(model: string, entry: Entry): PricedModel | null {
  const card = readCard(model, entry, "");
  if (Object.keys(card).length === 0) return null;
  const tiers = new Map<string, TierPrice>();
  for (const [tier, end] of Object.entries(TIERS)) {
    const prices = readCard(model, entry, end);
    if (prices.input === undefined && prices.output === undefined) continue;
    // What has no price of this tier, such as a search, costs the same.
    tiers.set(tier, { ...withoutTokens(card), ...prices });
  }
  return { periods: [{ when: null, card }], tiers, minSeconds: 0 };
}

function withoutTokens({ request, webSearch, image, second }: RateCard): RateCard {
  const card: { -readonly [Name in RateName]?: Rate } = {};
  if (request !== undefined) card.request = request;
  if (webSearch !== undefined) card.webSearch = webSearch;
  if (image !== undefined) card.image = image;
  if (second !== undefined) card.second = second;
  return card;
}

/** @param end of the names of its fields: of a tier */
function readCard(model: string, entry: Entry, end: string): RateCard {
  const card: { -readonly [Name in RateName]?: Rate } = {};
  const steps = new Map<RateName, RateStep[]>();
  for (const [field, value] of Object.entries(entry)) {
    if (!field.endsWith(end) || value === null) continue;
    const plain = end === "" ? field : field.slice(0, -end.length);
    const match = STEP.exec(plain);
    const base = match === null ? plain : plain.slice(0, match.index);
    const name = Object.hasOwn(FIELDS, base) ? FIELDS[base] : undefined;
    if (name === undefined) continue;
    const rate = rateOf(checkedPrice(model, field, value), 1);
    if (match === null) card[name] = rate;
    else steps.set(name, [...steps.get(name) ?? [], { above: Number(match[1]) * 1000, rate }]);
  }
  for (const [name, found] of steps) {
    const base = card[name];
    if (typeof base !== "number") continue;
    card[name] = { base, steps: found.toSorted((a, b) => a.above - b.above) };
  }
  if (end !== "") return card;
  readTiered(card, model, entry);
  readUnits(card, model, entry);
  return card;
}

/** Steps as ranges of tokens: `[{ range: [0, 256000], input_cost_per_token: … }, …]`. */
function readTiered(card: { -readonly [Name in RateName]?: Rate }, model: string, entry: Entry): void {
  const tiers = entry["tiered_pricing"];
  if (!Array.isArray(tiers)) return;
  const found = tiers.flatMap((tier: unknown) => {
    const range = typeof tier === "object" && tier !== null ? (tier as Entry)["range"] : null;
    const start: unknown = Array.isArray(range) ? range[0] : null;
    return typeof start === "number" && start >= 0 ? [{ above: start, tier: tier as Entry }] : [];
  }).toSorted((a, b) => a.above - b.above);
  for (const [field, name] of Object.entries(FIELDS)) {
    const steps = found.flatMap(({ above, tier }) => {
      const price = tier[field];
      return price === undefined || price === null
        ? []
        : [{ above, rate: rateOf(checkedPrice(model, field, price), 1) }];
    });
    const [first] = steps;
    if (first !== undefined) card[name] = { base: first.rate, steps: steps.slice(1) };
  }
}

/** Seconds, images and searches; a model that charges for tokens as well gives both prices of the same thing. */
function readUnits(card: { -readonly [Name in RateName]?: Rate }, model: string, entry: Entry): void {
  const usd = (field: string): number | null => {
    const value = entry[field];
    return value === undefined || value === null ? null : checkedPrice(model, field, value);
  };
  const second = usd("input_cost_per_second") ?? usd("output_cost_per_second");
  if (second !== null && entry["mode"] === "audio_transcription" && card.input === undefined) {
    card.second = rateOf(second, 1);
  }
  const image = usd("output_cost_per_image") ?? usd("input_cost_per_image");
  if (
    image !== null && entry["mode"] === "image_generation" && !isCharged(card.output) &&
    !isCharged(card.input)
  ) {
    card.image = rateOf(image, 1);
  }
  const searches = entry["search_context_cost_per_query"];
  if (typeof searches !== "object" || searches === null) return;
  const search = (searches as Entry)["search_context_size_medium"];
  if (search !== undefined) {
    card.webSearch = rateOf(checkedPrice(model, "search_context_size_medium", search), 1);
  }
}

function isCharged(rate: Rate | undefined): boolean {
  return rate !== undefined && rate !== 0;
}
