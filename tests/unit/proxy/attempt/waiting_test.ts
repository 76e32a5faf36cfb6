/**
 * Slots and the requests that wait for them: whose turn it is, and that nothing is lost.
 */
import assert from "node:assert/strict";
import { Cancellation } from "../../../../src/core/cancellation.ts";
import type { Upstream } from "../../../../src/core/types.ts";
import { NO_LIMITS, type UpstreamLimits } from "../../../../src/core/upstream_options.ts";
import type { HeldSlot } from "../../../../src/proxy/attempt/held_slot.ts";
import { RequestDemand } from "../../../../src/proxy/attempt/request_demand.ts";
import { UpstreamCapacity } from "../../../../src/proxy/attempt/upstream_capacity.ts";
import { type WaitEnd, Waiting } from "../../../../src/proxy/attempt/waiting.ts";
import { anInbound, settled } from "../../../support/failover_stage.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

class Stage {
  readonly clock = new FakeClock();
  readonly capacity = new UpstreamCapacity(this.clock);
  readonly told: (number | string)[] = [];
  readonly waiting: Waiting;
  /** Those that have got a slot, in order. */
  readonly served: string[] = [];

  constructor({ timeoutMs = 10_000, maxQueued = 1_000 } = {}) {
    this.waiting = new Waiting({
      capacity: this.capacity,
      clock: this.clock,
      observer: {
        queued: (ms) => void this.told.push(ms),
        queueRefused: (reason) => void this.told.push(reason),
      },
    }, { timeoutMs, maxQueued });
  }

  take(upstream: Upstream): HeldSlot {
    return this.waiting.take(upstream, demandOf("holder"));
  }

  wait(
    client: string,
    upstreams: readonly Upstream[],
    more: {
      readonly cancellation?: Cancellation;
      readonly accepts?: (upstream: Upstream) => boolean;
      readonly demand?: RequestDemand;
    } = {},
  ): Promise<WaitEnd> {
    const end = this.waiting.wait({
      demand: more.demand ?? demandOf(client),
      upstreams,
      accepts: more.accepts ?? (() => true),
      cancellation: more.cancellation ?? new Cancellation(),
      limitMs: this.waiting.timeoutMs,
    });
    void end.then(({ type }) => type === "slot" && this.served.push(client));
    return end;
  }
}

function demandOf(client: string, body = ""): RequestDemand {
  return new RequestDemand(anInbound({ clientName: client, body: new TextEncoder().encode(body) }));
}

function limited(id: number, limits: Partial<UpstreamLimits>, more: Partial<Upstream> = {}): Upstream {
  return anUpstream(id, { limits: { ...NO_LIMITS, ...limits }, ...more });
}

function slotOf(end: WaitEnd): HeldSlot {
  if (end.type !== "slot") throw new Error(end.type);
  return end.slot;
}

const ONE = limited(1, { maxParallel: 1 });
const TWO = limited(2, { maxParallel: 1 });

Deno.test("a slot goes to whose turn it is, never to a newcomer", async () => {
  const stage = new Stage();
  const held = stage.take(ONE);
  const ends = ["batch", "batch", "batch", "other"].map((client) => stage.wait(client, [ONE]));
  assert.equal(stage.waiting.length, 4);
  held.release();
  held.release();
  assert.equal(stage.waiting.hasRoom(ONE, demandOf("new")), false);
  for (const place of [0, 3, 1, 2]) slotOf(await ends[place] ?? { type: "cancelled" }).release();
  assert.deepEqual(stage.served, ["batch", "other", "batch", "batch"]);
  assert.equal(stage.waiting.hasRoom(ONE, demandOf("new")), true);
  assert.deepEqual([stage.waiting.length, stage.capacity.inFlight(ONE), stage.clock.pendingTimers], [
    0,
    0,
    0,
  ]);
});

Deno.test("each key of an upstream has a limit of its own", () => {
  const stage = new Stage();
  const keys = [1, 2].map((keyN) => limited(1, { maxParallel: 1 }, { keyN, keys: ["a", "b"] }));
  for (const key of keys) {
    assert.ok(stage.waiting.hasRoom(key, demandOf("a")));
    stage.take(key);
    assert.ok(!stage.waiting.hasRoom(key, demandOf("a")));
  }
  assert.deepEqual(stage.capacity.views().get(1), { inFlight: 2, autoLimit: null });
});

Deno.test("rpm: the passing of time wakes those that wait", async () => {
  const stage = new Stage({ timeoutMs: 600_000 });
  const upstream = limited(1, { rpm: 1 });
  stage.take(upstream).release();
  const ends = [stage.wait("a", [upstream]), stage.wait("b", [upstream])];
  stage.clock.advance(60_999);
  await settled();
  assert.deepEqual(stage.served, []);
  stage.clock.advance(1);
  slotOf(await ends[0] ?? { type: "cancelled" }).release();
  await settled();
  assert.deepEqual(stage.served, ["a"]);
  stage.clock.advance(61_000);
  slotOf(await ends[1] ?? { type: "cancelled" }).release();
  assert.equal(stage.clock.pendingTimers, 0);
});

Deno.test("tpm: what a request did not use goes to those that wait at once", async () => {
  const stage = new Stage({ timeoutMs: 600_000 });
  const upstream = limited(1, { tpm: 100 });
  const slot = stage.waiting.take(upstream, demandOf("a", "x".repeat(360)));
  const end = stage.wait("b", [upstream], { demand: demandOf("b", "x".repeat(80)) });
  await settled();
  assert.equal(stage.waiting.length, 1);
  slot.end({ result: "served", firstTokenMs: null, tokens: 50 });
  slotOf(await end).release();
  assert.equal(stage.clock.pendingTimers, 0);
});

Deno.test("nobody waits longer than the limit, nor when as many wait as may", async () => {
  const stage = new Stage({ maxQueued: 2 });
  stage.take(ONE);
  const ends = [stage.wait("a", [ONE]), stage.wait("b", [ONE])];
  assert.deepEqual(await stage.wait("c", [ONE]), { type: "refused", reason: "full" });
  stage.clock.advance(10_000);
  for (const end of ends) assert.deepEqual(await end, { type: "refused", reason: "timeout" });
  assert.deepEqual([stage.waiting.length, stage.told], [0, [10_000, 10_000]]);
  assert.deepEqual(await new Stage({ timeoutMs: 0 }).wait("a", [ONE]), {
    type: "refused",
    reason: "timeout",
  });
});

Deno.test("a slot that comes back at the moment when a wait ends goes to nobody who has left", async () => {
  const stage = new Stage();
  const held = stage.take(ONE);
  const end = stage.wait("a", [ONE]);
  stage.clock.setTimer(() => held.release(), 10_000);
  stage.clock.advance(10_000);
  assert.equal((await end).type, "refused");
  assert.deepEqual([stage.capacity.inFlight(ONE), stage.waiting.length], [0, 0]);
});

Deno.test("one that has failed in the meantime is not given, and who wants no other goes on", async () => {
  const stage = new Stage();
  const held = [stage.take(ONE), stage.take(TWO)];
  const unwell = new Set<number>();
  const accepts = ({ id }: Upstream) => !unwell.has(id);
  const a = stage.wait("a", [ONE, TWO], { accepts });
  const b = stage.wait("b", [ONE], { accepts });
  const c = stage.wait("c", [ONE]);
  unwell.add(1);
  held[0]?.release();
  assert.deepEqual(await b, { type: "none_left" });
  slotOf(await c);
  assert.equal(stage.waiting.length, 1);
  held[1]?.release();
  const end = await a;
  assert.equal(end.type === "slot" && end.upstream, TWO);
});

Deno.test("limits that change, and upstreams that go, count at once", async () => {
  const stage = new Stage();
  stage.capacity.configured([ONE, TWO]);
  stage.take(ONE);
  stage.take(TWO);
  const ends = ["a", "b", "c"].map((client) => stage.wait(client, [ONE]));
  stage.capacity.configured([limited(1, { maxParallel: 2 }), TWO]);
  await ends[0];
  assert.equal(stage.waiting.length, 2);
  const onlyTwo = stage.wait("d", [TWO]);
  stage.capacity.configured([anUpstream(1), { ...TWO, isEnabled: false }]);
  await Promise.all(ends);
  assert.deepEqual(await onlyTwo, { type: "none_left" });
  assert.deepEqual([stage.served, stage.waiting.length], [["a", "b", "c"], 0]);
});

Deno.test("retry-after follows from how fast slots were given", async () => {
  const stage = new Stage({ timeoutMs: 30_000 });
  assert.equal(stage.waiting.retryAfterSeconds(), 30);
  let held = stage.take(ONE);
  const ends = Array.from({ length: 40 }, () => stage.wait("a", [ONE]));
  for (const end of ends.slice(0, 20)) {
    stage.clock.advance(500);
    held.release();
    held = slotOf(await end);
  }
  // Two a second, and 20 still wait.
  const seconds = stage.waiting.retryAfterSeconds();
  assert.ok(seconds >= 10 && seconds <= 12, `${seconds}`);
});

Deno.test("however attempts and waits end, every slot comes back and nobody is forgotten", async () => {
  for (let seed = 1; seed <= 20; seed++) await randomTraffic(seed);
});

Deno.test("tpm: one that needs more than there will be before its wait is over holds up no other client", async () => {
  const stage = new Stage({ timeoutMs: 10_000 });
  const upstream = limited(1, { tpm: 100 });
  stage.waiting.take(upstream, demandOf("a", "x".repeat(200))).release();
  const large = { demand: demandOf("large", "x".repeat(4_000)) };
  const ends = [stage.wait("large", [upstream], large), stage.wait("large", [upstream], large)];
  const small = () => stage.wait("small", [upstream], { demand: demandOf("small", "x".repeat(40)) });
  slotOf(await small()).release();
  slotOf(await small()).release();
  stage.clock.advance(10_000);
  for (const end of ends) assert.deepEqual(await end, { type: "refused", reason: "timeout" });
  // What can be served in time is not passed over.
  stage.clock.advance(45_000);
  const end = stage.wait("large", [upstream], large);
  const behind = small();
  await settled();
  assert.deepEqual(stage.served, ["small", "small"]);
  stage.clock.advance(7_000);
  slotOf(await end).end({ result: "served", firstTokenMs: null, tokens: 0 });
  slotOf(await behind).release();
  assert.equal(stage.clock.pendingTimers, 0);
});

Deno.test("a batch that takes all places of the queue gives them up to clients that have fewer", async () => {
  const stage = new Stage({ maxQueued: 4 });
  const held = stage.take(ONE);
  const batch = Array.from({ length: 4 }, () => stage.wait("batch", [ONE]));
  assert.deepEqual(await stage.wait("batch", [ONE]), { type: "refused", reason: "full" });
  const others = [stage.wait("a", [ONE]), stage.wait("a", [ONE])];
  assert.deepEqual(await batch[3], { type: "refused", reason: "full" });
  assert.deepEqual(await batch[2], { type: "refused", reason: "full" });
  assert.deepEqual(await stage.wait("a", [ONE]), { type: "refused", reason: "full" });
  assert.equal(stage.waiting.length, 4);
  held.release();
  for (const end of [batch[0], others[0], batch[1], others[1]]) {
    slotOf(await end ?? { type: "cancelled" }).release();
  }
  assert.deepEqual(stage.served, ["batch", "a", "batch", "a"]);
  assert.deepEqual([stage.waiting.length, stage.clock.pendingTimers], [0, 0]);
});

async function randomTraffic(seed: number): Promise<void> {
  const next = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  const stage = new Stage({ timeoutMs: 3_000, maxQueued: 30 });
  const upstreams = [
    limited(1, { maxParallel: 2 }),
    limited(2, { maxParallel: "auto" }),
    limited(3, { rpm: 20, tpm: 400 }),
    limited(4, { maxParallel: 1, rpm: 40 }),
  ];
  const unwell = new Set<number>();
  const open: HeldSlot[] = [];
  const ends: Promise<void>[] = [];
  const waits: Cancellation[] = [];
  for (let step = 0; step < 400; step++) {
    const wanted = upstreams.filter(() => next(2) === 0);
    const demand = demandOf(`${next(4)}`, "x".repeat(next(200)));
    const ready = wanted.find((upstream) => stage.waiting.hasRoom(upstream, demand));
    if (ready !== undefined) open.push(stage.waiting.take(ready, demand));
    else if (wanted.length > 0) {
      const cancellation = new Cancellation();
      waits.push(cancellation);
      const accepts = ({ id }: Upstream) => !unwell.has(id);
      ends.push(
        stage.wait("", wanted, { demand, cancellation, accepts }).then((end) => {
          if (end.type === "slot") open.push(end.slot);
        }),
      );
    }
    if (next(3) > 0) {
      const [slot] = open.splice(next(Math.max(1, open.length)), 1);
      const result = (["served", "refused", "other"] as const)[next(3)] ?? "other";
      slot?.end({
        result,
        firstTokenMs: next(2) === 0 ? null : next(900),
        tokens: [null, 0, next(90)][next(3)] ?? null,
      });
      if (next(4) === 0) slot?.release();
    }
    if (next(9) === 0) waits[next(waits.length + 1)]?.cancel();
    if (next(20) === 0) unwell.has(2) ? unwell.delete(2) : unwell.add(2);
    if (next(30) === 0) stage.capacity.configured(upstreams.filter(() => next(4) > 0));
    stage.clock.advance(next(300));
    await settled();
    for (const { capacity } of upstreams.slice(0, 1).map((each) => stage.capacity.cellOf(each))) {
      assert.ok(capacity.inFlight >= 0);
    }
  }
  for (const slot of open.splice(0)) slot.release();
  stage.clock.advance(3_000);
  await Promise.all(ends);
  for (const slot of open) slot.release();
  assert.equal(stage.waiting.length, 0);
  assert.deepEqual([...stage.capacity.views().values()].map(({ inFlight }) => inFlight).filter(Boolean), []);
  assert.equal(stage.clock.pendingTimers, 0);
}
