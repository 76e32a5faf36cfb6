/** What requests cost, in the metrics: by upstream and model, and by client. */
import assert from "node:assert/strict";
import { Metrics } from "../../../src/observe/metrics.ts";
import type { Attempt, RequestRecord } from "../../../src/core/types.ts";
import { record } from "./fixtures.ts";

const USAGE = { inputTokens: 10, outputTokens: 5, cachedTokens: null, reasoningTokens: null };

function newMetrics(): Metrics {
  return new Metrics({ version: "1", deno: "2", databaseBytes: () => 1 });
}

async function samples(metrics: Metrics, pattern: RegExp): Promise<string[]> {
  const lines = (await metrics.render()).body.split("\n").filter((line) => !line.startsWith("#"));
  return lines.map((line) => line.replace("openai_api_route_", "")).filter((line) => pattern.test(line))
    .sort();
}

function settle(metrics: Metrics, fields: Partial<RequestRecord>, upstream: string | null = "a"): void {
  metrics.requestStarted();
  metrics.requestSettled("chat", record(fields), upstream);
}

function failed(upstreamId: number, upstreamName: string, costNano: number | null): Attempt {
  return {
    ...{ index: 1, upstreamId, upstreamName, startedAtMs: 0, durationMs: 1, status: 200 },
    ...{ errorClass: "bad_stream", message: null, partial: null, keyN: null, isChanged: false, costNano },
  };
}

Deno.test("costs are counted in dollars, by the upstream that they went to, and add up", async () => {
  const metrics = newMetrics();
  settle(metrics, { costNano: 1_500_000_000 });
  settle(metrics, { costNano: 500_000_000, attempts: [failed(2, "b", 100_000_000), failed(3, "c", null)] });
  settle(metrics, { costNano: 0, model: "free" });
  // Nobody answered, and one had to be paid.
  settle(
    metrics,
    { status: 502, upstreamId: null, costNano: 7_000, attempts: [failed(2, "b", 7_000)] },
    null,
  );
  assert.deepEqual(await samples(metrics, /^cost_usd_total/), [
    'cost_usd_total{upstream="a",model="free"} 0',
    'cost_usd_total{upstream="a",model="gpt-4o"} 1.9',
    'cost_usd_total{upstream="b",model="gpt-4o"} 0.100007',
  ]);
});

Deno.test("requests without a price are counted, and make no cost of 0", async () => {
  const metrics = newMetrics();
  settle(metrics, {});
  settle(metrics, { method: "GET", path: "/v1/models", model: null });
  settle(metrics, { status: 429, outcome: "upstream_error" });
  assert.deepEqual(await samples(metrics, /^(?:unpriced_requests|cost_usd)_total/), [
    'unpriced_requests_total{upstream="a",model="gpt-4o"} 1',
  ]);
});

Deno.test("estimated tokens are never among reported ones, by upstream or by client", async () => {
  const metrics = newMetrics();
  metrics.tokensChanged([{ name: "ann", secret: "sk-secret-of-ann-0123456789" }]);
  settle(metrics, { usage: USAGE, client: "ann" });
  settle(metrics, { usage: USAGE, client: "ann", areTokensEstimated: true });
  assert.deepEqual(await samples(metrics, /tokens_total/), [
    'client_estimated_tokens_total{client="ann",type="input"} 10',
    'client_estimated_tokens_total{client="ann",type="output"} 5',
    'client_tokens_total{client="ann",type="input"} 10',
    'client_tokens_total{client="ann",type="output"} 5',
    'estimated_tokens_total{upstream="a",model="gpt-4o",type="input"} 10',
    'estimated_tokens_total{upstream="a",model="gpt-4o",type="output"} 5',
    'tokens_total{upstream="a",model="gpt-4o",type="input"} 10',
    'tokens_total{upstream="a",model="gpt-4o",type="output"} 5',
  ]);
});

Deno.test("costs by client are those of named tokens, the others together; series of the removed go", async () => {
  const metrics = newMetrics();
  metrics.tokensChanged([{ name: "ann", secret: "sk-secret-of-ann-0123456789" }]);
  metrics.upstreamsChanged(["a", "b"]);
  settle(metrics, { costNano: 2_000_000_000, client: "ann" });
  for (const client of [null, "made-up"]) settle(metrics, { costNano: 1_000_000_000, client });
  assert.deepEqual(await samples(metrics, /^client_cost/), [
    'client_cost_usd_total{client="ann"} 2',
    'client_cost_usd_total{client="other"} 2',
  ]);
  metrics.tokensChanged([]);
  metrics.upstreamsChanged(["b"]);
  settle(metrics, { costNano: 5, attempts: [failed(9, "gone", 5)] });
  assert.deepEqual(await samples(metrics, /client="ann"|^cost_usd_total/), []);
});

Deno.test("clients that make up models make a limited number of series of costs", async () => {
  const metrics = newMetrics();
  for (let index = 0; index < 500; index++) settle(metrics, { model: `m${index}`, costNano: 1_000 });
  const lines = await samples(metrics, /^cost_usd_total/);
  assert.equal(lines.length, 101);
  assert.match(lines.find((line) => line.includes('"other"')) ?? "", / 0\.0004\d*$/);
});
