/**
 * What real reports of use cost, worked out by hand from the providers' published prices.
 *
 * Each report is read as the program reads it. Expected costs are in 1e-9 dollars: a price of p dollars for a million tokens is
 * 1000 p for one.
 */
import assert from "node:assert/strict";
import { readUsage } from "../../../src/capture/readers/usage.ts";
import type { CostSubject } from "../../../src/core/prices.ts";
import type { EndpointKind } from "../../../src/core/types.ts";
import { PriceList } from "../../../src/pricing/price_list.ts";

const prices = new PriceList();
const NOON = Date.parse("2026-11-29T12:00:00Z");

interface Case {
  readonly endpoint: string;
  readonly model: string;
  readonly usage: unknown;
  readonly tier?: string;
  readonly kind?: EndpointKind;
  readonly at?: string;
  readonly factor?: number;
  /** By hand; null: unknown. */
  readonly nano: number | null;
}

const OPENAI = "https://api.openai.com/v1";
const ANTHROPIC = "https://api.anthropic.com/v1";
const DEEPSEEK = "https://api.deepseek.com";
const GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai";
const RESELLER = "https://reseller.example/v1";

/** A report of Anthropic's first long-context example: all of it in the cache. */
const CACHED_BY_ANTHROPIC = {
  input_tokens: 21,
  cache_creation_input_tokens: 188_086,
  cache_read_input_tokens: 0,
  output_tokens: 393,
};

const CASES: Readonly<Record<string, Case>> = {
  // https://platform.openai.com/docs/pricing : gpt-5-nano $0.05, $0.40
  "OpenAI: reasoning is output": {
    ...{ endpoint: OPENAI, model: "gpt-5-nano-2025-08-07" },
    usage: {
      prompt_tokens: 8,
      completion_tokens: 377,
      prompt_tokens_details: { audio_tokens: 0, cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 320, audio_tokens: 0 },
    },
    nano: 8 * 50 + 377 * 400,
  },
  // gpt-4o $2.50, cached $1.25, $10
  "OpenAI: cached input": {
    ...{ endpoint: OPENAI, model: "gpt-4o-2024-08-06" },
    usage: {
      prompt_tokens: 2006,
      completion_tokens: 300,
      total_tokens: 2306,
      prompt_tokens_details: { cached_tokens: 1920 },
      completion_tokens_details: { reasoning_tokens: 0 },
    },
    nano: 86 * 2_500 + 1920 * 1_250 + 300 * 10_000,
  },
  // gpt-5 $1.25, cached $0.125, $10; flex is half of each
  "OpenAI: flex": {
    ...{ endpoint: OPENAI, model: "gpt-5", tier: "flex" },
    usage: { prompt_tokens: 1000, completion_tokens: 100, prompt_tokens_details: { cached_tokens: 200 } },
    nano: (800 * 1_250 + 200 * 125 + 100 * 10_000) / 2,
  },
  "OpenAI: priority has prices of its own for each model": {
    ...{ endpoint: OPENAI, model: "gpt-5", tier: "priority", nano: null },
    usage: { prompt_tokens: 1000, completion_tokens: 100 },
  },
  "OpenAI: the default tier": {
    ...{ endpoint: OPENAI, model: "gpt-5", tier: "default", nano: 1000 * 1_250 + 100 * 10_000 },
    usage: { prompt_tokens: 1000, completion_tokens: 100 },
  },
  // text-embedding-3-small $0.02
  "OpenAI: embeddings": {
    ...{ endpoint: OPENAI, model: "text-embedding-3-small", kind: "embeddings", nano: 7 * 20 },
    usage: { prompt_tokens: 7, total_tokens: 7 },
  },
  // gpt-5 with web search $10 for a thousand: added by the reader of responses
  // https://platform.openai.com/docs/pricing : whisper $0.006 for a minute
  "OpenAI: seconds of a transcription": {
    ...{ endpoint: OPENAI, model: "whisper-1", kind: "audio", nano: 7 * 100_000 },
    usage: { type: "duration", seconds: 7 },
  },
  // gpt-4o-transcribe: $2.50 for text, $6 for sound, $10
  "OpenAI: a transcription in tokens": {
    ...{ endpoint: OPENAI, model: "gpt-4o-transcribe", kind: "audio" },
    usage: {
      type: "tokens",
      input_tokens: 114,
      input_token_details: { text_tokens: 14, audio_tokens: 100 },
      output_tokens: 45,
      total_tokens: 159,
    },
    nano: 14 * 2_500 + 100 * 6_000 + 45 * 10_000,
  },
  "OpenAI: sound without a known price": {
    ...{ endpoint: OPENAI, model: "gpt-4o-audio-preview-2025-06-03", nano: null },
    usage: { prompt_tokens: 28, completion_tokens: 17, prompt_tokens_details: { audio_tokens: 1 } },
  },
  // gpt-image-1: $5 for text, $10 for images, $40 for those that are made
  "OpenAI: an image": {
    ...{ endpoint: OPENAI, model: "gpt-image-1", kind: "images" },
    usage: {
      input_tokens: 50,
      input_tokens_details: { text_tokens: 10, image_tokens: 40 },
      output_tokens: 1056,
      total_tokens: 1106,
    },
    nano: 10 * 5_000 + 40 * 10_000 + 1056 * 40_000,
  },
  // https://platform.claude.com/docs/en/about-claude/pricing : Sonnet 4.5 $3, written $3.75 (5 min) and $6 (1 h), read $0.30, $15
  "Anthropic: written to the cache for five minutes": {
    ...{ endpoint: ANTHROPIC, model: "claude-sonnet-4-5-20250929", usage: CACHED_BY_ANTHROPIC },
    nano: 21 * 3_000 + 188_086 * 3_750 + 393 * 15_000,
  },
  "Anthropic: written for an hour, and read": {
    ...{ endpoint: ANTHROPIC, model: "claude-sonnet-4-5-20250929" },
    usage: {
      input_tokens: 2048,
      cache_read_input_tokens: 1800,
      cache_creation_input_tokens: 248,
      cache_creation: { ephemeral_5m_input_tokens: 148, ephemeral_1h_input_tokens: 100 },
      output_tokens: 503,
    },
    nano: 2048 * 3_000 + 1800 * 300 + 148 * 3_750 + 100 * 6_000 + 503 * 15_000,
  },
  // Sonnet 4.5 above 200,000 tokens of input, the cache included: $6, read $0.60, $22.50
  "Anthropic: a long context": {
    ...{ endpoint: ANTHROPIC, model: "claude-sonnet-4-5" },
    usage: {
      input_tokens: 1,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 200_000,
      output_tokens: 10,
    },
    nano: 1 * 6_000 + 200_000 * 600 + 10 * 22_500,
  },
  // $10 for a thousand searches
  "Anthropic: a web search": {
    ...{ endpoint: ANTHROPIC, model: "claude-sonnet-4-5-20250929" },
    usage: {
      cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 0 },
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      input_tokens: 16_083,
      output_tokens: 165,
      server_tool_use: { web_fetch_requests: 0, web_search_requests: 1 },
      service_tier: "standard",
    },
    nano: 16_083 * 3_000 + 165 * 15_000 + 10_000_000,
  },
  "Anthropic: a batch": {
    ...{ endpoint: ANTHROPIC, model: "claude-sonnet-4-5" },
    usage: { input_tokens: 100, output_tokens: 10, service_tier: "batch" },
    nano: (100 * 3_000 + 10 * 15_000) / 2,
  },
  "Anthropic: committed capacity": {
    ...{ endpoint: ANTHROPIC, model: "claude-sonnet-4-5", nano: null },
    usage: { input_tokens: 100, output_tokens: 10, service_tier: "priority" },
  },
  // https://api-docs.deepseek.com/quick_start/pricing , by the archive of 2025: UTC 16:30 to 00:30 is half
  "DeepSeek: by day": {
    ...{ endpoint: DEEPSEEK, model: "deepseek-chat", at: "2025-06-01T12:00:00Z" },
    usage: {
      prompt_tokens: 1000,
      completion_tokens: 500,
      prompt_cache_hit_tokens: 640,
      prompt_cache_miss_tokens: 360,
    },
    nano: 360 * 270 + 640 * 70 + 500 * 1_100,
  },
  "DeepSeek: at night": {
    ...{ endpoint: DEEPSEEK, model: "deepseek-chat", at: "2025-06-01T20:00:00Z" },
    usage: {
      prompt_tokens: 1000,
      completion_tokens: 500,
      prompt_cache_hit_tokens: 640,
      prompt_cache_miss_tokens: 360,
    },
    nano: 360 * 135 + 640 * 35 + 500 * 550,
  },
  // https://ai.google.dev/gemini-api/docs/pricing : 2.5 Pro $1.25 and $10, above 200,000 tokens $2.50 and $15
  "Gemini: up to 200,000 tokens": {
    ...{ endpoint: GOOGLE, model: "gemini-2.5-pro", nano: 200_000 * 1_250 + 10 * 10_000 },
    usage: { prompt_tokens: 200_000, completion_tokens: 10, total_tokens: 200_010 },
  },
  "Gemini: above 200,000 tokens": {
    ...{ endpoint: GOOGLE, model: "gemini-2.5-pro", nano: 200_001 * 2_500 + 10 * 15_000 },
    usage: { prompt_tokens: 200_001, completion_tokens: 10, total_tokens: 200_011 },
  },
  "Gemini: thoughts are in the total only": {
    ...{ endpoint: GOOGLE, model: "models/gemini-2.5-pro", nano: 7 * 1_250 + (12 + 300) * 10_000 },
    usage: { prompt_tokens: 7, completion_tokens: 12, total_tokens: 319 },
  },
  // https://openrouter.ai/docs/use-cases/usage-accounting
  "OpenRouter: its own cost": {
    ...{ endpoint: "https://openrouter.ai/api/v1", model: "openai/gpt-oss-20b", nano: 11_300 },
    usage: {
      input_tokens: 78,
      output_tokens: 37,
      cost: 0.0000113,
      is_byok: false,
      cost_details: { upstream_inference_cost: null },
    },
  },
  "OpenRouter: with the user's own key, what its provider charges is added": {
    ...{ endpoint: "https://openrouter.ai/api/v1", model: "openai/gpt-4o", nano: 1_050_000 },
    usage: {
      prompt_tokens: 100,
      completion_tokens: 75,
      cost: 0.00005,
      is_byok: true,
      cost_details: { upstream_inference_cost: 0.001 },
    },
  },
  "OpenRouter: free is 0": {
    ...{ endpoint: "https://openrouter.ai/api/v1", model: "z-ai/glm-4.5-air:free", nano: 0 },
    usage: { prompt_tokens: 10, completion_tokens: 7, cost: 0 },
  },
  "a factor does not change what the provider says": {
    ...{ endpoint: "https://openrouter.ai/api/v1", model: "openai/gpt-4o", factor: 0.5, nano: 100_000 },
    usage: { prompt_tokens: 10, completion_tokens: 7, cost: 0.0001 },
  },
  // https://docs.perplexity.ai/getting-started/pricing
  "Perplexity: its own cost": {
    ...{ endpoint: "https://api.perplexity.ai", model: "sonar", nano: 5_013_000 },
    usage: {
      prompt_tokens: 8,
      completion_tokens: 5,
      total_tokens: 13,
      search_context_size: "low",
      cost: {
        input_tokens_cost: 0.000008,
        output_tokens_cost: 0.000005,
        request_cost: 0.005,
        total_cost: 0.005013,
      },
    },
  },
  // https://docs.x.ai/developers/cost-tracking : 37756000 ticks are $0.0037756
  "xAI: ticks": {
    ...{ endpoint: "https://api.x.ai/v1", model: "grok-4.3", nano: 3_775_600 },
    usage: { prompt_tokens: 199, completion_tokens: 1, total_tokens: 300, cost_in_usd_ticks: 37_756_000 },
  },
  // https://docs.x.ai/docs/models : grok-4 $3, cached $0.75, $15; reasoning is not in completion_tokens
  "xAI: reasoning apart, before it gave costs": {
    ...{ endpoint: "https://api.x.ai/v1", model: "grok-4-0709", nano: 32 * 3_000 + (9 + 192) * 15_000 },
    usage: {
      prompt_tokens: 32,
      completion_tokens: 9,
      total_tokens: 233,
      completion_tokens_details: { reasoning_tokens: 192 },
    },
  },
  // https://mistral.ai/pricing : Codestral $0.30, $0.90
  "Mistral": {
    ...{ endpoint: "https://api.mistral.ai/v1", model: "codestral-2508", nano: 33 * 300 + 145 * 900 },
    usage: { prompt_tokens: 33, completion_tokens: 145, total_tokens: 178 },
  },
  // https://groq.com/pricing : Whisper large v3 $0.111 for an hour, at least 10 seconds
  "Groq: two minutes of sound": {
    ...{
      endpoint: "https://api.groq.com/openai/v1",
      model: "whisper-large-v3",
      kind: "audio",
      nano: 3_700_000,
    },
    usage: { seconds: 120 },
  },
  "Groq: a second is charged as ten": {
    ...{
      endpoint: "https://api.groq.com/openai/v1",
      model: "whisper-large-v3",
      kind: "audio",
      nano: 308_333,
    },
    usage: { seconds: 1 },
  },
  // https://platform.moonshot.ai/docs/pricing/chat : Kimi K2.5 $0.60, cached $0.10, $3
  "Moonshot: cached tokens beside the others": {
    ...{ endpoint: "https://api.moonshot.ai/v1", model: "kimi-k2.5", nano: 81 * 600 + 19 * 100 + 10 * 3_000 },
    usage: { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110, cached_tokens: 19 },
  },
  // gpt-4o-mini $0.15
  "a reseller's factor": {
    ...{ endpoint: RESELLER, model: "gpt-4o-mini", factor: 0.3, nano: 45 },
    usage: { prompt_tokens: 1, completion_tokens: 0 },
  },
  "a factor of nothing": {
    ...{ endpoint: RESELLER, model: "gpt-4o-mini", factor: 0, nano: 0 },
    usage: { prompt_tokens: 1000, completion_tokens: 10 },
  },
  "half a billionth of a dollar counts": {
    ...{ endpoint: RESELLER, model: "gpt-4o-mini", factor: 0.01, nano: 2 },
    usage: { prompt_tokens: 1, completion_tokens: 0 },
  },
  "a model that nobody knows": {
    ...{ endpoint: RESELLER, model: "qwen3-max", nano: null },
    usage: { prompt_tokens: 10, completion_tokens: 10 },
  },
};

for (
  const [name, { endpoint, model, usage, tier, kind = "chat", at, factor = 1, nano }] of Object.entries(CASES)
) {
  Deno.test(`cost: ${name}`, () => {
    const read = readUsage(usage, tier);
    assert.ok(read !== null);
    const subject: CostSubject = {
      ...{ model, responseModel: null, kind },
      upstream: { endpoint, billing: { usage: null, priceFactor: factor } },
      atMs: at === undefined ? NOON : Date.parse(at),
    };
    assert.equal(prices.costOf(read, subject), nano);
    // Again, from what was remembered, and by the name that the reply gives.
    assert.equal(prices.costOf(read, { ...subject, model: "unknown", responseModel: model }), nano);
  });
}

Deno.test("rates for an estimate are those of an ordinary request, times the factor", () => {
  const subject = (model: string, factor: number): CostSubject => ({
    ...{ model, responseModel: null, kind: "chat", atMs: NOON },
    upstream: { endpoint: OPENAI, billing: { usage: null, priceFactor: factor } },
  });
  assert.deepEqual(prices.ratesOf(subject("gpt-4o", 1)), { input: 2_500, output: 10_000, request: 0 });
  assert.deepEqual(prices.ratesOf(subject("gpt-4o", 0.5)), { input: 1_250, output: 5_000, request: 0 });
  assert.equal(prices.ratesOf(subject("nobody-knows", 1)), null);
});

Deno.test("names that clients invent are not remembered without bound", () => {
  const list = new PriceList();
  const usage = readUsage({ prompt_tokens: 1, completion_tokens: 1 });
  assert.ok(usage !== null);
  const upstream = { endpoint: OPENAI, billing: { usage: null, priceFactor: 1 } };
  for (let n = 0; n < 5_000; n++) {
    const subject: CostSubject = { model: `m${n}`, responseModel: null, upstream, kind: "chat", atMs: NOON };
    assert.equal(list.costOf(usage, subject), null);
  }
  const known: CostSubject = { model: "gpt-4o", responseModel: null, upstream, kind: "chat", atMs: NOON };
  assert.equal(list.costOf(usage, known), 12_500);
});
