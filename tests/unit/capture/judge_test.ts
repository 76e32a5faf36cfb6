/** What a document or an event with a successful status is: an error, an answer, or nothing. */
import assert from "node:assert/strict";
import type { EndpointKind } from "../../../src/core/types.ts";
import { chatChunk, documentOf, events, replay, streamOf } from "./replay.ts";

type Seen = "answer" | "nothing" | "finished" | `error ${string}`;

/** How a document is read: by its kind, as the whole reply to a POST. */
function seen(kind: EndpointKind, body: unknown): Seen {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const { reply, progress } = replay(documentOf(kind), text);
  assert.equal(
    reply.isComplete,
    progress.error === null && (progress.defect === null || reply.finishReason !== null),
  );
  if (progress.error !== null) return `error ${progress.error.message}`;
  assert.equal(progress.hasContent, progress.defect === null);
  if (progress.defect === null) return "answer";
  return reply.finishReason === null ? "nothing" : "finished";
}

const CONVERSATIONS = ["chat", "completions", "responses", "messages"] as const;
const GENERATIONS = [...CONVERSATIONS, "embeddings", "images"] as const;

const ERRORS: readonly (readonly [body: unknown, message: string])[] = [
  [{ object: "error", message: "no", code: 400 }, "no"],
  [{ error: { message: "no" }, model: "m", id: "x", object: "chat.completion", anything: [1] }, "no"],
  [{ error: "no" }, "no"],
  [{ error: true, message: "no" }, "no"],
  [{ error: { code: "overloaded" } }, "overloaded"],
  [{ type: "error", error: { type: "overloaded_error", message: "no" }, request_id: "r" }, "no"],
  [{ base_resp: { status_code: 1008, status_msg: "no" }, choices: null, id: "x" }, "no"],
  [{ base_resp: { status_code: 1008, status_msg: "no" }, choices: [], model: "m" }, "no"],
  [{ code: 401, msg: "no", data: null }, "no"],
  [{ code: 401, msg: "no", data: { trace: "t" } }, "no"],
  [{ code: "InvalidApiKey", message: "no", request_id: "r" }, "no"],
  [{ success: false, message: "no" }, "no"],
  [{ success: false, errors: [{ code: 10000, message: "no" }], messages: [], result: null }, "no"],
  [{ errcode: 40001, errmsg: "no" }, "no"],
  [{ error_code: 17, error_msg: "no" }, "no"],
  [{ detail: "no" }, "no"],
  [{ detail: [{ loc: ["body"], msg: "no", type: "missing" }] }, "no"],
  [{ errors: [{ message: "no" }] }, "no"],
  [{ status: "error", message: "no" }, "no"],
  [{ status: 503, title: "no" }, "no"],
  [{ statusCode: 401, message: "no" }, "no"],
  [{ message: "no" }, "no"],
  [{ error: { code: 0, message: "no" } }, "no"],
  ['[{"error":{"code":429,"message":"no"}}]', "no"],
];

for (const [body, message] of ERRORS) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  Deno.test(`a document is an error: ${text}`, () => {
    for (const kind of GENERATIONS) {
      assert.equal(seen(kind, body), `error ${message}`, kind);
      assert.equal(replay(documentOf(kind), text).reply.text, text, `${kind}: it is kept`);
    }
  });
}

Deno.test("an error keeps its code and type, in whatever envelope it comes", () => {
  const reported = (body: unknown) => replay(documentOf("chat"), JSON.stringify(body)).progress.error;
  assert.deepEqual(reported({ error: { message: "no", code: "insufficient_quota", type: "x" } }), {
    message: "no",
    code: "insufficient_quota",
    type: "x",
  });
  assert.equal(reported({ base_resp: { status_code: 1008, status_msg: "no" } })?.code, "1008");
  assert.equal(reported({ code: 401, msg: "no" })?.code, "401");
  assert.equal(reported({ errcode: 40001, errmsg: "no" })?.code, "40001");
});

const NOTHING: Readonly<Record<(typeof GENERATIONS)[number], readonly unknown[]>> = {
  chat: [
    {},
    [],
    "null",
    '"text"',
    { choices: [] },
    { choices: null },
    { object: "chat.completion", usage: { prompt_tokens: 1 } },
    { choices: [{ message: { role: "assistant", content: null } }] },
    {
      choices: [{
        message: { content: "", tool_calls: [], function_call: {}, refusal: null, annotations: [] },
      }],
    },
    { id: "x", choices: [], error: null },
    { id: "x", request_id: "x" },
    { choices: [], prompt_filter_results: [{ content_filter_results: { hate: { severity: "safe" } } }] },
    {
      choices: [{
        message: { content: "", extra_content: { google: { thought_signature: "s" } } },
        content_filter_results: { hate: { filtered: false, severity: "safe" } },
        matched_stop: 1,
        native_finish_reason: "",
      }],
    },
    { id: "x", choices: [], error: {}, base_resp: { status_code: 0, status_msg: "" } },
    { object: "list", data: [{ id: "gpt-4o" }] },
  ],
  completions: [{}, { choices: [{ text: "" }] }, { choices: [] }],
  responses: [
    {},
    { object: "response", model: "m" },
    { output: [], object: "response" },
    { output: [{ type: "message", content: [], status: "in_progress", role: "assistant", id: "m" }] },
    { output: [{ type: "reasoning", id: "r", summary: [], encrypted_content: null }] },
    { output: [{ type: "compaction", id: "c", encrypted_content: "" }] },
  ],
  messages: [
    {},
    { type: "message", role: "assistant", usage: { input_tokens: 1 } },
    { content: [] },
    { content: [{ type: "text", text: "" }, { type: "thinking", thinking: "", signature: "s" }] },
  ],
  embeddings: [{}, { data: null, object: "list" }, { data: [], object: "list" }],
  images: [{}, { created: 1, data: null }, { created: 1, data: [] }, {
    created: 1,
    data: [{ b64_json: "" }],
  }],
};

Deno.test("a document that says nothing is no answer of a generation", () => {
  for (const kind of GENERATIONS) {
    for (const body of NOTHING[kind]) {
      assert.equal(seen(kind, body), "nothing", `${kind} ${JSON.stringify(body)}`);
    }
  }
});

Deno.test("a document that is finished and says nothing keeps the mark", () => {
  assert.equal(
    seen("chat", { choices: [{ message: { content: null }, finish_reason: "stop" }] }),
    "finished",
  );
  assert.equal(
    seen("chat", { choices: [{ message: { content: "" }, finish_reason: "length" }] }),
    "finished",
  );
  assert.equal(seen("completions", { choices: [{ text: "", finish_reason: "length" }] }), "finished");
  assert.equal(seen("messages", { content: [], stop_reason: "end_turn" }), "finished");
  assert.equal(seen("responses", { object: "response", status: "completed", output: [] }), "finished");
  const incomplete = {
    status: "incomplete",
    incomplete_details: { reason: "max_output_tokens" },
    output: [],
  };
  assert.equal(seen("responses", incomplete), "finished");
});

const ANSWERS: readonly (readonly [EndpointKind, unknown])[] = [
  ["chat", {
    choices: [{ message: { content: "hi" }, finish_reason: "stop" }],
    error: { message: "a notice" },
  }],
  ["chat", { choices: [{ message: { content: "hi" } }], error: null, warning: "old model" }],
  ["chat", { choices: [{ message: { content: "hi" } }], code: 1, msg: "cached" }],
  ["chat", { choices: [{ message: { content: null }, finish_reason: "content_filter" }] }],
  ["chat", { choices: [{ message: { content: null, reasoning_details: [{ data: "AAAA" }] } }] }],
  ["chat", { choices: [{ message: { content: [{ type: "image_url", image_url: { url: "data:," } }] } }] }],
  ["chat", { choices: [{ text: "hi", finish_reason: "stop" }] }],
  ["chat", { choices: [{ delta: { content: "hi" }, finish_reason: "stop" }] }],
  ["chat", { choices: [{ message: { content: "hi" } }], error: { code: 0, message: "ok" } }],
  ["chat", { choices: [{ message: { content: "hi" } }], error: { code: 200, message: "success" } }],
  // The choice has no message at all.
  ["chat", { choices: [{ index: 0, finish_reason: "content_filter: PROHIBITED_CONTENT" }] }],
  ["chat", { choices: [{ message: {}, finish_reason: "content-filter" }] }],
  ["chat", { choices: [{ message: {}, finish_reason: "SPII" }] }],
  // What no reader knows.
  ["chat", { choices: [{ message: { content: null, videos: [{ url: "https://v.example/1.mp4" }] } }] }],
  ["completions", { choices: [{ message: { content: [{ type: "text", text: "hi" }] } }] }],
  ["completions", { choices: [{ text: "", message: { tool_calls: [{ function: { name: "f" } }] } }] }],
  // Work that goes on elsewhere.
  ["chat", { request_id: "f15c114e-f47d-40ca-8d5c-8c23d656eeb6" }],
  ["chat", { id: "x", request_id: "x", model: "m", task_status: "PROCESSING" }],
  ["images", { id: "x", status: "queued" }],
  ["images", { id: "x", status: "IN_PROGRESS", error: null }],
  // Shapes of other APIs.
  ["chat", { id: "x", object: "chat.completion", result: "hi", is_truncated: false, usage: {} }],
  ["chat", { model: "m", message: { role: "assistant", content: "hi" }, done: true }],
  ["chat", { candidates: [{ content: { parts: [{ text: "hi" }] } }] }],
  ["chat", { code: 200, msg: "ok", data: { text: "hi" } }],
  ["chat", [{ generated_text: "hi" }]],
  ["responses", { output: { text: "hi" }, usage: {} }],
  ["responses", { id: "r", object: "response", status: "queued", background: true, output: [], error: null }],
  ["responses", { id: "r", object: "response", status: "in_progress", background: true, error: null }],
  ["responses", { object: "response.input_tokens", input_tokens: 11 }],
  ["responses", {
    object: "response.compaction",
    output: [{ type: "compaction", encrypted_content: "gAAA" }],
  }],
  ["responses", { output: [{ type: "image_generation_call", status: "completed", result: "AAAA" }] }],
  ["responses", { output: [{ type: "reasoning", summary: [], encrypted_content: "gAAA" }] }],
  ["messages", { content: [], stop_reason: "refusal" }],
  ["messages", { content: [{ type: "redacted_thinking", data: "AAAA" }] }],
  ["messages", { content: [{ type: "web_search_tool_result", tool_use_id: "t", content: [] }] }],
  ["messages", { input_tokens: 14 }],
  ["embeddings", { data: [{ embedding: [0, 0] }] }],
  ["embeddings", { embeddings: { float: [[0.1]] } }],
  ["images", { images: [{ url: "https://i.example/1.png" }] }],
  // Objects that have an error, a code or a status of their own.
  ["other", {
    id: "ftjob",
    object: "fine_tuning.job",
    status: "failed",
    error: { code: "x", message: "bad file" },
  }],
  ["other", { id: "ftjob", object: "fine_tuning.job", error: {} }],
  ["other", { id: "batch", object: "batch", errors: { object: "list", data: [{ message: "line 3" }] } }],
  ["other", { id: "run", object: "thread.run", status: "failed", last_error: { message: "x" } }],
  ["other", { id: "resp", object: "response", status: "cancelled", output: [], error: null }],
  ["other", { id: "resp", object: "response", status: "failed", error: { message: "broke" } }],
  ["other", { jsonrpc: "2.0", id: 1, error: { code: -32601, message: "no method" } }],
  ["other", { code: 7, message: "queued", status: "error" }],
  ["other", {}],
  ["files", { id: "file", object: "file", status: "error", status_details: "x" }],
  ["models", { object: "list", data: [] }],
  ["moderations", { id: "m", results: [{ flagged: false }] }],
  ["moderations", { results: [] }],
  ["audio", { text: "" }],
];

for (const [kind, body] of ANSWERS) {
  Deno.test(`a document of ${kind} is an answer: ${JSON.stringify(body)}`, () => {
    assert.equal(seen(kind, body), "answer");
  });
}

Deno.test("an error that leaves no doubt is one of every kind", () => {
  for (const kind of ["audio", "moderations", "files", "other", "models"] as const) {
    assert.equal(seen(kind, { error: { message: "no" }, request_id: "r", model: "m" }), "error no");
    assert.equal(seen(kind, { object: "error", message: "no" }), "error no");
    assert.equal(seen(kind, { type: "error", id: "x", error: { message: "no" } }), "error no");
  }
  assert.equal(seen("audio", { code: 401, msg: "no" }), "error no");
  assert.equal(seen("moderations", { success: false, message: "no" }), "error no");
  assert.equal(
    seen("other", { task_id: "", base_resp: { status_code: 1004, status_msg: "no" } }),
    "error no",
  );
  assert.equal(
    seen("other", { task_id: "t", base_resp: { status_code: 0, status_msg: "success" } }),
    "answer",
  );
});

Deno.test("an error beside what was said counts when the answer is not finished", () => {
  const said = { index: 0, message: { content: "half a" } };
  const error = { code: 502, message: "disconnected" };
  assert.equal(seen("chat", { choices: [said], error }), "error disconnected");
  assert.equal(seen("chat", { choices: [{ ...said, error, finish_reason: "error" }] }), "error disconnected");
  for (const reason of ["error", "network_error", "insufficient_system_resource"]) {
    const { progress } = replay(
      documentOf("chat"),
      JSON.stringify({ choices: [{ ...said, finish_reason: reason }] }),
    );
    assert.match(progress.error?.message ?? "", new RegExp(reason));
  }
  const failed = { object: "response", status: "failed", error: null };
  const output = [{ type: "message", content: [{ type: "output_text", text: "half a" }] }];
  assert.equal(seen("responses", { ...failed, output }), "error the response failed");
  assert.equal(seen("responses", { ...failed, output: [] }), "error the response failed");
});

Deno.test("a body that is neither JSON nor an event stream is no answer where one of them is promised", () => {
  const page = "<!doctype html><html><body>Just a moment...</body></html>";
  for (
    const contentType of ["text/html", "text/plain", "application/json", "application/octet-stream", null]
  ) {
    for (const kind of [...GENERATIONS, "moderations"] as const) {
      const { reply, progress } = replay(documentOf(kind, { contentType }), page);
      assert.equal(progress.defect, "unreadable", `${kind} ${contentType}`);
      assert.equal(reply.isComplete, false);
      assert.equal(reply.text, page);
      assert.equal(replay(documentOf(kind, { contentType }), "").progress.defect, "empty");
    }
    for (const kind of ["audio", "files", "other"] as const) {
      const { reply, progress } = replay(documentOf(kind, { contentType }), page);
      assert.equal(progress.defect, null);
      assert.equal(reply.isComplete, true);
    }
  }
});

Deno.test("JSON lines are an answer, unless the first one is an error", () => {
  const contentType = "application/x-ndjson";
  const lines = '{"message":{"content":"a"},"done":false}\n{"message":{"content":"b"},"done":true}\n';
  const { reply, progress } = replay(documentOf("chat", { contentType }), lines);
  assert.equal(reply.text, lines);
  assert.equal(reply.isComplete, true);
  assert.equal(progress.hasContent, true);
  const bad = replay(documentOf("chat", { contentType }), '{"error":"no"}\n{"error":"no"}\n');
  assert.equal(bad.progress.error?.message, "no");
  assert.equal(bad.reply.isComplete, false);
  assert.equal(replay(documentOf("chat"), '{\n"choices":[{"message').progress.defect, "unreadable");
});

Deno.test("an error event that is too large to be read is an error, and no content", () => {
  const data = JSON.stringify({ error: { message: "x".repeat(5_000_000) } });
  for (const kind of ["chat", "responses", "messages", "images", "other"] as const) {
    const { progress } = replay(streamOf(kind), `event: error\ndata: ${data}\n\n`);
    assert.notEqual(progress.error, null);
    assert.equal(progress.hasContent, false);
  }
});

Deno.test("binary is an answer to kinds that may be answered so", () => {
  const bytes = new Uint8Array(2000).fill(0xff);
  const defectOf = (kind: EndpointKind, contentType: string) =>
    replay(documentOf(kind, { contentType }), bytes).progress.defect;
  for (const kind of CONVERSATIONS) assert.equal(defectOf(kind, "application/octet-stream"), "unreadable");
  for (const kind of ["embeddings", "images", "audio", "files", "other"] as const) {
    for (const type of ["application/octet-stream", "image/png"]) assert.equal(defectOf(kind, type), null);
  }
});

Deno.test("a look-up is complete when it came whole, whatever was found", () => {
  const found = [
    { id: "r", object: "response", status: "failed", error: { message: "broke" }, output: [] },
    { id: "c", object: "chat.completion", choices: [] },
    { error: { message: "no" } },
    "<html>",
  ];
  for (const kind of ["responses", "chat", "other"] as const) {
    for (const body of found) {
      const text = typeof body === "string" ? body : JSON.stringify(body);
      const whole = replay(documentOf(kind, { isLookUp: true }), text);
      assert.equal(whole.reply.isComplete, true);
      assert.equal(whole.progress.defect, null);
      assert.equal(whole.progress.hasContent, true);
      const cut = replay(documentOf(kind, { isLookUp: true }), text, { isCleanEnd: false });
      assert.equal(cut.reply.isComplete, false);
    }
  }
  const failed = events({ type: "response.failed", response: { error: { message: "broke" } } });
  assert.equal(replay(streamOf("responses", { isLookUp: true }), failed).reply.isComplete, true);
});

const EVENT_ERRORS: readonly (readonly [EndpointKind, unknown, string])[] = [
  ["chat", { code: 401, msg: "no" }, "no"],
  ["chat", { base_resp: { status_code: 1008, status_msg: "no" }, choices: null }, "no"],
  ["chat", { success: false, message: "no" }, "no"],
  ["chat", { detail: "no" }, "no"],
  ["chat", { ...chatChunk({ content: "x" }), error: { message: "no" } }, "no"],
  ["messages", { code: 401, msg: "no" }, "no"],
  ["images", { type: "error", error: { message: "no" } }, "no"],
  ["images", { type: "image_generation.failed", message: "no" }, "no"],
  ["audio", { error: { message: "no" } }, "no"],
  ["audio", { code: 401, msg: "no" }, "no"],
  ["other", { error: { message: "no" }, id: "x" }, "no"],
  ["chat", [{ error: { code: 429, message: "no" } }], "no"],
  ["chat", { ...chatChunk({ content: "x" }), x_groq: { id: "r", error: "no" } }, "no"],
];

for (const [kind, event, message] of EVENT_ERRORS) {
  Deno.test(`an event of ${kind} is an error and no content: ${JSON.stringify(event)}`, () => {
    const { progress } = replay(streamOf(kind), events(event, event));
    assert.equal(progress.error?.message, message);
    assert.equal(progress.hasContent, false);
  });
}

Deno.test("an event that is called error is one, whatever type its data has", () => {
  for (const kind of [...GENERATIONS, "audio", "other"] as const) {
    for (const type of ["overloaded_error", "response.error", undefined]) {
      const { progress } = replay(
        streamOf(kind),
        `event: error\n${events({ type, message: "no", code: "x" })}`,
      );
      assert.equal(progress.error?.message, "no", `${kind} ${type}`);
      assert.equal(progress.error?.code, "x");
      assert.equal(progress.hasContent, false);
    }
  }
});

Deno.test("a part that begins with its text is content", () => {
  const begun = (text: string) =>
    events({ type: "response.content_part.added", part: { type: "output_text", text, annotations: [] } });
  assert.equal(replay(streamOf("responses"), begun("")).progress.hasContent, false);
  assert.equal(replay(streamOf("responses"), begun("hi")).progress.hasContent, true);
});

Deno.test("a failed run of an assistant is an error, its shells are no content, its words and calls are", () => {
  const run = (status: string, more = {}) =>
    `event: thread.run.${status}\n${
      events({ id: "run", object: "thread.run", status, last_error: null, ...more })
    }`;
  const shells = run("created") + run("queued") + run("in_progress") +
    `event: thread.message.created\n${events({ id: "msg", object: "thread.message", content: [] })}`;
  const failed = replay(
    streamOf("other"),
    shells + run("failed", { last_error: { message: "no", code: "x" } }),
  );
  assert.deepEqual(failed.progress.error, { message: "no", code: "x", type: null });
  assert.equal(failed.progress.hasContent, false);
  assert.equal(
    replay(streamOf("other"), `event: error\n${events({ message: "no" })}`).progress.error?.message,
    "no",
  );
  const delta = { content: [{ index: 0, type: "text", text: { value: "hi" } }] };
  const contents = [
    `event: thread.message.delta\n${events({ object: "thread.message.delta", delta })}`,
    `event: thread.message.completed\n${events({ object: "thread.message", content: delta.content })}`,
    run("requires_action"),
    `event: thread.run.step.delta\n${
      events({ delta: { step_details: { tool_calls: [{ index: 0, name: "f" }] } } })
    }`,
  ];
  for (const content of contents) {
    assert.equal(replay(streamOf("other"), shells).progress.hasContent, false);
    assert.equal(replay(streamOf("other"), shells + content).progress.hasContent, true, content);
  }
  const { reply } = replay(streamOf("other"), shells + run("cancelled"));
  assert.equal(reply.finishReason, "cancelled");
});

Deno.test("content before an error stays content, content after it is none", () => {
  const said = chatChunk({ content: "a" });
  const error = { error: { message: "no" } };
  assert.equal(replay(streamOf("chat"), events(said, error)).progress.hasContent, true);
  for (const cuts of [[], [events(error).length]]) {
    const { progress } = replay(streamOf("chat"), events(error, said, said), { cuts });
    assert.equal(progress.hasContent, false);
  }
});
