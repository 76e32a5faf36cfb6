import assert from "node:assert/strict";
import { FairQueue } from "../../../src/core/fair_queue.ts";

function served(queue: FairQueue<string>, key: number, count: number): string {
  let names = "";
  for (let each = 0; each < count; each++) {
    const place = queue.first(key);
    if (place === null) break;
    names += place.waiter;
    queue.served(place);
  }
  return names;
}

Deno.test("clients take turns, and within a client the first comes first", () => {
  const queue = new FairQueue<string>();
  for (const waiter of "abcd") queue.add(waiter, { client: "batch", keys: [1] });
  queue.add("x", { client: "one", keys: [1] });
  queue.add("y", { client: "other", keys: [1] });
  queue.add("z", { client: "one", keys: [1] });
  assert.equal(queue.size, 7);
  assert.equal(served(queue, 1, 9), "axybzcd");
  assert.deepEqual([queue.size, queue.has(1)], [0, false]);
});

Deno.test("a client whose turn is over waits for the others, also when it comes back", () => {
  const queue = new FairQueue<string>();
  for (const client of ["a", "b"]) queue.add(client, { client, keys: [1] });
  assert.equal(served(queue, 1, 1), "a");
  queue.add("a", { client: "a", keys: [1] });
  assert.equal(served(queue, 1, 2), "ba");
});

Deno.test("who waits for several gets the first of them, and has no other place then", () => {
  const queue = new FairQueue<string>();
  queue.add("a", { client: "a", keys: [1, 2] });
  queue.add("b", { client: "b", keys: [2] });
  assert.equal(served(queue, 1, 1), "a");
  assert.deepEqual([queue.has(1), queue.has(2), queue.size], [false, true, 1]);
  assert.equal(served(queue, 2, 1), "b");
});

Deno.test("a turn counts for everything that was waited for, so that one of many is not served by all at once", () => {
  const queue = new FairQueue<string>();
  for (const client of ["a", "a", "a", "b", "c"]) queue.add(client, { client, keys: [1, 2, 3] });
  assert.equal([1, 2, 3, 1, 2].map((key) => served(queue, key, 1)).join(""), "abcaa");
});

Deno.test("who leaves gives up all places, and who no longer wants one keeps the others", () => {
  const queue = new FairQueue<string>();
  const a = queue.add("a", { client: "a", keys: [1, 2] });
  const b = queue.add("b", { client: "a", keys: [1, 2] });
  assert.equal(queue.leave(a, 1), true);
  assert.equal(queue.first(1), b);
  assert.equal(queue.first(2), a);
  queue.remove(b);
  queue.remove(b);
  assert.deepEqual([queue.size, queue.has(1)], [1, false]);
  assert.equal(queue.leave(a, 2), false);
  assert.deepEqual([queue.size, queue.has(2)], [0, false]);
});

Deno.test("with any order of coming and leaving, nobody is lost and nobody is served twice", () => {
  let seed = 3;
  const next = (below: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) % below;
  const queue = new FairQueue<number>();
  const places = new Map<number, ReturnType<typeof queue.add>>();
  for (let step = 0; step < 20_000; step++) {
    const action = next(4);
    if (action < 2) {
      const keys = [1, 2, 3, 4].filter(() => next(2) === 0);
      if (keys.length > 0) places.set(step, queue.add(step, { client: `${next(5)}`, keys }));
    } else {
      const key = 1 + next(4);
      const place = queue.first(key);
      if (place === null) continue;
      assert.ok(places.has(place.waiter));
      if (action === 2) queue.served(place);
      else if (queue.leave(place, key)) continue;
      places.delete(place.waiter);
    }
    assert.equal(queue.size, places.size);
  }
  for (const place of places.values()) queue.remove(place);
  assert.deepEqual([queue.size, ...[1, 2, 3, 4].map((key) => queue.has(key))], [
    0,
    false,
    false,
    false,
    false,
  ]);
});
