/**
 * Records that arrive below others: each is found once, as long as it is not older than is looked back.
 */
import assert from "node:assert/strict";
import { LateIds } from "../../../src/cli/records/late_ids.ts";

/** A database with these records, and a clock. */
function bench(ids: readonly number[]) {
  const there = new Set(ids);
  const asked: number[] = [];
  const clock = { nowMs: 0 };
  const late = new LateIds({
    monotonic: () => clock.nowMs,
    idsAfter: ({ afterId, limit }) => {
      asked.push(afterId);
      return Promise.resolve(
        [...there].filter((id) => id > afterId).sort((a, b) => a - b).slice(0, limit),
      );
    },
  });
  /** Takes what was missed as `tail` does. */
  const take = async (lastId: number): Promise<number[]> => {
    const missed = await late.missed(lastId);
    for (const id of missed) late.add(id);
    return missed;
  };
  return { there, asked, clock, late, take };
}

Deno.test("what was there at the beginning is not late; what comes below the highest is, once", async () => {
  const { there, late, take } = bench([1, 2, 5]);
  await late.begin(5);
  assert.deepEqual(await take(5), []);
  there.add(3).add(7);
  assert.deepEqual(await take(5), [3]);
  // 7 was seen in its turn.
  late.add(7);
  assert.deepEqual(await take(7), []);
  there.add(4).add(6);
  assert.deepEqual(await take(7), [4, 6]);
  assert.deepEqual(await take(7), []);
});

Deno.test("it looks back for half a minute, and over a bounded number of records", async () => {
  const { there, asked, clock, late, take } = bench([1_000]);
  await late.begin(1_000);
  for (
    const [atMs, lastId, from] of [[10_000, 2_000, 0], [29_999, 3_000, 0], [30_000, 3_000, 1_000]] as const
  ) {
    clock.nowMs = atMs;
    await take(lastId);
    assert.equal(asked.at(-1), from, `at ${atMs}`);
  }
  there.add(999).add(1_001);
  assert.deepEqual(await take(3_000), [1_001]);
  clock.nowMs = 120_000;
  await take(3_000);
  assert.equal(asked.at(-1), 3_000);
  await take(1_000_000);
  assert.equal(asked.at(-1), 980_000);
});
