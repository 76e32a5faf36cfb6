/** Files of prices: both forms, and what is refused. */
import assert from "node:assert/strict";
import type { CostSubject } from "../../../src/core/prices.ts";
import type { Usage } from "../../../src/core/usage.ts";
import { PriceList } from "../../../src/pricing/price_list.ts";
import { parsePrices, readPricesFile } from "../../../src/pricing/prices_file.ts";

const USAGE: Usage = { inputTokens: 1000, outputTokens: 100, cachedTokens: null, reasoningTokens: null };

function costOf(file: unknown, model: string, usage: Usage = USAGE, endpoint = "https://api.openai.com/v1") {
  const list = new PriceList(parsePrices(typeof file === "string" ? file : JSON.stringify(file)));
  const upstream = { endpoint, billing: { usage: null, priceFactor: 1 } };
  const subject: CostSubject = { model, responseModel: null, upstream, kind: "chat", atMs: 0 };
  return list.costOf(usage, subject);
}

Deno.test("the first glob that fits counts, before the built-in prices, and null means unknown", () => {
  const file = {
    "gpt-4o": { input: 1, output: 2 },
    "gpt-4o*": { input: 9 },
    "secret-*": null,
    "local-*": { input: 0, output: 0 },
    "api.example.com:8443|*": { request: 0.002 },
    "*.example.org|GPT-*": { input: 3, output: 3 },
  };
  assert.equal(costOf(file, "gpt-4o"), 1000 * 1_000 + 100 * 2_000);
  assert.equal(costOf(file, "GPT-4O"), 1000 * 1_000 + 100 * 2_000);
  assert.equal(costOf(file, "gpt-4o-mini"), null, "no price of the output");
  assert.equal(costOf(file, "secret-gpt"), null);
  assert.equal(costOf(file, "local-llama"), 0, "a price of 0 is one");
  assert.equal(costOf(file, "gpt-5"), 1000 * 1_250 + 100 * 10_000, "built in");
  const nothing: Usage = { ...USAGE, inputTokens: null, outputTokens: null };
  assert.equal(costOf(file, "x", nothing, "https://api.example.com:8443/v1"), 2_000_000);
  assert.equal(costOf(file, "gpt-9", USAGE, "https://eu.example.org/v1"), 1100 * 3_000);
});

Deno.test("every field of the own form counts", () => {
  const prices = {
    ...{ input: 1, output: 10, cache_read: 0.1, cache_write: 2, cache_write_1h: 3, input_audio: 40 },
    ...{ cache_read_audio: 4, output_audio: 80, input_image: 5, output_image: 50, reasoning: 20 },
    ...{ image: 0.04, second: 0.0001, request: 0.001, web_search: 0.01 },
  };
  const usage: Usage = {
    ...{ inputTokens: 100, outputTokens: 50, cachedTokens: 20, reasoningTokens: 5 },
    details: {
      ...{ cacheWriteTokens: 12, cacheWrite1hTokens: 2, inputAudioTokens: 15, cachedAudioTokens: 5 },
      ...{ outputAudioTokens: 6, inputImageTokens: 8, outputImageTokens: 4 },
      ...{ audioSeconds: 30, images: 2, webSearches: 3, tier: "priority" },
    },
  };
  const input = 50 * 1_000 + 15 * 100 + 10 * 2_000 + 2 * 3_000 + 10 * 40_000 + 5 * 4_000 + 8 * 5_000;
  const output = 35 * 10_000 + 6 * 80_000 + 4 * 50_000 + 5 * 20_000;
  const units = 2 * 40_000_000 + 30 * 100_000 + 1_000_000 + 3 * 10_000_000;
  assert.equal(costOf({ m: prices }, "m", usage), input + output + units);
});

Deno.test("LiteLLM's form: tiers, steps, seconds, images, hosts", () => {
  const file = {
    sample_spec: { input_cost_per_token: 0, max_tokens: "as text" },
    m: {
      ...{
        litellm_provider: "openai",
        mode: "chat",
        input_cost_per_token: 1e-6,
        output_cost_per_token: 2e-6,
      },
      ...{ input_cost_per_token_priority: 3e-6, output_cost_per_token_priority: 4e-6 },
      ...{ input_cost_per_token_above_200k_tokens: 5e-6, output_cost_per_token_above_200k_tokens: 6e-6 },
      search_context_cost_per_query: { search_context_size_medium: 0.01 },
    },
    "groq/m": { litellm_provider: "groq", input_cost_per_token: 7e-6, output_cost_per_token: 0 },
    "w": { litellm_provider: "openai", mode: "audio_transcription", input_cost_per_second: 0.0001 },
    "i": { litellm_provider: "openai", mode: "image_generation", output_cost_per_image: 0.04 },
    "t": {
      litellm_provider: "dashscope",
      tiered_pricing: [
        { range: [0, 1000], input_cost_per_token: 1e-6, output_cost_per_token: 1e-6 },
        { range: [1000, 9000], input_cost_per_token: 2e-6, output_cost_per_token: 3e-6 },
      ],
    },
  };
  const nothing: Usage = { ...USAGE, inputTokens: null, outputTokens: null };
  assert.equal(costOf(file, "m"), 1000 * 1_000 + 100 * 2_000);
  assert.equal(costOf(file, "m", { ...USAGE, details: { tier: "priority" } }), 1000 * 3_000 + 100 * 4_000);
  assert.equal(costOf(file, "m", { ...USAGE, details: { tier: "flex" } }), null);
  assert.equal(costOf(file, "m", { ...USAGE, inputTokens: 200_000 }), 200_000 * 1_000 + 100 * 2_000);
  assert.equal(costOf(file, "m", { ...USAGE, inputTokens: 200_001 }), 200_001 * 5_000 + 100 * 6_000);
  assert.equal(costOf(file, "m", { ...USAGE, details: { webSearches: 2 } }), 1_200_000 + 20_000_000);
  assert.equal(costOf(file, "m", USAGE, "https://api.groq.com/openai/v1"), 1000 * 7_000);
  assert.equal(costOf(file, "w", { ...nothing, details: { audioSeconds: 60 } }), 6_000_000);
  assert.equal(costOf(file, "i", { ...nothing, details: { images: 2 } }), 80_000_000);
  assert.equal(costOf(file, "t"), 1100 * 1_000);
  assert.equal(costOf(file, "t", { ...USAGE, inputTokens: 1001 }), 1001 * 2_000 + 100 * 3_000);
  assert.equal(costOf(file, "gpt-5"), 1000 * 1_250 + 100 * 10_000, "built in");
});

for (
  const [name, text, message] of [
    ["no JSON", "{", /it is not JSON/],
    ["NaN", '{"m":{"input":NaN}}', /it is not JSON/],
    ["an array", "[]", /not a JSON object/],
    ["nothing", "null", /not a JSON object/],
    ["deep", "[".repeat(100_000) + "]".repeat(100_000), /not a JSON object/],
    ["a negative price", '{"gpt-*":{"input":-1}}', /"gpt-\*": "input" is not a number from 0/],
    ["infinity", '{"gpt-*":{"input":1e999}}', /"input" is not a number/],
    ["a price as text", '{"gpt-*":{"input":"1"}}', /"input" is not a number/],
    ["another field", '{"gpt-*":{"inputs":1}}', /"inputs" is no price; there are input, output/],
    ["a field of every object", '{"gpt-*":{"constructor":1}}', /"constructor" is no price/],
    ["no prices", '{"gpt-*":{}}', /"gpt-\*": no prices/],
    ["a number", '{"gpt-*":1}', /"gpt-\*": not an object/],
    ["no glob", '{"":{"input":1}}', /a glob has 1 to 512/],
    ["a long glob", JSON.stringify({ ["x".repeat(1_000)]: { input: 1 } }), /"x{80}…": a glob has/],
    ["a prototype", '{"__proto__":5}', /"__proto__": not an object/],
    [
      "LiteLLM's with a negative price",
      '{"m":{"litellm_provider":"x","input_cost_per_token":-1}}',
      /"m": "input_cost/,
    ],
    ["LiteLLM's with a text", '{"m":{"litellm_provider":"x"},"n":"x"}', /"n": not an object/],
  ] as const
) {
  Deno.test(`a file of prices is refused: ${name}`, () => {
    assert.throws(() => parsePrices(text), { name: "PricesError", message });
  });
}

Deno.test("an entry named __proto__ changes nothing else", () => {
  assert.equal(costOf('{"__proto__":{"input":1,"output":1}}', "gpt-4o"), 1000 * 2_500 + 100 * 10_000);
});

Deno.test("files that cannot be read", async () => {
  const directory = await Deno.makeTempDir();
  try {
    assert.throws(() => readPricesFile(`${directory}/none`), { message: "there is no such file" });
    assert.throws(() => readPricesFile(directory), { message: "it is no file" });
    const large = `${directory}/large`;
    await Deno.writeTextFile(large, "");
    await Deno.truncate(large, 64 * 1024 * 1024 + 1);
    assert.throws(() => readPricesFile(large), { message: /larger than 67108864 bytes/ });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
