import assert from "node:assert/strict";
import {
  failedPercent,
  FAILURE_WINDOW_MS,
  FailureWindow,
  isTooMany,
} from "../../../src/core/failure_window.ts";

function filled(good: number, failed: number, nowMs = 0): FailureWindow {
  const window = new FailureWindow();
  for (let n = 0; n < good; n++) window.add(false, nowMs);
  for (let n = 0; n < failed; n++) window.add(true, nowMs);
  return window;
}

Deno.test("a tenth is not too many, a little more is, and few attempts say nothing", () => {
  const cases: [attempts: number, failed: number, isTooMany: boolean][] = [
    [0, 0, false],
    [3, 1, false],
    [9, 9, false],
    [10, 2, false],
    [10, 3, true],
    [30, 3, false],
    [30, 4, true],
    [1_000, 100, false],
    [1_000, 101, true],
  ];
  for (const [attempts, failed, expected] of cases) {
    assert.equal(isTooMany({ attempts, failed }), expected, `${failed} of ${attempts}`);
    assert.equal(filled(attempts - failed, failed).isDegraded, expected, `${failed} of ${attempts}`);
  }
});

Deno.test("a share about the limit begins one episode, which ends at half of it", () => {
  const window = filled(27, 3);
  assert.equal(window.add(true, 0), true);
  assert.equal(window.isDegraded, true);
  for (let n = 0; n < 40; n++) assert.equal(window.add(false, 0), false, `attempt ${n}: 4 of ${32 + n}`);
  for (let n = 0; n < 8; n++) window.add(false, 0);
  assert.equal(window.attempts, 79);
  assert.equal(window.add(false, 0), true);
  assert.equal(window.isDegraded, false);
});

Deno.test("what is older than the window is forgotten, bucket by bucket, however long nothing happened", () => {
  const window = filled(5, 5);
  for (let n = 0; n < 10; n++) window.add(false, FAILURE_WINDOW_MS / 2);
  assert.deepEqual([window.attempts, window.failed, window.isDegraded], [20, 5, true]);
  assert.equal(window.sweep(FAILURE_WINDOW_MS - 1), false);
  assert.equal(window.sweep(FAILURE_WINDOW_MS), true);
  assert.deepEqual([window.attempts, window.failed, window.isDegraded], [10, 0, false]);
  window.add(true, 1e12);
  assert.deepEqual([window.attempts, window.failed], [1, 1]);
  window.sweep(1e15);
  assert.deepEqual([window.attempts, window.failed], [0, 0]);
});

Deno.test("an episode ends when nobody tries the upstream any more", () => {
  const window = filled(0, 12);
  assert.equal(window.isDegraded, true);
  assert.equal(window.sweep(2 * FAILURE_WINDOW_MS), true);
  assert.equal(window.isDegraded, false);
});

Deno.test("a clock that stands still or goes back loses nothing", () => {
  const window = filled(1, 1, 5 * FAILURE_WINDOW_MS);
  window.add(true, 0);
  assert.deepEqual([window.attempts, window.failed], [3, 2]);
});

Deno.test("a percentage is 0 only for none, and 100 only for all", () => {
  assert.deepEqual(
    [[0, 0], [10, 0], [1_000, 1], [1_000, 999], [120, 45], [7, 7]].map(([attempts = 0, failed = 0]) =>
      failedPercent({ attempts, failed })
    ),
    [0, 0, 1, 99, 38, 100],
  );
});
