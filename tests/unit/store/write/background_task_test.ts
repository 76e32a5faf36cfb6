import assert from "node:assert/strict";
import { BackgroundTask } from "../../../../src/store/write/background_task.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

/** A task of steps that take 2 ms each, and when they were begun. */
function task(
  steps: number,
  isBusy: () => boolean,
): { clock: FakeClock; startsMs: number[]; task: BackgroundTask } {
  const clock = new FakeClock(0);
  const startsMs: number[] = [];
  const step = () => {
    startsMs.push(clock.now());
    clock.advance(2);
    return startsMs.length < steps;
  };
  return { clock, startsMs, task: new BackgroundTask({ clock, step, isBusy, rest: { busy: 49, idle: 1 } }) };
}

Deno.test("a task takes a fiftieth of the time while records are written, and half of it otherwise", () => {
  let isBusy = true;
  const { clock, startsMs, task: indexing } = task(5, () => isBusy);
  indexing.begin(50);
  indexing.begin(0);
  clock.advance(200);
  assert.deepEqual(startsMs, [50, 150]);
  isBusy = false;
  clock.advance(100);
  assert.deepEqual(startsMs, [50, 150, 250, 254, 258]);
  assert.equal(clock.pendingTimers, 0);
});

Deno.test("a task that has nothing left to do waits to be begun again, and one that is stopped does no further step", () => {
  const { clock, startsMs, task: indexing } = task(1, () => false);
  indexing.begin(0);
  clock.advance(10);
  indexing.begin(5);
  clock.advance(10);
  assert.deepEqual(startsMs, [0, 15]);
  indexing.begin(5);
  indexing.stop();
  clock.advance(10);
  assert.deepEqual(startsMs, [0, 15]);
});
