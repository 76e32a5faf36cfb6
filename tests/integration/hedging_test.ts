/**
 * Hedging from outside: a second upstream is asked beside one that is silent.
 */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import { chatEvents, chatReply, FakeUpstream, hang, silentAfter, stream } from "../support/upstream.ts";

const ROLE = chatEvents([])[0] ?? "";

Deno.test("the first content wins, and the silent upstream's connection is closed", async (t) => {
  await using slow = new FakeUpstream(hang);
  await using quick = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: slow.endpoint, name: "slow" }, { endpoint: quick.endpoint, name: "quick" }],
    args: ["--hedge-ms", "50", "--hedge-budget", "100"],
  });
  const events = chatEvents(["quick", " words"]);

  for (
    const [name, script] of [["before its head", hang], ["after its head", silentAfter([ROLE])]] as const
  ) {
    await t.step(name, async () => {
      slow.script = script;
      quick.script = stream(events);
      const response = await router.chat({ stream: true });
      assert.equal(await response.text(), events.join(""));
      assert.equal(response.headers.get("x-oar-upstream"), "quick");
      assert.equal(response.headers.get("x-oar-attempts"), "2");
      await slow.requests.at(-1)?.closed;
      const record = await router.recordOf(response);
      assert.deepEqual([record.outcome, record.upstream_id, record.attempts], ["complete", 2, 2]);
      const attempts = router.attempts(record.id);
      assert.deepEqual(attempts.map(({ n, error_class }) => [n, error_class]), [[1, "hedge_lost"], [
        2,
        null,
      ]]);
    });
  }

  await t.step("for a document, too, as the request's header says", async () => {
    quick.script = chatReply("quick");
    const response = await router.chat({}, { headers: { "x-oar-hedge": "20" } });
    assert.equal((await response.json()).choices[0].message.content, "quick");
    assert.equal(quick.requests.at(-1)?.headers.has("x-oar-hedge"), false);
    await slow.requests.at(-1)?.closed;
  });

  await t.step("it is no failure, and counted", async () => {
    assert.equal(await router.metric('hedges_total{won="yes"}'), 3);
    assert.equal(await router.metric('attempts_total{upstream="slow",result="hedge_lost"}'), 3);
    assert.equal(await router.metric('upstream_state{upstream="slow",state="closed"}'), 1);
    assert.equal(await router.metric('failovers_total{upstream="slow",reason="hedge_lost"}'), 0);
  });

  await t.step("not with x-oar-hedge: off, nor for what an upstream keeps", async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    slow.script = async (request, wire) => {
      if (request.text.includes("other-model")) return await hang(request);
      await released;
      await chatReply("slow")(request, wire);
    };
    const before = [slow, quick].map(({ requests }) => requests.length);
    const off = router.chat({}, { headers: { "x-oar-hedge": "off" } });
    const kept = router.chat({ store: true });
    await slow.received((before[0] ?? 0) + 2);
    // A later request has been hedged, so the delay has passed for these, too.
    assert.equal((await router.chat({ model: "other-model" })).headers.get("x-oar-upstream"), "quick");
    release();
    assert.equal((await (await off).json()).choices[0].message.content, "slow");
    assert.equal((await (await kept).json()).choices[0].message.content, "slow");
    assert.equal(quick.requests.length, (before[1] ?? 0) + 1);
  });

  await t.step("another value of the header is refused", async () => {
    const response = await router.chat({}, { headers: { "x-oar-hedge": "soon" } });
    assert.equal(response.status, 400);
    assert.match((await response.json()).error.message, /x-oar-hedge must be off, auto, or/);
  });
});

Deno.test("a client that leaves during the race closes both connections", async () => {
  await using slow = new FakeUpstream(silentAfter([ROLE]));
  await using other = new FakeUpstream(silentAfter([ROLE]));
  await using router = await Router.start({
    upstreams: [{ endpoint: slow.endpoint }, { endpoint: other.endpoint }],
    args: ["--hedge-ms", "20"],
  });
  const leaving = new AbortController();
  const response = router.chat({ stream: true }, { signal: leaving.signal });
  await other.received(1);
  leaving.abort();
  await assert.rejects(response);
  await Promise.all([slow.requests[0]?.closed, other.requests[0]?.closed]);
  const [record] = await router.recorded(1);
  assert.equal(record?.outcome, "client_gone");
  assert.deepEqual(
    router.attempts(record?.id).map(({ error_class }) => error_class),
    ["client_gone", "client_gone"],
  );
});
