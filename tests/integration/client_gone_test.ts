/**
 * A client that leaves: its upstream is released at once, the record shows it, and it does not count as a
 * failure.
 */
import assert from "node:assert/strict";
import { rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatEvent,
  chatEvents,
  chunk,
  FakeUpstream,
  hang,
  head,
  reply,
  type Script,
  silentAfter,
  STREAM_HEAD,
} from "../support/upstream.ts";

const PARTIAL = [chatEvent({ role: "assistant", content: "" }), chatEvent({ content: "half a " })];

/** Fails when the promise takes longer than the second that an upstream may wait for its release. */
async function withinASecond<T>(promise: Promise<T> | undefined, what: string): Promise<T | undefined> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} took longer than a second`)), 1_000);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function goneRecord(router: Router, count: number): Promise<Record<string, unknown>> {
  const record = (await router.recorded(count)).at(-1);
  assert.equal(record?.outcome, "client_gone");
  assert.equal(record?.status, 499);
  return record ?? {};
}

Deno.test("a client that leaves releases its upstream within a second", async (t) => {
  await using upstream = new FakeUpstream(hang);
  await using webhook = new FakeUpstream(reply(200, "{}"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "only" }],
    args: ["--gate-ms", "200"],
    env: { ALERT_WEBHOOK: webhook.endpoint },
  });
  let count = 0;

  await t.step("in the middle of a stream: the record keeps the partial text", async () => {
    upstream.script = silentAfter(PARTIAL);
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil("half a ");
    client.close();
    await withinASecond(upstream.requests.at(-1)?.closed, "the release");
    const record = await goneRecord(router, ++count);
    assert.equal(record.response, "half a ");
    assert.equal(record.upstream_id, 1);
    assert.equal(record.attempts, 1);
    assert.equal(router.attempts(record.id)[0]?.error_class, "client_gone");
  });

  await t.step("in the middle of a stream that continues", async () => {
    let isGone = false;
    upstream.script = async (request, wire) => {
      void request.closed.then(() => isGone = true);
      await wire.write(STREAM_HEAD);
      try {
        while (!isGone) await wire.write(chunk(chatEvent({ content: "more " })));
      } catch {
        // The router broke the connection, as expected.
      }
    };
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil("more ");
    client.close();
    await withinASecond(upstream.requests.at(-1)?.closed, "the release");
    assert.match(String((await goneRecord(router, ++count)).response), /^more more /);
  });

  await t.step("in the middle of a reply that is not a stream", async () => {
    upstream.script = async (request, wire) => {
      await wire.write(
        head(200, { "content-type": "text/plain", "content-length": "1000" }) + "the first words",
      );
      await request.closed;
    };
    using client = await RawClient.connect(router.port);
    await client.send(rawRequest("/v1/files/1/content", { method: "GET", token: router.token }));
    await client.readUntil("the first words");
    client.close();
    await withinASecond(upstream.requests.at(-1)?.closed, "the release");
    await goneRecord(router, ++count);
  });

  const early: [name: string, body: Record<string, unknown>, Script][] = [
    ["before the headers", {}, hang],
    ["before the headers of a stream", { stream: true }, hang],
    ["while JSON is read whole", {}, async (request, wire) => {
      await wire.write(head(200, { "content-type": "application/json", "content-length": "1000" }) + "{");
      await request.closed;
    }],
    ["while a stream is held at the gate", { stream: true }, silentAfter(PARTIAL.slice(0, 1))],
  ];
  for (const [name, body, script] of early) {
    await t.step(name, async () => {
      const before = upstream.requests.length;
      upstream.script = script;
      using client = await RawClient.connect(router.port);
      await client.send(rawChat(router.token, body));
      await upstream.received(before + 1);
      client.close();
      await withinASecond(upstream.requests.at(-1)?.closed, "the release");
      const record = await goneRecord(router, ++count);
      assert.equal(record.attempts, 1);
      assert.equal(upstream.requests.length, before + 1);
    });
  }

  await t.step("after neutral bytes, while the choice of upstream is open", async () => {
    upstream.script = silentAfter([": still here\n\n"]);
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil(": still here");
    client.close();
    await withinASecond(upstream.requests.at(-1)?.closed, "the release");
    await goneRecord(router, ++count);
  });

  await t.step("during its upload: no upstream gets the request", async () => {
    const before = upstream.requests.length;
    using client = await RawClient.connect(router.port);
    const whole = rawRequest("/v1/chat/completions", {
      token: router.token,
      headers: { "content-length": "1000" },
      body: '{"model":"test-model"',
    });
    await client.send(whole);
    client.close();
    const record = await goneRecord(router, ++count);
    assert.equal(record.attempts, 0);
    assert.equal(upstream.requests.length, before);
  });

  await t.step("none of it counts against the upstream", async () => {
    assert.equal(await router.metric('upstream_state{upstream="only",state="closed"}'), 1);
    assert.equal(await router.metric('upstream_state{upstream="only",state="open"}'), 0);
    assert.equal(await router.metric('attempts_total{upstream="only",result="client_gone"}'), count - 1);
    assert.match(await router.metrics(), /requests_total\{[^}]*outcome="client_gone"\} /);
    assert.equal(await router.metric("in_flight_requests"), 0);
  });

  await t.step("none of it raises an alert, while a failed request does", async () => {
    upstream.script = reply(500, '{"error":{"message":"down"}}');
    await (await router.chat()).body?.cancel();
    await webhook.received(1);
    assert.equal(webhook.requests.length, 1);
    const alert = webhook.requests[0]?.text ?? "";
    assert.match(alert, /IP: 127\.0\.0\.1 request test-model error 500 with /);
    assert.doesNotMatch(alert, /client|499/);
  });
});

Deno.test("a client that leaves does not make the router go on to the next upstream", async () => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
  });
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(router.token));
  await first.received(1);
  client.close();
  await goneRecord(router, 1);
  assert.equal(second.requests.length, 0);
});

Deno.test("a client that closes after its whole reply is not recorded as gone", async () => {
  await using upstream = new FakeUpstream(async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of chatEvents(["whole"])) await wire.write(chunk(event));
    await wire.write("0\r\n\r\n");
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  for (let at = 0; at < 20; at++) {
    using client = await RawClient.connect(router.port);
    await client.send(rawChat(router.token, { stream: true }));
    await client.readUntil("data: [DONE]\n\n");
    client.close();
  }
  const records = await router.recorded(20);
  assert.deepEqual(new Set(records.map((record) => record.outcome)), new Set(["complete"]));
});

Deno.test("a client that leaves with half its stream unread leaves nothing running", async () => {
  await using upstream = new FakeUpstream(async (request, wire) => {
    await wire.write(STREAM_HEAD);
    try {
      for (let at = 0; at < 1_000; at++) await wire.write(chunk(chatEvent({ content: "x".repeat(8_000) })));
    } catch {
      // The router broke the connection, as expected.
    }
    await request.closed;
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(router.token, { stream: true }));
  await client.readUntil("xxxx");
  client.close();
  await withinASecond(upstream.requests.at(-1)?.closed, "the release");
  await goneRecord(router, 1);
  await eventually(() => upstream.connectionCount === 0 ? true : null, "the connection's end");
});
