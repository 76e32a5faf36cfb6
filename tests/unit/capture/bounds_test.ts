/** A capture at its limits: it keeps less, reports that, and still reads the end. */
import assert from "node:assert/strict";
import { isCostlyJson, MAX_VALUES } from "../../../src/capture/json_cost.ts";
import { chatChunk, documentOf, events, replay, streamOf } from "./replay.ts";

const USAGE = { prompt_tokens: 1, completion_tokens: 2 };

Deno.test("createCapture() stops keeping text at the limit, and still reads the end and the usage", () => {
  const deltas = Array.from({ length: 100 }, () => chatChunk({ content: "0123456789" }));
  const end = { ...chatChunk({}, { finish_reason: "stop" }), usage: USAGE };
  const { reply } = replay(streamOf("chat", { limitBytes: 55 }), events(...deltas, end, "[DONE]"));
  assert.equal(reply.text, "0123456789".repeat(5) + "01234");
  assert.equal(reply.isTruncated, true);
  assert.equal(reply.isComplete, true);
  assert.equal(reply.finishReason, "stop");
  assert.equal(reply.usage?.outputTokens, 2);
});

Deno.test("createCapture() shares one limit between text, reasoning and tool calls", () => {
  const call = { index: 0, id: "id", function: { name: "f", arguments: "123456" } };
  const stream = events(
    chatChunk({ reasoning: "rrrr" }),
    chatChunk({ content: "tttt" }),
    chatChunk({ tool_calls: [call] }),
    chatChunk({ content: "never" }),
  );
  const { reply } = replay(streamOf("chat", { limitBytes: 15 }), stream);
  assert.deepEqual([reply.reasoning, reply.text, reply.toolCalls[0]?.arguments], ["rrrr", "tttt", "1234"]);
  assert.equal(reply.isTruncated, true);
});

Deno.test("createCapture() counts UTF-8 bytes and does not split a character", () => {
  const stream = events(chatChunk({ content: "aé👋👋" }));
  assert.equal(replay(streamOf("chat", { limitBytes: 10 }), stream).reply.text, "aé👋");
  assert.equal(replay(streamOf("chat", { limitBytes: 11 }), stream).reply.isTruncated, false);
});

Deno.test("createCapture() drops an oversized event, keeps the rest and recognises its end by name", () => {
  const large = "x".repeat(5 * 1024 * 1024);
  const delta = { type: "response.output_text.delta", output_index: 0, delta: "hi" };
  const stream = events(delta) +
    `event: response.completed\n${events({ type: "response.completed", large })}`;
  const { reply } = replay(streamOf("responses"), stream);
  assert.equal(reply.text, "hi");
  assert.equal(reply.isComplete, true);
  assert.equal(reply.isTruncated, true);
  assert.equal(reply.finishReason, "completed");
});

Deno.test("createCapture() continues after an event of 20 MB in small pieces", () => {
  const capture = streamOf("chat");
  const piece = new Uint8Array(16 * 1024).fill(0x78);
  capture.push(new TextEncoder().encode("data: "));
  for (let pushed = 0; pushed < 20 * 1024 * 1024; pushed += piece.length) capture.push(piece);
  const { reply } = replay(capture, `\n\n${events(chatChunk({ content: "after" }), "[DONE]")}`);
  assert.equal(reply.text, "after");
  assert.equal(reply.isTruncated, true);
  assert.equal(reply.isComplete, true);
});

Deno.test("createCapture() joins very many small deltas", () => {
  const capture = streamOf("chat");
  const bytes = new TextEncoder().encode(events(chatChunk({ content: "ab" })));
  for (let count = 0; count < 100_000; count++) capture.push(bytes);
  assert.equal(capture.partial().text.length, 200_000);
  assert.ok(capture.finish(false).text === "ab".repeat(100_000));
});

Deno.test("createCapture() bounds the number of choices and tool calls", () => {
  const stream = events(
    ...Array.from({ length: 5000 }, (_, index) => chatChunk({ content: "x" }, { index })),
    ...Array.from(
      { length: 5000 },
      (_, index) => chatChunk({ tool_calls: [{ index, id: `c${index}`, function: { name: "f" } }] }),
    ),
  );
  const { reply } = replay(streamOf("chat"), stream);
  assert.equal(reply.toolCalls.length, 4096);
  assert.equal(reply.isTruncated, true);
});

Deno.test("createCapture() keeps the beginning of a document past the limit", () => {
  const body = JSON.stringify({ choices: [{ message: { content: "x".repeat(100) } }] });
  const { reply } = replay(documentOf("chat", { limitBytes: 50 }), body);
  assert.equal(reply.text, body.slice(0, 50));
  assert.equal(reply.isTruncated, true);
  assert.equal(reply.bytes, body.length);
});

Deno.test("createCapture() describes embeddings and images past the limit", () => {
  const body = JSON.stringify({ data: [{ embedding: [1, 2, 3], b64_json: "A".repeat(100) }] });
  for (const kind of ["embeddings", "images"] as const) {
    const { reply } = replay(documentOf(kind, { limitBytes: 60 }), body);
    assert.equal(reply.text, `application/json, ${body.length} bytes`);
    assert.equal(reply.isTruncated, true);
  }
});

Deno.test("createCapture() reads a document that arrives byte by byte", () => {
  const body = `{"choices":[{"message":{"content":"${"x".repeat(300_000)}"}}]}`;
  const bytes = new TextEncoder().encode(body);
  const capture = documentOf("chat");
  for (let at = 0; at < bytes.length; at++) capture.push(bytes.subarray(at, at + 1));
  assert.equal(capture.finish(true).text.length, 300_000);
});

Deno.test("createCapture() keeps a document of very many values unparsed", () => {
  const body = (values: number) =>
    `{"choices":[{"message":{"content":"hi"}}],"x":[${"{},".repeat(values)}1]}`;
  const parsed = replay(documentOf("chat"), body(MAX_VALUES / 2 - 10)).reply;
  assert.deepEqual([parsed.text, parsed.isTruncated], ["hi", false]);
  const kept = replay(documentOf("chat"), body(MAX_VALUES / 2 + 10)).reply;
  assert.deepEqual([kept.text, kept.isTruncated, kept.parseErrors], [body(MAX_VALUES / 2 + 10), true, 0]);
  assert.equal(kept.isComplete, true);
});

Deno.test("createCapture() drops an event of very many values, and continues", () => {
  const stream = `data: {"x":[${"{},".repeat(MAX_VALUES)}1]}\n\n` +
    events(chatChunk({ content: "after" }), "[DONE]");
  const { reply } = replay(streamOf("chat"), stream);
  assert.deepEqual([reply.text, reply.isTruncated, reply.isComplete], ["after", true, true]);
});

Deno.test("isCostlyJson() counts values and ignores strings", () => {
  assert.equal(isCostlyJson(JSON.stringify({ text: '[{,\\"'.repeat(MAX_VALUES) })), false);
  assert.equal(isCostlyJson(`["${"\\".repeat(MAX_VALUES * 4)}`), false);
  assert.equal(isCostlyJson("[".repeat(MAX_VALUES * 2)), true);
});
