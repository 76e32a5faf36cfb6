import assert from "node:assert/strict";
import { AdaptiveLimit } from "../../../src/core/adaptive_limit.ts";
import { Capacity, type Slot, type SlotEnd } from "../../../src/core/capacity.ts";
import { SlidingWindow } from "../../../src/core/sliding_window.ts";
import { NO_LIMITS, type UpstreamLimits } from "../../../src/core/upstream_options.ts";

const SERVED: SlotEnd = { result: "served", firstTokenMs: null, tokens: null };
const REFUSED: SlotEnd = { result: "refused", firstTokenMs: null, tokens: 0 };

function limited(limits: Partial<UpstreamLimits>): Capacity {
  return new Capacity({ ...NO_LIMITS, ...limits });
}

Deno.test("SlidingWindow never lets more than the limit into any minute, and frees what is older", () => {
  const window = new SlidingWindow();
  const taken: number[] = [];
  let seed = 7;
  for (let nowMs = 5_000; nowMs < 400_000; nowMs += 97) {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    if (seed % 3 === 0 || window.untilAtMost(9, nowMs) > 0) continue;
    window.add(1, nowMs);
    taken.push(nowMs);
  }
  for (const from of taken) {
    assert.ok(taken.filter((each) => each >= from && each < from + 60_000).length <= 10);
  }
  assert.ok(taken.length >= 55, `${taken.length}`);
});

Deno.test("SlidingWindow says when there is room again", () => {
  const window = new SlidingWindow();
  window.add(3, 10_500);
  window.add(2, 20_000);
  assert.equal(window.total(21_000), 5);
  assert.equal(window.untilAtMost(5, 21_000), 0);
  assert.equal(window.untilAtMost(2, 21_000), 50_000);
  assert.equal(window.total(70_999), 5);
  assert.equal(window.total(71_000), 2);
  assert.equal(window.untilAtMost(0, 71_000), 10_000);
  assert.equal(window.total(81_000), 0);
  assert.equal(window.total(10_000_000), 0);
});

Deno.test("SlidingWindow is corrected where it was added, never below 0, and not when it is over", () => {
  const window = new SlidingWindow();
  window.add(100, 1_000);
  window.correct(-30, { atMs: 1_000, nowMs: 5_000 });
  assert.equal(window.total(5_000), 70);
  window.correct(-500, { atMs: 1_000, nowMs: 5_000 });
  assert.equal(window.total(5_000), 0);
  window.correct(40, { atMs: 1_000, nowMs: 5_000 });
  assert.equal(window.total(61_999), 40);
  window.correct(-40, { atMs: 1_000, nowMs: 62_000 });
  window.add(1, 62_000);
  assert.equal(window.total(62_000), 1);
});

Deno.test("an upstream without limits has room, and counts what is under way", () => {
  const capacity = new Capacity(NO_LIMITS);
  assert.equal(capacity.isLimited, false);
  const slots = [capacity.begin(0, 0), capacity.begin(0, 0)];
  assert.deepEqual([capacity.inFlight, capacity.roomInMs(1e9, 0)], [2, 0]);
  for (const slot of slots) capacity.end(slot, SERVED, 1);
  assert.equal(capacity.inFlight, 0);
});

Deno.test("max_parallel counts what is under way", () => {
  const capacity = limited({ maxParallel: 2 });
  const slot = capacity.begin(0, 0);
  assert.equal(capacity.roomInMs(0, 0), 0);
  capacity.begin(0, 0);
  assert.equal(capacity.roomInMs(0, 0), Infinity);
  capacity.end(slot, SERVED, 0);
  assert.equal(capacity.roomInMs(0, 0), 0);
  capacity.limits = { ...NO_LIMITS, maxParallel: 1 };
  assert.equal(capacity.roomInMs(0, 0), Infinity);
  capacity.limits = NO_LIMITS;
  assert.equal(capacity.roomInMs(0, 0), 0);
});

Deno.test("rpm counts the requests of the last minute, those that failed too", () => {
  const capacity = limited({ rpm: 2 });
  capacity.end(capacity.begin(0, 1_000), REFUSED, 1_100);
  assert.equal(capacity.roomInMs(0, 2_000), 0);
  capacity.end(capacity.begin(0, 30_000), SERVED, 30_100);
  assert.equal(capacity.roomInMs(0, 30_100), 31_900);
  assert.equal(capacity.roomInMs(0, 62_000), 0);
});

Deno.test("tpm reserves an estimate, and is corrected by what was used", () => {
  const capacity = limited({ tpm: 1_000 });
  const slot = capacity.begin(800, 1_000);
  assert.equal(capacity.roomInMs(300, 1_000), 61_000);
  assert.equal(capacity.roomInMs(200, 1_000), 0);
  capacity.end(slot, { ...SERVED, tokens: 100 }, 2_000);
  assert.equal(capacity.roomInMs(900, 2_000), 0);
  assert.ok(capacity.roomInMs(901, 2_000) > 0);
  capacity.end(capacity.begin(100, 2_000), { ...SERVED, tokens: 700 }, 2_500);
  assert.equal(capacity.roomInMs(200, 3_000), 0);
  assert.ok(capacity.roomInMs(201, 3_000) > 0);
});

Deno.test("a request that is larger than tpm goes when nothing else is in the window", () => {
  const capacity = limited({ tpm: 10 });
  assert.equal(capacity.roomInMs(5_000, 0), 0);
  capacity.end(capacity.begin(5_000, 0), { ...SERVED, tokens: 8 }, 100);
  assert.ok(capacity.roomInMs(5_000, 100) > 0);
  assert.equal(capacity.roomInMs(2, 100), 0);
});

Deno.test("AdaptiveLimit grows while it is used up, and only then", () => {
  const limit = new AdaptiveLimit();
  const sample = { epoch: 0, result: "served", firstTokenMs: null } as const;
  for (let count = 0; count < 50; count++) limit.add({ ...sample, isFull: false });
  assert.equal(limit.limit, 4);
  for (let count = 0; count < 4; count++) limit.add({ ...sample, isFull: true });
  assert.equal(limit.limit, 5);
  for (let count = 0; count < 5; count++) limit.add({ ...sample, isFull: true });
  assert.equal(limit.limit, 6);
});

Deno.test("AdaptiveLimit shrinks once for a burst of refusals, never below 1", () => {
  const limit = new AdaptiveLimit();
  const refusal = (epoch: number) =>
    limit.add({ epoch, result: "refused", firstTokenMs: null, isFull: true });
  for (let count = 0; count < 4; count++) refusal(0);
  assert.equal(limit.limit, 2);
  for (let count = 0; count < 10; count++) refusal(limit.epoch);
  assert.equal(limit.limit, 1);
});

Deno.test("AdaptiveLimit shrinks when first tokens become clearly slow while it is used up", () => {
  const limit = new AdaptiveLimit();
  const add = (firstTokenMs: number) =>
    limit.add({ epoch: limit.epoch, result: "other", firstTokenMs, isFull: true });
  for (let count = 0; count < 100; count++) add(400 + (count % 5) * 40);
  assert.equal(limit.limit, 4);
  for (let count = 0; count < 6; count++) add(3_000);
  assert.ok(limit.limit < 4);
});

Deno.test("auto finds the number at which a provider refuses", () => {
  const capacity = limited({ maxParallel: "auto" });
  let nowMs = 0;
  let slots: Slot[] = [];
  const PROVIDER = 12;
  for (let round = 0; round < 300; round++) {
    nowMs += 100;
    while (capacity.roomInMs(0, nowMs) === 0) slots.push(capacity.begin(0, nowMs));
    slots.forEach((slot, at) => capacity.end(slot, at < PROVIDER ? SERVED : REFUSED, nowMs));
    if (round > 50) assert.ok(slots.length <= PROVIDER + 1 && slots.length >= 8, `${slots.length}`);
    slots = [];
  }
  assert.equal(capacity.inFlight, 0);
});
