/**
 * When the same upstream is asked again, and when nobody is.
 */
import assert from "node:assert/strict";
import { NoReplyError } from "../../../../src/wire/connection_end.ts";
import { FailoverStage, given, settled } from "../../../support/failover_stage.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const ONE = anUpstream(1);
const TWO = anUpstream(2, { endpoint: "https://b.example/v1" });
const DOWN = '{"error":{"message":"down"}}';

Deno.test("the only upstream is asked once more after a failure that may pass", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE]);
  (await stage.ask(1)).answer(500, DOWN);
  await stage.pause(500);
  const again = await stage.ask(2);
  again.stream();
  again.word("well");
  assert.equal(given(await choice), "200 u1");
  assert.deepEqual(stage.attempts, ["u1 http_status"]);
  assert.deepEqual(stage.failedOver, []);
});

Deno.test("the only upstream's 429 is tried again after its Retry-After, and then given with it", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE]);
  (await stage.ask(1)).answer(429, DOWN, { "retry-after": "1" });
  await stage.clock.timerSet(1_010);
  stage.clock.advance(1_009);
  await settled();
  assert.equal(stage.asked.length, 1);
  stage.clock.advance(1);
  (await stage.ask(2)).answer(429, DOWN, { "retry-after": "1" });
  const final = await choice;
  assert.equal(given(final), "429 u1");
  assert.equal(final.type === "reply" && final.reply.headers.get("retry-after"), "1");
  assert.equal(stage.asked.length, 2);
});

Deno.test("an upstream is asked once more before others that would answer with another model", async () => {
  const other = anUpstream(2, { endpoint: "https://b.example/v1", modelMap: { m: "a smaller one" } });
  const stage = new FailoverStage();
  const choice = stage.run([ONE, other]);
  (await stage.ask(1)).answer(500, DOWN);
  await stage.pause(500);
  const again = await stage.ask(2);
  again.stream();
  again.word("well");
  assert.equal(given(await choice), "200 u1");
  assert.deepEqual(stage.attempts, ["u1 http_status"]);
});

Deno.test("an upstream that cannot be used for lack of a key is no other one with the same model", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE, anUpstream(2, { endpoint: "https://b.example/v1", sk: "asis" })]);
  (await stage.ask(1)).answer(500, DOWN);
  await stage.pause(500);
  (await stage.ask(2)).answer(400, DOWN);
  assert.equal(given(await choice), "400 u1");
});

Deno.test("by default, the next upstream is asked instead", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE, TWO]);
  (await stage.ask(1)).answer(503, DOWN);
  (await stage.ask(2)).answer(503, DOWN);
  assert.equal(given(await choice), "503 u2");
  assert.equal(stage.asked.length, 2);
});

Deno.test("--retry-same asks each upstream again, up to --max-attempts in all", async () => {
  for (
    const [maxAttempts, expected] of [
      [null, ["u1", "u1", "u2", "u2"]],
      [3, ["u1", "u1", "u2"]],
      [2, ["u1", "u2"]],
      [1, ["u1"]],
      [9, ["u1", "u1", "u1", "u2", "u2", "u2"]],
    ] as const
  ) {
    const stage = new FailoverStage({ retry: { retrySame: maxAttempts === 9 ? 2 : 1, maxAttempts } });
    const choice = stage.run([ONE, TWO]);
    for (let count = 1; count <= expected.length; count++) {
      (await stage.ask(count)).answer(503, DOWN);
      if (expected[count - 1] !== expected[count]) continue;
      await stage.pause(500);
    }
    assert.equal(given(await choice), `503 ${expected.at(-1)}`);
    assert.deepEqual(
      stage.asked.map(({ request }) => request.url.includes("b.example") ? "u2" : "u1"),
      expected,
    );
  }
});

Deno.test("a connection that ends before a reply is tried again, one that is refused is not", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE]);
  (await stage.ask(1)).fail(new NoReplyError("the connection ended"));
  await stage.pause(500);
  (await stage.ask(2)).fail(new Error("connection refused"));
  assert.equal(given(await choice), "502 upstream_unreachable");
});

Deno.test("nothing is asked again after a timeout, for a large body, or with --retry-same 0", async (t) => {
  await t.step("a timeout", async () => {
    const stage = new FailoverStage();
    const choice = stage.run([ONE]);
    await stage.ask(1);
    stage.clock.advance(120_000);
    assert.equal(given(await choice), "502 upstream_timeout");
  });
  await t.step("a large body", async () => {
    const stage = new FailoverStage({ inbound: { body: new Uint8Array(1024 * 1024 + 1) } });
    const choice = stage.run([ONE]);
    (await stage.ask(1)).answer(503, DOWN);
    assert.equal(given(await choice), "503 u1");
  });
  await t.step("--retry-same 0", async () => {
    const stage = new FailoverStage({ retry: { retrySame: 0 } });
    const choice = stage.run([ONE]);
    (await stage.ask(1)).answer(503, DOWN);
    assert.equal(given(await choice), "503 u1");
  });
  await t.step("--retry-on connect, unless the connection ended", async () => {
    const stage = new FailoverStage({ retry: { retryOn: "connect" } });
    const choice = stage.run([ONE]);
    (await stage.ask(1)).fail(new NoReplyError("the connection ended"));
    await stage.pause(500);
    (await stage.ask(2)).answer(503, DOWN);
    assert.equal(given(await choice), "503 u1");
  });
  await t.step("after neutral bytes", async () => {
    const stage = new FailoverStage({ retry: { retrySame: 1 } });
    const choice = stage.run([ONE, TWO]);
    const first = await stage.ask(1);
    first.stream();
    first.body.push(": ping\n\n");
    await settled();
    stage.clock.advance(5_000);
    await settled();
    first.body.break();
    (await stage.ask(2)).answer(503, DOWN);
    assert.equal((await choice).type, "failed");
    assert.match(stage.early, /^:/);
    assert.equal(stage.asked.length, 2);
  });
});

Deno.test("an upstream that keeps failing is not asked twice for one request", async () => {
  const stage = new FailoverStage();
  stage.holdBack(ONE);
  const choice = stage.run([ONE]);
  (await stage.ask(1)).answer(503, DOWN);
  assert.equal(given(await choice), "503 u1");
  assert.equal(stage.asked.length, 1);
});

Deno.test("an upstream that others find down meanwhile is not asked again", async () => {
  const stage = new FailoverStage({ retry: { retrySame: 1 } });
  const choice = stage.run([ONE, TWO]);
  (await stage.ask(1)).answer(503, DOWN);
  await stage.clock.timerSet(500);
  stage.holdBack(ONE);
  stage.clock.advance(500);
  assert.match((await stage.ask(2)).request.url, /b\.example/);
  (await stage.ask(2)).answer(400, DOWN);
  assert.equal(given(await choice), "400 u2");
});

Deno.test("a client that leaves during the pause ends it, and so does the deadline", async () => {
  for (const cause of ["client", "deadline"] as const) {
    const stage = new FailoverStage();
    const choice = stage.run([ONE]);
    (await stage.ask(1)).answer(429, DOWN, { "retry-after": "2" });
    await stage.clock.timerSet(2_010);
    stage.leave(cause);
    assert.equal(given(await choice), cause === "client" ? "client_gone" : "429 u1");
    assert.equal(stage.clock.pendingTimers, 0);
    assert.equal(stage.asked.length, 1);
  }
});

Deno.test("a final error is given at once, and is no failure of its upstream", async () => {
  const said = (code: string | null, type: string) =>
    JSON.stringify({ error: { message: "no", code, type } });
  const replies: [status: number, text: string][] = [
    [400, said("content_filter", "invalid_request_error")],
    [403, said(null, "content_filter")],
    [500, said("content_filter", "server_error")],
    [200, said("content_filter", "invalid_request_error")],
    // By themselves these would mean an outage.
    [503, said("own_code", "server_error")],
    [200, said("own_code", "server_error")],
  ];
  for (const [status, text] of replies) {
    const finalCodes = new Set(["content_filter", "own_code"]);
    const stage = new FailoverStage({ retry: { retrySame: 1, finalCodes }, inbound: { isStream: false } });
    // As many as it takes to hold an upstream back.
    for (let count = 1; count <= 3; count++) {
      const choice = stage.run([ONE, TWO]);
      (await stage.ask(count)).answer(status, text);
      assert.equal(given(await choice), `${status} u1`);
      assert.equal(stage.asked.length, count);
    }
    assert.equal(stage.health.view(1).state, "closed", text);
    if (status >= 400) assert.deepEqual(stage.attempts, Array(3).fill("u1 http_status"));
  }
});

Deno.test("a final error outweighs better answers before it", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE, TWO]);
  (await stage.ask(1)).answer(404, DOWN);
  (await stage.ask(2)).answer(451, '{"error":{"message":"no","code":"content_filter"}}');
  assert.equal(given(await choice), "451 u2");
});

Deno.test("a request that is too long goes on to another endpoint or model, never to the same", async () => {
  const tooLong = '{"error":{"message":"too long","code":"context_length_exceeded"}}';
  const stage = new FailoverStage();
  const choice = stage.run([
    ONE,
    anUpstream(2, { sk: "sk-another-key-0123" }),
    anUpstream(3, { modelMap: { m: "m" } }),
    anUpstream(4, { modelMap: { m: "m-long" } }),
    anUpstream(5, { endpoint: "https://b.example/v1" }),
  ]);
  (await stage.ask(1)).answer(400, tooLong);
  (await stage.ask(2)).answer(400, tooLong);
  (await stage.ask(3)).answer(503, DOWN);
  assert.equal(given(await choice), "400 u4");
  assert.deepEqual(stage.ledger.attempts.map(({ upstreamName }) => upstreamName), ["u1", "u4", "u5"]);
});

Deno.test("neither is one whose refusal is too large to be kept", async () => {
  const quoted = `"context_length_exceeded","message":"${"x".repeat(1024 * 1024)}"`;
  for (const [status, text] of [[413, quoted], [400, `{"error":{"code":${quoted}}}`]] as const) {
    const stage = new FailoverStage();
    const choice = stage.run([ONE, anUpstream(2, { sk: "sk-another-key-0123" }), TWO]);
    (await stage.ask(1)).answer(status, text);
    (await stage.ask(2)).answer(503, DOWN);
    await choice;
    assert.match(stage.asked[1]?.request.url ?? "", /b\.example/, String(status));
  }
});
