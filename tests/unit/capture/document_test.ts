/** Replies that are one document: each API's JSON form, errors, text, binary, and bodies that were cut. */
import assert from "node:assert/strict";
import type { CaptureOptions } from "../../../src/capture/capture.ts";
import type { CapturedReply, EndpointKind } from "../../../src/core/types.ts";
import { documentOf, replay } from "./replay.ts";

function replyTo(kind: EndpointKind, body: unknown, options: Partial<CaptureOptions> = {}): CapturedReply {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return replay(documentOf(kind, options), text).reply;
}

Deno.test("a chat document has all choices, refusals, reasoning and calls", () => {
  const reply = replyTo("chat", {
    model: "m",
    choices: [
      { index: 1, message: { content: null, refusal: "No." }, finish_reason: "stop" },
      { index: 0, message: { content: "Yes.", reasoning_content: "Hm." }, finish_reason: "length" },
      { index: 2, message: { content: [{ type: "text", text: "Part" }], audio: { transcript: "!" } } },
    ],
    usage: { prompt_tokens: 1, completion_tokens: 2 },
  });
  assert.equal(reply.text, "Yes.\n\n[choice 2]\nNo.\n\n[choice 3]\nPart!");
  assert.equal(reply.reasoning, "Hm.");
  assert.equal(reply.finishReason, "length");
  assert.equal(reply.isComplete, true);
});

Deno.test("a chat document with only images tells how many", () => {
  const images = [{ type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } }];
  assert.equal(replyTo("chat", { choices: [{ message: { content: "", images } }] }).text, "[1 image]");
});

Deno.test("a responses document has its status, or the reason why it is incomplete", () => {
  const output = [
    { type: "reasoning", summary: [{ text: "S" }], content: [{ type: "reasoning_text", text: "R" }] },
    { type: "message", content: [{ type: "output_text", text: "T" }, { type: "refusal", refusal: "!" }] },
    { type: "file_search_call", id: "fs", queries: ["q"] },
    { type: "image_generation_call", id: "ig", revised_prompt: "a cat", result: "AAAA" },
    { type: "mcp_call", id: "mcp", name: "roll", arguments: "{}" },
  ];
  const reply = replyTo("responses", { model: "m", status: "completed", output, error: null });
  assert.equal(reply.text, "T!");
  assert.equal(reply.reasoning, "SR");
  assert.deepEqual(reply.toolCalls, [
    { id: "fs", name: "file_search", arguments: '{"queries":["q"]}' },
    { id: "ig", name: "image_generation", arguments: '{"revised_prompt":"a cat"}' },
    { id: "mcp", name: "roll", arguments: "{}" },
  ]);
  assert.equal(reply.finishReason, "completed");
  const cut = { status: "incomplete", incomplete_details: { reason: "content_filter" }, output: [] };
  assert.equal(replyTo("responses", cut).finishReason, "content_filter");
});

Deno.test("a messages document has text, thinking and tools", () => {
  const reply = replyTo("messages", {
    model: "claude",
    content: [
      { type: "thinking", thinking: "Hm." },
      { type: "text", text: "A" },
      { type: "text", text: "B" },
      { type: "tool_use", id: "t", name: "f", input: { x: 1 } },
    ],
    stop_reason: "tool_use",
    usage: { input_tokens: 5, cache_read_input_tokens: 2, output_tokens: 3 },
  });
  assert.equal(reply.text, "AB");
  assert.equal(reply.reasoning, "Hm.");
  assert.deepEqual(reply.toolCalls, [{ id: "t", name: "f", arguments: '{"x":1}' }]);
  assert.equal(reply.usage?.cachedTokens, 2);
});

Deno.test("a count of message tokens keeps its body and its count", () => {
  const reply = replyTo("messages", '{"input_tokens": 14}');
  assert.equal(reply.text, '{"input_tokens": 14}');
  assert.equal(reply.usage?.inputTokens, 14);
});

Deno.test("embeddings are described, as numbers or as base64", () => {
  const numbers = { data: [1, 2, 3].map(() => ({ embedding: [0.1, 0.2] })), usage: { prompt_tokens: 7 } };
  assert.equal(replyTo("embeddings", numbers).text, "3 embeddings of 2 dimensions");
  assert.equal(replyTo("embeddings", numbers).usage?.inputTokens, 7);
  const base64 = { data: [{ embedding: btoa("12345678") }] };
  assert.equal(replyTo("embeddings", base64).text, "1 embedding of 2 dimensions");
  assert.equal(replyTo("embeddings", { data: [] }).text, "0 embeddings");
});

Deno.test("images are described with their revised prompts, not their base64", () => {
  const data = [{ b64_json: "AAAA", revised_prompt: "A red cat." }, { url: "https://i.example/1.png" }];
  assert.equal(
    replyTo("images", { data }).text,
    "2 images\nrevised prompt: A red cat.\nhttps://i.example/1.png",
  );
});

Deno.test("transcriptions are their text, as JSON or plain", () => {
  assert.equal(replyTo("audio", { text: "Hello.", segments: [] }).text, "Hello.");
  const plain = { contentType: "text/plain; charset=utf-8" };
  assert.equal(replyTo("audio", "1\n00:00 --> 00:01\nHello.\n", plain).text, "1\n00:00 --> 00:01\nHello.\n");
});

Deno.test("binary is described and not kept", () => {
  const bytes = new Uint8Array(12345).fill(0xff);
  const capture = documentOf("audio", { contentType: "audio/mpeg" });
  capture.push(bytes);
  assert.equal(capture.partial().text, "audio/mpeg, 12345 bytes");
  const reply = capture.finish(true);
  assert.equal(reply.text, "audio/mpeg, 12345 bytes");
  assert.equal(reply.isComplete, true);
  assert.equal(reply.isTruncated, false);
});

Deno.test("a body without a known type is text or binary, judged by its first bytes", () => {
  const seen = (bytes: Uint8Array, contentType: string | null) =>
    replay(documentOf("files", { contentType }), bytes, { cuts: [100, 600] }).reply.text;
  const text = '{"custom_id":"é"}\n'.repeat(100);
  assert.equal(seen(new TextEncoder().encode(text), "application/octet-stream"), text);
  assert.equal(seen(new Uint8Array(1000).fill(0xc3), "application/octet-stream").length, 36);
  assert.equal(seen(new Uint8Array(700), null), "unknown type, 700 bytes");
});

Deno.test("unknown JSON is kept verbatim", () => {
  const body = '{ "object": "list",  "data": [ {"id": "gpt-4o"} ] }\n';
  for (const kind of ["models", "files", "moderations", "other"] as const) {
    const reply = replyTo(kind, body);
    assert.equal(reply.text, body);
    assert.equal(reply.isComplete, true);
  }
});

Deno.test("with an error status, the text is the raw body", () => {
  const json = '{"error": {"message": "no such model"}}';
  const reply = replyTo("chat", json, { status: 404 });
  assert.equal(reply.text, json);
  assert.equal(reply.isComplete, true);
  const html = "<html>Bad gateway</html>";
  assert.equal(replyTo("chat", html, { status: 502, contentType: "text/html" }).text, html);
});

Deno.test("a document that is only an error is not a complete reply, even with status 200", () => {
  for (
    const body of [
      '{"error":{"message":"quota"}}',
      '{"type":"error","error":{"message":"quota"},"request_id":"r"}',
      '{"error":"quota","user_id":"u"}',
    ]
  ) {
    const { reply, progress } = replay(documentOf("chat"), body);
    assert.equal(reply.text, body);
    assert.equal(reply.isComplete, false);
    assert.equal(progress.error?.message, "quota");
    assert.equal(progress.hasContent, false);
  }
});

Deno.test("a failed response with status 200 is an error", () => {
  const body = { status: "failed", error: { code: "server_error", message: "broke" }, output: [] };
  const { progress } = replay(documentOf("responses"), JSON.stringify(body));
  assert.equal(progress.error?.message, "broke");
});

Deno.test("a document that was cut is kept and is not complete", () => {
  const body = '{"choices":[{"message":{"content":"hal';
  const { reply } = replay(documentOf("chat"), body, { isCleanEnd: false });
  assert.equal(reply.text, body);
  assert.equal(reply.isComplete, false);
  assert.equal(reply.parseErrors, 1);
  const whole = replay(documentOf("chat"), '{"choices":[]}', { isCleanEnd: false });
  assert.equal(whole.reply.isComplete, false);
});

Deno.test("an empty body is complete only for kinds without a known protocol", () => {
  assert.equal(replyTo("chat", "").isComplete, false);
  assert.equal(replyTo("chat", "").parseErrors, 0);
  assert.equal(replyTo("files", "", { contentType: null, status: 204 }).isComplete, true);
});

Deno.test("an event stream without a label is read as one", () => {
  const chunk = '{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}';
  const { reply } = replay(
    documentOf("chat", { contentType: "text/plain" }),
    `: hi\n\ndata: ${chunk}\n\ndata: [DONE]\n\n`,
  );
  assert.equal(reply.text, "hi");
  assert.equal(reply.isComplete, true);
});

Deno.test("partial() of a document returns what has arrived so far", () => {
  const capture = documentOf("chat");
  capture.push(new TextEncoder().encode('{"choices":'));
  assert.equal(capture.partial().text, '{"choices":');
  capture.push(new TextEncoder().encode('[{"message":{"content":"x"}}]}'));
  assert.equal(capture.finish(true).text, "x");
});
