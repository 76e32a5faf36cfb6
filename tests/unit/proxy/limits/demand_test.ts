/**
 * What is reserved for a request, and what it is charged when only its price is not known.
 */
import assert from "node:assert/strict";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { OutputSizes } from "../../../../src/core/output_sizes.ts";
import type { Prices } from "../../../../src/core/prices.ts";
import type { EndpointKind } from "../../../../src/core/types.ts";
import { chargeOf } from "../../../../src/proxy/limits/charge.ts";
import { type ClientDemand, costDemand, tokenDemand } from "../../../../src/proxy/limits/demand.ts";
import { anUpstream } from "../../../support/upstream_value.ts";
import { demandOf, settled } from "./admission_stage.ts";

const RATES = { input: 2, output: 10, request: 1 };
const PRICES: Prices = { costOf: () => null, ratesOf: () => RATES };

function demand(body: string, { kind = "chat", path = "/v1/chat/completions" }: {
  readonly kind?: EndpointKind;
  readonly path?: string;
} = {}): ClientDemand {
  const bytes = new TextEncoder().encode(body);
  const { inbound } = demandOf(0);
  return {
    inbound: { ...inbound, ...{ kind, path, model: "m", headers: new HeaderFields(), body: bytes } },
    plain: bytes,
    candidates: [anUpstream(1)],
  };
}

function costOf(request: ClientDemand, sizes = new OutputSizes()) {
  const cost = costDemand(request, tokenDemand(request, sizes), PRICES);
  return "name" in cost ? null : cost.costNano;
}

Deno.test("small replies lower what is reserved of tokens, but not of money; large ones raise both", () => {
  const sizes = new OutputSizes();
  const request = demand("{}");
  for (let time = 0; time < 50; time++) sizes.add("m", 1);
  assert.deepEqual(tokenDemand(request, sizes), { input: 1, output: 1, pricedOutput: 4_096 });
  assert.equal(costOf(request, sizes), 2 + 40_960 + 1);
  assert.equal(tokenDemand(demand('{"max_tokens":50}'), sizes).pricedOutput, 50);
  for (let time = 0; time < 500; time++) sizes.add("m", 16_000);
  assert.deepEqual(tokenDemand(request, sizes), { input: 1, output: 16_384, pricedOutput: 16_384 });
});

Deno.test("a limit that the call does not have limits nothing", () => {
  const priced = (body: string, kind: EndpointKind) =>
    tokenDemand(demand(body, { kind }), new OutputSizes()).pricedOutput;
  assert.equal(priced('{"max_output_tokens":1}', "chat"), 4_096);
  assert.equal(priced('{"max_completion_tokens":1}', "chat"), 1);
  assert.equal(priced('{"max_tokens":1}', "responses"), 4_096);
  assert.equal(priced('{"max_output_tokens":1}', "responses"), 1);
  assert.equal(priced('{"max_completion_tokens":1}', "messages"), 4_096);
  assert.equal(priced('{"max_tokens":1}', "messages"), 1);
});

Deno.test("a model that is asked by its own path is not free; what is charged elsewhere has no price", () => {
  const asked = demand("{}", { kind: "models", path: "/v1/models/gemini-2.5-pro:generateContent" });
  assert.ok((costOf(asked) ?? 0) > 0);
  for (
    const path of ["fine_tuning/jobs", "realtime/sessions", "Realtime/client_secrets", "batches", "evals"]
  ) {
    assert.equal(costOf(demand("{}", { kind: "other", path: `/v1/${path}` })), null, path);
  }
  assert.equal(costOf(demand("{}", { kind: "files", path: "/v1/files" })), 0);
});

Deno.test("a reply whose price is not known costs at least what its tokens would have", () => {
  const reserved = { tokens: 10, costNano: 100, rates: RATES };
  const usage = { inputTokens: 1_000, outputTokens: 500, cachedTokens: null, reasoningTokens: null };
  const tier = settled(null, { usage: { ...usage, details: { tier: "priority" } } });
  assert.deepEqual(chargeOf(tier, reserved), {
    ...{ costNano: 7_001, requests: 1, tokens: 1_500, estimatedNano: 7_001 },
  });
  assert.equal(
    chargeOf(settled(null, { usage: { ...usage, inputTokens: 1, outputTokens: 1 } }), reserved).costNano,
    100,
  );
  assert.equal(chargeOf(settled(5, { usage }), reserved).costNano, 5);
  assert.equal(chargeOf(settled(null, { usage, outcome: "no_upstream" }), reserved).costNano, 0);
  const huge = settled(null, { usage: { ...usage, outputTokens: Number.MAX_SAFE_INTEGER - 5_000 } });
  assert.ok(Number.isSafeInteger(chargeOf(huge, reserved).costNano));
});
