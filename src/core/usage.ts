/**
 * What a reply used, as its provider reported it, and the form in which that is stored.
 *
 * Pure. Reading it out of replies: capture/readers/usage.ts; what it costs: pricing/.
 */

/** Token counts as the provider reported them; null where it did not. */
export interface Usage {
  readonly inputTokens: number | null;
  readonly outputTokens: number | null;
  readonly cachedTokens: number | null;
  readonly reasoningTokens: number | null;
  /** What prices may depend on besides; null or absent: nothing was reported. */
  readonly details?: UsageDetails | null;
}

/** Each field is absent where the provider says nothing of it. Tokens of a kind are part of the input or output. */
export interface UsageDetails {
  /** The counts of tokens are our own estimate: the reply broke off before its report. */
  readonly isEstimated?: true;
  /** Tokens that were read from and written to a cache are not part of the input (Anthropic's form). */
  readonly isCacheApart?: true;
  /** Written to a cache, for however long. */
  readonly cacheWriteTokens?: number;
  /** Of these, for an hour. */
  readonly cacheWrite1hTokens?: number;
  readonly inputAudioTokens?: number;
  readonly cachedAudioTokens?: number;
  readonly outputAudioTokens?: number;
  readonly inputImageTokens?: number;
  readonly outputImageTokens?: number;
  /** Charged as output, and part of the total that was reported, but not of the output. */
  readonly hiddenOutputTokens?: number;
  /** Of transcribed or spoken sound. */
  readonly audioSeconds?: number;
  /** That were made. */
  readonly images?: number;
  /** Made by the provider itself. */
  readonly webSearches?: number;
  /** Such as `priority`, `flex` or `batch`, as the reply says. */
  readonly tier?: string;
  /** What the provider itself says that it cost, in 1e-9 US dollars. */
  readonly costNano?: number;
}

const COUNTS = [
  "cacheWriteTokens",
  "cacheWrite1hTokens",
  "inputAudioTokens",
  "cachedAudioTokens",
  "outputAudioTokens",
  "inputImageTokens",
  "outputImageTokens",
  "hiddenOutputTokens",
  "audioSeconds",
  "images",
  "webSearches",
  "costNano",
] as const satisfies readonly (keyof UsageDetails)[];

/** A tier with a longer name is none. */
const MAX_TIER_LENGTH = 32;

/** As JSON; null: there is nothing to be stored. */
export function detailsText(details: UsageDetails | null | undefined): string | null {
  if (details === null || details === undefined) return null;
  const text = JSON.stringify(details).toWellFormed();
  return text === "{}" ? null : text;
}

/** What {@link detailsText} wrote; what is not of this form counts as nothing. */
export function detailsOf(text: string | null): UsageDetails | null {
  if (text === null || text === "") return null;
  const value = parsed(text);
  if (value === null) return null;
  const details: { -readonly [Key in keyof UsageDetails]: UsageDetails[Key] } = {};
  for (const name of COUNTS) {
    const count = value[name];
    if (typeof count === "number" && count >= 0 && count <= Number.MAX_SAFE_INTEGER) details[name] = count;
  }
  const tier = value["tier"];
  if (typeof tier === "string" && tier !== "" && tier.length <= MAX_TIER_LENGTH) details.tier = tier;
  if (value["isCacheApart"] === true) details.isCacheApart = true;
  if (value["isEstimated"] === true) details.isEstimated = true;
  return details;
}

/** The whole of it as JSON, for what has no columns of its own. */
export function usageText(usage: Usage | null | undefined): string | null {
  if (usage === null || usage === undefined) return null;
  const { inputTokens, outputTokens, cachedTokens, reasoningTokens, details = null } = usage;
  return JSON.stringify({
    ...{ inputTokens, outputTokens, cachedTokens, reasoningTokens },
    ...(details === null ? {} : { details }),
  }).toWellFormed();
}

/** What {@link usageText} wrote; null for everything else. */
export function usageOf(text: string | null): Usage | null {
  const value = text === null || text === "" ? null : parsed(text);
  if (value === null) return null;
  const count = (name: string): number | null => {
    const number = value[name];
    return typeof number === "number" && number >= 0 && number <= Number.MAX_SAFE_INTEGER ? number : null;
  };
  const { details } = value;
  const read = typeof details === "object" && details !== null ? detailsOf(JSON.stringify(details)) : null;
  return {
    inputTokens: count("inputTokens"),
    outputTokens: count("outputTokens"),
    cachedTokens: count("cachedTokens"),
    reasoningTokens: count("reasoningTokens"),
    ...(read === null ? {} : { details: read }),
  };
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : null;
  } catch {
    return null;
  }
}
