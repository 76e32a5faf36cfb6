/** What the commit gate reads: content, neutral bytes, terminal events and errors, for every kind of stream. */
import assert from "node:assert/strict";
import type { EndpointKind } from "../../../src/core/types.ts";
import { chatChunk, events, replay, streamOf } from "./replay.ts";

const PING = 'event: ping\ndata: {"type": "ping"}\n\n';

interface ContentCase {
  readonly kind: EndpointKind;
  /** Events without content. */
  readonly before: string;
  /** The event that is the first content. */
  readonly content: string;
}

function typed(...items: Record<string, unknown>[]): string {
  return items.map((item) => `event: ${item.type}\n${events(item)}`).join("");
}

const ROLE = chatChunk({ role: "assistant", content: "", refusal: null });
const CREATED = { type: "response.created", response: { model: "m", status: "in_progress" } };
const MESSAGE_START = { type: "message_start", message: { content: [], usage: { input_tokens: 1 } } };

const CONTENT_CASES: Readonly<Record<string, ContentCase>> = {
  "text of a chat, not its role": {
    kind: "chat",
    before: `: hi\n\n${events(ROLE, chatChunk({ content: "" }), chatChunk({ content: null }))}`,
    content: events(chatChunk({ content: "a" })),
  },
  "a chat's refusal": { kind: "chat", before: events(ROLE), content: events(chatChunk({ refusal: "no" })) },
  "a chat's reasoning": {
    kind: "chat",
    before: events(chatChunk({ role: "assistant", reasoning_content: "", reasoning: "" })),
    content: events(chatChunk({ reasoning: "hm" })),
  },
  "a chat's reasoning details": {
    kind: "chat",
    before: events(chatChunk({ reasoning_details: [] })),
    content: events(chatChunk({ reasoning_details: [{ type: "reasoning.text", text: "hm" }] })),
  },
  "a chat's tool call": {
    kind: "chat",
    before: events(chatChunk({ tool_calls: [] }), chatChunk({ tool_calls: null })),
    content: events(chatChunk({ tool_calls: [{ index: 0, id: "c", function: { name: "f" } }] })),
  },
  "a chat's audio": {
    kind: "chat",
    before: events(chatChunk({ audio: { id: "a" } })),
    content: events(chatChunk({ audio: { data: "AAAA" } })),
  },
  "text of a chat's second choice": {
    kind: "chat",
    before: events(ROLE),
    content: events(chatChunk({ content: "b" }, { index: 1 })),
  },
  "text of a completion": {
    kind: "completions",
    before: events({ choices: [{ index: 0, text: "", finish_reason: null }] }),
    content: events({ choices: [{ index: 0, text: "a" }] }),
  },
  "a delta of a response, not its announcement": {
    kind: "responses",
    before: typed(
      CREATED,
      { type: "response.queued" },
      { type: "response.in_progress" },
      { type: "response.output_item.added", output_index: 0, item: { type: "message", content: [] } },
      { type: "response.content_part.added", output_index: 0, part: { type: "output_text", text: "" } },
    ),
    content: typed({ type: "response.output_text.delta", output_index: 0, delta: "a" }),
  },
  "a response's function call": {
    kind: "responses",
    before: typed(CREATED, {
      type: "response.output_item.added",
      output_index: 0,
      item: { type: "reasoning" },
    }),
    content: typed({ type: "response.output_item.added", output_index: 1, item: { type: "function_call" } }),
  },
  "a delta of a message's block": {
    kind: "messages",
    before: PING +
      typed(MESSAGE_START, {
        type: "content_block_start",
        index: 0,
        content_block: { type: "text", text: "" },
      }),
    content: typed({ type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "a" } }),
  },
  "a message's tool": {
    kind: "messages",
    before: typed(MESSAGE_START),
    content: typed({ type: "content_block_start", index: 0, content_block: { type: "server_tool_use" } }),
  },
  "encrypted reasoning of a chat": {
    kind: "chat",
    before: events(chatChunk({ reasoning_details: [{ type: "reasoning.encrypted", data: "" }] })),
    content: events(chatChunk({ reasoning_details: [{ type: "reasoning.encrypted", data: "AAAA" }] })),
  },
  "a chat's legacy call": {
    kind: "chat",
    before: events(chatChunk({ function_call: null }), chatChunk({ function_call: {} })),
    content: events(chatChunk({ function_call: { name: "f" } })),
  },
  "a chat's content filter": {
    kind: "chat",
    before: events(ROLE),
    content: events(chatChunk({}, { finish_reason: "content_filter" })),
  },
  "a response's text that comes without deltas": {
    kind: "responses",
    before: typed(CREATED, { type: "response.output_text.delta", output_index: 0, delta: "" }),
    content: typed({ type: "response.output_text.done", output_index: 0, text: "a" }),
  },
  "a response's part": {
    kind: "responses",
    before: typed(CREATED, { type: "response.content_part.added", part: { type: "output_text", text: "" } }),
    content: typed({ type: "response.content_part.done", part: { type: "output_text", text: "a" } }),
  },
  "a response's message": {
    kind: "responses",
    before: typed(CREATED, {
      type: "response.output_item.added",
      item: { id: "m", type: "message", content: [], status: "in_progress", role: "assistant" },
    }),
    content: typed({
      type: "response.output_item.done",
      item: { id: "m", type: "message", content: [{ type: "output_text", text: "a" }] },
    }),
  },
  "a compacted conversation": {
    kind: "responses",
    before: typed(CREATED, {
      type: "response.output_item.added",
      item: { id: "c", type: "compaction", encrypted_content: "" },
    }),
    content: typed({
      type: "response.output_item.done",
      item: { id: "c", type: "compaction", encrypted_content: "gAAA" },
    }),
  },
  "encrypted reasoning of a response": {
    kind: "responses",
    before: typed(CREATED, {
      type: "response.output_item.added",
      item: { id: "rs", type: "reasoning", summary: [], content: null, encrypted_content: null },
    }),
    content: typed({
      type: "response.output_item.done",
      item: { id: "rs", type: "reasoning", summary: [], encrypted_content: "gAAA" },
    }),
  },
  "the output of a response that sends nothing before": {
    kind: "responses",
    before: typed(CREATED),
    content: typed({
      type: "response.completed",
      response: { output: [{ type: "message", content: [{ type: "output_text", text: "a" }] }] },
    }),
  },
  "a response's image": {
    kind: "responses",
    before: typed(CREATED, { type: "response.image_generation_call.in_progress", output_index: 0 }),
    content: typed({ type: "response.image_generation_call.partial_image", partial_image_b64: "AAAA" }),
  },
  "a response's arguments that come at once": {
    kind: "responses",
    before: typed(CREATED, { type: "response.function_call_arguments.delta", output_index: 0, delta: "" }),
    content: typed({ type: "response.function_call_arguments.done", output_index: 0, arguments: "{}" }),
  },
  "a response's sound": {
    kind: "responses",
    before: typed(CREATED, { type: "response.audio.delta", delta: "" }),
    content: typed({ type: "response.audio.delta", delta: "AAAA" }),
  },
  "a message that begins with its content": {
    kind: "messages",
    before: typed(MESSAGE_START),
    content: typed({ type: "message_start", message: { content: [{ type: "text", text: "a" }] } }),
  },
  "a block that begins with its text": {
    kind: "messages",
    before: typed(MESSAGE_START, { type: "content_block_start", content_block: { type: "text", text: "" } }),
    content: typed({ type: "content_block_start", content_block: { type: "text", text: "a" } }),
  },
  "a block without deltas": {
    kind: "messages",
    before: typed(MESSAGE_START, {
      type: "content_block_start",
      content_block: { type: "thinking", thinking: "", signature: "" },
    }),
    content: typed({
      type: "content_block_start",
      content_block: { type: "web_search_tool_result", tool_use_id: "t", content: [] },
    }),
  },
  "redacted thinking": {
    kind: "messages",
    before: typed(MESSAGE_START, {
      type: "content_block_start",
      content_block: { type: "compaction", content: null },
    }),
    content: typed({
      type: "content_block_start",
      content_block: { type: "redacted_thinking", data: "AAAA" },
    }),
  },
  "a delta that says something, not its signature": {
    kind: "messages",
    before: typed(
      MESSAGE_START,
      { type: "content_block_delta", delta: { type: "text_delta", text: "" } },
      { type: "content_block_delta", delta: { type: "thinking_delta", thinking: "" } },
      { type: "content_block_delta", delta: { type: "signature_delta", signature: "AAAA" } },
    ),
    content: typed({ type: "content_block_delta", delta: { type: "compaction_delta", content: "a" } }),
  },
  "a message's refusal": {
    kind: "messages",
    before: typed(MESSAGE_START, { type: "message_delta", delta: { stop_reason: null } }),
    content: typed({ type: "message_delta", delta: { stop_reason: "refusal" } }),
  },
  "an image": {
    kind: "images",
    before: typed({ type: "image_generation.partial_image", b64_json: "" }, {
      type: "keepalive",
      sequence_number: 1,
    }),
    content: typed({ type: "image_generation.partial_image", b64_json: "AAAA" }),
  },
  "speech": {
    kind: "audio",
    before: typed({ type: "speech.audio.delta", audio: "" }),
    content: typed({ type: "speech.audio.delta", audio: "AAAA" }),
  },
  "a transcription without a word": {
    kind: "audio",
    before: typed({ type: "transcript.text.delta", delta: "" }),
    content: typed({ type: "transcript.text.done", text: "" }),
  },
  "any event with data of another kind": {
    kind: "other",
    before: `: hi\n\nevent: open\n\n${PING}`,
    content: "data: anything\n\n",
  },
};

for (const [name, { kind, before, content }] of Object.entries(CONTENT_CASES)) {
  Deno.test(`CaptureProgress has content at ${name}`, () => {
    const capture = streamOf(kind);
    capture.push(new TextEncoder().encode(before));
    assert.equal(capture.progress.hasContent, false);
    capture.push(new TextEncoder().encode(content));
    assert.equal(capture.progress.hasContent, true);
    assert.equal(capture.progress.error, null);
  });
}

Deno.test("CaptureProgress has no content at the [DONE] of any kind", () => {
  for (const kind of ["chat", "completions", "other"] as const) {
    const { progress } = replay(streamOf(kind), "data: [DONE]\n\n");
    assert.equal(progress.hasContent, false);
    assert.equal(progress.hasEvents, true);
    assert.equal(progress.isTerminal, true);
  }
});

Deno.test("CaptureProgress counts comments, blank lines and pings as neutral, and nothing else", () => {
  const neutral = `: a\n\n\r\n${PING}data: {"type":"ping"}\n\n: b\n`;
  const length = new TextEncoder().encode(neutral).length;
  for (const kind of ["chat", "messages", "responses", "other"] as const) {
    const quiet = replay(streamOf(kind), neutral);
    assert.deepEqual(quiet.progress, {
      hasContent: false,
      hasEvents: false,
      isTerminal: false,
      error: null,
      defect: null,
      isDocument: false,
      neutralBytes: length,
    });
    const spoken = replay(streamOf(kind), `${neutral}data: {"x":1}\n\n: later\n\n${PING}`);
    assert.equal(spoken.progress.neutralBytes, length);
    assert.equal(spoken.progress.hasEvents, true);
  }
});

Deno.test("CaptureProgress does not count a ping, a comment or a field before it is complete", () => {
  const neutralBytes = (text: string) => {
    const capture = streamOf("messages");
    capture.push(new TextEncoder().encode(text));
    return capture.progress.neutralBytes;
  };
  assert.equal(neutralBytes(": a\n\n: b"), 5);
  assert.equal(neutralBytes(": a\n\nevent: ping\n"), 5);
  assert.equal(neutralBytes(': a\n\nevent: ping\ndata: {"type":"ping"}\n'), 5);
  assert.equal(neutralBytes(': a\n\nevent: ping\ndata: {"type":"ping"}\n\n'), 40);
  assert.equal(neutralBytes(": a\n\nretry: 5\n\n: b\n\n"), 5);
});

Deno.test("CaptureProgress is terminal at the protocol's own end", () => {
  const isTerminal = (kind: EndpointKind, text: string) => replay(streamOf(kind), text).progress.isTerminal;
  assert.equal(isTerminal("responses", typed({ type: "response.completed", response: {} })), true);
  assert.equal(isTerminal("responses", typed({ type: "response.incomplete", response: {} })), true);
  assert.equal(isTerminal("responses", typed({ type: "response.failed", response: {} })), true);
  assert.equal(isTerminal("responses", events("[DONE]")), false);
  assert.equal(isTerminal("messages", typed({ type: "message_stop" })), true);
  assert.equal(isTerminal("messages", events("[DONE]")), false);
  assert.equal(isTerminal("chat", events(chatChunk({}, { finish_reason: "stop" }))), false);
  assert.equal(isTerminal("chat", "data:[DONE]"), true);
});

const ERRORS: readonly (readonly [kind: EndpointKind, stream: string, message: string])[] = [
  ["chat", events({ error: { message: "over quota", type: "x" } }), "over quota"],
  ["chat", events({ error: "plain" }), "plain"],
  ["chat", events({ object: "error", message: "vllm", code: 400 }), "vllm"],
  ["chat", 'event: error\ndata: {"message":"named"}\n\n', "named"],
  ["chat", "event: error\ndata: not json\n\n", "not json"],
  ["chat", "event: error\n\n", "the upstream sent an error event without data"],
  [
    "chat",
    events(chatChunk({}, { finish_reason: "error" })),
    'the upstream ended its reply with finish_reason "error"',
  ],
  ["chat", events(chatChunk({}, { error: { message: "in the choice" } })), "in the choice"],
  ["responses", typed({ type: "error", code: "c", message: "flat" }), "flat"],
  ["responses", typed({ type: "response.failed", response: { error: null } }), "the response failed"],
  ["messages", typed({ type: "error", error: { type: "overloaded_error" } }), "overloaded_error"],
  ["other", events({ error: { message: "anywhere" } }), "anywhere"],
];

for (const [kind, stream, message] of ERRORS) {
  Deno.test(`CaptureProgress has the error "${message}" of a ${kind} stream`, () => {
    const { progress, reply } = replay(streamOf(kind), stream + events("[DONE]"));
    assert.equal(progress.error?.message, message);
    assert.equal(reply.isComplete, false);
  });
}

Deno.test("CaptureProgress has no error when the error is null", () => {
  const { progress } = replay(streamOf("chat"), events({ ...ROLE, error: null }, "[DONE]"));
  assert.equal(progress.error, null);
});

Deno.test("finish() counts a chat as complete once every choice has a finish reason", () => {
  const ends = (...items: unknown[]) =>
    replay(streamOf("chat"), events(...items), { isCleanEnd: false }).reply.isComplete;
  const first = chatChunk({ content: "a" }, { finish_reason: "stop" });
  assert.equal(ends(chatChunk({ content: "a" })), false);
  assert.equal(ends(first), true);
  assert.equal(ends(chatChunk({ content: "b" }, { index: 1 }), first), false);
  assert.equal(ends(chatChunk({ content: "a" }), "[DONE]"), true);
});

Deno.test("finish() counts no other stream as complete without its terminal event", () => {
  const delta = typed({ type: "response.output_text.delta", output_index: 0, delta: "a" });
  assert.equal(replay(streamOf("responses"), delta).reply.isComplete, false);
  assert.equal(replay(streamOf("messages"), typed(MESSAGE_START)).reply.isComplete, false);
  assert.equal(replay(streamOf("other"), "data: x\n\n").reply.isComplete, true);
  assert.equal(replay(streamOf("other"), "data: x\n\n", { isCleanEnd: false }).reply.isComplete, false);
});

Deno.test("push() counts events that are not JSON and continues", () => {
  const stream = `data: {oops\n\n${events(chatChunk({ content: "a" }), "[1]", "null")}`;
  const { reply } = replay(streamOf("chat"), stream);
  assert.equal(reply.text, "a");
  assert.equal(reply.parseErrors, 1);
});

Deno.test("push() does not count the unfinished rest of a cut stream", () => {
  const stream = `${events(chatChunk({ content: "a" }))}data: {"choices":[{"delta":{"con`;
  const { reply } = replay(streamOf("chat"), stream, { isCleanEnd: false });
  assert.equal(reply.text, "a");
  assert.equal(reply.parseErrors, 0);
});

Deno.test("push() accepts any shape of JSON in any kind of stream", () => {
  const odd = [
    { choices: {} },
    { choices: [null, 1, "x", [], { delta: 1 }, { index: -1, delta: { content: {} } }] },
    { choices: [{ index: 1e9, delta: { content: "far" }, finish_reason: 3 }] },
    { choices: [{ delta: { tool_calls: [null, 1, {}, { function: null }, { index: "x", function: [] }] } }] },
    { choices: [{ delta: { content: [null, 1, "s", {}, { type: "thinking", thinking: 3 }] } }] },
    { usage: { prompt_tokens: "9", completion_tokens: -1 }, model: {}, x_groq: [] },
    { type: "response.output_item.done", output_index: -3, item: { type: "function_call", arguments: {} } },
    { type: "response.completed", response: { output: [null, { content: [null] }], usage: 1 } },
    { type: "message_start", message: null },
    { type: "content_block_start", content_block: 3 },
    { type: "content_block_delta", index: 99, delta: { type: "input_json_delta", partial_json: {} } },
    { type: "transcript.text.delta" },
    { type: "image_generation.completed" },
  ];
  for (const kind of ["chat", "completions", "responses", "messages", "images", "other"] as const) {
    assert.equal(replay(streamOf(kind), events(...odd)).reply.parseErrors, 0);
  }
});

Deno.test("partial() returns what is known, and changes nothing", () => {
  const capture = streamOf("chat");
  const text = "abcdefghij".repeat(100);
  let expected = "";
  for (const character of text) {
    capture.push(new TextEncoder().encode(events(chatChunk({ content: character }))));
    expected += character;
    assert.equal(capture.partial().text, expected);
  }
  assert.equal(capture.partial().isComplete, false);
  assert.equal(capture.finish(true).text, text);
});

Deno.test("push() keeps no reference to a chunk that is overwritten afterwards", () => {
  const bytes = new TextEncoder().encode(events(chatChunk({ content: "kept" }), "[DONE]"));
  const capture = streamOf("chat");
  const buffer = new Uint8Array(7);
  for (let at = 0; at < bytes.length; at += buffer.length) {
    const piece = bytes.subarray(at, at + buffer.length);
    buffer.set(piece);
    capture.push(buffer.subarray(0, piece.length));
    buffer.fill(0x78);
  }
  assert.equal(capture.finish(true).text, "kept");
});

Deno.test("createCapture() reads a JSON document that is labelled as an event stream", () => {
  const answer = '\ufeff\n {"choices":[{"index":0,"message":{"content":"hi"},"finish_reason":"stop"}]}';
  const { reply, progress } = replay(streamOf("chat"), answer, { cuts: [1, 2, 3, 20] });
  assert.equal(reply.text, "hi");
  assert.equal(reply.isComplete, true);
  assert.equal(reply.bytes, answer.length + 2);
  assert.equal(progress.hasContent, true);
  const failed = replay(streamOf("chat"), '{"error":{"message":"no"}}');
  assert.equal(failed.progress.error?.message, "no");
  assert.equal(failed.reply.isComplete, false);
});
