/**
 * The prices of a server: those of its file go before the built-in ones.
 *
 * What was found is remembered by endpoint and model, since looking for it takes up to a millisecond.
 */
import type { CostSubject, Prices, TokenRates } from "../core/prices.ts";
import type { Usage } from "../core/usage.ts";
import { builtInPrice } from "./built_in.ts";
import { cardAt, type PricedModel, priceOf } from "./priced_model.ts";
import { at, nanoOf } from "./rates.ts";

/** Prices of a file. */
export interface FilePrices {
  /** null: it says the price is unknown; undefined: it says nothing. */
  find(endpoint: string, model: string): PricedModel | null | undefined;
}

/** Clients choose the names of models. */
const MAX_REMEMBERED = 4_096; // docs/tuning.md#budgets-and-remembered-values
const PICO_PER_NANO = 1_000;

export class PriceList implements Prices {
  #file: FilePrices | null;
  /** By endpoint, then by model; both levels together hold no more than {@link MAX_REMEMBERED}. */
  readonly #found = new Map<string, Map<string, PricedModel | null>>();
  #count = 0;

  constructor(file: FilePrices | null = null) {
    this.#file = file;
  }

  /** Prices of a file that has changed. */
  replaceFile(file: FilePrices | null): void {
    this.#file = file;
    this.#forget();
  }

  costOf(usage: Usage, subject: CostSubject): number | null {
    const reported = usage.details?.costNano;
    if (reported !== undefined) return reported;
    const model = this.#modelOf(subject);
    if (model === null) return null;
    const pico = priceOf(model, usage, subject.atMs);
    return pico === null ? null : nanoOf(pico, subject.upstream.billing.priceFactor);
  }

  ratesOf(subject: CostSubject): TokenRates | null {
    const model = this.#modelOf(subject);
    if (model === null) return null;
    const { input, output, request } = cardAt(model.periods, subject.atMs);
    if (input === undefined && request === undefined) return null;
    const factor = subject.upstream.billing.priceFactor / PICO_PER_NANO;
    return {
      input: at(input ?? 0, 0) * factor,
      output: at(output ?? 0, 0) * factor,
      request: at(request ?? 0, 0) * factor,
    };
  }

  /** The reply knows best which model it is of. */
  #modelOf({ model, responseModel, upstream: { endpoint } }: CostSubject): PricedModel | null {
    const found = responseModel === null ? null : this.#find(endpoint, responseModel);
    if (found !== null || model === null || model === responseModel) return found;
    return this.#find(endpoint, model);
  }

  #find(endpoint: string, model: string): PricedModel | null {
    const known = this.#found.get(endpoint)?.get(model);
    if (known !== undefined) return known;
    const inFile = this.#file?.find(endpoint, model);
    const found = inFile === undefined ? builtInPrice(endpoint, model) : inFile;
    if (this.#count >= MAX_REMEMBERED) this.#forget();
    let models = this.#found.get(endpoint);
    if (models === undefined) this.#found.set(endpoint, models = new Map());
    models.set(model, found);
    this.#count++;
    return found;
  }

  #forget(): void {
    this.#found.clear();
    this.#count = 0;
  }
}
