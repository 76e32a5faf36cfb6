/**
 * Who is asked when upstreams are full.
 */
import assert from "node:assert/strict";
import type { Upstream } from "../../../../src/core/types.ts";
import { NO_LIMITS } from "../../../../src/core/upstream_options.ts";
import type { HeldSlot } from "../../../../src/proxy/attempt/held_slot.ts";
import { RequestDemand } from "../../../../src/proxy/attempt/request_demand.ts";
import { anInbound, FailoverStage, given, settled } from "../../../support/failover_stage.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const LIMITS = { ...NO_LIMITS, maxParallel: 1 };
const ONE = anUpstream(1, { limits: LIMITS });
const TWO = anUpstream(2, { limits: LIMITS, endpoint: "https://b.example/v1" });
const DOWN = '{"error":{"message":"down"}}';

function fill(stage: FailoverStage, upstream: Upstream): HeldSlot {
  return stage.waiting.take(upstream, new RequestDemand(anInbound({ clientName: "another" })));
}

Deno.test("a full one is passed over, and asked when the next one fails and it has room again", async () => {
  const stage = new FailoverStage();
  const held = fill(stage, ONE);
  const choice = stage.run([ONE, TWO]);
  const first = await stage.ask(1);
  held.release();
  first.answer(503, DOWN);
  const second = await stage.ask(2);
  second.stream();
  second.word("hi");
  assert.equal(given(await choice), "200 u1");
  assert.deepEqual(stage.attempts, ["u2 http_status"]);
  assert.deepEqual([ONE, TWO].map((each) => stage.capacity.inFlight(each)), [1, 0]);
});

Deno.test("one that is cooling is asked only when the wait for one that is well was in vain", async () => {
  const stage = new FailoverStage();
  fill(stage, ONE);
  stage.holdBack(TWO);
  const choice = stage.run([ONE, TWO]);
  await settled();
  assert.equal(stage.asked.length, 0);
  stage.clock.advance(9_999);
  await settled();
  assert.equal(stage.asked.length, 0);
  stage.clock.advance(1);
  const asked = await stage.ask(1);
  assert.match(asked.request.url, /b\.example/);
  asked.stream();
  asked.word("hi");
  assert.equal(given(await choice), "200 u2");
  assert.deepEqual(stage.queued, [10_000]);
});

Deno.test("one that is both full and cooling is waited for when there is nobody else", async () => {
  const stage = new FailoverStage();
  const held = fill(stage, ONE);
  stage.holdBack(ONE);
  const choice = stage.run([ONE]);
  await settled();
  assert.equal(stage.waiting.length, 1);
  held.release();
  const asked = await stage.ask(1);
  asked.stream();
  asked.word("hi");
  assert.equal(given(await choice), "200 u1");
});

Deno.test("who waits for one that fails meanwhile goes on to the next", async () => {
  const stage = new FailoverStage();
  const held = [fill(stage, ONE), fill(stage, TWO)];
  const choice = stage.run([ONE, TWO]);
  await settled();
  stage.holdBack(ONE);
  held[0]?.release();
  await settled();
  assert.equal(stage.asked.length, 0);
  held[1]?.release();
  const asked = await stage.ask(1);
  assert.match(asked.request.url, /b\.example/);
  asked.stream();
  asked.word("hi");
  assert.equal(given(await choice), "200 u2");
});

Deno.test("an answer that another upstream gave wins over the 429 of a wait in vain, and no answer does not", async () => {
  for (const [status, expected] of [[400, "400 u2"], [null, "429 router_busy"]] as const) {
    const stage = new FailoverStage();
    fill(stage, ONE);
    const choice = stage.run([ONE, TWO]);
    const asked = await stage.ask(1);
    if (status === null) asked.fail(new Error("connection refused"));
    else asked.answer(status, DOWN);
    await settled();
    assert.equal(stage.waiting.length, 1);
    stage.clock.advance(10_000);
    assert.equal(given(await choice), expected);
    assert.deepEqual(stage.queued, status === null ? [10_000, "timeout"] : [10_000]);
    assert.equal(stage.ledger.queued?.ms, 10_000);
  }
});

Deno.test("no hedge goes to a full upstream, nor while others wait, and a lost one gives its slot back", async () => {
  const stage = new FailoverStage({ hedge: 100 });
  const held = fill(stage, TWO);
  const choice = stage.run([ONE, TWO]);
  await stage.ask(1);
  stage.clock.advance(100);
  await settled();
  assert.equal(stage.asked.length, 1);
  held.release();
  stage.leave();
  assert.equal(given(await choice), "client_gone");
  assert.deepEqual([ONE, TWO].map((each) => stage.capacity.inFlight(each)), [0, 0]);

  const other = new FailoverStage({ hedge: 100 });
  const second = other.run([ONE, TWO]);
  await other.ask(1);
  other.clock.advance(100);
  const hedge = await other.ask(2);
  assert.deepEqual([ONE, TWO].map((each) => other.capacity.inFlight(each)), [1, 1]);
  hedge.stream();
  hedge.word("hi");
  assert.equal(given(await second), "200 u2");
  assert.deepEqual([ONE, TWO].map((each) => other.capacity.inFlight(each)), [0, 1]);
});

Deno.test("a retry takes a slot as well: others go first when they took it during the pause", async () => {
  const stage = new FailoverStage();
  const choice = stage.run([ONE]);
  (await stage.ask(1)).answer(503, DOWN);
  await stage.clock.timerSet(500);
  const held = fill(stage, ONE);
  stage.clock.advance(500);
  await settled();
  assert.deepEqual([stage.asked.length, stage.waiting.length], [1, 1]);
  held.release();
  (await stage.ask(2)).answer(503, DOWN);
  assert.equal(given(await choice), "503 u1");
  assert.equal(stage.asked.length, 2);
});

Deno.test("a request that ends while it waits leaves nothing behind", async () => {
  for (const cause of ["client", "deadline"] as const) {
    const stage = new FailoverStage();
    const held = fill(stage, ONE);
    const choice = stage.run([ONE]);
    await settled();
    held.release();
    // The slot is the request's by now, which has not gone on yet.
    stage.leave(cause);
    assert.equal(given(await choice), cause === "client" ? "client_gone" : "504 deadline_exceeded");
    assert.deepEqual([stage.waiting.length, stage.capacity.inFlight(ONE), stage.asked.length], [0, 0, 0]);
    assert.equal(stage.clock.pendingTimers, 0);
  }
});

Deno.test("while the one that has the model is full, those that lack it are not asked until the wait was in vain", async () => {
  const stage = new FailoverStage();
  const held = fill(stage, ONE);
  const models = new Map([[ONE.id, "has"], [TWO.id, "lacks"]] as const);
  const choice = stage.run([ONE, TWO], { models });
  await settled();
  assert.equal(stage.asked.length, 0);
  held.release();
  const asked = await stage.ask(1);
  asked.stream();
  asked.word("hi");
  assert.equal(given(await choice), "200 u1");

  const late = new FailoverStage();
  fill(late, ONE);
  const inVain = late.run([ONE, TWO], { models });
  await settled();
  assert.equal(late.asked.length, 0);
  late.clock.advance(10_000);
  const other = await late.ask(1);
  other.stream();
  other.word("hi");
  assert.equal(given(await inVain), "200 u2");
});

Deno.test("one of which nothing is known is asked while the one that has the model is full", async () => {
  const stage = new FailoverStage();
  fill(stage, ONE);
  const choice = stage.run([ONE, TWO], { models: new Map([[ONE.id, "has"]] as const) });
  const asked = await stage.ask(1);
  asked.stream();
  asked.word("hi");
  assert.equal(given(await choice), "200 u2");
});
