/**
 * Prices that an operator writes: the program's own form, by globs on the model. Pure.
 *
 * ```json
 * { "gpt-4o*": { "input": 2.5, "output": 10 }, "api.example.com|qwen*": { "input": 0.1 }, "local-*": null }
 * ```
 */
import { matchesGlob } from "../core/policy.ts";
import type { FilePrices } from "./price_list.ts";
import type { PricedModel } from "./priced_model.ts";
import { type Rate, type RateCard, type RateName, rateOf } from "./rates.ts";

/** A file that is no list of prices; the message names the entry. */
export class PricesError extends Error {
  override readonly name = "PricesError";
}

/** By the names in the file: dollars for that many units. */
const FIELDS: Readonly<Record<string, { readonly name: RateName; readonly units: number }>> = {
  input: { name: "input", units: 1e6 },
  output: { name: "output", units: 1e6 },
  cache_read: { name: "cacheRead", units: 1e6 },
  cache_write: { name: "cacheWrite", units: 1e6 },
  cache_write_1h: { name: "cacheWrite1h", units: 1e6 },
  input_audio: { name: "inputAudio", units: 1e6 },
  cache_read_audio: { name: "cachedAudio", units: 1e6 },
  output_audio: { name: "outputAudio", units: 1e6 },
  input_image: { name: "inputImage", units: 1e6 },
  output_image: { name: "outputImage", units: 1e6 },
  reasoning: { name: "outputReasoning", units: 1e6 },
  image: { name: "image", units: 1 },
  second: { name: "second", units: 1 },
  request: { name: "request", units: 1 },
  web_search: { name: "webSearch", units: 1 },
};

/** More than anybody asks, in dollars for any unit. */
const MAX_PRICE = 1_000_000;
const MAX_ENTRIES = 50_000;
const MAX_GLOB_LENGTH = 512;

export type JsonEntries = readonly (readonly [string, unknown])[];

interface FilePrice {
  /** null: any. */
  readonly host: string | null;
  readonly model: string;
  readonly priced: PricedModel | null;
}

/** @throws PricesError */
export function readOwnPrices(entries: JsonEntries): FilePrices {
  if (entries.length > MAX_ENTRIES) throw new PricesError(`it has more than ${MAX_ENTRIES} entries`);
  const prices = entries.map(([glob, value]) => readEntry(glob, value));
  return {
    find(endpoint, model) {
      const host = hostOf(endpoint);
      const name = model.toLowerCase();
      const found = prices.find((price) =>
        (price.host === null || matchesGlob(price.host, host)) && matchesGlob(price.model, name)
      );
      return found?.priced;
    },
  };
}

function readEntry(glob: string, value: unknown): FilePrice {
  if (glob === "" || glob.length > MAX_GLOB_LENGTH) {
    throw new PricesError(`${shown(glob)}: a glob has 1 to ${MAX_GLOB_LENGTH} characters`);
  }
  const lower = glob.toLowerCase();
  const bar = lower.indexOf("|");
  const place = { host: bar < 0 ? null : lower.slice(0, bar), model: lower.slice(bar + 1) };
  if (value === null) return { ...place, priced: null };
  if (typeof value !== "object" || Array.isArray(value)) {
    throw new PricesError(`${shown(glob)}: not an object with prices, and not null`);
  }
  const card: { -readonly [Name in RateName]?: Rate } = {};
  for (const [field, price] of Object.entries(value)) {
    const known = Object.hasOwn(FIELDS, field) ? FIELDS[field] : undefined;
    if (known === undefined) {
      throw new PricesError(
        `${shown(glob)}: ${shown(field)} is no price; there are ${Object.keys(FIELDS).join(", ")}`,
      );
    }
    card[known.name] = rateOf(checkedPrice(glob, field, price), known.units);
  }
  if (Object.keys(card).length === 0) throw new PricesError(`${shown(glob)}: no prices; null means unknown`);
  return { ...place, priced: withoutTiers(card) };
}

/** What the operator pays, whatever tier a reply names. */
function withoutTiers(card: RateCard): PricedModel {
  return { periods: [{ when: null, card }], tiers: null, minSeconds: 0 };
}

/** @throws PricesError unless it is an amount of dollars */
export function checkedPrice(entry: string, field: string, price: unknown): number {
  if (typeof price === "number" && price >= 0 && price <= MAX_PRICE) return price;
  throw new PricesError(`${shown(entry)}: ${shown(field)} is not a number from 0 to ${MAX_PRICE}`);
}

/** Empty when it is none. */
export function hostOf(endpoint: string): string {
  return URL.parse(endpoint)?.host ?? "";
}

export function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
