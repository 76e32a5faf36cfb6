/** Token counts, read from the shapes in which providers report them. Pure. */
import type { Usage } from "../../core/types.ts";
import { asCount, asObject } from "../json.ts";

/**
 * Reads one `usage` object: OpenAI's chat and responses shapes, Anthropic's, and the variants of DeepSeek
 * (`prompt_cache_hit_tokens`), Moonshot (`cached_tokens`) and Perplexity (`reasoning_tokens`).
 * Null when it holds no token count.
 */
export function readUsage(value: unknown): Usage | null {
  const usage = asObject(value);
  if (usage === null) return null;
  const input = asObject(usage.prompt_tokens_details) ?? asObject(usage.input_tokens_details);
  const output = asObject(usage.completion_tokens_details) ?? asObject(usage.output_tokens_details);
  const read: Usage = {
    inputTokens: asCount(usage.prompt_tokens) ?? asCount(usage.input_tokens),
    outputTokens: asCount(usage.completion_tokens) ?? asCount(usage.output_tokens),
    cachedTokens: asCount(input?.cached_tokens) ?? asCount(usage.cache_read_input_tokens) ??
      asCount(usage.prompt_cache_hit_tokens) ?? asCount(usage.cached_tokens),
    reasoningTokens: asCount(output?.reasoning_tokens) ?? asCount(usage.reasoning_tokens),
  };
  return Object.values(read).every((count) => count === null) ? null : read;
}

/** The later report wins, field by field; a field that it omits keeps its value. */
export function mergeUsage(earlier: Usage | null, later: Usage | null): Usage | null {
  if (earlier === null || later === null) return later ?? earlier;
  return {
    inputTokens: later.inputTokens ?? earlier.inputTokens,
    outputTokens: later.outputTokens ?? earlier.outputTokens,
    cachedTokens: later.cachedTokens ?? earlier.cachedTokens,
    reasoningTokens: later.reasoningTokens ?? earlier.reasoningTokens,
  };
}
