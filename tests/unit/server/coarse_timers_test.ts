import assert from "node:assert/strict";
import { CoarseTimers } from "../../../src/server/coarse_timers.ts";
import type { TimerId } from "../../../src/core/clock.ts";

/** The runtime's timers, fired by hand: a busy machine must not decide what these tests say. */
class HandTime {
  nowMs = 0;
  readonly #waiting = new Map<number, { readonly dueMs: number; readonly callback: () => void }>();
  readonly #set = globalThis.setTimeout;
  readonly #clear = globalThis.clearTimeout;
  #lastId = 0;

  constructor() {
    const set = (callback: () => void, delayMs = 0): number => {
      this.#waiting.set(++this.#lastId, { dueMs: this.nowMs + delayMs, callback });
      return this.#lastId;
    };
    const clear = (id: number): void => void this.#waiting.delete(id);
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Lets this much time pass, and fires what falls due on the way. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const [next] = [...this.#waiting].filter(([, { dueMs }]) => dueMs <= untilMs)
        .sort(([, a], [, b]) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      const [id, { dueMs, callback }] = next;
      this.#waiting.delete(id);
      this.nowMs = Math.max(this.nowMs, dueMs);
      callback();
    }
    this.nowMs = untilMs;
  }

  [Symbol.dispose](): void {
    globalThis.setTimeout = this.#set;
    globalThis.clearTimeout = this.#clear;
  }
}

Deno.test("CoarseTimers never fires early, whatever the length, and in the order of the moments", () => {
  for (let startMs = 0; startMs < 10; startMs += 0.7) {
    using time = new HandTime();
    time.nowMs = startMs;
    const timers = new CoarseTimers(() => time.nowMs);
    const fires: { readonly delayMs: number; readonly atMs: number }[] = [];
    for (const delayMs of [35, 0, 1, 22, 9.5, 35, 1_500, 12_345]) {
      timers.set(() => fires.push({ delayMs, atMs: time.nowMs - startMs }), delayMs);
    }
    time.pass(20_000);
    assert.deepEqual(fires.map(({ atMs }) => atMs), fires.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
    assert.deepEqual(fires.map(({ delayMs }) => delayMs).slice(-4), [35, 35, 1_500, 12_345]);
    for (const { delayMs, atMs } of fires) {
      const latenessMs = delayMs < 1_000 ? 10 : delayMs < 10_000 ? 100 : 1_000;
      assert.ok(atMs >= delayMs && atMs <= delayMs + latenessMs, `${delayMs} ms fired after ${atMs} ms`);
    }
    assert.equal(time.waiting, 0);
  }
});

Deno.test("CoarseTimers fires what waits although a callback sets one that is due much later", () => {
  using time = new HandTime();
  const timers = new CoarseTimers(() => time.nowMs);
  let late: TimerId | null = null;
  let hasFired = false;
  timers.set(() => {
    late = timers.set(() => assert.fail("it was cleared"), 60_000);
  }, 10);
  timers.set(() => {
    hasFired = true;
  }, 40);
  time.pass(50);
  assert.ok(hasFired && late !== null);
  timers.clear(late);
  assert.equal(time.waiting, 0, "a timer of the runtime would keep the process alive");
});

Deno.test("CoarseTimers fires one that is set while an earlier one fires, and none that was cleared", () => {
  using time = new HandTime();
  const timers = new CoarseTimers(() => time.nowMs);
  const fires: string[] = [];
  const cleared = timers.set(() => fires.push("cleared"), 20);
  timers.set(() => {
    fires.push("first");
    timers.clear(cleared);
    timers.set(() => fires.push("second"), 30);
  }, 10);
  time.pass(100);
  timers.clear(cleared);
  assert.deepEqual(fires, ["first", "second"]);
});

Deno.test("CoarseTimers clears what falls due together with the one that clears it", () => {
  using time = new HandTime();
  const timers = new CoarseTimers(() => time.nowMs);
  let other: TimerId | null = null;
  let hasFired = false;
  timers.set(() => {
    hasFired = true;
    if (other !== null) timers.clear(other);
  }, 20);
  other = timers.set(() => assert.fail("it was cleared"), 20);
  time.pass(100);
  assert.ok(hasFired);
});

Deno.test("CoarseTimers: clearing a timer that is over does not clear another that is due at the same moment", () => {
  using time = new HandTime();
  const timers = new CoarseTimers(() => time.nowMs);
  const over = timers.set(() => assert.fail("it was cleared"), 10);
  timers.clear(over);
  let hasFired = false;
  timers.set(() => {
    hasFired = true;
  }, 10);
  timers.clear(over);
  time.pass(100);
  assert.ok(hasFired);
});
