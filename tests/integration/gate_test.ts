/**
 * The gate of docs/architecture.md ("The gate"), from outside: what is held, what is sent, and when a choice
 * is final.
 */
import assert from "node:assert/strict";
import { decodeChunked, isTerminated, rawChat, RawClient } from "../support/raw_client.ts";
import { Router } from "../support/router.ts";
import {
  chatCompletion,
  chatEvent,
  chatEvents,
  chunk,
  cutAfter,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  type ReceivedRequest,
  reply,
  type Script,
  silentAfter,
  stream,
  STREAM_HEAD,
  type Wire,
} from "../support/upstream.ts";

const ROLE = chatEvent({ role: "assistant", content: "" });
const PING = ": OPENROUTER PROCESSING\n\n";
/** With one line end: some clients take a blank line for an event. */
const KEEPALIVE = ":\n";

/** Sends these events, waits for the signal, then follows the second script, which sends no head. */
function heldUntil(
  released: Promise<void>,
  events: readonly string[],
  then: (wire: Wire) => Promise<void>,
): Script {
  return async (_request: ReceivedRequest, wire: Wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    await released;
    await then(wire);
  };
}

async function writeAll(wire: Wire, events: readonly string[]): Promise<void> {
  for (const event of events) await wire.write(chunk(event));
  await wire.write(LAST_CHUNK);
}

/** Lets the upstream answer correctly once, so that the breaker does not reorder the upstreams. */
async function heal(upstream: FakeUpstream, router: Router): Promise<void> {
  upstream.script = stream(chatEvents(["well"]));
  await (await router.chat({ stream: true })).text();
}

function errorEvents(text: string): unknown[] {
  return [...text.matchAll(/^data: (\{"error".*)$/gm)].map((match) => JSON.parse(match[1] ?? "").error);
}

Deno.test("--gate-ms bounds how long a stream is held", async (t) => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, name: "first" }, { endpoint: second.endpoint, name: "second" }],
    args: ["--gate-ms", "150", "--first-token-timeout", "30"],
  });

  await t.step(
    "neutral bytes go out, and the next upstream still takes over in the same response",
    async () => {
      const events = chatEvents(["clean"]);
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      first.script = heldUntil(released, [PING], (wire) => Promise.resolve(wire.close()));
      second.script = stream(events);
      using client = await RawClient.connect(router.port);
      await client.send(rawChat(router.token, { stream: true }));
      await client.readUntil(PING);
      assert.match(client.text, /^HTTP\/1.1 200/);
      assert.equal(second.requests.length, 0);
      release();
      const text = await client.readToEnd();
      assert.equal(isTerminated(text), true);
      assert.equal(decodeChunked(client), PING + events.join(""));
      const record = (await router.recorded(1)).at(-1);
      assert.equal(record?.outcome, "complete");
      assert.equal(record?.response, "clean");
      assert.equal(record?.upstream_id, 2);
      const attempts = router.attempts(record?.id);
      assert.deepEqual(attempts.map((attempt) => attempt.error_class), ["bad_stream", null]);
    },
  );

  await t.step("a byte order mark of the next upstream does not", async () => {
    const events = chatEvents(["clean"]);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    first.script = heldUntil(released, [PING], (wire) => Promise.resolve(wire.close()));
    second.script = stream(["\ufeff", ...events]);
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(PING);
    release();
    await client.readToEnd();
    assert.equal(decodeChunked(client), PING + events.join(""));
    await heal(first, router);
  });

  await t.step("the first upstream may still answer after neutral bytes", async () => {
    const events = chatEvents(["late ", "but ", "fine"]);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    first.script = heldUntil(released, [PING], (wire) => writeAll(wire, events));
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(PING);
    release();
    await client.readToEnd();
    assert.equal(decodeChunked(client), PING + events.join(""));
    const record = (await router.recorded(4)).at(-1);
    assert.equal(record?.response, "late but fine");
    assert.equal(record?.attempts, 1);
  });

  await t.step("a comment goes out with the head when nothing else has arrived", async () => {
    const events = chatEvents(["at last"]);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    first.script = heldUntil(released, [], (wire) => writeAll(wire, events));
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(KEEPALIVE);
    assert.match(client.text, /^HTTP\/1.1 200/);
    release();
    await client.readToEnd();
    assert.equal(decodeChunked(client), KEEPALIVE + events.join(""));
  });

  await t.step("an event without content is held, and the next upstream still takes over", async () => {
    const events = chatEvents(["from the second"]);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    first.script = heldUntil(released, [ROLE], (wire) => Promise.resolve(wire.close()));
    second.script = stream(events);
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(KEEPALIVE);
    release();
    assert.equal(isTerminated(await client.readToEnd()), true);
    assert.equal(decodeChunked(client), KEEPALIVE + events.join(""));
    const record = (await router.recorded(6)).at(-1);
    assert.equal(record?.outcome, "complete");
    assert.deepEqual(router.attempts(record?.id).map((each) => each.error_class), ["bad_stream", null]);
  });

  await t.step("a megabyte of events without content is held, two make the choice final", async () => {
    await heal(first, router);
    const before = second.requests.length;
    const empty = chatEvent({ role: "assistant", content: "", padding: "x".repeat(100_000) });
    first.script = cutAfter(Array(10).fill(empty));
    const response = await router.chat({ stream: true });
    assert.equal(await response.text(), chatEvents(["from the second"]).join(""));
    assert.equal(second.requests.length, before + 1);
    first.script = cutAfter(Array(22).fill(empty));
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    const text = await client.readToEnd();
    assert.match(text, /^HTTP\/1.1 200/);
    assert.equal(isTerminated(text), false);
    assert.equal(second.requests.length, before + 1);
    assert.equal((await router.recorded(9)).at(-1)?.outcome, "upstream_cut");
  });
});

Deno.test("content makes the choice final, and earlier bytes are sent unchanged", async () => {
  const before = [PING, ROLE, "event: ping\ndata: {}\n\n", ROLE];
  await using first = new FakeUpstream(cutAfter([...before, chatEvent({ content: "word" })]));
  await using second = new FakeUpstream(stream(chatEvents(["never seen"])));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
  });
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(router.token, { stream: true }));
  const text = await client.readToEnd();
  assert.equal(decodeChunked(client), [...before, chatEvent({ content: "word" })].join(""));
  assert.equal(isTerminated(text), false);
  assert.equal(second.requests.length, 0);
});

const CONTENT = {
  "a refusal": { refusal: "No." },
  "reasoning": { reasoning_content: "Let me think" },
  "a tool call": {
    tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "look", arguments: "" } }],
  },
};

Deno.test("refusals, reasoning and tool calls are content", async (t) => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(stream(chatEvents(["never seen"])));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
    args: ["--gate-ms", "60000"],
  });
  for (const [name, delta] of Object.entries(CONTENT)) {
    await t.step(name, async () => {
      first.script = silentAfter([ROLE, chatEvent(delta)]);
      using client = await RawClient.connect(router.port);
      await client.send(rawChat(router.token, { stream: true }));
      await client.readUntil(Object.keys(delta)[0] ?? "");
      assert.equal(second.requests.length, 0);
    });
  }
});

Deno.test("a stream without content for --first-token-timeout has failed", async (t) => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, timeout: 1 }, { endpoint: second.endpoint, timeout: 1 }],
    args: ["--gate-ms", "100", "--first-token-timeout", "1"],
  });

  await t.step("the next upstream takes over", async () => {
    const events = chatEvents(["second"]);
    first.script = silentAfter([PING]);
    second.script = stream(events);
    const response = await router.chat({ stream: true });
    assert.equal(await response.text(), PING + events.join(""));
    await first.requests[0]?.closed;
    const record = await router.recordOf(response);
    assert.deepEqual(router.attempts(record.id).map((each) => each.error_class), ["timeout", null]);
    assert.equal(record.upstream_id, 2);
  });

  await t.step("after all of them: one error event and an unterminated end", async () => {
    first.script = silentAfter([PING]);
    second.script = cutAfter([]);
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    const text = await client.readToEnd();
    assert.equal(isTerminated(text), false);
    const errors = errorEvents(decodeChunked(client));
    assert.equal(errors.length, 1);
    assert.equal((errors[0] as { code: string }).code, "upstream_cut");
    const record = (await router.recorded(2)).at(-1);
    assert.equal(record?.outcome, "upstream_error");
    assert.equal(record?.attempts, 2);
  });

  for (
    const [name, script, code] of [
      ["a status", reply(503, '{"error":{"message":"down","code":"too_busy"}}'), "too_busy"],
      ["a whole JSON reply", reply(200, '{"choices":[]}'), "upstream_cut"],
      ["silence", hang, "upstream_timeout"],
    ] as const
  ) {
    await t.step(`after neutral bytes, ${name} of the last upstream cannot be relayed either`, async () => {
      await heal(first, router);
      first.script = silentAfter([PING]);
      second.script = script;
      using client = await RawClient.connect(router.port);
      await client.send(rawChat(router.token, { stream: true }));
      assert.equal(isTerminated(await client.readToEnd()), false);
      const errors = errorEvents(decodeChunked(client));
      assert.deepEqual(errors.map((error) => (error as { code: string }).code), [code]);
    });
  }
});

Deno.test("white space before a slow document of the only upstream goes on after --gate-ms", async () => {
  const document = JSON.stringify(chatCompletion("slow"));
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (_request, wire) => {
    const fields = { "content-type": "application/json", "transfer-encoding": "chunked" };
    await wire.write(head(200, fields) + chunk("\n\n"));
    await released;
    await wire.write(chunk(document) + LAST_CHUNK);
  });
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--gate-ms", "50"],
  });
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(router.token));
  await client.readUntil(chunk("\n\n"));
  release();
  await client.readToEnd();
  assert.equal(decodeChunked(client), `\n\n${document}`);
  const [record] = await router.recorded(1);
  assert.deepEqual([record?.outcome, record?.response], ["complete", "slow"]);
});

/** Streams of the other APIs: events without content, failures, and content. */
const KINDS = {
  "/responses": {
    preamble: event("response.created", { response: { id: "r", status: "in_progress" } }),
    failure: event("response.failed", { response: { status: "failed", error: { message: "overloaded" } } }),
    whole: [
      event("response.created", { response: { id: "r", status: "in_progress" } }),
      event("response.output_text.delta", { item_id: "m", output_index: 0, content_index: 0, delta: "fine" }),
      event("response.completed", {
        response: {
          id: "r",
          status: "completed",
          output: [{ type: "message", role: "assistant", content: [{ type: "output_text", text: "fine" }] }],
        },
      }),
    ],
  },
  "/messages": {
    preamble: event("message_start", { message: { id: "m", role: "assistant", content: [], usage: {} } }),
    failure: event("error", { error: { type: "overloaded_error", message: "Overloaded" } }),
    whole: [
      event("message_start", { message: { id: "m", role: "assistant", content: [], usage: {} } }),
      event("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      event("content_block_delta", { index: 0, delta: { type: "text_delta", text: "fine" } }),
      event("content_block_stop", { index: 0 }),
      event("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 1 } }),
      event("message_stop", {}),
    ],
  },
  "/completions": {
    preamble: 'data: {"choices":[{"index":0,"text":"","finish_reason":null}]}\n\n',
    failure: 'data: {"error":{"message":"overloaded"}}\n\n',
    whole: [
      'data: {"choices":[{"index":0,"text":"fine","finish_reason":null}]}\n\n',
      'data: {"choices":[{"index":0,"text":"","finish_reason":"stop"}]}\n\n',
      "data: [DONE]\n\n",
    ],
  },
};

function event(type: string, fields: Record<string, unknown>): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;
}

Deno.test("streams of every kind fail over after an error before content", async (t) => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, name: "first" }, { endpoint: second.endpoint, name: "second" }],
  });
  const ask = (path: string) =>
    router.fetch(path, { method: "POST", body: JSON.stringify({ model: "test-model", stream: true }) });
  for (const [path, { preamble, failure, whole }] of Object.entries(KINDS)) {
    await t.step(path, async () => {
      await heal(first, router);
      first.script = stream([preamble, failure]);
      second.script = stream(whole);
      const response = await ask(path);
      assert.equal(await response.text(), whole.join(""));
      assert.equal(response.headers.get("x-oar-upstream"), "second");
      const record = await router.recordOf(response);
      assert.equal(record.outcome, "complete");
      assert.equal(record.response, "fine");
      assert.deepEqual(router.attempts(record.id).map((each) => each.error_class), ["bad_stream", null]);
    });
  }
});

Deno.test("an answer to stream: true that begins like a stream is one, whatever its content type", async (t) => {
  await using bad = new FakeUpstream(hang);
  await using good = new FakeUpstream(stream(chatEvents(["good"])));
  await using router = await Router.start({
    upstreams: [{ endpoint: bad.endpoint, name: "bad" }, { endpoint: good.endpoint, name: "good" }],
  });
  const labelled = (label: string, events: readonly string[]): Script => async (_request, wire) => {
    await wire.write(head(200, { "content-type": label, "transfer-encoding": "chunked" }));
    await writeAll(wire, events);
  };
  const failing = {
    "an end without content": ["data: [DONE]\n\n"],
    "an error": ['data: {"error":{"message":"busy"}}\n\n'],
    "an error after a comment": [": hello\n\n", 'event: error\ndata: {"message":"busy"}\n\n'],
  };
  for (const label of ["text/plain", "application/json"]) {
    for (const [name, events] of Object.entries(failing)) {
      await t.step(`${label} with ${name} fails over`, async () => {
        await heal(bad, router);
        bad.script = labelled(label, events);
        const response = await router.chat({ stream: true });
        assert.equal(await response.text(), chatEvents(["good"]).join(""));
        assert.equal(response.headers.get("x-oar-attempts"), "2");
      });
    }
    await t.step(`${label} with content is relayed and read as a stream`, async () => {
      await heal(bad, router);
      bad.script = labelled(label, chatEvents(["plain ", "words"]));
      const response = await router.chat({ stream: true });
      assert.equal(response.headers.get("content-type"), label);
      assert.equal(await response.text(), chatEvents(["plain ", "words"]).join(""));
      const record = await router.recordOf(response);
      assert.equal(record.response, "plain words");
      assert.equal(record.outcome, "complete");
    });
  }
});
