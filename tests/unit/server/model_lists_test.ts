/**
 * When upstreams are asked for their models: after a start the requests of clients go first.
 */
import assert from "node:assert/strict";
import { ModelCatalog } from "../../../src/core/model_catalog.ts";
import { ModelLists } from "../../../src/server/model_lists.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { anUpstream } from "../../support/upstream_value.ts";

function stage(refreshMs: number | null = null) {
  const clock = new FakeClock();
  const state = { isBusy: true, asked: 0 };
  const lists = new ModelLists({
    clock,
    client: {
      send: () => {
        state.asked++;
        return Promise.reject(new Error("it is down"));
      },
    },
    random: () => 0.5,
    catalog: new ModelCatalog({ maxAgeMs: null }),
    isBusy: () => state.isBusy,
    notes: { note: () => {}, forget: () => {}, stored: () => {} },
    stored: () => [],
    refreshMs,
    onCount: () => {},
  });
  lists.configured([anUpstream(1)]);
  return { clock, state, lists };
}

Deno.test("an upstream is asked when no client's request is under way", () => {
  const { clock, state, lists } = stage();
  clock.advance(4_000);
  assert.equal(state.asked, 0);
  state.isBusy = false;
  clock.advance(2_000);
  assert.equal(state.asked, 1);
  lists.stop();
});

Deno.test("it is asked after a while however busy the server is", () => {
  const { clock, state, lists } = stage();
  clock.advance(10_000);
  assert.equal(state.asked, 0);
  clock.advance(10_000);
  assert.equal(state.asked, 1);
  lists.stop();
});

Deno.test("it is asked at once when a client wants to know, and once only", async () => {
  const { clock, state, lists } = stage();
  const first = lists.answered(3_000);
  const second = lists.answered(3_000);
  assert.equal(state.asked, 1);
  await Promise.all([first, second]);
  clock.advance(20_000);
  assert.equal(state.asked, 1);
  lists.stop();
});

Deno.test("an upstream without a list is asked again after a minute, then after twice as long, up to the usual time", async () => {
  const { clock, state, lists } = stage(10 * 60_000);
  state.isBusy = false;
  clock.advance(2_000);
  let expected = 1;
  for (const minutes of [1, 2, 4, 8, 10, 10]) {
    assert.equal(state.asked, expected++);
    // What came of it is taken.
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    clock.advance(minutes * 60_000 - 1);
    assert.equal(state.asked, expected - 1, String(minutes));
    clock.advance(1);
  }
  assert.equal(state.asked, expected);
  lists.stop();
});
