/** Token counts, read from the shapes in which providers report them; the rest of a report: usage_details.ts. Pure. */
import type { Usage } from "../../core/types.ts";
import { asCount, asObject } from "../json.ts";
import { readDetails } from "./usage_details.ts";

/**
 * Reads one `usage` object: OpenAI's chat, responses, images and transcription shapes, Anthropic's, and the variants of
 * DeepSeek (`prompt_cache_hit_tokens`), Moonshot (`cached_tokens`) and Perplexity (`reasoning_tokens`).
 * Null when it says nothing of what was used.
 *
 * @param tier of the service, as the reply says it beside its usage
 */
export function readUsage(value: unknown, tier: unknown = null): Usage | null {
  const usage = asObject(value);
  if (usage === null) return null;
  const input = asObject(usage.prompt_tokens_details) ?? asObject(usage.input_tokens_details) ??
    asObject(usage.input_token_details);
  const output = asObject(usage.completion_tokens_details) ?? asObject(usage.output_tokens_details) ??
    asObject(usage.output_token_details);
  const read = {
    inputTokens: asCount(usage.prompt_tokens) ?? asCount(usage.input_tokens),
    outputTokens: asCount(usage.completion_tokens) ?? asCount(usage.output_tokens),
    cachedTokens: asCount(input?.cached_tokens) ?? asCount(usage.cache_read_input_tokens) ??
      asCount(usage.prompt_cache_hit_tokens) ?? asCount(usage.cached_tokens),
    reasoningTokens: asCount(output?.reasoning_tokens) ?? asCount(usage.reasoning_tokens),
  };
  const details = readDetails({ usage, input, output }, read, tier);
  if (details !== null) return { ...read, details };
  const isEmpty = read.inputTokens === null && read.outputTokens === null && read.cachedTokens === null &&
    read.reasoningTokens === null;
  return isEmpty ? null : read;
}

/** The later report wins, field by field; a field that it omits keeps its value. */
export function mergeUsage(earlier: Usage | null, later: Usage | null): Usage | null {
  if (earlier === null || later === null) return later ?? earlier;
  const merged = {
    inputTokens: later.inputTokens ?? earlier.inputTokens,
    outputTokens: later.outputTokens ?? earlier.outputTokens,
    cachedTokens: later.cachedTokens ?? earlier.cachedTokens,
    reasoningTokens: later.reasoningTokens ?? earlier.reasoningTokens,
  };
  const before = earlier.details ?? null;
  const after = later.details ?? null;
  if (before === null && after === null) return merged;
  return { ...merged, details: { ...before, ...after } };
}
