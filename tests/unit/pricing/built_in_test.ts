/** The built-in prices: the same sums as the library's own arithmetic, and no price of another model. */
import assert from "node:assert/strict";
import {
  calcPrice,
  findProvider,
  type ModelInfo,
  type Provider,
  type Usage as LibraryUsage,
} from "@pydantic/genai-prices";
import manifest from "../../../deno.json" with { type: "json" };
import { problemOf } from "../../../scripts/check_regexes.ts";
import type { Usage } from "../../../src/core/usage.ts";
import { BUILT_IN_PRICES, builtInPrice, pricedModel } from "../../../src/pricing/built_in.ts";
import { priceOf } from "../../../src/pricing/priced_model.ts";
import { nanoOf } from "../../../src/pricing/rates.ts";

const PROVIDERS = [
  "anthropic arcee avian aws azure baseten cerebras cloudflare cohere cursor deepseek doubleword fireworks",
  "github-copilot google groq huggingface_cerebras huggingface_fireworks-ai huggingface_groq huggingface_hyperbolic",
  "huggingface_nebius huggingface_novita huggingface_nscale huggingface_ovhcloud huggingface_publicai",
  "huggingface_sambanova huggingface_together minimax mistral modal moonshotai novita openai openrouter ovhcloud",
  "perplexity quicksilverpro together typesafe voyageai x-ai zai zhipuai",
].join(" ").split(" ");
const TIMES = ["2025-06-01T12:00:00Z", "2026-11-29T02:30:00Z", "2026-11-29T08:00:00Z", "2027-02-01T20:00:00Z"]
  .map(Date.parse);
const KINDS: readonly Usage[] = [
  plain(12, 100),
  plain(1_000_000, 65_536, 999_999),
  plain(199_999, 1, 100_000),
  plain(200_000, 7, 3),
  plain(200_001, 33_333, 12_345),
  plain(272_001, 1_234, 0),
  { ...plain(50_001, 777, 1_500), details: { cacheWriteTokens: 40_000 } },
  { ...plain(1, 1), details: { webSearches: 3 } },
];

function plain(inputTokens: number, outputTokens: number, cachedTokens: number | null = null): Usage {
  return { inputTokens, outputTokens, cachedTokens, reasoningTokens: null };
}

function libraryUsage({ inputTokens, outputTokens, cachedTokens, details }: Usage): LibraryUsage {
  return {
    input_tokens: inputTokens ?? 0,
    output_tokens: outputTokens ?? 0,
    cache_read_tokens: cachedTokens ?? 0,
    cache_write_tokens: details?.cacheWriteTokens ?? 0,
    web_searches: details?.webSearches ?? 0,
    output_reasoning_tokens: 0,
    output_citation_tokens: 0,
  };
}

/** The library itself takes the first model that matches loosely; here each is asked for by a rule of its own. */
function byLibrary(provider: Provider, model: ModelInfo, usage: Usage, atMs: number): number {
  const only = { ...provider, models: [{ ...model, match: { equals: "it" } }] };
  const price = calcPrice(libraryUsage(usage), "it", { provider: only, timestamp: new Date(atMs) });
  assert.ok(price !== null);
  return price.total_price * 1e9;
}

Deno.test("every model of the list costs what the library says, for every kind of use, at any time", () => {
  let compared = 0;
  let unknown = 0;
  for (const id of PROVIDERS) {
    const provider = findProvider({ providerId: id });
    assert.ok(provider !== undefined, id);
    for (const model of provider.models) {
      const priced = pricedModel(provider, model);
      for (const usage of KINDS) {
        for (const atMs of TIMES) {
          const pico = priced === null ? null : priceOf(priced, usage, atMs);
          if (pico === null) {
            unknown++;
            continue;
          }
          const expected = byLibrary(provider, model, usage, atMs);
          const nano = nanoOf(pico, 1) ?? NaN;
          // The library adds floating-point numbers: its sums may be off by a hair on either side of a half.
          assert.ok(
            Math.abs(nano - expected) <= 0.5 + expected * 1e-12,
            `${id} ${model.id}: ${nano}, not ${expected}`,
          );
          compared++;
        }
      }
    }
  }
  assert.ok(compared > 40_000, `only ${compared} sums were compared, ${unknown} have no price`);
});

/** The patterns anywhere in a rule. */
function patternsOf(rule: unknown): string[] {
  if (typeof rule !== "object" || rule === null) return [];
  return Object.entries(rule).flatMap(([name, value]) =>
    name === "regex" && typeof value === "string" ? [value] : patternsOf(value)
  );
}

Deno.test("the list's patterns take linear time, since clients choose the names that they are tried on", () => {
  const models = PROVIDERS.flatMap((id) => findProvider({ providerId: id })?.models ?? []);
  const patterns = new Set(models.flatMap(({ match }) => patternsOf(match)));
  assert.ok(patterns.size > 20);
  const problems = [...patterns].flatMap((source) => {
    // A negation at the beginning is the only thing that is not proved: each is tried at one place.
    const problem = source.startsWith("^(?!.*-[tT][tT][sS]") ? null : problemOf({ source, flags: "" });
    return problem === null ? [] : [`${source} ${problem}`];
  });
  assert.deepEqual(problems, []);
});

Deno.test("the day of the built-in prices is that of the pinned version", () => {
  assert.equal(
    manifest.imports["@pydantic/genai-prices"],
    `npm:@pydantic/genai-prices@${BUILT_IN_PRICES.version}`,
  );
});

const RESELLER = "https://api.reseller.example/v1";
const OPENAI = "https://api.openai.com/v1";
const ANTHROPIC = "https://api.anthropic.com/v1";
const BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/openai/v1";
const GOOGLE = "https://generativelanguage.googleapis.com/v1beta/openai";

/** Of a million tokens of input and as many of output, in dollars; null: unknown. */
function rates(endpoint: string, model: string): readonly [number, number] | null {
  const found = builtInPrice(endpoint, model);
  const atMs = Date.parse("2026-11-29T12:00:00Z");
  const input = found && priceOf(found, plain(1000, 0), atMs);
  const both = found && priceOf(found, plain(1000, 1000), atMs);
  return input === null || both === null ? null : [input / 1e9, (both - input) / 1e9];
}

for (
  const [endpoint, model, expected] of [
    [OPENAI, "gpt-4o", [2.5, 10]],
    [OPENAI, "gpt-4o-2024-08-06", [2.5, 10]],
    [OPENAI, "gpt-5-20250807", [1.25, 10]],
    [OPENAI, "gpt-5-nano-2025-08-07", [0.05, 0.4]],
    [OPENAI, "o3", [2, 8]],
    [OPENAI, "GPT-4o", [2.5, 10]],
    [OPENAI, "text-embedding-3-small", null],
    [OPENAI, "gpt-9", null],
    [OPENAI, "", null],
    [OPENAI, "x".repeat(10_000), null],
    [OPENAI, "constructor", null],
    [RESELLER, "gpt-4o", [2.5, 10]],
    [RESELLER, "openai/gpt-4o", [2.5, 10]],
    [RESELLER, "azure/gpt-4o", [2.5, 10]],
    [RESELLER, "gpt-4o-my-own", null],
    [RESELLER, "gpt-4o-realistic", null],
    [RESELLER, "gpt-4o:free", null],
    [RESELLER, "someone/gpt-4o", null],
    [RESELLER, "google/gpt-4o", null],
    [RESELLER, "claude-sonnet-4-5-20250929", [3, 15]],
    [RESELLER, "anthropic/claude-sonnet-4.5", [3, 15]],
    [RESELLER, "claude-sonnet-4-5-thinking", null],
    [RESELLER, "my-claude-sonnet-4-5", null],
    [RESELLER, "models/gemini-2.5-pro", [1.25, 10]],
    [RESELLER, "gemma-3-27b-it", null],
    [RESELLER, "deepseek-r1-distill-llama-70b", null],
    [RESELLER, "deepseek-r1:8b", null],
    [RESELLER, "llama-3.3-70b", null],
    [ANTHROPIC, "claude-sonnet-4-20250514", [3, 15]],
    [ANTHROPIC, "claude-opus-4-1-20250805", [15, 75]],
    [ANTHROPIC, "claude-3-5-haiku-latest", [0.8, 4]],
    [ANTHROPIC, "claude-opus-4-10", null],
    [ANTHROPIC, "claude-sonnet-5-5", null],
    [ANTHROPIC, "gpt-4o", null],
    [BEDROCK, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", [3.3, 16.5]],
    [BEDROCK, "global.anthropic.claude-sonnet-4-5-20250929-v1:0", [3, 15]],
    [RESELLER, "us.anthropic.claude-sonnet-4-5-20250929-v1:0", [3, 15]],
    [GOOGLE, "gemini-2.5-pro", [1.25, 10]],
    [GOOGLE, "models/gemini-2.5-pro", [1.25, 10]],
    [GOOGLE, "gemini-2.5-pro-preview-06-05", [1.25, 10]],
    [GOOGLE, "gemini-2.5-pro-preview-tts", [1, 20]],
    [GOOGLE, "gemini-2.0-flash-001", [0.1, 0.4]],
    ["https://api.groq.com/openai/v1", "gpt-4o", null],
    ["https://my-team.openai.azure.com/openai/v1", "gpt-4o", [2.5, 10]],
    ["http://127.0.0.1:11434/v1", "gpt-oss:20b", null],
  ] as const
) {
  Deno.test(`the price of ${model.slice(0, 60)} at ${endpoint}`, () => {
    assert.deepEqual(rates(endpoint, model), expected);
  });
}
