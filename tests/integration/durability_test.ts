/**
 * A reply that a client received to its end is recorded, whatever happens next: docs/architecture.md, "The
 * life of a request".
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router, TEST_TOKEN } from "../support/router.ts";
import {
  chatCompletion,
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  reply,
  type Script,
  silentAfter,
  stream,
} from "../support/upstream.ts";

const LONG_TEXT = "word ".repeat(300_000);

const REPLIES: Record<string, { script: Script; request: string; last: string; response: string | RegExp }> =
  {
    "a plain reply": {
      script: chatReply("Never lose a word."),
      request: rawChat(TEST_TOKEN),
      last: '"total_tokens":12}}',
      response: "Never lose a word.",
    },
    "a stream, up to its end marker": {
      script: stream(chatEvents(["Never ", "lose ", "a ", "word."])),
      request: rawChat(TEST_TOKEN, { stream: true }),
      last: "data: [DONE]\n\n",
      response: "Never lose a word.",
    },
    "a large reply of a declared length": {
      script: reply(200, JSON.stringify(chatCompletion(LONG_TEXT))),
      request: rawChat(TEST_TOKEN),
      last: '"total_tokens":12}}',
      response: LONG_TEXT,
    },
    "a chunked reply that is no conversation": {
      script: async (_request, wire) => {
        await wire.write(head(200, { "content-type": "text/plain", "transfer-encoding": "chunked" }));
        for (const word of ["one ", "two ", "three"]) await wire.write(chunk(word));
        await wire.write(LAST_CHUNK);
      },
      request: rawRequest("/v1/files/1/content", { method: "GET", token: TEST_TOKEN }),
      last: LAST_CHUNK,
      response: /one two three/,
    },
    "an error of the last upstream": {
      // Of which it is not asked again.
      script: reply(501, '{"error":{"message":"down"}}'),
      request: rawChat(TEST_TOKEN),
      last: '"down"}}',
      response: '{"error":{"message":"down"}}',
    },
  };

for (const [name, { script, request, last, response }] of Object.entries(REPLIES)) {
  Deno.test(`${name} is recorded when the router is killed the moment it was received`, async () => {
    await using upstream = new FakeUpstream(script);
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
    using client = await RawClient.connect(router.port);
    await client.send(request);
    await client.readUntil(last);
    router.signal("SIGKILL");
    await router.exited();

    const records = router.query("SELECT * FROM records");
    assert.equal(records.length, 1);
    assert.notEqual(records[0]?.outcome, "in_flight");
    const text = String(records[0]?.response);
    if (typeof response === "string") assert.equal(text, response);
    else assert.match(text, response);
    assert.equal(router.attempts(records[0]?.id).length, 1);
  });
}

/** A connection of another program, which holds the write lock. */
function lockedBy(router: Router): DatabaseSync {
  const other = new DatabaseSync(`${router.directory}/db.sqlite`);
  // The router also writes in the background: heartbeats, the search index.
  other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  return other;
}

Deno.test("the end of a reply waits for its record, but for 250 ms at most", async (t) => {
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const replies = {
    "a plain reply": { script: chatReply("held"), body: {} },
    "a stream": { script: stream(chatEvents(["held"])), body: { stream: true } },
  };
  let count = 0;
  for (const [name, { script, body }] of Object.entries(replies)) {
    await t.step(name, async () => {
      upstream.script = script;
      const other = lockedBy(router);
      try {
        const startedMs = performance.now();
        const response = await router.chat(body);
        await response.text();
        assert.ok(performance.now() - startedMs >= 245);
        assert.equal(router.records().length, count);
        assert.equal(await router.metric("record_ack_late_total"), ++count);
      } finally {
        other.exec("ROLLBACK");
        other.close();
      }
      const record = (await router.recorded(count)).at(-1);
      assert.equal(record?.response, "held");
      assert.equal(record?.outcome, "complete");
    });
  }
});

Deno.test("a stream is relayed while the database is locked", async () => {
  await using upstream = new FakeUpstream(silentAfter(chatEvents(["word"]).slice(0, 2)));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const other = lockedBy(router);
  try {
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(TEST_TOKEN, { stream: true }));
    await client.readUntil("word");
  } finally {
    other.exec("ROLLBACK");
    other.close();
  }
  assert.equal((await router.recorded(1))[0]?.outcome, "client_gone");
});

Deno.test("requests in flight when the router is killed are recorded as crashed, with the text so far", async () => {
  const ordinals = "first second third fourth fifth sixth seventh eighth ninth tenth";
  const texts = ordinals.split(" ").map((word) => `${word} `);
  await using upstream = new FakeUpstream((request, wire) => {
    const text = texts.find((each) => request.text.includes(each.trim())) ?? "";
    return silentAfter([chatEvent({ role: "assistant", content: "" }), chatEvent({ content: text })])(
      request,
      wire,
    );
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const clients: RawClient[] = [];
  try {
    for (const text of texts) {
      const client = await RawClient.connect(router.port);
      clients.push(client);
      await client.send(rawChat(TEST_TOKEN, { stream: true, model: `model-${text.trim()}` }));
      await client.readUntil(text);
    }
    await eventually(() => {
      const sql = "SELECT count(*) AS n FROM records WHERE outcome = 'in_flight' AND response <> ''";
      return router.query(sql)[0]?.n === texts.length ? true : null;
    }, "the rows of the requests in flight");
    router.signal("SIGKILL");
    await router.exited();
  } finally {
    for (const client of clients) client.close();
  }

  await using again = await Router.start({ directory: router.directory });
  const records = await again.recorded(texts.length);
  assert.deepEqual(records.map((record) => record.outcome), texts.map(() => "crashed"));
  assert.deepEqual(records.map((record) => record.response), texts);
  upstream.script = chatReply("after the crash");
  const response = await again.chat();
  await response.body?.cancel();
  assert.equal((await again.recordOf(response)).outcome, "complete");
});

Deno.test("an attempt that a stop ends is recorded as such, and not as one that answered", async () => {
  await using upstream = new FakeUpstream((request, wire) =>
    silentAfter(request.text.includes("relayed") ? [chatEvent({ content: "relayed" })] : [])(request, wire)
  );
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--drain-timeout", "0"],
  });
  const client = await RawClient.connect(router.port);
  const other = await RawClient.connect(router.port);
  try {
    await client.send(rawChat(TEST_TOKEN, { stream: true, model: "relayed" }));
    await client.readUntil("relayed");
    await other.send(rawChat(TEST_TOKEN, { stream: true, model: "held" }));
    await upstream.received(2);
    router.signal("SIGTERM");
    await router.exited();
  } finally {
    client.close();
    other.close();
  }
  const records = router.records();
  assert.deepEqual(records.map(({ outcome }) => outcome), ["crashed", "crashed"]);
  for (const { id } of records) {
    assert.deepEqual(router.attempts(id).map(({ error_class }) => error_class), ["stopped"]);
  }
});

Deno.test("a stop signal lets a request in flight finish, and its record is complete", async () => {
  const events = chatEvents(["before ", "and ", "after"]);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (_request, wire) => {
    await wire.write(head(200, { "content-type": "text/event-stream", "transfer-encoding": "chunked" }));
    for (const event of events.slice(0, 2)) await wire.write(chunk(event));
    await released;
    for (const event of events.slice(2)) await wire.write(chunk(event));
    await wire.write(LAST_CHUNK);
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await router.chat({ stream: true });
  router.signal("SIGTERM");
  await eventually(() => router.text.includes("stopping") ? true : null, "the stop");
  release();
  assert.equal(await response.text(), events.join(""));
  assert.equal(await router.exited(), 0);
  const [record] = router.records();
  assert.equal(record?.outcome, "complete");
  assert.equal(record?.response, "before and after");
});
