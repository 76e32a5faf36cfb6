/** What replies report of their use besides tokens, as it comes out of whole replies and streams. */
import assert from "node:assert/strict";
import type { EndpointKind } from "../../../../src/core/types.ts";
import type { UsageDetails } from "../../../../src/core/usage.ts";
import { documentOf, events, replay, streamOf } from "../replay.ts";

function detailsOf(kind: EndpointKind, document: unknown): UsageDetails | null | undefined {
  return replay(documentOf(kind), JSON.stringify(document)).reply.usage?.details;
}

const CHOICES = [{ index: 0, message: { role: "assistant", content: "hi" }, finish_reason: "stop" }];
const ORDINARY = {
  prompt_tokens: 8,
  completion_tokens: 3,
  total_tokens: 11,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 2, audio_tokens: 0 },
};

Deno.test("an ordinary report has no details", () => {
  const document = { model: "m", choices: CHOICES, usage: ORDINARY, service_tier: "default" };
  const { usage } = replay(documentOf("chat"), JSON.stringify(document)).reply;
  assert.ok(usage !== null && !("details" in usage));
});

Deno.test("the tier stands beside the usage", () => {
  const document = { model: "m", choices: CHOICES, usage: ORDINARY, service_tier: "flex" };
  assert.deepEqual(detailsOf("chat", document), { tier: "flex" });
  assert.deepEqual(detailsOf("chat", { ...document, service_tier: "x".repeat(100) }), undefined);
});

Deno.test("Anthropic's stream: what was written to caches, and searches, of all its events", () => {
  const written = { ephemeral_5m_input_tokens: 30, ephemeral_1h_input_tokens: 12 };
  const start = {
    input_tokens: 5,
    cache_creation_input_tokens: 42,
    cache_creation: written,
    output_tokens: 1,
  };
  const end = { output_tokens: 9, server_tool_use: { web_search_requests: 2 } };
  const { usage } = replay(
    streamOf("messages"),
    events(
      { type: "message_start", message: { model: "claude", usage: start } },
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: end },
      { type: "message_stop" },
    ),
  ).reply;
  assert.deepEqual([usage?.inputTokens, usage?.outputTokens], [5, 9]);
  assert.deepEqual(usage?.details, {
    cacheWriteTokens: 42,
    cacheWrite1hTokens: 12,
    isCacheApart: true,
    webSearches: 2,
  });
});

Deno.test("responses: searches are counted, pages that were opened are not", () => {
  const search = (type: string) => ({
    type: "web_search_call",
    id: "ws",
    status: "completed",
    action: { type },
  });
  const output = [search("search"), search("open_page"), search("search")];
  const document = { model: "m", status: "completed", output, usage: { input_tokens: 1, output_tokens: 2 } };
  assert.deepEqual(detailsOf("responses", document), { webSearches: 2 });
});

Deno.test("sound and images: seconds and how many there are", () => {
  assert.deepEqual(detailsOf("audio", { text: "a", usage: { type: "duration", seconds: 7 } }), {
    audioSeconds: 7,
  });
  assert.deepEqual(detailsOf("audio", { text: "a", duration: 8.5 }), { audioSeconds: 8.5 });
  assert.deepEqual(detailsOf("images", { data: [{ url: "https://a" }, { url: "https://b" }] }), {
    images: 2,
  });
});

Deno.test("hostile numbers count for nothing", () => {
  const usage = { ...ORDINARY, cost: -1, service_tier: 5, server_tool_use: { web_search_requests: 1e300 } };
  assert.equal(detailsOf("chat", { model: "m", choices: CHOICES, usage }), undefined);
  const huge = { ...ORDINARY, cost: 1e300, cost_in_usd_ticks: "1", cache_creation_input_tokens: -5 };
  assert.equal(detailsOf("chat", { model: "m", choices: CHOICES, usage: huge }), undefined);
});
