/** The content of every fixture's reply, which is the same wherever its bytes are cut. */
import assert from "node:assert/strict";
import type { CapturedReply, EndpointKind, Usage } from "../../../src/core/types.ts";
import { everyByte, fixtureNames, readFixture, replay, streamOf } from "./replay.ts";

interface Expected extends Partial<CapturedReply> {
  readonly kind: EndpointKind;
  readonly errorMessage?: string;
  readonly neutralBytes?: number;
}

/** Input, output, cached, reasoning. */
function usage(...counts: [number | null, number | null, number | null, number | null]): Usage {
  const [inputTokens, outputTokens, cachedTokens, reasoningTokens] = counts;
  return { inputTokens, outputTokens, cachedTokens, reasoningTokens };
}

const FIXTURES: Readonly<Record<string, Expected>> = {
  "chat-two-choices": {
    kind: "chat",
    text: "Grüße, Welt\n\n[choice 2]\nHi 👋 there",
    model: "gpt-5-nano",
    finishReason: "stop",
    usage: usage(12, 34, 5, 6),
  },
  "chat-parallel-tools": {
    kind: "chat",
    model: "gpt-5-nano",
    toolCalls: [
      { id: "call_a", name: "get_weather", arguments: '{"city":"Köln"}' },
      { id: "call_b", name: "get_time", arguments: '{"zone":"CET"}' },
    ],
    finishReason: "tool_calls",
  },
  "chat-refusal-legacy-call": {
    kind: "chat",
    text: "I can't help.",
    model: "gpt-5-nano",
    toolCalls: [{ id: null, name: "report", arguments: '{"a":1}' }],
    finishReason: "stop",
  },
  "chat-audio": { kind: "chat", text: "Beep boop.", model: "gpt-4o-audio-preview", finishReason: "stop" },
  "azure": { kind: "chat", text: "Sure.", model: "gpt-4o-2024-11-20", finishReason: "stop" },
  "deepseek": {
    kind: "chat",
    text: "4",
    reasoning: "Two plus two.",
    model: "deepseek-reasoner",
    finishReason: "stop",
    usage: usage(10, 7, 8, 5),
    neutralBytes: 28,
  },
  "groq": {
    kind: "chat",
    text: "Yes",
    reasoning: "Hmm",
    model: "openai/gpt-oss-20b",
    finishReason: "stop",
    usage: usage(18, 9, null, null),
  },
  "xai": {
    kind: "chat",
    text: "42",
    reasoning: "Let me see",
    model: "grok-4",
    toolCalls: [
      { id: "call_1", name: "search", arguments: '{"q":"x"}' },
      { id: "call_2", name: "search", arguments: '{"q":"y"}' },
    ],
    finishReason: "stop",
    usage: usage(3, 4, 1, 2),
  },
  "mistral": {
    kind: "chat",
    text: "Done.",
    reasoning: "One step",
    model: "magistral-small-2507",
    toolCalls: [{ id: "mCx1", name: "lookup", arguments: '{"k": 1}' }],
    finishReason: "tool_calls",
    usage: usage(20, 9, null, null),
  },
  "perplexity": {
    kind: "chat",
    text: "Rain today[1]",
    model: "sonar",
    finishReason: "stop",
    usage: usage(4, 3, null, 0),
  },
  "openrouter": {
    kind: "chat",
    text: "Ok",
    reasoning: "Think twice",
    model: "anthropic/claude-sonnet-4",
    finishReason: "stop",
    usage: { ...usage(9, 8, 0, 2), details: { costNano: 100_000 } },
    neutralBytes: 50,
  },
  "openrouter-error": {
    kind: "chat",
    text: "Half",
    model: "x/y",
    finishReason: "error",
    isComplete: false,
    errorMessage: "Provider disconnected",
    neutralBytes: 25,
  },
  "completions": {
    kind: "completions",
    text: " fib(n-1)\n\n[choice 2]\nA\n",
    model: "babbage-002",
    finishReason: "length",
    usage: usage(3, 4, null, null),
  },
  "responses": {
    kind: "responses",
    text: "Paris.",
    reasoning: "**Plan** Answer.",
    model: "gpt-5-2025-08-07",
    toolCalls: [
      { id: "ws_1", name: "web_search", arguments: '{"type":"search","query":"France"}' },
      { id: "call_1", name: "look_up", arguments: '{"q":1}' },
      { id: "call_2", name: "code_exec", arguments: "print(1)" },
      { id: "ci_1", name: "code_interpreter", arguments: "1+1" },
    ],
    finishReason: "completed",
    usage: { ...usage(53, 46, 11, 44), details: { webSearches: 1 } },
  },
  "responses-incomplete": {
    kind: "responses",
    text: "No.",
    model: "gpt-5-2025-08-07",
    finishReason: "max_output_tokens",
    usage: usage(53, 46, 11, 44),
  },
  "responses-failed": {
    kind: "responses",
    model: "gpt-5-2025-08-07",
    finishReason: "failed",
    isComplete: false,
    errorMessage: "The model failed.",
  },
  "responses-final-only": {
    kind: "responses",
    text: "Paris.",
    reasoning: "**Plan** Answer.",
    model: "gpt-5-2025-08-07",
    toolCalls: [{ id: "call_1", name: "look_up", arguments: '{"q":1}' }],
    finishReason: "completed",
    usage: usage(53, 46, 11, 44),
  },
  "messages": {
    kind: "messages",
    text: "Let me look.",
    reasoning: "Hm",
    model: "claude-sonnet-4-20250514",
    toolCalls: [
      { id: "srvtoolu_1", name: "web_search", arguments: '{"query": "x"}' },
      { id: "toolu_2", name: "now", arguments: "{}" },
    ],
    finishReason: "tool_use",
    usage: { ...usage(43, 88, 17, null), details: { isCacheApart: true } },
  },
  "messages-error": {
    kind: "messages",
    model: "claude-sonnet-4",
    usage: usage(1, 1, null, null),
    isComplete: false,
    errorMessage: "Overloaded",
  },
  "transcription": { kind: "audio", text: "The sun rises.", usage: usage(14, 5, null, null) },
  "speech": { kind: "audio", text: "speech audio", usage: usage(5, 50, null, null) },
  "images": { kind: "images", text: "1 image", usage: usage(8, 272, null, null) },
  "unknown-lines": { kind: "other", text: "first\nsecond line\nthird\nrest" },
};

Deno.test("every stream fixture has its expected reply", () => {
  assert.deepEqual(fixtureNames(), Object.keys(FIXTURES).sort());
});

for (const [name, { kind, errorMessage = null, neutralBytes = 0, ...expected }] of Object.entries(FIXTURES)) {
  const bytes = readFixture(name);
  const reply: CapturedReply = {
    text: "",
    reasoning: "",
    toolCalls: [],
    model: null,
    finishReason: null,
    usage: null,
    bytes: bytes.length,
    isComplete: true,
    isTruncated: false,
    parseErrors: 0,
    ...expected,
  };

  Deno.test(`createCapture() reads the fixture ${name} whole`, () => {
    const seen = replay(streamOf(kind), bytes);
    assert.deepEqual(seen.reply, reply);
    assert.equal(seen.progress.error?.message ?? null, errorMessage);
    assert.equal(seen.progress.neutralBytes, neutralBytes);
  });

  Deno.test(`createCapture() reads the fixture ${name} the same when cut at any byte`, () => {
    const whole = replay(streamOf(kind), bytes);
    for (let cut = 1; cut < bytes.length; cut++) {
      assert.deepEqual(replay(streamOf(kind), bytes, { cuts: [cut] }), whole, `cut at ${cut}`);
    }
    assert.deepEqual(replay(streamOf(kind), bytes, { cuts: everyByte(bytes.length) }), whole, "byte by byte");
  });
}
