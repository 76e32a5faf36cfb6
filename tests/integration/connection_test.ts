/** Connections to upstreams: kept, used again, and what happens when one closes just as it is used again. */
import assert from "node:assert/strict";
import { RawUpstream, writeAll } from "../support/raw_upstream.ts";
import { eventually, Router } from "../support/router.ts";
import { chatEvents, chatReply, FakeUpstream, hang, type Script, stream } from "../support/upstream.ts";

Deno.test("requests in a row use one connection, streams too", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  for (const script of [chatReply("plain"), stream(chatEvents(["stream"])), chatReply("plain again")]) {
    upstream.script = script;
    const response = await router.chat({ stream: true });
    await response.text();
    await router.recordOf(response);
  }
  assert.equal(upstream.requests.length, 3);
  assert.equal(upstream.acceptedCount, 1);
});

Deno.test("streams that come in one piece leave their connection to the next one, and each client gets its own", async () => {
  const events = (id: string) => chatEvents(Array.from({ length: 400 }, (_, n) => `${id}-${n} `)).join("");
  await using upstream = new RawUpstream(async (connection) => {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(16_384);
    for (let text = "";;) {
      const count = await connection.read(buffer);
      if (count === null) return;
      text += decoder.decode(buffer.subarray(0, count));
      const id = /"id-(\d+)"/.exec(text)?.[1];
      if (id === undefined) continue;
      text = "";
      const body = events(id);
      const size = body.length.toString(16);
      await writeAll(
        connection,
        `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n${size}\r\n${body}\r\n0\r\n\r\n`,
      );
    }
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const ask = async (id: number) => {
    const response = await router.chat({ stream: true, messages: [{ role: "user", content: `id-${id}` }] });
    assert.equal(await response.text(), events(String(id)));
    await router.recordOf(response);
  };
  for (let id = 0; id < 4; id++) await ask(id);
  assert.equal(upstream.acceptedCount, 1);

  for (let turn = 1; turn <= 3; turn++) {
    await Promise.all(Array.from({ length: 20 }, (_, n) => ask(turn * 100 + n)));
  }
  assert.ok(upstream.acceptedCount <= 20, `${upstream.acceptedCount} connections`);
});

Deno.test("requests at the same time get a connection each, however many there are", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (request, wire) => {
    await released;
    await chatReply("ok")(request, wire);
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const pending = Array.from({ length: 100 }, async () => (await router.chat()).text());
  await upstream.received(100);
  assert.equal(upstream.connectionCount, 100);
  release();
  await Promise.all(pending);
  assert.equal((await router.recorded(100)).length, 100);
});

// A fact about Deno, measured on 2.9.6 and told in the README: the runtime, not the router, sends again.
Deno.test("a request may be sent twice when a kept connection closes before it is answered", async () => {
  const closeOnce = (then: Script): Script => {
    let isClosed = false;
    return async (request, wire) => {
      if (isClosed) return await then(request, wire);
      isClosed = true;
      wire.close();
    };
  };
  await using upstream = new FakeUpstream(chatReply("first"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await (await router.chat()).text();

  upstream.script = closeOnce(chatReply("sent again"));
  const response = await router.chat();
  assert.equal((await response.json()).choices[0].message.content, "sent again");
  assert.equal(upstream.requests.length, 3);
  assert.equal(upstream.requests[2]?.text, upstream.requests[1]?.text);
  assert.equal((await router.recordOf(response)).attempts, 1);
});

Deno.test("a new connection that closes before the answer is not sent over again", async () => {
  await using upstream = new FakeUpstream((_request, wire) => wire.close());
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await router.chat();
  assert.equal(response.status, 502);
  await response.body?.cancel();
  assert.equal(upstream.requests.length, 1);
});

Deno.test("a reply that was abandoned does not leave its connection open", async () => {
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, timeout: 1 }] });
  assert.equal((await router.chat()).status, 502);
  await eventually(() => upstream.connectionCount === 0 ? true : null, "the connection's end");
});
