/** What records hold of replies that report only a part of what they used. */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import { chunk, FakeUpstream, hang, type Script, stream, STREAM_HEAD } from "../support/upstream.ts";

const LAST = "data: [DONE]\n\n";

function start(upstream: FakeUpstream): Promise<Router> {
  return Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk: "sk-test-1", name: "one" }] });
}

/** How Anthropic's streams begin: it counts what is written so far, which is next to nothing. */
const MESSAGE_START = `event: message_start\ndata: ${
  JSON.stringify({
    type: "message_start",
    message: {
      ...{ id: "msg_1", type: "message", role: "assistant", model: "claude", content: [], stop_reason: null },
      usage: { input_tokens: 70, cache_read_input_tokens: 40, output_tokens: 1 },
    },
  })
}\n\n`;

function messageDelta(text: string): string {
  const data = { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } };
  return `event: content_block_delta\ndata: ${JSON.stringify(data)}\n\n`;
}

const MESSAGE_END =
  'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},' +
  '"usage":{"output_tokens":7}}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n';

Deno.test("of a partial report, only what is missing is estimated", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await start(upstream);
  const said = Array.from({ length: 10 }, () => messageDelta("Hello there, my dear friend. "));
  const text = "Hello there, my dear friend. ".repeat(10);
  const ask = async (path: string, script: Script) => {
    upstream.script = script;
    const response = await router.fetch(path, {
      method: "POST",
      body: '{"model":"m","stream":true,"messages":[{"role":"user","content":"Say hello, please."}]}',
    });
    await response.arrayBuffer().catch(() => {});
    return countsOf(await router.recordOf(response));
  };
  const cut = (events: readonly string[]): Script => async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    wire.close();
  };
  assert.deepEqual(await ask("/messages", cut([MESSAGE_START, ...said])), [70, 70, 40, 1]);
  assert.deepEqual(await ask("/messages", cut([MESSAGE_START, ...said, MESSAGE_END])), [70, 7, 40, null]);
  assert.deepEqual(await ask("/messages", stream([MESSAGE_START, ...said, MESSAGE_END])), [70, 7, 40, null]);
  // Without content, nothing is estimated.
  assert.deepEqual(await ask("/messages", cut([MESSAGE_START])), [null, null, null, null]);

  const usage = (counts: Record<string, number>) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }], usage: counts })}\n\n`;
  const input = [usage({ prompt_tokens: 5 }), LAST];
  assert.deepEqual(await ask("/chat/completions", stream(input)), [5, 70, null, 1]);
  const output = [usage({ completion_tokens: 3 }), LAST];
  assert.deepEqual(await ask("/chat/completions", stream(output)), [9, 3, null, 1]);
  // Who counts all the time has counted what came before the cut.
  const counted = usage({ prompt_tokens: 5, completion_tokens: 3 });
  assert.deepEqual(await ask("/chat/completions", cut([counted])), [5, 3, null, null]);
});

Deno.test("a client that leaves one of Anthropic's streams is charged for what was written", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await start(upstream);
  upstream.script = async (request, wire) => {
    await wire.write(STREAM_HEAD);
    await wire.write(chunk(MESSAGE_START + messageDelta("Hello there, my dear friend. ".repeat(10))));
    await hang(request);
  };
  const leave = new AbortController();
  const response = await router.fetch("/messages", {
    method: "POST",
    body: '{"model":"m","stream":true,"messages":[]}',
    signal: leave.signal,
  });
  const reader = response.body?.getReader();
  await reader?.read();
  leave.abort();
  assert.deepEqual(countsOf(await router.recordOf(response)), [70, 70, 40, 1]);
});

function countsOf(record: Record<string, unknown>): unknown[] {
  const { input_tokens, output_tokens, cached_tokens, tokens_are_estimated } = record;
  return [input_tokens, output_tokens, cached_tokens, tokens_are_estimated];
}
