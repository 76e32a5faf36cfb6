/**
 * `records show`: a conversation that can be read, whatever API it was said through.
 */
import assert from "node:assert/strict";
import { readConversation } from "../../../src/control/conversation.ts";
import { assertHarmless, HOSTILE, test } from "./records_support.ts";

const CHAT = {
  model: "gpt-4o",
  temperature: 0.5,
  stop: null,
  messages: [
    { role: "system", content: "Be brief." },
    {
      role: "user",
      name: "ann",
      content: [
        { type: "text", text: "What is this?\nAnd this?" },
        { type: "image_url", image_url: { url: `data:image/png;base64,${"A".repeat(16_000)}` } },
        { type: "image_url", image_url: { url: "https://example.com/cat.png" } },
        { type: "input_audio", input_audio: { format: "wav", data: "B".repeat(4000) } },
        {
          type: "file",
          file: { filename: "a.pdf", file_data: `data:application/pdf;base64,${"C".repeat(40)}` },
        },
      ],
    },
    {
      role: "assistant",
      content: null,
      reasoning_content: "I should look.",
      tool_calls: [{ id: "call_1", type: "function", function: { name: "look", arguments: '{"at":"cat"}' } }],
    },
    { role: "tool", tool_call_id: "call_1", content: "a cat" },
  ],
  tools: [{ type: "function", function: { name: "look", parameters: {} } }],
};

test("show prints the conversation, the reply and the attempts", [{
  body: JSON.stringify(CHAT),
  reasoning: "first\nsecond",
  response: "A cat.\nIt purrs.",
  toolCalls: [{ id: "call_2", name: "pet", arguments: '{"what":{"animal":"cat"}}' }],
  requestId: "01ARZ3NDEKTSV4RRFFQ69G5FAV",
  queuedMs: 40,
}], async ({ do: succeed }) => {
  const lines = (await succeed(["show", "1"])).split("\n");
  const from = lines.indexOf("── system ──");
  assert.deepEqual(lines.slice(from), [
    "── system ──",
    "  Be brief.",
    "── user (ann) ──",
    "  What is this?",
    "  And this?",
    "  [image: image/png, 12.0 KB]",
    "  [image: https://example.com/cat.png]",
    "  [audio, wav: 3.0 KB]",
    "  [file a.pdf: application/pdf, 30 bytes]",
    "── assistant ──",
    "  (reasoning)",
    "  | I should look.",
    "  calls look (call_1)",
    "    {",
    '      "at": "cat"',
    "    }",
    "── tool ──",
    "  result (call_1)",
    "    a cat",
    "── settings ──",
    "  temperature=0.5",
    "── tools ──",
    "  look",
    "",
    "── reply ──",
    "  (reasoning)",
    "  | first",
    "  | second",
    "  A cat.",
    "  It purrs.",
    "  calls pet (call_2)",
    "    {",
    '      "what": {',
    '        "animal": "cat"',
    "      }",
    "    }",
    "",
    "── attempts ──",
    ...lines.slice(-6, -3),
    "",
    "── attempt 1 had said ──",
    "  Hel",
  ]);
  assert.match(
    lines.at(-5) ?? "",
    /^ {2}1 +#1 .* 10 ms +- +connect_error +0\.0000007 +- +connection refused$/,
  );
  assert.match(lines.at(-4) ?? "", /^ {2}2 +#2 .* 1\.20 s +200 +- +changed +-$/);
  const summary = lines.slice(0, from).join("\n");
  for (
    const fact of [
      /^record +1 \(01ARZ3NDEKTSV4RRFFQ69G5FAV\)$/m,
      /^request +POST \/v1\/chat\/completions \(stream\)$/m,
      /^model +gpt-4o, answered as gpt-4o-2024$/m,
      /^client +alice, sk-…wxyz, 192\.0\.2\.1, curl\/8$/m,
      /^status +200 complete$/m,
      /^took +1\.23 s, waited 40 ms for an upstream with room, first byte after 100 ms, first token after 120 ms$/m,
      /^tokens +3 in, 5 out \(0 reasoning\)$/m,
      /^finish +stop$/m,
    ]
  ) assert.match(summary, fact);
  assert.equal(await succeed(["show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]), lines.join("\n"));
});

test(
  "show --json has everything, attempts included",
  [{ error: "boo", status: 502 }],
  async ({ do: succeed }) => {
    const shown = JSON.parse(await succeed(["show", "1", "--json"]));
    assert.deepEqual([shown.id, shown.error, shown.status, shown.body], [
      1,
      "boo",
      502,
      '{"model":"gpt-4o","messages":[]}',
    ]);
    assert.deepEqual(shown.attempts.map(({ errorClass }: { errorClass: unknown }) => errorClass), [
      "connect_error",
      null,
    ]);
  },
);

test("show makes hostile text visible and harmless, and --raw leaves it alone", [{
  body: JSON.stringify({ messages: [{ role: HOSTILE, name: HOSTILE, content: `${HOSTILE}\n── reply ──` }] }),
  path: HOSTILE,
  model: HOSTILE,
  userAgent: HOSTILE,
  response: HOSTILE,
  reasoning: HOSTILE,
  toolCalls: [{ id: HOSTILE, name: HOSTILE, arguments: HOSTILE }],
  finishReason: HOSTILE,
  error: HOSTILE,
}], async ({ do: succeed }) => {
  const shown = await succeed(["show", "1"], { columns: 80 });
  assertHarmless(shown);
  assert.ok(shown.includes("  a␛[31mb␛]0;title␇c<U+009B>2Jd<U+202E>e<U+2066>f<U+2028>g␀h␍i"), shown);
  assert.equal(shown.split("\n").filter((line) => line === "── reply ──").length, 1);
  assertHarmless(await succeed(["show", "1", "--json"], { columns: 80 }));
  const raw = await succeed(["show", "1", "--raw"]);
  assert.ok(raw.endsWith(`\n${HOSTILE}`));
  assert.ok(raw.startsWith('{"messages":[{"role":"a\\u001b[31mb'));
});

test("show reads requests that are no conversation", [
  { body: "plain text\nof two lines", path: "/v1/other" },
  {
    body: '{"content_type":"multipart/form-data","bytes":9,"fields":{"model":"whisper-1"}}',
    isTruncated: true,
  },
  { body: "", method: "GET", path: "/v1/models", response: "", toolCalls: [], attempts: [] },
  { body: "{broken", response: "", outcome: "in_flight", status: 0 },
], async ({ do: succeed }) => {
  assert.match(await succeed(["show", "1"]), /── request ──\n {2}plain text\n {2}of two lines\n/);
  const described = await succeed(["show", "2"]);
  assert.match(described, /^note +not everything was kept/m);
  assert.match(described, /── request ──\n {2}\{\n {4}"content_type": "multipart\/form-data",\n/);
  assert.match(
    await succeed(["show", "3"]),
    /── request ──\n {2}\(no body\)\n\n── reply ──\n {2}\(nothing\)$/,
  );
  assert.match(
    await succeed(["show", "4"]),
    /^status +- in_flight$[^]*── request ──\n {2}\{broken\n\n── reply so far ──/m,
  );
});

/** One line a turn: `role: piece | piece`. */
function outline(request: unknown): string[] {
  const conversation = readConversation(JSON.stringify(request));
  assert.ok(conversation);
  return conversation.turns.map(({ role, pieces }) => {
    const texts = pieces.map((piece) => {
      if (piece.type === "tool_call") return `call ${piece.name}(${piece.arguments}) ${piece.id}`;
      if (piece.type === "tool_result") return `result ${piece.id}=${piece.text}`;
      return piece.type === "reasoning" ? `thinks ${piece.text}` : piece.text;
    });
    return `${role}: ${texts.join(" | ")}`;
  });
}

Deno.test("readConversation() reads Anthropic messages", () => {
  assert.deepEqual(
    outline({
      system: [{ type: "text", text: "Be kind." }],
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "See:" },
            { type: "image", source: { type: "base64", media_type: "image/jpeg", data: "A".repeat(400) } },
            {
              type: "document",
              title: "notes",
              source: { type: "text", media_type: "text/plain", data: "hi" },
            },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "hm", signature: "x" },
            { type: "redacted_thinking", data: "zzz" },
            { type: "tool_use", id: "toolu_1", name: "add", input: { a: 1 } },
          ],
        },
        {
          role: "user",
          content: [{ type: "tool_result", tool_use_id: "toolu_1", content: [{ type: "text", text: "2" }] }],
        },
      ],
    }),
    [
      "system: Be kind.",
      "user: See: | [image, image/jpeg: 300 bytes] | [document notes]\nhi",
      'assistant: thinks hm | [thinking, redacted by the provider] | call add({"a":1}) toolu_1',
      "user: result toolu_1=2",
    ],
  );
});

Deno.test("readConversation() reads the input of the responses API", () => {
  assert.deepEqual(outline({ instructions: "Be kind.", input: "Hi" }), ["system: Be kind.", "user: Hi"]);
  assert.deepEqual(
    outline({
      input: [
        {
          role: "user",
          content: [{ type: "input_text", text: "Hi" }, {
            type: "input_image",
            image_url: "https://x.example/a.png",
          }],
        },
        { type: "reasoning", summary: [{ type: "summary_text", text: "greet" }] },
        { type: "reasoning", summary: [], encrypted_content: "zzz" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hello" }] },
        { type: "function_call", call_id: "c1", name: "add", arguments: '{"a":1}' },
        { type: "function_call_output", call_id: "c1", output: "2" },
        { type: "item_reference", id: "rs_1" },
      ],
    }),
    [
      "user: Hi | [image: https://x.example/a.png]",
      "assistant: thinks greet",
      "assistant: [reasoning, not shown by the provider]",
      "assistant: Hello",
      'assistant: call add({"a":1}) c1',
      "tool: result c1=2",
      'user: {"type":"item_reference","id":"rs_1"}',
    ],
  );
});

Deno.test("readConversation() reads prompts, inputs and legacy function calls", () => {
  assert.deepEqual(outline({ prompt: "Once" }), ["prompt: Once"]);
  assert.deepEqual(outline({ prompt: ["a", "b"] }), ["prompt: a", "prompt: b"]);
  assert.deepEqual(outline({ input: ["a", [1, 2]] }), ["user: a", "user: [1,2]"]);
  assert.deepEqual(
    outline({
      messages: [
        { role: "assistant", content: null, function_call: { name: "f", arguments: "{}" } },
        { role: "function", name: "f", content: "done" },
      ],
    }),
    ["assistant: call f({}) null", "function: result f=done"],
  );
});

Deno.test("readConversation() takes any JSON without failing", () => {
  const odd: unknown[] = [null, 7, "x", [], {}, { role: 1 }, { content: { a: [] } }, {
    tool_calls: [null, {}],
  }];
  const parts = ["text", "image_url", "input_audio", "file", "image", "tool_use", "tool_result", "new"];
  for (const field of ["messages", "input", "prompt", "system", "instructions", "tools", "functions"]) {
    for (
      const value of [...odd, odd, [{ role: "user", content: [...odd, ...parts.map((type) => ({ type }))] }]]
    ) {
      assert.ok(readConversation(JSON.stringify({ [field]: value })));
    }
  }
  for (const text of ["", "[]", "7", "null", "{"]) assert.equal(readConversation(text), null);
});
