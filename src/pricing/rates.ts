/**
 * What one model charges for each unit of use, and the sum of a reply. Pure.
 *
 * Sums are in 1e-12 US dollars, in which all published prices are whole numbers: they are exact up to 9,000 dollars, and are
 * rounded once, half up.
 */
import type { Usage, UsageDetails } from "../core/usage.ts";

/** The price of requests with more tokens of input than that. */
export interface RateStep {
  readonly above: number;
  readonly rate: number;
}

/** In 1e-12 US dollars for one unit; steps in ascending order, of which the last that applies counts for the whole request. */
export type Rate = number | { readonly base: number; readonly steps: readonly RateStep[] };

export const TOKEN_RATES = [
  "input",
  "output",
  "cacheRead",
  "cacheWrite",
  "cacheWrite1h",
  "inputAudio",
  "cachedAudio",
  "outputAudio",
  "inputImage",
  "outputImage",
  "outputReasoning",
] as const;
export const UNIT_RATES = ["image", "second", "request", "webSearch"] as const;
export type RateName = typeof TOKEN_RATES[number] | typeof UNIT_RATES[number];

/** Of one model; absent: not published. */
export type RateCard = { readonly [Name in RateName]?: Rate };

export interface CostOptions {
  /** Transcriptions are charged for at least that long. */
  readonly minSeconds: number;
  /** Of a service tier: what tokens cost is multiplied by it. */
  readonly tokenFactor: number;
}

export const PLAIN_COST: CostOptions = { minSeconds: 0, tokenFactor: 1 };
const NO_DETAILS: UsageDetails = {};
const PICO_PER_NANO = 1_000;
const FACTOR_SCALE = 1_000_000;

/** Of a price in US dollars for so many units. Floating-point noise of published decimals is removed. */
export function rateOf(usd: number, units: number): number {
  const pico = usd * (1e12 / units);
  const whole = Math.round(pico);
  return Math.abs(pico - whole) <= whole * 1e-9 ? whole : pico;
}

/** In 1e-12 US dollars; null: something that was used has no price. */
export function costPico(rates: RateCard, usage: Usage, options: CostOptions = PLAIN_COST): number | null {
  const { details } = usage;
  if (details !== null && details !== undefined) return detailedCost(rates, usage, details, options);
  const { inputTokens: input, outputTokens } = usage;
  if (input === null) return unitCost(rates, usage, NO_DETAILS, options);
  if (rates.input === undefined) return null;
  const output = outputTokens ?? 0;
  const cached = usage.cachedTokens ?? 0;
  // It cannot be a part of it.
  if (cached > input || rates.outputReasoning !== undefined || rates.request !== undefined) {
    return detailedCost(rates, usage, NO_DETAILS, options);
  }
  if (output > 0 && rates.output === undefined) return null;
  const tokens = (input - cached) * at(rates.input, input) +
    cached * at(rates.cacheRead ?? rates.input, input) +
    output * at(rates.output ?? 0, input);
  return tokens * options.tokenFactor;
}

/** Half up, times a factor with at most six decimals, in 1e-9 US dollars; null: it cannot be counted exactly. */
export function nanoOf(pico: number, factor: number): number | null {
  const whole = Math.round(pico);
  const isWhole = Math.abs(pico - whole) <= Math.max(1e-6, whole * 1e-12);
  let nano: number;
  if (!isWhole || !Number.isSafeInteger(whole)) nano = Math.floor(pico * factor / PICO_PER_NANO + 0.5);
  else if (factor === 1) nano = (whole + 500 - (whole + 500) % PICO_PER_NANO) / PICO_PER_NANO;
  else {
    const unit = BigInt(FACTOR_SCALE * PICO_PER_NANO);
    nano = Number((BigInt(whole) * BigInt(Math.round(factor * FACTOR_SCALE)) * 2n + unit) / (2n * unit));
  }
  return Number.isSafeInteger(nano) && nano >= 0 ? nano : null;
}

/** What a rate is for a request with so many tokens of input. */
export function at(rate: Rate, inputTokens: number): number {
  if (typeof rate === "number") return rate;
  let found = rate.base;
  for (const { above, rate: price } of rate.steps) if (inputTokens > above) found = price;
  return found;
}

/** Without tokens: seconds of sound, images, or the request itself. */
function unitCost(
  rates: RateCard,
  { outputTokens }: Usage,
  { audioSeconds, images, webSearches = 0 }: UsageDetails,
  { minSeconds }: CostOptions,
): number | null {
  if (outputTokens !== null && outputTokens > 0) return null;
  let sum = 0;
  let isKnown = false;
  if (audioSeconds !== undefined) {
    if (rates.second === undefined) return null;
    sum += Math.max(audioSeconds, minSeconds) * at(rates.second, 0);
    isKnown = true;
  }
  if (images !== undefined) {
    if (rates.image === undefined) return null;
    sum += images * at(rates.image, 0);
    isKnown = true;
  }
  if (rates.request !== undefined) {
    sum += at(rates.request, 0);
    isKnown = true;
  }
  if (webSearches > 0) return null;
  return isKnown ? sum : null;
}

/** Counts of tokens, each in one place only. */
interface Tokens {
  readonly total: number;
  readonly plain: number;
  readonly cached: number;
  readonly cachedAudio: number;
  readonly written: number;
  readonly written1h: number;
  readonly audio: number;
  readonly image: number;
}

function inputOf(rates: RateCard, usage: Usage, details: UsageDetails): Tokens | null {
  const given = usage.inputTokens ?? 0;
  const allCached = usage.cachedTokens ?? 0;
  const allWritten = Math.max(details.cacheWriteTokens ?? 0, details.cacheWrite1hTokens ?? 0);
  const isApart = details.isCacheApart === true || allCached + allWritten > given;
  const total = isApart ? given + allCached + allWritten : given;
  const cachedAudio = Math.min(details.cachedAudioTokens ?? 0, allCached);
  const audio = Math.max(0, (details.inputAudioTokens ?? 0) - cachedAudio);
  const image = rates.inputImage === undefined ? 0 : details.inputImageTokens ?? 0;
  const plain = total - allCached - allWritten - audio - image;
  if (plain < 0) return null;
  const written1h = details.cacheWrite1hTokens ?? 0;
  const cached = allCached - cachedAudio;
  return { total, plain, cached, cachedAudio, written: allWritten - written1h, written1h, audio, image };
}

function detailedCost(
  rates: RateCard,
  usage: Usage,
  details: UsageDetails,
  options: CostOptions,
): number | null {
  if (usage.inputTokens === null) return unitCost(rates, usage, details, options);
  const tokens = inputOf(rates, usage, details);
  const input = tokens === null ? null : inputCost(rates, tokens);
  const output = tokens === null ? null : outputCost(rates, usage, details, tokens.total);
  if (input === null || output === null) return null;
  let sum = (input + output) * options.tokenFactor;
  const { webSearches = 0, audioSeconds, images } = details;
  if (webSearches > 0) {
    if (rates.webSearch === undefined) return null;
    sum += webSearches * at(rates.webSearch, 0);
  }
  if (audioSeconds !== undefined && rates.second !== undefined) {
    sum += Math.max(audioSeconds, options.minSeconds) * at(rates.second, 0);
  }
  if (images !== undefined && rates.image !== undefined) sum += images * at(rates.image, 0);
  if (rates.request !== undefined) sum += at(rates.request, 0);
  return sum;
}

function inputCost(rates: RateCard, tokens: Tokens): number | null {
  const { input } = rates;
  const { total } = tokens;
  if (input === undefined) return total === 0 ? 0 : null;
  let sum = tokens.plain * at(input, total) + tokens.cached * at(rates.cacheRead ?? input, total) +
    tokens.written * at(rates.cacheWrite ?? input, total);
  if (tokens.written1h > 0) {
    // Nobody gives an hour for the price of five minutes.
    const rate = rates.cacheWrite1h ?? (rates.cacheWrite === undefined ? input : undefined);
    if (rate === undefined) return null;
    sum += tokens.written1h * at(rate, total);
  }
  if (tokens.audio > 0) {
    // Sound costs a multiple of text: its price is not that of text.
    if (rates.inputAudio === undefined) return null;
    sum += tokens.audio * at(rates.inputAudio, total);
  }
  if (tokens.cachedAudio > 0) {
    if (rates.cachedAudio === undefined) return null;
    sum += tokens.cachedAudio * at(rates.cachedAudio, total);
  }
  return tokens.image > 0 ? sum + tokens.image * at(rates.inputImage ?? input, total) : sum;
}

function outputCost(
  rates: RateCard,
  { outputTokens, reasoningTokens }: Usage,
  details: UsageDetails,
  total: number,
): number | null {
  const hidden = details.hiddenOutputTokens ?? 0;
  const all = (outputTokens ?? 0) + hidden;
  if (all === 0) return 0;
  const { output } = rates;
  if (output === undefined) return null;
  const audio = details.outputAudioTokens ?? 0;
  const image = rates.outputImage === undefined ? 0 : details.outputImageTokens ?? 0;
  const reasoning = rates.outputReasoning === undefined ? 0 : Math.max(hidden, reasoningTokens ?? 0);
  const plain = all - audio - image - reasoning;
  if (plain < 0 || (audio > 0 && rates.outputAudio === undefined)) return null;
  return plain * at(output, total) + audio * at(rates.outputAudio ?? output, total) +
    image * at(rates.outputImage ?? output, total) + reasoning * at(rates.outputReasoning ?? output, total);
}
