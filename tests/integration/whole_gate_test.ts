/**
 * `--gate whole` and `x-oar-gate`, from outside: a stream is complete before anything of it goes out, and what failed
 * attempts had said is kept.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { decodeChunked, isTerminated, rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import {
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  cutAfter,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  raw,
  type Script,
  silentAfter,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const KEEPALIVE = ":\n";
const PING = 'event: ping\ndata: {"type": "ping"}\n\n';
const KEY = "sk-of-the-first-0123456789";
const WORDS = [chatEvent({ role: "assistant", content: "" }), chatEvent({ content: "half " })];
const ERROR = 'data: {"error":{"message":"overloaded","code":"busy"}}\n\n';
const WHOLE = chatEvents(["a ", "whole ", "answer"]);

function typed(type: string, fields: Record<string, unknown>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

/** A message as Anthropic streams it, up to its end. */
function messageEvents(text: string): string[] {
  return [
    typed("message_start", { message: { id: "m", role: "assistant", content: [], usage: {} } }),
    typed("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
    typed("content_block_delta", { index: 0, delta: { type: "text_delta", text } }),
    typed("content_block_stop", { index: 0 }),
    typed("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } }),
    typed("message_stop", {}),
  ];
}

/** The events, then the signal, then what follows. */
function until(signal: Promise<void>, events: readonly string[], then: Script): Script {
  return async (request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    await signal;
    await then(request, wire);
  };
}

/** The same events, compressed as a whole. */
function gzipped(events: readonly string[]): Script {
  const body = gzipSync(events.join(""));
  const fields = { "content-type": "text/event-stream", "content-encoding": "gzip" };
  return raw(Buffer.concat([
    Buffer.from(head(200, { ...fields, "content-length": String(body.length) })),
    body,
  ]));
}

function ask(
  router: Router,
  path: string,
  { gate, ...body }: Record<string, unknown> & { readonly gate?: string },
): Promise<Response> {
  return router.fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", ...(gate === undefined ? {} : { "x-oar-gate": gate }) },
    body: JSON.stringify({ model: "test-model", ...body }),
  });
}

interface Pair extends AsyncDisposable {
  readonly first: FakeUpstream;
  readonly second: FakeUpstream;
  readonly router: Router;
}

async function pair(args: readonly string[]): Promise<Pair> {
  const first = new FakeUpstream(hang);
  const second = new FakeUpstream(stream(WHOLE));
  const router = await Router.start({
    upstreams: [
      { endpoint: first.endpoint, name: "first", sk: KEY },
      { endpoint: second.endpoint, name: "second" },
    ],
    args,
  });
  return {
    first,
    second,
    router,
    [Symbol.asyncDispose]: async () => {
      await router[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose]();
      await second[Symbol.asyncDispose]();
    },
  };
}

/** Lets the first upstream answer well, so that its breaker does not open. */
async function heal({ first, router }: Pair): Promise<void> {
  first.script = stream(WHOLE);
  await (await ask(router, "/chat/completions", { stream: true, gate: "content" })).text();
}

Deno.test("--gate whole: a failure anywhere in a stream moves on to a whole answer", async (t) => {
  await using stage = await pair(["--gate", "whole", "--idle-timeout", "1"]);
  const { first, router } = stage;
  const failures: Record<string, { script: Script; errorClass: string }> = {
    "a cut": { script: cutAfter(WORDS), errorClass: "bad_stream" },
    "a stall": { script: silentAfter(WORDS), errorClass: "timeout" },
    "an error event": { script: stream([...WORDS, ERROR]), errorClass: "bad_stream" },
    "an end without a marker": { script: stream(WORDS), errorClass: "bad_stream" },
    "an error event, encoded": { script: gzipped([...WORDS, ERROR]), errorClass: "bad_stream" },
    "an end without a marker, encoded": { script: gzipped(WORDS), errorClass: "bad_stream" },
    "an error event of a type of its own": {
      script: stream([...WORDS, 'event: error\ndata: {"type":"overloaded_error","message":"busy"}\n\n']),
      errorClass: "bad_stream",
    },
  };
  for (const [name, { script, errorClass }] of Object.entries(failures)) {
    await t.step(name, async () => {
      await heal(stage);
      first.script = script;
      const response = await ask(router, "/chat/completions", { stream: true });
      assert.equal(await response.text(), WHOLE.join(""));
      assert.equal(response.headers.get("x-oar-upstream"), "second");
      const record = await router.recordOf(response);
      assert.equal(record.outcome, "complete");
      assert.equal(record.response, "a whole answer");
      const attempts = router.attempts(record.id);
      assert.deepEqual(attempts.map((each) => [each.error_class, each.partial]), [
        [errorClass, "half "],
        [null, null],
      ]);
      const shown = JSON.parse(await show(router, record.id)) as { attempts: { partial: unknown }[] };
      assert.deepEqual(shown.attempts.map(({ partial }) => partial), ["half ", null]);
    });
  }

  await t.step("a whole stream goes out as it came", async () => {
    await heal(stage);
    const events = [": a comment\n\n", ...WHOLE.slice(0, -1), "data: [DONE]\r\n\r\n"];
    first.script = stream(events);
    const response = await ask(router, "/chat/completions", { stream: true });
    assert.equal(await response.text(), events.join(""));
    assert.equal(response.headers.get("x-oar-attempts"), "1");
  });

  await t.step("a key in the text of a failed attempt is masked in the record", async () => {
    first.script = cutAfter([chatEvent({ content: `my key is ${KEY}.` })]);
    const response = await ask(router, "/chat/completions", { stream: true });
    await response.text();
    const { id } = await router.recordOf(response);
    const [attempt] = router.attempts(id);
    assert.match(String(attempt?.partial), /^my key is sk-…/);
    assert.ok(!JSON.stringify(attempt).includes(KEY));
  });

  await t.step("of a long text 64 KiB are kept", async () => {
    await heal(stage);
    first.script = cutAfter([chatEvent({ content: "é".repeat(60_000) })]);
    const response = await ask(router, "/chat/completions", { stream: true });
    await response.text();
    const [attempt] = router.attempts((await router.recordOf(response)).id);
    const kept = new TextEncoder().encode(String(attempt?.partial)).length;
    assert.ok(kept <= 64 * 1024 && kept > 64 * 1024 - 8, `${kept}`);
  });
});

/** `records show --json` of one record. */
async function show(router: Router, id: unknown): Promise<string> {
  return (await runProgram(["records", "show", String(id), "--json"], { cwd: router.directory })).stdout;
}

Deno.test("--gate whole: keepalives go out while a stream is held", async (t) => {
  await using stage = await pair(["--gate", "whole", "--gate-ms", "50", "--keepalive", "0.05"]);
  const { first, second, router } = stage;

  await t.step("comments, also while the next upstream is asked", async () => {
    const cut = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    first.script = until(cut.promise, WORDS, (_request, wire) => wire.close());
    second.script = async (_request, wire) => {
      await answer.promise;
      await wire.write(STREAM_HEAD + WHOLE.map(chunk).join("") + LAST_CHUNK);
    };
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(`2\r\n${KEEPALIVE}\r\n`.repeat(2));
    assert.equal(second.requests.length, 0);
    cut.resolve();
    await second.received(1);
    const before = client.text.length;
    await eventually(async () => {
      await client.readUntil(client.text + "2\r\n").catch(() => {});
      return client.text.length > before ? true : null;
    }, "a keepalive while the second upstream is asked");
    answer.resolve();
    const text = await client.readToEnd();
    assert.equal(isTerminated(text), true);
    assert.equal(decodeChunked(client).replace(/^(:\n)+/, ""), WHOLE.join(""));
    second.script = stream(WHOLE);
  });

  await t.step("pings for clients of the messages API", async () => {
    const events = messageEvents("whole");
    const end = Promise.withResolvers<void>();
    first.script = until(end.promise, events.slice(0, 3), async (_request, wire) => {
      for (const event of events.slice(3)) await wire.write(chunk(event));
      await wire.write(LAST_CHUNK);
    });
    using client = await RawClient.connect(router.port);
    await client.send(rawRequest("/v1/messages", {
      token: router.token,
      body: JSON.stringify({ model: "test-model", stream: true }),
    }));
    await client.readUntil(PING);
    end.resolve();
    await client.readToEnd();
    assert.equal(decodeChunked(client).replaceAll(PING, ""), events.join(""));
  });

  await t.step("a client of HTTP/1.0 gets all of it, too", async () => {
    first.script = stream(WHOLE);
    using client = await RawClient.connect(router.port);
    const body = JSON.stringify({ model: "test-model", stream: true });
    await client.send(
      `POST /v1/chat/completions HTTP/1.0\r\nauthorization: Bearer ${router.token}\r\n` +
        `content-length: ${body.length}\r\n\r\n${body}`,
    );
    await client.readToEnd();
    assert.equal(client.body.toString().replace(/^(:\n)+/, ""), WHOLE.join(""));
  });
});

Deno.test("--gate whole: a client that leaves, and the deadline, end a stream that is held", async (t) => {
  await using stage = await pair(["--gate", "whole", "--gate-ms", "50", "--deadline", "2"]);
  const { first, second, router } = stage;

  await t.step("the client leaves", async () => {
    first.script = silentAfter(WORDS);
    const client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(KEEPALIVE);
    client.close();
    await first.requests[0]?.closed;
    const [record] = await router.recorded(1);
    assert.equal(record?.outcome, "client_gone");
    const attempts = router.attempts(record?.id);
    assert.deepEqual(attempts.map((each) => [each.error_class, each.partial]), [["client_gone", "half "]]);
    assert.equal(second.requests.length, 0);
  });

  await t.step("the deadline passes", async () => {
    first.script = silentAfter(WORDS);
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    assert.equal(isTerminated(await client.readToEnd()), false);
    assert.match(decodeChunked(client), /^(:\n)+data: \{"error":\{.*"code":"deadline_exceeded"\}\}\n\n$/);
    const record = (await router.recorded(2)).at(-1);
    assert.deepEqual(router.attempts(record?.id).map((each) => each.error_class), ["deadline_exceeded"]);
  });
});

Deno.test("x-oar-gate says for one request how its stream is held", async (t) => {
  await using stage = await pair([]);
  const { first, second, router } = stage;

  await t.step("whole", async () => {
    first.script = cutAfter(WORDS);
    const response = await ask(router, "/chat/completions", { stream: true, gate: " Whole" });
    assert.equal(await response.text(), WHOLE.join(""));
    assert.equal(first.requests.at(-1)?.headers.has("x-oar-gate"), false);
    assert.equal(second.requests.at(-1)?.headers.has("x-oar-gate"), false);
  });

  await t.step("content", async () => {
    await heal(stage);
    first.script = stream([...WORDS, ERROR]);
    const response = await ask(router, "/chat/completions", { stream: true, gate: "content" });
    assert.equal(await response.text(), [...WORDS, ERROR].join(""));
  });

  await t.step("none", async () => {
    await heal(stage);
    const before = second.requests.length;
    first.script = stream([WORDS[0] ?? "", ERROR]);
    const response = await ask(router, "/chat/completions", { stream: true, gate: "none" });
    assert.equal(await response.text(), [WORDS[0], ERROR].join(""));
    assert.equal(second.requests.length, before);
    assert.equal((await router.recordOf(response)).outcome, "error_event");
  });

  await t.step("none: an upstream that does not answer is still replaced", async () => {
    await heal(stage);
    first.script = (_request, wire) => wire.close();
    const response = await ask(router, "/chat/completions", { stream: true, gate: "none" });
    assert.equal(await response.text(), WHOLE.join(""));
  });

  await t.step("anything else is a mistake of the client", async () => {
    const before = first.requests.length;
    for (const gate of ["off", "", "whole, content"]) {
      const response = await ask(router, "/chat/completions", { stream: true, gate });
      assert.equal(response.status, 400);
      const { error } = await response.json() as { error: { code: string; message: string } };
      assert.equal(error.code, "invalid_request");
      assert.match(error.message, /x-oar-gate must be whole, content or none/);
    }
    assert.equal(first.requests.length, before);
  });

  await t.step("a document is read whole, whatever the gate", async () => {
    for (const gate of ["whole", "content", "none"]) {
      first.script = chatReply("a document");
      const response = await ask(router, "/chat/completions", { gate });
      assert.match(await response.text(), /a document/);
    }
  });
});

Deno.test("without memory to hold it whole, a stream is relayed from its content on, and counted", async () => {
  await using stage = await pair(["--gate", "whole", "--max-held", "300"]);
  const { first, router } = stage;
  first.script = cutAfter([...WORDS, ...WORDS]);
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(router.token, { stream: true }));
  assert.equal(isTerminated(await client.readToEnd()), false);
  assert.equal(decodeChunked(client), [...WORDS, ...WORDS].join(""));
  assert.equal(await router.metric("gate_degraded_total"), 1);
  assert.match(router.text, /is relayed as it comes, not held whole/);
});

Deno.test("when every upstream fails after the head, the client learns it in its own language", async (t) => {
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--gate", "whole", "--gate-ms", "20", "--keepalive", "0.02"],
  });
  /** Cuts the stream off when the client has the head of its answer. */
  const failing = (events: readonly string[]): () => void => {
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.script = until(promise, events, (_request, wire) => wire.close());
    return resolve;
  };
  const openai = new OpenAI({ baseURL: router.url, apiKey: router.token, maxRetries: 0 });
  const anthropic = new Anthropic({
    baseURL: router.url.replace(/\/v1$/, ""),
    authToken: router.token,
    apiKey: null,
    maxRetries: 0,
  });

  await t.step("chat", async () => {
    const cut = failing(WORDS);
    const chat = await openai.chat.completions.create({ model: "m", stream: true, messages: [] });
    cut();
    await assert.rejects(Array.fromAsync(chat), { name: "Error", message: /broke off before its end/ });
  });

  await t.step("messages", async () => {
    const cut = failing(messageEvents("half").slice(0, 3));
    const messages = await anthropic.messages.create({
      model: "m",
      max_tokens: 1,
      stream: true,
      messages: [],
    });
    cut();
    await assert.rejects(Array.fromAsync(messages), (error: InstanceType<typeof Anthropic.APIError>) => {
      assert.ok(error instanceof Anthropic.APIError);
      assert.deepEqual((error.error as { error: { type: string } }).error.type, "api_error");
      return true;
    });
  });

  await t.step("responses", async () => {
    const cut = failing([
      typed("response.created", { response: { id: "r", status: "in_progress" } }),
      typed("response.output_text.delta", { item_id: "i", output_index: 0, content_index: 0, delta: "half" }),
    ]);
    const responses = await openai.responses.create({ model: "m", input: "hi", stream: true });
    cut();
    const events: OpenAI.Responses.ResponseStreamEvent[] = [];
    // The body is cut off behind the event.
    await assert.rejects((async () => {
      for await (const event of responses) events.push(event);
    })());
    assert.equal(events.length, 1);
    const [failed] = events;
    assert.ok(failed?.type === "response.failed");
    assert.equal(failed.response.status, "failed");
    assert.match(failed.response.error?.message ?? "", /broke off before its end/);
    assert.deepEqual(failed.response.output, []);
  });
});

Deno.test("errors of the router have Anthropic's form for the messages API", async (t) => {
  await using upstream = new FakeUpstream((_request, wire) => wire.close());
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--max-body", "1KiB"],
  });
  const cases: Record<string, { init: RequestInit; status: number; type: string }> = {
    "no token": {
      init: { method: "POST", body: "{}", headers: { authorization: "" } },
      status: 403,
      type: "permission_error",
    },
    "a body that is too large": {
      init: { method: "POST", body: JSON.stringify({ model: "m", system: "x".repeat(4_000) }) },
      status: 413,
      type: "request_too_large",
    },
    "an unreachable upstream": {
      init: { method: "POST", body: JSON.stringify({ model: "m" }) },
      status: 502,
      type: "api_error",
    },
    "an unknown gate": {
      init: { method: "POST", body: JSON.stringify({ model: "m" }), headers: { "x-oar-gate": "off" } },
      status: 400,
      type: "invalid_request_error",
    },
  };
  for (const path of ["/messages", "/messages/count_tokens", "/messages/batches"]) {
    for (const [name, { init, status, type }] of Object.entries(cases)) {
      await t.step(`${path}: ${name}`, async () => {
        const response = await router.fetch(path, init);
        assert.equal(response.status, status);
        const document = await response.json() as {
          type: string;
          error: { type: string; message: string };
          request_id: string | null;
        };
        assert.equal(document.type, "error");
        assert.equal(document.error.type, type);
        assert.ok(document.error.message.length > 0);
        assert.equal(document.request_id, response.headers.get("x-oar-request-id"));
      });
    }
  }
  await t.step("and OpenAI's everywhere else", async () => {
    for (const path of ["/chat/completions", "/threads/thread_1/messages", "/messagesx"]) {
      const response = await router.fetch(path, { method: "POST", body: JSON.stringify({ model: "m" }) });
      assert.equal(response.status, 502);
      const { error } = await response.json() as { error: { code: string } };
      assert.equal(error.code, "upstream_unreachable");
    }
  });
});
