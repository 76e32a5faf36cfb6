/**
 * What prices depend on besides the plain token counts, read from the reports of providers. Pure.
 *
 * An ordinary report has none of it: nothing is made then.
 */
import { toNano } from "../../core/money.ts";
import type { Usage, UsageDetails } from "../../core/usage.ts";
import { asCount, asObject, asText, type JsonObject } from "../json.ts";

type MutableDetails = { -readonly [Key in keyof UsageDetails]: UsageDetails[Key] };

/** A report, and what it says of the kinds of its tokens. */
export interface ReportedParts {
  readonly usage: JsonObject;
  readonly input: JsonObject | null;
  readonly output: JsonObject | null;
}

/** Of requests at the list price. `auto` is what was asked for: the reply says what it became. */
const ORDINARY_TIERS: ReadonlySet<string> = new Set(["default", "standard", "auto", "on_demand"]);
const MAX_TIER_LENGTH = 32;
/** https://docs.x.ai/developers/cost-tracking : 1e10 ticks are a dollar. */
const TICKS_PER_NANO = 10;

/** null: the report is an ordinary one. */
export function readDetails(
  { usage, input, output }: ReportedParts,
  counts: Usage,
  tier: unknown,
): UsageDetails | null {
  const details: MutableDetails = {};
  readCacheWrites(details, usage, input);
  if (isCacheApart(usage, counts, details)) details.isCacheApart = true;
  readHiddenOutput(details, usage, counts);
  readKinds(details, input, output);
  readServices(details, usage, tier);
  const costNano = readCost(usage);
  if (costNano !== null) details.costNano = costNano;
  return Object.keys(details).length === 0 ? null : details;
}

/**
 * Anthropic's `cache_creation_input_tokens`, of which `cache_creation` says for how long; elsewhere a detail of the input.
 *
 * @see https://platform.claude.com/docs/en/build-with-claude/prompt-caching#tracking-cache-performance
 * @see https://openrouter.ai/docs/use-cases/usage-accounting
 */
function readCacheWrites(details: MutableDetails, usage: JsonObject, input: JsonObject | null): void {
  const creation = asObject(usage.cache_creation);
  const hour = asCount(creation?.ephemeral_1h_input_tokens) ?? 0;
  const minutes = asCount(creation?.ephemeral_5m_input_tokens) ?? 0;
  const written = asCount(usage.cache_creation_input_tokens) ?? asCount(input?.cache_write_tokens) ??
    asCount(input?.cache_creation_tokens) ?? 0;
  const sum = Math.max(written, hour + minutes);
  if (sum > 0) details.cacheWriteTokens = sum;
  if (hour > 0) details.cacheWrite1hTokens = hour;
}

/** Anthropic's `input_tokens` are those that follow the last place that was cached. */
function isCacheApart(usage: JsonObject, { cachedTokens }: Usage, details: UsageDetails): boolean {
  if (usage.prompt_tokens !== undefined || asCount(usage.input_tokens) === null) return false;
  const hasRead = (cachedTokens ?? 0) > 0 && asCount(usage.cache_read_input_tokens) === cachedTokens;
  return hasRead ||
    (details.cacheWriteTokens !== undefined && usage.cache_creation_input_tokens !== undefined);
}

/**
 * Google's and xAI's chat API count reasoning in the total, but not in `completion_tokens`; both charge it as output.
 *
 * @see https://docs.x.ai/docs/guides/reasoning
 * @see https://ai.google.dev/gemini-api/docs/openai
 */
function readHiddenOutput(details: MutableDetails, usage: JsonObject, counts: Usage): void {
  const total = asCount(usage.total_tokens);
  const input = asCount(usage.prompt_tokens);
  const output = asCount(usage.completion_tokens);
  if (total === null || input === null || output === null || total <= input + output) return;
  const hidden = total - input - output;
  if (hidden === (counts.cachedTokens ?? 0) + (details.cacheWriteTokens ?? 0)) details.isCacheApart = true;
  else if (counts.reasoningTokens === hidden || (counts.reasoningTokens ?? 0) === 0) {
    details.hiddenOutputTokens = hidden;
  }
}

/** @see https://platform.openai.com/docs/api-reference/chat/object */
function readKinds(details: MutableDetails, input: JsonObject | null, output: JsonObject | null): void {
  if (input !== null) {
    const cached = asObject(input.cached_tokens_details);
    put(details, "inputAudioTokens", input.audio_tokens);
    put(details, "inputImageTokens", input.image_tokens);
    if (cached !== null) put(details, "cachedAudioTokens", cached.audio_tokens);
  }
  if (output !== null) {
    put(details, "outputAudioTokens", output.audio_tokens);
    put(details, "outputImageTokens", output.image_tokens);
  }
}

/** Seconds of OpenAI's transcriptions, Anthropic's searches, and the tier. */
function readServices(details: MutableDetails, usage: JsonObject, tier: unknown): void {
  if (usage.seconds !== undefined) {
    const seconds = asAmount(usage.seconds);
    if (seconds !== null && seconds > 0) details.audioSeconds = seconds;
  }
  const tools = asObject(usage.server_tool_use);
  if (tools !== null) put(details, "webSearches", tools.web_search_requests);
  const named = asText(usage.service_tier) ?? asText(tier);
  if (named !== null && named.length <= MAX_TIER_LENGTH && !ORDINARY_TIERS.has(named)) details.tier = named;
}

/**
 * What the provider says that the request costs, in 1e-9 US dollars; null: it says nothing.
 *
 * OpenRouter's `cost` is what it charges itself: with the user's own key for a provider (`is_byok`), that provider charges
 * `upstream_inference_cost` besides.
 *
 * @see https://openrouter.ai/docs/use-cases/usage-accounting
 * @see https://docs.perplexity.ai/api-reference/chat-completions-post
 */
function readCost(usage: JsonObject): number | null {
  const ticks = asCount(usage.cost_in_usd_ticks);
  if (ticks !== null) return Math.round(ticks / TICKS_PER_NANO);
  if (usage.cost === undefined) return null;
  const cost = asAmount(usage.cost) ?? asAmount(asObject(usage.cost)?.total_cost);
  if (cost === null) return null;
  if (usage.is_byok !== true) return toNano(cost);
  const others = asAmount(asObject(usage.cost_details)?.upstream_inference_cost);
  return others === null ? null : toNano(cost + others);
}

function put(
  details: MutableDetails,
  name:
    | "inputAudioTokens"
    | "inputImageTokens"
    | "cachedAudioTokens"
    | "outputAudioTokens"
    | "outputImageTokens"
    | "webSearches",
  value: unknown,
): void {
  const count = asCount(value);
  if (count !== null && count > 0) details[name] = count;
}

/** A number that is not negative, possibly with a fraction. */
function asAmount(value: unknown): number | null {
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : null;
}
