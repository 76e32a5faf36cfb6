import assert from "node:assert/strict";
import { CoarseTimers } from "../../../src/cli/coarse_timers.ts";
import type { TimerId } from "../../../src/core/types.ts";

const now = () => performance.now();

/** Resolves when the timer fires; tells when that was, from its setting on. */
function fired(timers: CoarseTimers, delayMs: number): Promise<number> {
  const setAtMs = now();
  return new Promise((resolve) => {
    timers.set(() => resolve(now() - setAtMs), delayMs);
  });
}

Deno.test("CoarseTimers never fires early, whatever the length, and in the order of the moments", async () => {
  const timers = new CoarseTimers(now);
  const delays = [35, 0, 1, 22, 9.5, 35];
  const order: number[] = [];
  const seen = await Promise.all(delays.map(async (delayMs) => {
    const passedMs = await fired(timers, delayMs);
    order.push(delayMs);
    return passedMs;
  }));
  for (const [at, passedMs] of seen.entries()) assert.ok(passedMs >= (delays[at] ?? 0), `${passedMs} ms`);
  assert.deepEqual(order.slice(-2), [35, 35]);
  assert.equal(order[0], 0);
});

Deno.test("CoarseTimers fires what waits although a callback sets one that is due much later", async () => {
  const timers = new CoarseTimers(now);
  let late: TimerId | null = null;
  const first = new Promise<void>((resolve) => {
    timers.set(() => {
      late = timers.set(() => assert.fail("it was cleared"), 60_000);
      resolve();
    }, 10);
  });
  const second = fired(timers, 40);
  await first;
  await second;
  assert.ok(late !== null);
  timers.clear(late);
});

Deno.test("CoarseTimers fires one that is set while an earlier one fires, and none that was cleared", async () => {
  const timers = new CoarseTimers(now);
  const fires: string[] = [];
  const cleared = timers.set(() => fires.push("cleared"), 20);
  await new Promise<void>((resolve) => {
    timers.set(() => {
      fires.push("first");
      timers.clear(cleared);
      timers.set(() => {
        fires.push("second");
        resolve();
      }, 30);
    }, 10);
  });
  timers.clear(cleared);
  assert.deepEqual(fires, ["first", "second"]);
});

Deno.test("CoarseTimers clears what falls due together with the one that clears it", async () => {
  const timers = new CoarseTimers(() => Math.floor(now() / 50) * 50);
  let other: TimerId | null = null;
  await new Promise<void>((resolve) => {
    timers.set(() => {
      if (other !== null) timers.clear(other);
      resolve();
    }, 20);
    other = timers.set(() => assert.fail("it was cleared"), 20);
  });
});

Deno.test("CoarseTimers: clearing a timer that is over does not clear another that is due at the same moment", async () => {
  const timers = new CoarseTimers(now);
  const over = timers.set(() => assert.fail("it was cleared"), 10);
  timers.clear(over);
  const next = fired(timers, 10);
  timers.clear(over);
  assert.ok(await next >= 10);
});
