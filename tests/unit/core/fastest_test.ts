import assert from "node:assert/strict";
import { expectedMs, fastestFirst } from "../../../src/core/fastest.ts";
import { anUpstream } from "../../support/upstream_value.ts";

const THREE = [anUpstream(1), anUpstream(2), anUpstream(3)];

function order(
  known: Readonly<Record<number, number | null>>,
  due: readonly number[] = [],
): (number | null)[] {
  const { ordered, explored } = fastestFirst(THREE, ({ id }) => ({
    expectedMs: known[id] ?? null,
    isDue: due.includes(id),
  }));
  return [...ordered.map(({ id }) => id), explored?.id ?? null];
}

Deno.test("the fastest comes first, and those that nothing is known of last; ties keep their order", () => {
  assert.deepEqual(order({ 1: 900, 2: 200, 3: 500 }), [2, 3, 1, null]);
  assert.deepEqual(order({ 2: 200 }), [2, 1, 3, null]);
  assert.deepEqual(order({}), [1, 2, 3, null]);
});

Deno.test("one that is due comes first, one for a request", () => {
  assert.deepEqual(order({ 1: 100, 2: 200 }, [3]), [3, 1, 2, 3]);
  assert.deepEqual(order({}, [1, 2, 3]), [1, 2, 3, 1]);
});

Deno.test("an answer is the first token and what follows", () => {
  assert.equal(expectedMs(500, 0.1), 3_500);
  assert.equal(expectedMs(500, null), 500);
});
