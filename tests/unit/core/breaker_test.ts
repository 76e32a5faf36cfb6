import assert from "node:assert/strict";
import {
  availability,
  type BreakerEvent,
  type BreakerState,
  CLOSED,
  FIRST_OPEN_MS,
  isUnmoved,
  MAX_OPEN_MS,
  transition,
} from "../../../src/core/breaker.ts";

const SUCCESS: BreakerEvent = { type: "success" };
const FAILURE: BreakerEvent = { type: "failure" };
const TRY: BreakerEvent = { type: "try" };
const ABANDONED: BreakerEvent = { type: "abandoned" };
const throttled = (forMs: number): BreakerEvent => ({ type: "throttled", forMs });
const closed = (failures: number): BreakerState => ({ type: "closed", failures });
const open = (untilMs: number, times: number): BreakerState => ({ type: "open", untilMs, times });
const halfOpen = (times: number): BreakerState => ({ type: "half_open", times });

Deno.test("transition() follows its table", () => {
  const table: [BreakerState, BreakerEvent, nowMs: number, BreakerState][] = [
    [closed(0), SUCCESS, 0, closed(0)],
    [closed(2), SUCCESS, 0, closed(0)],
    [closed(0), FAILURE, 0, closed(1)],
    [closed(1), FAILURE, 0, closed(2)],
    [closed(2), FAILURE, 1_000, open(1_000 + FIRST_OPEN_MS, 1)],
    [closed(2), TRY, 0, closed(2)],
    [closed(2), ABANDONED, 0, closed(2)],
    [closed(0), throttled(5_000), 1_000, open(6_000, 0)],
    [closed(0), throttled(MAX_OPEN_MS * 2), 0, open(MAX_OPEN_MS, 0)],

    [open(100, 1), TRY, 99, open(100, 1)],
    [open(100, 1), TRY, 100, halfOpen(1)],
    [open(100, 1), SUCCESS, 50, closed(0)],
    [open(100, 1), FAILURE, 50, open(100, 1)],
    [open(100, 1), FAILURE, 100, open(100 + 2 * FIRST_OPEN_MS, 2)],
    [open(100, 1), ABANDONED, 50, open(100, 1)],
    [open(100, 1), throttled(70), 50, open(120, 1)],

    [halfOpen(1), SUCCESS, 0, closed(0)],
    [halfOpen(1), FAILURE, 10, open(10 + 2 * FIRST_OPEN_MS, 2)],
    [halfOpen(9), FAILURE, 10, open(10 + MAX_OPEN_MS, 10)],
    [halfOpen(1), ABANDONED, 10, open(10, 1)],
    [halfOpen(1), TRY, 10, halfOpen(1)],
    [halfOpen(1), throttled(70), 50, open(120, 1)],
  ];
  for (const [state, event, nowMs, expected] of table) {
    const label = `${JSON.stringify(state)} ${event.type}`;
    assert.deepEqual(transition(state, event, nowMs), expected, label);
  }
});

Deno.test("a state that does not change stays the same object", () => {
  const waiting = open(100, 1);
  assert.equal(transition(CLOSED, SUCCESS, 0), CLOSED);
  assert.equal(transition(waiting, FAILURE, 50), waiting);
  assert.equal(transition(waiting, TRY, 50), waiting);
  assert.equal(transition(CLOSED, ABANDONED, 0), CLOSED);
});

Deno.test("availability() tells when an upstream is ready, on trial or cooling", () => {
  assert.equal(availability(closed(2), 0), "ready");
  assert.equal(availability(open(100, 1), 99), "cooling");
  assert.equal(availability(open(100, 1), 100), "trial");
  assert.equal(availability(halfOpen(1), 1_000), "cooling");
});

Deno.test("an upstream that keeps failing waits twice as long each time, up to five minutes", () => {
  let state: BreakerState = closed(2);
  let nowMs = 0;
  const waits: number[] = [];
  for (let at = 0; at < 6; at++) {
    state = transition(transition(state, TRY, nowMs), FAILURE, nowMs);
    assert.ok(state.type === "open");
    waits.push((state.untilMs - nowMs) / 1_000);
    nowMs = state.untilMs;
  }
  assert.deepEqual(waits, [30, 60, 120, 240, 300, 300]);
});

Deno.test("isUnmoved() is true for the usual events of a healthy upstream, and never contradicts transition()", () => {
  assert.ok([SUCCESS, TRY, ABANDONED].every((event) => isUnmoved(CLOSED, event)));
  const states: BreakerState[] = [closed(0), closed(1), closed(2), open(100, 1), halfOpen(1)];
  const events: BreakerEvent[] = [SUCCESS, FAILURE, TRY, ABANDONED, throttled(5)];
  for (const state of states) {
    for (const event of events) {
      for (const nowMs of [0, 100, 1e9]) {
        if (isUnmoved(state, event)) assert.equal(transition(state, event, nowMs), state);
      }
    }
  }
});
