/**
 * How the culprits of a batch are found.
 */
import assert from "node:assert/strict";
import { sendApart } from "../../../../../src/store/postgres/shipper/isolation.ts";
import { PretendedError } from "./support.ts";

const failureOf = (error: unknown) => error instanceof PretendedError ? error.kind : "retry";
const NUMBERS = Array.from({ length: 64 }, (_, n) => n);

Deno.test("whatever is refused, wherever it is, all others are sent once and in order", async () => {
  for (const bad of [[], [0], [63], [31, 32], [5, 6, 7], NUMBERS]) {
    const committed: number[] = [];
    const { done, refused, failure } = await sendApart(NUMBERS, {
      put: (part) => {
        if (part.some((n) => bad.includes(n))) return Promise.reject(new PretendedError("poison"));
        committed.push(...part);
        return Promise.resolve();
      },
      failureOf,
    });
    const good = NUMBERS.filter((n) => !bad.includes(n));
    assert.deepEqual([committed, done, refused.map(({ item }) => item), failure], [good, good, bad, null]);
  }
});

Deno.test("one of 64 costs at most 2 log₂ n + 1 transactions", async () => {
  let count = 0;
  await sendApart(NUMBERS, {
    put: (part) => {
      count++;
      return part.includes(37) ? Promise.reject(new PretendedError("poison")) : Promise.resolve();
    },
    failureOf,
  });
  assert.ok(count <= 13, `${count} transactions`);
});

Deno.test("trouble in the middle ends it, with what was done and what was refused until then", async () => {
  const { done, refused, failure } = await sendApart([1, 2, 3, 4], {
    put: (part) => {
      if (part.includes(1)) return Promise.reject(new PretendedError("poison"));
      return part.includes(3) ? Promise.reject(new PretendedError("retry", "gone")) : Promise.resolve();
    },
    failureOf,
  });
  assert.deepEqual([done, refused.map(({ item }) => item)], [[2], [1]]);
  assert.deepEqual([failure?.kind, failure?.message], ["retry", "gone"]);
});

Deno.test("nothing to send is nothing to do", async () => {
  const put = () => Promise.reject(new Error("called"));
  assert.deepEqual(await sendApart([], { put, failureOf }), { done: [], refused: [], failure: null });
});
