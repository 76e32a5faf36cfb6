import assert from "node:assert/strict";
import { candidates } from "../../../../src/core/policy.ts";
import { Speeds } from "../../../../src/proxy/attempt/speeds.ts";
import { anInbound } from "../../../support/failover_stage.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

const UPSTREAMS = [anUpstream(1), anUpstream(2), anUpstream(3)];
const MINUTE_MS = 60_000;

class Stage {
  readonly clock = new FakeClock();
  readonly speeds = new Speeds(this.clock);

  order(model = "m"): number[] {
    return candidates(UPSTREAMS, {
      policy: "fastest",
      standing: () => ({ availability: "ready", latencyMs: null }),
      random: () => 0,
      turn: 0,
      speeds: this.speeds.of(anInbound({ model })),
    }).map(({ id }) => id);
  }

  answer(
    id: number,
    [firstTokenMs, restMs, outputTokens]: readonly [number, number, number],
    model = "m",
  ): void {
    this.speeds.note({ id }, anInbound({ model }), { firstTokenMs, restMs, outputTokens });
  }
}

Deno.test("each upstream is tried once, and then the fastest comes first", () => {
  const stage = new Stage();
  assert.deepEqual([1, 2, 3].map(() => stage.order()[0]), [1, 2, 3]);
  assert.equal(stage.order()[0], 1);
  stage.answer(1, [200, 10_000, 100]);
  stage.answer(2, [900, 1_000, 100]);
  stage.answer(3, [100, 5_000, 100]);
  assert.deepEqual(stage.order(), [2, 3, 1]);
});

Deno.test("what is known is of one model, and of late", () => {
  const stage = new Stage();
  for (const id of [1, 2, 3]) stage.answer(id, [100 * id, 1_000, 100]);
  assert.deepEqual(stage.order(), [1, 2, 3]);
  for (let count = 0; count < 20; count++) stage.answer(1, [9_000, 1_000, 100]);
  assert.deepEqual(stage.order(), [2, 3, 1]);
  assert.equal(stage.order("other")[0], 1);
});

Deno.test("one that nobody has asked for ten minutes is asked once, not all the time", () => {
  const stage = new Stage();
  for (const id of [1, 2, 3]) stage.answer(id, [100 * id, 1_000, 100]);
  stage.clock.advance(9 * MINUTE_MS);
  stage.answer(1, [100, 1_000, 100]);
  stage.answer(2, [200, 1_000, 100]);
  stage.clock.advance(MINUTE_MS);
  assert.deepEqual([stage.order(), stage.order()], [[3, 1, 2], [1, 2, 3]]);
  stage.clock.advance(30_000);
  assert.equal(stage.order()[0], 3);
  stage.answer(3, [50, 1_000, 100]);
  assert.deepEqual(stage.order(), [1, 2, 3]);
});

Deno.test("models that clients make up push old ones out", () => {
  const stage = new Stage();
  stage.answer(1, [100, 1_000, 100]);
  for (let count = 0; count < 2_000; count++) stage.answer(2, [100, 1_000, 100], `m${count}`);
  assert.equal(stage.speeds.view({ id: 1 }, anInbound()).expectedMs, null);
});
