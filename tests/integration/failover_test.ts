/**
 * The failover table of docs/architecture.md ("Failover"), from outside: real sockets, the real program, real
 * records.
 */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import {
  chatEvent,
  chatEvents,
  chatReply,
  cutAfter,
  FakeUpstream,
  hang,
  refusingEndpoint,
  reply,
  stream,
} from "../support/upstream.ts";

Deno.test("the third of three upstreams answers when the first refuses and the second hangs", async () => {
  await using second = new FakeUpstream(hang);
  await using third = new FakeUpstream(chatReply("from the third"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: refusingEndpoint(), name: "first" },
      { endpoint: second.endpoint, name: "second", timeout: 1 },
      { endpoint: third.endpoint, name: "third" },
    ],
  });

  const response = await router.chat();

  assert.equal(response.status, 200);
  assert.equal((await response.json()).choices[0].message.content, "from the third");
  assert.equal(response.headers.get("x-oar-upstream"), "third");
  assert.equal(response.headers.get("x-oar-attempts"), "3");
  assert.equal(second.requests.length, 1);
  await second.requests[0]?.closed;
  const [record] = await router.recorded(1);
  assert.equal(record?.outcome, "complete");
  assert.equal(record?.response, "from the third");
  assert.equal(record?.upstream_id, 3);
  const attempts = router.attempts(record?.id);
  assert.deepEqual(attempts.map((attempt) => attempt.error_class), ["connect_error", "timeout", null]);
  assert.deepEqual(attempts.map((attempt) => attempt.status), [null, null, 200]);
});

Deno.test("a stream is relayed byte for byte and recorded word for word", async () => {
  const events = chatEvents(["Never ", "lose ", "a ", "word."]);
  await using upstream = new FakeUpstream(stream(events));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });

  const response = await router.chat({ stream: true });

  assert.equal(await response.text(), events.join(""));
  const [record] = await router.recorded(1);
  assert.equal(record?.response, "Never lose a word.");
  assert.equal(record?.outcome, "complete");
  assert.equal(record?.finish_reason, "stop");
  assert.equal(record?.input_tokens, 5);
  assert.equal(record?.output_tokens, 4);
  assert.equal(record?.is_stream, 1);
  assert.ok(Number(record?.first_token_ms) > 0);
});

const BROKEN_STARTS = {
  "an error as first event": stream(['data: {"error":{"message":"overloaded"}}\n\n', "data: [DONE]\n\n"]),
  "an empty stream": stream([]),
  "nothing but the end marker": stream(["data: [DONE]\n\n"]),
  "a reset after the headers": cutAfter([]),
  "a role and then a reset": cutAfter([chatEvent({ role: "assistant", content: "" })]),
  "status 500": reply(500, '{"error":{"message":"down"}}'),
  "status 401": reply(401, '{"error":{"message":"bad key"}}'),
  "a redirect": reply(302, "", { location: "http://127.0.0.1:1/" }),
  "a JSON error with status 200": reply(200, '{"error":{"message":"quota"}}'),
};

for (const [name, script] of Object.entries(BROKEN_STARTS)) {
  Deno.test(`a stream fails over after ${name}, unseen by the client`, async () => {
    const events = chatEvents(["clean"]);
    await using bad = new FakeUpstream(script);
    await using good = new FakeUpstream(stream(events));
    await using router = await Router.start({
      upstreams: [{ endpoint: bad.endpoint }, { endpoint: good.endpoint }],
    });

    const response = await router.chat({ stream: true });

    assert.equal(response.status, 200);
    assert.equal(await response.text(), events.join(""));
    const [record] = await router.recorded(1);
    assert.equal(record?.response, "clean");
    assert.equal(record?.attempts, 2);
  });
}
