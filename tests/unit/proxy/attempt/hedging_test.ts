/**
 * A second upstream beside one that is silent: who wins, who is closed, and what is said of it.
 */
import assert from "node:assert/strict";
import type { FinalChoice } from "../../../../src/proxy/attempt/failover_request.ts";
import { Hedging } from "../../../../src/proxy/attempt/hedging.ts";
import {
  type Asked,
  FailoverStage,
  given,
  settled,
  type StageOptions,
} from "../../../support/failover_stage.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const ONE = anUpstream(1);
const TWO = anUpstream(2, { endpoint: "https://b.example/v1" });
const THREE = anUpstream(3, { endpoint: "https://c.example/v1" });
const DOWN = '{"error":{"message":"down"}}';
const WHOLE =
  '{"choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}';

/** A request of which both attempts are under way. */
async function raced(
  options: StageOptions = {},
  upstreams = [ONE, TWO],
): Promise<{ stage: FailoverStage; choice: Promise<FinalChoice>; first: Asked; second: Asked }> {
  const stage = new FailoverStage({ hedge: 100, ...options });
  const choice = stage.run(upstreams);
  const first = await stage.ask(1);
  stage.clock.advance(100);
  return { stage, choice, first, second: await stage.ask(2) };
}

Deno.test("the second upstream is asked when the delay has passed, not before, and wins with its first content", async () => {
  const stage = new FailoverStage({ hedge: 100 });
  const choice = stage.run([ONE, TWO]);
  const first = await stage.ask(1);
  first.stream();
  stage.clock.advance(99);
  await settled();
  assert.equal(stage.asked.length, 1);
  stage.clock.advance(1);
  const second = await stage.ask(2);
  assert.equal(first.isCancelled, false);
  second.stream();
  second.body.push('data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}\n\n');
  await settled();
  assert.equal(first.isCancelled, false);
  second.word("hi");
  assert.equal(given(await choice), "200 u2");
  assert.ok(first.isCancelled);
  assert.ok(first.body.isCancelled);
  assert.equal(second.isCancelled, false);
  assert.deepEqual(stage.attempts, ["u1 hedge_lost"]);
  assert.equal(stage.health.standing(ONE, stage.ledger.inbound).availability, "ready");
  assert.deepEqual(stage.hedged, [true]);
  assert.deepEqual(stage.failedOver, []);
});

Deno.test("the first upstream may still win", async () => {
  const { stage, choice, first, second } = await raced();
  first.stream();
  first.word("late");
  assert.equal(given(await choice), "200 u1");
  assert.ok(second.isCancelled);
  assert.deepEqual(stage.attempts, ["u2 hedge_lost"]);
  assert.deepEqual(stage.hedged, [false]);
});

Deno.test("a document counts when it is whole", async () => {
  const { choice, first, second } = await raced({ inbound: { isStream: false } });
  first.head(200, { "content-type": "application/json" });
  first.body.push(WHOLE.slice(0, 20));
  await settled();
  second.answer(200, WHOLE);
  assert.equal(given(await choice), "200 u2");
  assert.ok(first.body.isCancelled);
});

Deno.test("nobody is asked beside an upstream that answers in time", async () => {
  const stage = new FailoverStage({ hedge: 100 });
  const choice = stage.run([ONE, TWO]);
  const first = await stage.ask(1);
  stage.clock.advance(50);
  first.stream();
  first.word("hi");
  assert.equal(given(await choice), "200 u1");
  assert.deepEqual(stage.hedged, []);
  assert.equal(stage.clock.pendingTimers, 0);
});

Deno.test("when one of two fails, the other one goes on", async (t) => {
  for (const failing of ["first", "second"] as const) {
    await t.step(failing, async () => {
      const { stage, choice, first, second } = await raced();
      (failing === "first" ? first : second).answer(503, DOWN);
      await settled();
      const other = failing === "first" ? second : first;
      assert.equal(other.isCancelled, false);
      other.stream();
      other.word("hi");
      assert.equal(given(await choice), failing === "first" ? "200 u2" : "200 u1");
      assert.deepEqual(stage.attempts, [failing === "first" ? "u1 http_status" : "u2 http_status"]);
      assert.equal(stage.asked.length, 2);
    });
  }
});

Deno.test("when both fail, the next one is asked, and at last the best answer is given", async () => {
  const { stage, choice, first, second } = await raced({}, [ONE, TWO, THREE]);
  second.answer(400, DOWN);
  await settled();
  first.answer(503, DOWN);
  const third = await stage.ask(3);
  stage.clock.advance(100);
  await settled();
  third.fail(new Error("connection refused"));
  assert.equal(given(await choice), "400 u2");
  assert.deepEqual(stage.attempts, ["u1 http_status", "u2 http_status", "u3 connect_error"]);
  assert.deepEqual(stage.hedged, [false]);
});

Deno.test("when both fail and nobody is left, an error that came in the race is given", async () => {
  const { choice, first, second } = await raced();
  first.answer(404, DOWN);
  await settled();
  second.answer(503, DOWN);
  assert.equal(given(await choice), "404 u1");
});

Deno.test("a final error ends the race", async () => {
  const { stage, choice, first, second } = await raced();
  second.answer(400, '{"error":{"message":"no","code":"content_filter"}}');
  assert.equal(given(await choice), "400 u2");
  assert.ok(first.isCancelled);
  assert.deepEqual(stage.attempts, ["u1 hedge_lost", "u2 http_status"]);
});

Deno.test("both are closed when the client leaves or the deadline passes", async () => {
  for (const cause of ["client", "deadline"] as const) {
    const { stage, choice, first, second } = await raced();
    first.stream();
    await settled();
    stage.leave(cause);
    assert.equal(given(await choice), cause === "client" ? "client_gone" : "504 deadline_exceeded");
    assert.ok(first.isCancelled && second.isCancelled);
    const errorClass = cause === "client" ? "client_gone" : "deadline_exceeded";
    assert.deepEqual(stage.attempts, [`u1 ${errorClass}`, `u2 ${errorClass}`]);
    await settled();
    assert.equal(stage.ended.length, 2);
    assert.equal(stage.clock.pendingTimers, 0);
  }
});

Deno.test("two answers at the same moment: one is given, the other one's connection is closed", async () => {
  const { stage, choice, first, second } = await raced();
  first.stream();
  second.stream();
  first.word("one");
  second.word("two");
  const final = await choice;
  assert.equal(final.type, "reply");
  await settled();
  assert.equal(stage.attempts.length, 1);
  assert.match(stage.attempts[0] ?? "", /hedge_lost$/);
  assert.equal([first, second].filter(({ isCancelled }) => isCancelled).length, 1);
});

Deno.test("neutral bytes of both go out while the choice is open, and nothing of the loser after it", async () => {
  const { stage, choice, first, second } = await raced();
  first.stream();
  first.body.push(": one\n\n");
  await settled();
  stage.clock.advance(5_000);
  await settled();
  second.stream();
  second.body.push(": two\n\n");
  await settled();
  stage.clock.advance(5_000);
  await settled();
  assert.equal(stage.early, ": one\n\n: two\n\n");
  second.word("hi");
  assert.equal(given(await choice), "200 u2");
  first.body.push(": late\n\n");
  await settled();
  assert.equal(stage.early, ": one\n\n: two\n\n");
});

Deno.test("only an upstream that is well is asked beside another one, and only one a request", async () => {
  const stage = new FailoverStage({ hedge: 100, budgetPercent: 100 });
  stage.holdBack(TWO);
  const choice = stage.run([ONE, TWO, THREE]);
  await stage.ask(1);
  stage.clock.advance(100);
  assert.match((await stage.ask(2)).request.url, /c\.example/);
  stage.clock.advance(1_000);
  await settled();
  assert.equal(stage.asked.length, 2);
  stage.leave();
  await choice;
});

Deno.test("what must not be sent twice is not", async () => {
  const cases: NonNullable<StageOptions["inbound"]>[] = [
    { kind: "images" },
    { kind: "audio" },
    { kind: "files" },
    { body: new TextEncoder().encode('{"model":"m","store":true}') },
    { body: new TextEncoder().encode('{"model":"m","background":true}') },
  ];
  for (const inbound of cases) {
    const stage = new FailoverStage({ hedge: 100, inbound });
    const choice = stage.run([ONE, TWO]);
    await stage.ask(1);
    stage.clock.advance(1_000);
    await settled();
    assert.equal(stage.asked.length, 1, JSON.stringify(inbound));
    stage.leave();
    await choice;
  }
});

Deno.test("an upstream's trial is hedged after two seconds, even when hedging is off and the budget is empty", async () => {
  const stage = new FailoverStage({ budgetPercent: 0 });
  stage.holdBack(ONE);
  stage.clock.advance(30_000);
  const choice = stage.run([ONE, TWO]);
  const first = await stage.ask(1);
  assert.match(first.request.url, /a\.example/);
  stage.clock.advance(1_999);
  await settled();
  assert.equal(stage.asked.length, 1);
  stage.clock.advance(1);
  const second = await stage.ask(2);
  second.stream();
  second.word("hi");
  assert.equal(given(await choice), "200 u2");
  assert.ok(first.isCancelled);
  // Nothing is known of it yet; the next one who finds out waits for another pause.
  assert.equal(stage.health.standing(ONE, stage.ledger.inbound).availability, "cooling");
  stage.clock.advance(5_000);
  assert.equal(stage.health.standing(ONE, stage.ledger.inbound).availability, "trial");
});

Deno.test("auto waits for as long as the slowest first tokens take", async () => {
  const stage = new FailoverStage({ hedge: "auto" });
  stage.hedging.noteFirstToken(1, stage.ledger.inbound, 1_500);
  // A document that was read whole says nothing of streams.
  stage.hedging.noteFirstToken(1, { model: "m", isStream: false }, 9_000);
  const choice = stage.run([ONE, TWO]);
  await stage.ask(1);
  stage.clock.advance(1_499);
  await settled();
  assert.equal(stage.asked.length, 1);
  stage.clock.advance(1);
  const second = await stage.ask(2);
  second.stream();
  second.word("hi");
  await choice;
  assert.equal(stage.hedging.usualMs(2, stage.ledger.inbound), 0);
});

Deno.test("the first token of a stream that is held whole is its first, not its end", async (t) => {
  const isHeld = async (stage: FailoverStage, asked: Asked) => {
    asked.stream();
    stage.clock.advance(300);
    asked.word("a");
    await settled();
    stage.clock.advance(2_700);
  };

  await t.step("of the one that is chosen", async () => {
    const stage = new FailoverStage({ gate: "whole" });
    const choice = stage.run([ONE, TWO]);
    const first = await stage.ask(1);
    await isHeld(stage, first);
    first.body.push("data: [DONE]\n\n");
    first.body.end();
    assert.equal(given(await choice), "200 u1");
    assert.equal(stage.hedging.usualMs(1, stage.ledger.inbound), 300);
  });

  await t.step("of the one that is not", async () => {
    const stage = new FailoverStage({ gate: "whole", hedge: 100 });
    const choice = stage.run([ONE, TWO]);
    const first = await stage.ask(1);
    stage.clock.advance(100);
    const second = await stage.ask(2);
    await isHeld(stage, first);
    second.stream();
    second.word("b");
    second.body.push("data: [DONE]\n\n");
    second.body.end();
    assert.equal(given(await choice), "200 u2");
    assert.equal(stage.hedging.usualMs(1, stage.ledger.inbound), 400);
  });
});

Deno.test("a trial whose stream is held whole lets others in with its first content", async () => {
  const stage = new FailoverStage({ gate: "whole" });
  stage.holdBack(ONE);
  stage.clock.advance(30_000);
  const choice = stage.run([ONE, TWO]);
  const first = await stage.ask(1);
  const availability = () => stage.health.standing(ONE, stage.ledger.inbound).availability;
  first.stream();
  await settled();
  assert.equal(availability(), "cooling");
  first.word("a");
  await settled();
  assert.equal(availability(), "ready");
  first.body.break();
  (await stage.ask(2)).answer(200, WHOLE);
  assert.equal(given(await choice), "200 u2");
});

Deno.test("Hedging allows one at once, then its share of the requests, and saves up ten", () => {
  const count = (hedging: Hedging, requests: number) => {
    let hedges = 0;
    for (let request = 0; request < requests; request++) {
      hedging.noteRequest();
      if (!hedging.isAffordable) continue;
      hedging.spend();
      hedges++;
    }
    return hedges;
  };
  assert.equal(count(new Hedging({ delay: 1, budgetPercent: 5 }), 1), 1);
  assert.equal(count(new Hedging({ delay: 1, budgetPercent: 5 }), 199), 10);
  assert.equal(count(new Hedging({ delay: 1, budgetPercent: 0 }), 199), 0);
  assert.equal(count(new Hedging({ delay: 1, budgetPercent: 100 }), 50), 50);
  const rested = new Hedging({ delay: 1, budgetPercent: 50 });
  for (let request = 0; request < 1_000; request++) rested.noteRequest();
  let hedges = 0;
  for (; rested.isAffordable; hedges++) rested.spend();
  assert.equal(hedges, 10);
});

Deno.test("Hedging remembers the last first tokens of each upstream and model, of streams and of documents", () => {
  const hedging = new Hedging({ delay: "auto", budgetPercent: 5 });
  const of = (model: string | null, isStream = true) => ({ model, isStream });
  assert.equal(hedging.usualMs(1, of("m")), null);
  for (let ms = 1; ms <= 100; ms++) hedging.noteFirstToken(1, of("m"), ms);
  // 37 to 100: the 61st of 64.
  assert.equal(hedging.usualMs(1, of("m")), 97);
  hedging.noteFirstToken(1, of(null), 5);
  hedging.noteFirstToken(2, of("m"), 7);
  hedging.noteFirstToken(1, of("m", false), 900);
  const known = [
    hedging.usualMs(1, of(null)),
    hedging.usualMs(2, of("m")),
    hedging.usualMs(2, of(null)),
    hedging.usualMs(1, of("m", false)),
    hedging.usualMs(1, of("m")),
  ];
  assert.deepEqual(known, [5, 7, null, 900, 97]);
  for (let model = 0; model < 2_000; model++) hedging.noteFirstToken(3, of(`m${model}`), 1);
  assert.deepEqual([hedging.usualMs(1, of("m")), hedging.usualMs(3, of("m1999"))], [null, 1]);
});
