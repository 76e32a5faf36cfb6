import assert from "node:assert/strict";
import { PgError } from "../../../../src/store/postgres/errors.ts";
import { Lane } from "../../../../src/store/postgres/lane.ts";

/** Takes an item until `release` is called. */
function hold(lane: Lane<string>): { release: () => void; done: Promise<string> } {
  const held = Promise.withResolvers<void>();
  const done = lane.use(async (item) => {
    await held.promise;
    return item;
  });
  return { release: held.resolve, done };
}

Deno.test("Lane gives each item to one caller at a time, first come, first served", async () => {
  const lane = new Lane(["a", "b"], 10);
  const [first, second] = [hold(lane), hold(lane)];
  const order: number[] = [];
  const waiting = [1, 2, 3].map((n) => lane.use((item) => Promise.resolve(order.push(n)).then(() => item)));
  await Promise.resolve();
  assert.deepEqual(order, []);
  first.release();
  const item = await first.done;
  assert.deepEqual(await Promise.all(waiting), [item, item, item]);
  assert.deepEqual(order, [1, 2, 3]);
  second.release();
  assert.notEqual(await second.done, item);
});

Deno.test("Lane frees an item when its caller fails", async () => {
  const lane = new Lane(["a"], 10);
  await assert.rejects(lane.use(() => Promise.reject(new Error("failed"))), /failed/);
  assert.equal(await lane.use((item) => Promise.resolve(item)), "a");
});

Deno.test("Lane refuses when too many wait, and all of them when it is told to", async () => {
  const lane = new Lane(["a"], 2);
  const holder = hold(lane);
  const waiting = [lane.use(() => Promise.resolve(1)), lane.use(() => Promise.resolve(2))];
  await assert.rejects(lane.use(() => Promise.resolve(3)), ({ code, kind }: PgError) => {
    assert.deepEqual([code, kind], ["BUSY", "retry"]);
    return true;
  });
  const refusal = new PgError("closed", { kind: "retry", code: "CLOSED", isConnectionLost: true });
  lane.refuse(refusal);
  for (const each of waiting) await assert.rejects(each, refusal);
  holder.release();
  assert.equal(await holder.done, "a");
});
