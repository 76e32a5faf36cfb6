/** What becomes of messages while a channel asks to wait. */
import assert from "node:assert/strict";
import { type AlertMessage, type Channel, ChannelError, type Retry } from "../../../src/notify/channel.ts";
import { ChannelWorker } from "../../../src/notify/channel_worker.ts";
import type { Alert } from "../../../src/notify/notifier.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const LATER: Retry = { type: "later", afterMs: null };
const after = (afterMs: number): Retry => ({ type: "later", afterMs });

/** Refuses as it is told, then takes everything. */
class AskingChannel implements Channel {
  readonly name = "asking";
  readonly tried: AlertMessage[] = [];
  readonly taken: AlertMessage[] = [];

  constructor(readonly refusals: Retry[]) {}

  send(message: AlertMessage): Promise<void> {
    this.tried.push(message);
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return Promise.reject(new ChannelError("asking", "not now", refusal));
    this.taken.push(message);
    return Promise.resolve();
  }
}

function setUp(refusals: Retry[]) {
  const clock = new FakeClock();
  const channel = new AskingChannel(refusals);
  const results: string[] = [];
  let id = 0;
  const worker = new ChannelWorker(channel, {
    clock,
    onSent: (_channel, result, error) => results.push(error === null ? result : `${result} ${error.message}`),
    newId: () => `folded ${++id}`,
  });
  return { clock, channel, worker, results };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

function message(text: string, alert: AlertMessage["alert"]): AlertMessage {
  return { id: text, text, alert, atMs: 1 };
}

const failure = (text: string): AlertMessage =>
  message(text, {
    type: "request_failed",
    ip: "1.2.3.4",
    model: "m",
    status: 502,
    message: text,
    requestId: "1",
  });
const down = (text: string): AlertMessage =>
  message(text, { type: "upstream_down", upstream: text, reason: "x" });
const digest = (text: string): AlertMessage => {
  const last: Alert = { type: "upstream_recovered", upstream: text };
  return message(text, { type: "digest", repeats: [{ count: 7, last }] });
};

Deno.test("a message that is to come later is kept, and sent unchanged after the time that was asked for", async () => {
  const { clock, channel, worker, results } = setUp([after(2500)]);
  worker.push(failure("a"));
  await settle();
  clock.advance(2499);
  await settle();
  assert.equal(channel.tried.length, 1);
  clock.advance(1);
  await settle();
  assert.deepEqual(channel.taken, [failure("a")]);
  assert.deepEqual(results, ["ok"]);
  assert.equal(clock.pendingTimers, 0);
});

Deno.test("a wait is a minute at most, a second where none is named, and grows where it is too short", async () => {
  const table: readonly [refusals: Retry[], waits: number[]][] = [
    [[after(3_600_000)], [60_000]],
    [[LATER, LATER, LATER, LATER, LATER, LATER], [1000, 1000, 1000, 1000, 1600, 3200]],
    [[after(0), after(0), after(0)], [100, 200, 400]],
  ];
  for (const [refusals, waits] of table) {
    const { clock, channel, worker } = setUp([...refusals]);
    worker.push(failure("a"));
    await settle();
    for (const [tries, waitMs] of waits.entries()) {
      clock.advance(waitMs - 1);
      await settle();
      assert.equal(channel.tried.length, tries + 1);
      clock.advance(1);
      await settle();
      assert.equal(channel.tried.length, tries + 2, `wait ${tries}`);
    }
    assert.equal(channel.taken.length, 1);
  }
});

Deno.test("a queue that waits becomes one message: changes of states, then failures, then repeats", async () => {
  const { clock, channel, worker, results } = setUp([LATER, LATER]);
  worker.push(failure("failure 1"));
  await settle();
  for (const each of [digest("digest 1"), failure("failure 2"), down("down 1")]) worker.push(each);
  clock.advance(1000);
  await settle();
  // What comes during the second wait is part of the same message.
  for (const each of [digest("digest 2"), down("down 2"), failure("failure 3")]) worker.push(each);
  clock.advance(1000);
  await settle();
  assert.equal(channel.taken.length, 1);
  const [folded] = channel.taken;
  assert.deepEqual(folded?.text.split("\n"), [
    "down 1",
    "down 2",
    "failure 1",
    "failure 2",
    "failure 3",
    "digest 1",
    "digest 2",
  ]);
  assert.ok(folded.alert.type === "digest");
  assert.deepEqual(folded.alert.repeats.map(({ count }) => count), [1, 1, 1, 1, 1, 7, 7]);
  assert.match(folded.id, /^folded/);
  assert.deepEqual(results, Array(7).fill("ok"));
});

Deno.test("a queue that waits is bounded, in messages and in lines, and keeps the changes of states", async () => {
  const { clock, channel, worker, results } = setUp(Array<Retry>(5).fill(after(60_000)));
  for (let minute = 0; minute < 5; minute++) {
    for (let n = 0; n < 90; n++) worker.push(failure(`failure ${minute} ${n}`));
    worker.push(down(`down ${minute}`));
    await settle();
    clock.advance(60_000);
    await settle();
  }
  assert.equal(channel.taken.length, 1);
  const lines = channel.taken[0]?.text.split("\n") ?? [];
  assert.equal(lines.length, 41);
  assert.deepEqual(lines.slice(0, 5), [0, 1, 2, 3, 4].map((minute) => `down ${minute}`));
  assert.equal(lines[40], "60 further lines are left out: the channel asked to wait");
  assert.equal(results.filter((result) => result === "ok").length, 100);
  assert.equal(results.filter((result) => result === "dropped").length, 355);
});

Deno.test("a channel that asks to wait for more than ten minutes in a row has failed", async () => {
  const { clock, channel, worker, results } = setUp(Array<Retry>(11).fill(after(60_000)));
  worker.push(failure("a"));
  await settle();
  for (let minute = 0; minute < 9; minute++) {
    clock.advance(60_000);
    await settle();
  }
  worker.push(failure("b"));
  clock.advance(60_000);
  await settle();
  assert.deepEqual(results, ["error Cannot send alert to asking: not now", "error"]);
  worker.push(failure("c"));
  await settle();
  assert.equal(channel.tried.length, 12);
  assert.deepEqual(channel.taken, [failure("c")]);
});

Deno.test("the end of the program does not wait for a channel that asks to wait", async () => {
  const { clock, worker, results } = setUp([after(60_000)]);
  worker.push(failure("a"));
  await settle();
  worker.push(failure("b"));
  worker.abort();
  await worker.idle();
  assert.deepEqual(results, ["dropped", "error Cannot send alert to asking: not now"]);
  assert.equal(clock.pendingTimers, 0);
});
