/** Popular client libraries, unchanged, with the router as their base URL. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { createOpenAI } from "@ai-sdk/openai";
import { ChatOpenAI } from "@langchain/openai";
import { generateText, streamText } from "ai";
import OpenAI from "openai";
import { Router, TEST_TOKEN } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  FakeUpstream,
  hang,
  raw,
  type ReceivedRequest,
  refusingEndpoint,
  reply,
  type Script,
  stream,
} from "../support/upstream.ts";

const WORDS = ["The ", "quick ", "brown ", "fox"];
const TEXT = WORDS.join("");

const REFUSING = { endpoint: refusingEndpoint(), name: "refusing" };

/** A router before one working upstream, by default behind one that refuses, so that there is a failover. */
async function stage(
  script: Script,
  before = [REFUSING],
): Promise<{ upstream: FakeUpstream; router: Router } & AsyncDisposable> {
  const upstream = new FakeUpstream(script);
  const router = await Router.start({
    upstreams: [...before, { endpoint: upstream.endpoint, sk: "sk-real", name: "real" }],
  });
  return {
    upstream,
    router,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function openaiReplies(request: ReceivedRequest): Script {
  const isStream = request.text.includes('"stream":true');
  switch (request.target.split("?")[0]) {
    case "/v1/chat/completions":
      return isStream ? stream(chatEvents(WORDS)) : chatReply(TEXT);
    case "/v1/models":
      return reply(
        200,
        '{"object":"list","data":[{"id":"m-1","object":"model"},{"id":"m-2","object":"model"}]}',
      );
    case "/v1/embeddings":
      return reply(
        200,
        '{"object":"list","model":"e","data":[{"object":"embedding","index":0,"embedding":[0.5,-0.25,1]}],' +
          '"usage":{"prompt_tokens":3,"total_tokens":3}}',
      );
    case "/v1/responses":
      return isStream ? stream(responseEvents(TEXT)) : reply(200, JSON.stringify(responseObject(TEXT)));
    default:
      return reply(404, `{"error":{"message":"no ${request.target}"}}`);
  }
}

function responseObject(text: string): Record<string, unknown> {
  return {
    id: "resp_1",
    object: "response",
    created_at: 1_700_000_000,
    status: "completed",
    model: "test-model",
    error: null,
    incomplete_details: null,
    output: [{
      type: "message",
      id: "msg_1",
      status: "completed",
      role: "assistant",
      content: [{ type: "output_text", text, annotations: [] }],
    }],
    usage: {
      input_tokens: 5,
      input_tokens_details: { cached_tokens: 0 },
      output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: 9,
    },
  };
}

function responseEvents(text: string): string[] {
  const where = { item_id: "msg_1", output_index: 0 };
  const item = { type: "message", id: "msg_1", role: "assistant" };
  let sequence = 0;
  const event = (type: string, fields: Record<string, unknown>) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, sequence_number: sequence++, ...fields })}\n\n`;
  return [
    event("response.created", { response: { ...responseObject(""), status: "in_progress", output: [] } }),
    event("response.output_item.added", {
      output_index: 0,
      item: { ...item, status: "in_progress", content: [] },
    }),
    event("response.output_text.delta", { ...where, content_index: 0, delta: text, logprobs: [] }),
    event("response.output_text.done", { ...where, content_index: 0, text, logprobs: [] }),
    event("response.output_item.done", {
      output_index: 0,
      item: { ...item, status: "completed", content: [{ type: "output_text", text, annotations: [] }] },
    }),
    event("response.completed", { response: responseObject(text) }),
  ];
}

Deno.test("the openai client works unchanged", async (t) => {
  await using s = await stage((request, wire) => openaiReplies(request)(request, wire));
  const client = new OpenAI({ baseURL: s.router.url, apiKey: TEST_TOKEN, maxRetries: 0 });
  const messages = [{ role: "user" as const, content: "hi" }];

  await t.step("plain chat", async () => {
    const completion = await client.chat.completions.create({ model: "test-model", messages });
    assert.equal(completion.choices[0]?.message.content, TEXT);
    assert.equal(completion.usage?.total_tokens, 12);
    assert.equal(s.upstream.requests.at(-1)?.headers.get("authorization"), "Bearer sk-real");
  });

  await t.step("streamed chat", async () => {
    const chunks = await client.chat.completions.create({ model: "test-model", messages, stream: true });
    let text = "";
    for await (const part of chunks) text += part.choices[0]?.delta.content ?? "";
    assert.equal(text, TEXT);
    const record = (await s.router.recorded(2)).at(-1);
    assert.equal(record?.response, TEXT);
    assert.equal(record?.attempts, 2);
    assert.equal(record?.upstream_id, 2);
  });

  await t.step("models.list()", async () => {
    const models: string[] = [];
    for await (const model of client.models.list()) models.push(model.id);
    assert.deepEqual(models, ["m-1", "m-2"]);
  });

  await t.step("embeddings", async () => {
    const { data } = await client.embeddings.create({
      model: "test-embedding",
      input: "hi",
      encoding_format: "float",
    });
    assert.deepEqual(data[0]?.embedding, [0.5, -0.25, 1]);
    assert.match(String((await s.router.recorded(4)).at(-1)?.response), /1 embedding of 3 dimensions/);
  });

  await t.step("responses, plain and streamed", async () => {
    const response = await client.responses.create({ model: "test-model", input: "hi" });
    assert.equal(response.output_text, TEXT);
    const events = await client.responses.create({ model: "test-model", input: "hi", stream: true });
    let text = "";
    for await (const event of events) if (event.type === "response.output_text.delta") text += event.delta;
    assert.equal(text, TEXT);
    const records = await s.router.recorded(6);
    assert.deepEqual(records.slice(-2).map((record) => record.response), [TEXT, TEXT]);
    assert.deepEqual(records.slice(-2).map((record) => record.outcome), ["complete", "complete"]);
  });
});

Deno.test("errors of the last upstream arrive as the error classes of the openai client", async (t) => {
  // The only upstream, so that it is the last candidate in any state of its breaker.
  await using s = await stage(hang, []);
  const client = new OpenAI({ baseURL: s.router.url, apiKey: TEST_TOKEN, maxRetries: 0 });
  const request = { model: "test-model", messages: [{ role: "user" as const, content: "hi" }] };
  const classes = {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    404: OpenAI.NotFoundError,
    422: OpenAI.UnprocessableEntityError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
  };
  for (const [status, errorClass] of Object.entries(classes)) {
    for (const isStream of [false, true]) {
      await t.step(`${status} with stream ${isStream}`, async () => {
        const error = { message: `said ${status}`, type: "a_type", param: "messages", code: "a_code" };
        s.upstream.script = reply(Number(status), JSON.stringify({ error }), { "x-request-id": "req_42" });
        const before = s.upstream.requests.length;
        await assert.rejects(client.chat.completions.create({ ...request, stream: isStream }), (thrown) => {
          assert.ok(thrown instanceof errorClass);
          assert.equal(thrown.status, Number(status));
          assert.equal(thrown.message, `${status} said ${status}`);
          assert.equal(thrown.code, "a_code");
          assert.equal(thrown.param, "messages");
          assert.equal(thrown.requestID, "req_42");
          return true;
        });
        assert.equal(s.upstream.requests.length, before + 1);
      });
    }
  }

  await t.step("403 of the router itself", async () => {
    const stranger = new OpenAI({ baseURL: s.router.url, apiKey: "wrong", maxRetries: 0 });
    await assert.rejects(stranger.models.list(), (thrown) => {
      assert.ok(thrown instanceof OpenAI.PermissionDeniedError);
      assert.match(thrown.message, /^403 wrong authorization header: .*`openai-api-route token show`/);
      return true;
    });
  });

  await t.step("a truncated stream throws", async () => {
    s.upstream.script = async (_request, wire) => {
      for (const part of chatEvents(WORDS).slice(0, 3)) {
        await wire.write(
          part.includes("assistant")
            ? "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            : "",
        );
        await wire.write(`${part.length.toString(16)}\r\n${part}\r\n`);
      }
      wire.close();
    };
    const chunks = await client.chat.completions.create({ ...request, stream: true });
    let text = "";
    await assert.rejects(async () => {
      for await (const part of chunks) text += part.choices[0]?.delta.content ?? "";
    });
    assert.equal(text, "The quick ");
  });
});

Deno.test("the Anthropic client works unchanged", async (t) => {
  const message = (text: string) => ({
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-test",
    content: text === "" ? [] : [{ type: "text", text }],
    stop_reason: text === "" ? null : "end_turn",
    stop_sequence: null,
    usage: { input_tokens: 5, output_tokens: 4 },
  });
  const event = (type: string, fields: Record<string, unknown>) =>
    `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
  const events = [
    event("message_start", { message: message("") }),
    event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    event("ping", {}),
    ...WORDS.map((text) => event("content_block_delta", { index: 0, delta: { type: "text_delta", text } })),
    event("content_block_stop", { index: 0 }),
    event("message_delta", {
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: 4 },
    }),
    event("message_stop", {}),
  ];
  await using upstream = new FakeUpstream((request, wire) =>
    (request.text.includes('"stream":true') ? stream(events) : reply(200, JSON.stringify(message(TEXT))))(
      request,
      wire,
    )
  );
  await using router = await Router.start({
    upstreams: [
      { endpoint: refusingEndpoint() },
      { endpoint: upstream.endpoint, sk: "sk-ant-real", authStyle: "x-api-key" },
    ],
  });
  // The client adds /v1 itself.
  const client = new Anthropic({ baseURL: router.url.replace("/v1", ""), apiKey: TEST_TOKEN, maxRetries: 0 });
  const request = {
    model: "claude-test",
    max_tokens: 100,
    messages: [{ role: "user" as const, content: "hi" }],
  };

  await t.step("plain", async () => {
    const reply = await client.messages.create(request);
    assert.deepEqual(reply.content.map((block) => block.type === "text" ? block.text : null), [TEXT]);
    const received = upstream.requests.at(-1);
    assert.equal(received?.target, "/v1/messages");
    assert.equal(received?.headers.get("x-api-key"), "sk-ant-real");
    assert.equal(received?.headers.has("authorization"), false);
    assert.notEqual(received?.headers.get("anthropic-version"), null);
  });

  await t.step("streamed", async () => {
    assert.equal(await client.messages.stream(request).finalText(), TEXT);
    const record = (await router.recorded(2)).at(-1);
    assert.equal(record?.response, TEXT);
    assert.equal(record?.finish_reason, "end_turn");
    assert.equal(record?.outcome, "complete");
  });

  await t.step("an error of the last upstream", async () => {
    upstream.script = reply(
      400,
      '{"type":"error","error":{"type":"invalid_request_error","message":"too long"}}',
    );
    await assert.rejects(client.messages.create(request), (thrown) => {
      assert.ok(thrown instanceof Anthropic.BadRequestError);
      assert.match(thrown.message, /too long/);
      return true;
    });
  });
});

Deno.test("the AI SDK works unchanged", async (t) => {
  await using s = await stage((request, wire) => openaiReplies(request)(request, wire));
  const provider = createOpenAI({ baseURL: s.router.url, apiKey: TEST_TOKEN });
  for (
    const [name, model] of [["chat", provider.chat("test-model")], [
      "responses",
      provider("test-model"),
    ]] as const
  ) {
    await t.step(`${name}, streamed`, async () => {
      let text = "";
      for await (const part of streamText({ model, prompt: "hi", maxRetries: 0 }).textStream) text += part;
      assert.equal(text, TEXT);
    });
    await t.step(`${name}, plain`, async () => {
      assert.equal((await generateText({ model, prompt: "hi", maxRetries: 0 })).text, TEXT);
    });
  }
  const records = await s.router.recorded(4);
  assert.deepEqual(records.map((record) => record.response), [TEXT, TEXT, TEXT, TEXT]);
});

Deno.test("LangChain works unchanged", async (t) => {
  await using s = await stage((request, wire) => openaiReplies(request)(request, wire));
  const model = new ChatOpenAI({
    model: "test-model",
    apiKey: TEST_TOKEN,
    maxRetries: 0,
    configuration: { baseURL: s.router.url },
  });
  await t.step("invoke()", async () => {
    assert.equal((await model.invoke("hi")).content, TEXT);
  });
  await t.step("stream()", async () => {
    let text = "";
    for await (const part of await model.stream("hi")) text += part.content;
    assert.equal(text, TEXT);
  });
});

async function curl(args: readonly string[], stdin = ""): Promise<string> {
  const child = new Deno.Command("curl", {
    args: ["--silent", "--show-error", "--noproxy", "*", "--include", ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(stdin));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("curl: preflight, upload, DELETE and a stream", async (t) => {
  await using s = await stage(reply(200, '{"id":"file-1","object":"file"}', { "x-request-id": "up" }));
  const auth = ["--header", `authorization: Bearer ${TEST_TOKEN}`];

  await t.step("the router answers OPTIONS, without a token", async () => {
    const output = await curl([
      "--request",
      "OPTIONS",
      "--header",
      "origin: https://app.example",
      "--header",
      "access-control-request-method: POST",
      "--header",
      "access-control-request-headers: authorization, x-stainless-os",
      `${s.router.url}/chat/completions`,
    ]);
    assert.match(output, /^HTTP\/1.1 204/);
    assert.match(output, /access-control-allow-origin: \*/i);
    assert.match(output, /access-control-allow-methods: .*POST.*DELETE/i);
    assert.match(output, /access-control-allow-headers: authorization, ?x-stainless-os/i);
    assert.equal(s.upstream.requests.length, 0);
  });

  await t.step("a multipart upload arrives with identical bytes", async () => {
    const file = await Deno.makeTempFile({ prefix: "oar-upload-" });
    try {
      const bytes = crypto.getRandomValues(new Uint8Array(60_000));
      await Deno.writeFile(file, bytes);
      const output = await curl([
        ...auth,
        "--form",
        "purpose=fine-tune",
        "--form",
        `file=@${file};filename=data.bin;type=application/octet-stream`,
        `${s.router.url}/files`,
      ]);
      assert.match(output, /"id":"file-1"/);
      const received = s.upstream.requests.at(-1);
      assert.equal(received?.method, "POST");
      assert.equal(received?.target, "/v1/files");
      const type = received?.headers.get("content-type") ?? "";
      const form = await new Response(received?.body.slice(), { headers: { "content-type": type } })
        .formData();
      assert.equal(form.get("purpose"), "fine-tune");
      const uploaded = form.get("file");
      assert.ok(uploaded instanceof File);
      assert.equal(uploaded.name, "data.bin");
      assert.deepEqual(await uploaded.bytes(), bytes);
      const record = (await s.router.recorded(1)).at(-1);
      assert.match(String(record?.body), /data\.bin/);
      assert.equal(record?.request_bytes, received?.body.length);
    } finally {
      await Deno.remove(file);
    }
  });

  await t.step("DELETE", async () => {
    const output = await curl([...auth, "--request", "DELETE", `${s.router.url}/files/file-1?force=1`]);
    assert.match(output, /^HTTP\/1.1 200/);
    assert.match(output, /x-request-id: up/i);
    const received = s.upstream.requests.at(-1);
    assert.equal(received?.method, "DELETE");
    assert.equal(received?.target, "/v1/files/file-1?force=1");
    assert.equal((await s.router.recorded(2)).at(-1)?.method, "DELETE");
  });

  await t.step("PUT and PATCH", async () => {
    for (const method of ["PUT", "PATCH"]) {
      await curl([...auth, "--request", method, "--data", '{"a":1}', `${s.router.url}/things/1`]);
      assert.equal(s.upstream.requests.at(-1)?.method, method);
      assert.equal(s.upstream.requests.at(-1)?.text, '{"a":1}');
    }
  });

  await t.step("a stream without buffering", async () => {
    s.upstream.script = stream(chatEvents(WORDS));
    const body = '{"model":"test-model","stream":true,"messages":[]}';
    const output = await curl(
      [...auth, "--no-buffer", "--data", "@-", `${s.router.url}/chat/completions`],
      body,
    );
    assert.ok(output.endsWith(chatEvents(WORDS).join("")));
    assert.equal(s.upstream.requests.at(-1)?.text, body);
  });

  await t.step("the router answers Expect: 100-continue", async () => {
    s.upstream.script = raw("HTTP/1.1 204 No Content\r\n\r\n");
    const output = await curl([
      ...auth,
      "--header",
      "expect: 100-continue",
      "--data",
      "x",
      `${s.router.url}/x`,
    ]);
    assert.match(output, /HTTP\/1.1 204/);
    assert.equal(s.upstream.requests.at(-1)?.headers.has("expect"), false);
  });
});
