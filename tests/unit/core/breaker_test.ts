import assert from "node:assert/strict";
import {
  availability,
  type BreakerEvent,
  type BreakerState,
  CLOSED,
  DEFAULT_MAX_OUTAGE_MS,
  type Episode,
  FIRST_NO_CREDIT_MS,
  FIRST_REFUSAL_MS,
  isUnmoved,
  MAX_NO_CREDIT_MS,
  MIN_EPISODE_MS,
  newsOf,
  type OpenCause,
  settled,
  shownState,
  transition,
  TRIAL_LEASE_MS,
} from "../../../src/core/breaker.ts";

const SECOND = 1_000;
const SUCCESS: BreakerEvent = { type: "success" };
const CONTENT: BreakerEvent = { type: "content" };
const TRY: BreakerEvent = { type: "try" };
const ABANDONED: BreakerEvent = { type: "abandoned" };
const OUTRUN: BreakerEvent = { type: "outrun" };
const failure = (cause: OpenCause = "outage", isConclusive = false): BreakerEvent => ({
  type: "failure",
  cause,
  isConclusive,
});
const FAILURE = failure();
const throttled = (forMs: number): BreakerEvent => ({ type: "throttled", forMs });

const EVENTS: readonly BreakerEvent[] = [
  SUCCESS,
  CONTENT,
  FAILURE,
  FAILURE,
  failure("refusal"),
  failure("no_credit", true),
  throttled(3_000),
  throttled(0),
  TRY,
  TRY,
  ABANDONED,
  OUTRUN,
];

const ill = (more: Partial<Episode> = {}): Episode => ({ cause: "outage", times: 1, openedMs: 0, ...more });
const closed = (failures: number, episode: Episode | null = null, isProven = false): BreakerState => ({
  type: "closed",
  failures,
  episode,
  isProven,
});
const open = (untilMs: number, episode = ill()): BreakerState => ({ type: "open", untilMs, episode });
const halfOpen = (triedMs: number, episode = ill()): BreakerState => ({
  type: "half_open",
  triedMs,
  episode,
});

function after(
  state: BreakerState,
  event: BreakerEvent,
  nowMs: number,
  { startedMs = nowMs, maxOutageMs = DEFAULT_MAX_OUTAGE_MS } = {},
): BreakerState {
  return transition(state, event, { nowMs, startedMs, maxOutageMs });
}

Deno.test("transition() follows its table", () => {
  const table: [BreakerState, BreakerEvent, nowMs: number, BreakerState][] = [
    [CLOSED, SUCCESS, 0, CLOSED],
    [closed(2), SUCCESS, 0, CLOSED],
    [CLOSED, FAILURE, 0, closed(1)],
    [closed(1), FAILURE, 0, closed(2)],
    [closed(2), FAILURE, 1_000, open(6_000, ill({ openedMs: 1_000 }))],
    [
      closed(2),
      failure("refusal"),
      0,
      open(FIRST_REFUSAL_MS, ill({ cause: "refusal" })),
    ],
    [
      CLOSED,
      failure("no_credit", true),
      0,
      open(FIRST_NO_CREDIT_MS, ill({ cause: "no_credit" })),
    ],
    [closed(2), TRY, 0, closed(2)],
    [closed(2), ABANDONED, 0, closed(2)],
    [closed(2), CONTENT, 0, closed(2)],
    [CLOSED, throttled(5_000), 1_000, open(6_000, ill({ times: 0, openedMs: 1_000 }))],
    [CLOSED, throttled(1e9), 0, open(5 * 60 * SECOND, ill({ times: 0 }))],

    [open(9_000), TRY, 8_999, open(9_000)],
    [open(9_000), TRY, 9_000, halfOpen(9_000)],
    [open(9_000), SUCCESS, 5_000, CLOSED],
    [open(9_000), SUCCESS, 4_999, closed(0, ill(), true)],
    [open(9_000), CONTENT, 8_000, open(9_000)],
    [open(9_000), FAILURE, 8_000, open(9_000)],
    [open(9_000), FAILURE, 9_000, open(19_000, ill({ times: 2, openedMs: 9_000 }))],
    [open(9_000), ABANDONED, 50, open(9_000)],
    [open(9_000), throttled(70), 50, open(9_000)],
    [open(9_000), throttled(70), 9_000, open(9_070, ill({ openedMs: 9_000 }))],
    [
      open(9_000),
      failure("no_credit", true),
      10,
      open(10 + FIRST_NO_CREDIT_MS, ill({ cause: "no_credit", openedMs: 10 })),
    ],

    [halfOpen(9_000), SUCCESS, 9_500, CLOSED],
    [halfOpen(10), SUCCESS, 20, closed(0, ill(), true)],
    [halfOpen(9_000), CONTENT, 9_500, closed(0, ill())],
    [halfOpen(9_000), FAILURE, 9_500, open(19_500, ill({ times: 2, openedMs: 9_500 }))],
    [
      halfOpen(9_000),
      failure("refusal"),
      9_500,
      open(39_500, ill({ cause: "refusal", openedMs: 9_500 })),
    ],
    [halfOpen(9_000), ABANDONED, 9_500, open(9_500)],
    [halfOpen(9_000), OUTRUN, 9_500, open(14_500)],
    [halfOpen(9_000, ill({ times: 2 })), OUTRUN, 9_500, open(19_500, ill({ times: 2 }))],
    [halfOpen(9_000, ill({ times: 0 })), OUTRUN, 9_500, open(14_500, ill({ times: 0 }))],
    [open(9_000), OUTRUN, 8_000, open(9_000)],
    [closed(2), OUTRUN, 8_000, closed(2)],
    [halfOpen(9_000), TRY, 9_500, halfOpen(9_000)],
    [halfOpen(9_000), throttled(70), 9_500, open(9_570, ill({ openedMs: 9_500 }))],

    // After a trial has shown content, failures count from zero, and the pauses go on growing.
    [closed(0, ill()), FAILURE, 100, closed(1, ill())],
    [closed(2, ill()), FAILURE, 100, open(10_100, ill({ times: 2, openedMs: 100 }))],
    [closed(0, ill()), SUCCESS, 4_999, closed(0, ill(), true)],
    [closed(0, ill()), SUCCESS, 5_000, CLOSED],
  ];
  for (const [state, event, nowMs, expected] of table) {
    const label = `${JSON.stringify(state)} ${JSON.stringify(event)} at ${nowMs}`;
    assert.deepEqual(after(state, event, nowMs), expected, label);
  }
});

const LATE: readonly BreakerEvent[] = [SUCCESS, CONTENT, FAILURE, ABANDONED];

Deno.test("an attempt that began before the opening tells nothing about what came after it", () => {
  const states = [open(9_000, ill({ openedMs: 100 })), halfOpen(9_000, ill({ openedMs: 100 }))];
  for (const state of states) {
    for (const event of LATE) {
      assert.equal(after(state, event, 9_500, { startedMs: 99 }), state, `${state.type} ${event.type}`);
    }
  }
});

Deno.test("a state that does not change stays the same object", () => {
  const waiting = open(9_000);
  assert.equal(after(CLOSED, SUCCESS, 0), CLOSED);
  assert.equal(after(waiting, FAILURE, 50), waiting);
  assert.equal(after(waiting, TRY, 50), waiting);
  assert.equal(after(CLOSED, ABANDONED, 0), CLOSED);
  const proven = closed(0, ill(), true);
  assert.equal(after(proven, SUCCESS, 50), proven);
});

Deno.test("availability() tells when an upstream is ready, on trial or cooling", () => {
  assert.equal(availability(closed(2), 0), "ready");
  assert.equal(availability(open(100), 99), "cooling");
  assert.equal(availability(open(100), 100), "trial");
  assert.equal(availability(halfOpen(0), TRIAL_LEASE_MS - 1), "cooling");
  assert.equal(availability(halfOpen(0), TRIAL_LEASE_MS), "trial");
});

Deno.test("how long what keeps failing waits depends on why", () => {
  const waits = (cause: OpenCause, maxOutageMs = DEFAULT_MAX_OUTAGE_MS) => {
    let state: BreakerState = closed(2);
    let nowMs = 0;
    return Array.from({ length: 8 }, () => {
      state = after(after(state, TRY, nowMs), failure(cause, cause === "no_credit"), nowMs, { maxOutageMs });
      assert.ok(state.type === "open");
      const waitMs = state.untilMs - nowMs;
      nowMs = state.untilMs;
      return waitMs / SECOND;
    });
  };
  assert.deepEqual(waits("outage"), [5, 10, 15, 15, 15, 15, 15, 15]);
  assert.deepEqual(waits("outage", 3 * SECOND), [3, 3, 3, 3, 3, 3, 3, 3]);
  assert.deepEqual(waits("outage", 22 * SECOND), [5, 10, 15, 20, 22, 22, 22, 22]);
  assert.deepEqual(waits("refusal"), [30, 60, 120, 240, 300, 300, 300, 300]);
  const minutes = [10, 20, 40, 80, 160, 320, MAX_NO_CREDIT_MS / 60_000, MAX_NO_CREDIT_MS / 60_000];
  assert.deepEqual(waits("no_credit").map((each) => each / 60), minutes);
});

Deno.test("another cause does not inherit the pauses of the one before", () => {
  let state: BreakerState = closed(2);
  for (let n = 0; n < 6; n++) state = after(after(state, TRY, 1e6 * n), FAILURE, 1e6 * n);
  state = after(after(state, TRY, 1e8), failure("refusal"), 1e8);
  assert.ok(state.type === "open");
  assert.equal(state.untilMs, 1e8 + FIRST_REFUSAL_MS);
});

Deno.test("settled() ends an episode that an attempt has ended, once it has lasted long enough", () => {
  assert.equal(settled(closed(0, ill(), true), MIN_EPISODE_MS), CLOSED);
  for (const state of [closed(0, ill(), false), closed(1, ill(), true), open(1), halfOpen(1), closed(2)]) {
    assert.equal(settled(state, 1e9), state);
  }
  const young = closed(0, ill(), true);
  assert.equal(settled(young, MIN_EPISODE_MS - 1), young);
});

Deno.test("isUnmoved() is true for the usual events of what is well, and never contradicts transition()", () => {
  assert.ok([SUCCESS, TRY, ABANDONED, CONTENT].every((event) => isUnmoved(CLOSED, event)));
  const states = [CLOSED, closed(1), closed(2), closed(0, ill()), open(100), halfOpen(1)];
  for (const state of states) {
    for (const event of EVENTS) {
      for (const nowMs of [0, 100, 1e9]) {
        if (isUnmoved(state, event)) assert.equal(after(state, event, nowMs), state);
      }
    }
  }
});

Deno.test("people are told once when it goes down, once that there is no credit, and once when it is well again", () => {
  const broke = ill({ cause: "no_credit" });
  const table: [BreakerState, BreakerState, ReturnType<typeof newsOf>][] = [
    [closed(2), open(1), "down"],
    [CLOSED, open(1), "down"],
    [open(1), halfOpen(1), null],
    [halfOpen(1), open(1), null],
    [halfOpen(1), closed(0, ill()), null],
    [closed(2, ill()), open(1), null],
    [closed(0, ill()), CLOSED, "recovered"],
    [open(1), CLOSED, "recovered"],
    [closed(2), CLOSED, null],
    [CLOSED, closed(1), null],
    [CLOSED, open(1, broke), "no_credit"],
    [open(1), open(1, broke), "no_credit"],
    [halfOpen(1, broke), open(1, broke), null],
    [halfOpen(1, broke), CLOSED, "recovered"],
  ];
  for (const [before, now, expected] of table) {
    assert.equal(newsOf(before, now), expected, `${JSON.stringify(before)} ${JSON.stringify(now)}`);
  }
  assert.deepEqual([open(1), open(1, broke), halfOpen(1, broke), closed(2)].map(shownState), [
    "open",
    "no_credit",
    "half_open",
    "closed",
  ]);
});

/** The generator of Park and Miller (1988): a failure can be repeated by its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = state * 48_271 % 2_147_483_647;
    return state % below;
  };
}

function labelOf(seed: number, step: number): string {
  return `seed ${seed}, step ${step}`;
}

Deno.test("whatever happens: it is never stuck, pauses are bounded, and news come in turn", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const random = randomOf(seed);
    let state: BreakerState = CLOSED;
    let nowMs = 0;
    let isTold = false;
    for (let step = 0; step < 200; step++) {
      nowMs += random(4) === 0 ? random(40_000) : random(50);
      const event: BreakerEvent = EVENTS[random(EVENTS.length)] ?? SUCCESS;
      const startedMs = Math.max(0, nowMs - random(20_000));
      const before: BreakerState = state;
      state = after(state, event, nowMs, { startedMs });
      const label = labelOf(seed, step);
      if (state.type === "open") assert.ok(state.untilMs - nowMs <= MAX_NO_CREDIT_MS, label);
      if (state.type === "closed") assert.ok(state.failures < 3, label);
      assert.notEqual(availability(state, nowMs + MAX_NO_CREDIT_MS), "cooling", label);
      const news = newsOf(before, state);
      if (news === "down") assert.ok(!isTold, label);
      if (news === "recovered") assert.ok(isTold, label);
      if (news !== null) isTold = news !== "recovered";
      // One attempt that is made when it may be, and ends well after a while, always restores it.
      const later = nowMs + MAX_NO_CREDIT_MS;
      assert.equal(after(after(state, TRY, later), SUCCESS, later), CLOSED, label);
    }
  }
});

Deno.test("streams that are all cut change its state once a pause, however many there are", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = randomOf(seed);
    let state: BreakerState = CLOSED;
    let changes = 0;
    const step = (event: BreakerEvent, nowMs: number, startedMs: number) => {
      const before = state.type;
      state = after(state, event, nowMs, { startedMs });
      if (state.type !== before) changes++;
    };
    // 48 streams, each of which shows content and is cut soon after; the next one begins at once, as a last resort.
    const started = Array.from({ length: 48 }, () => 0);
    for (let nowMs = 0; nowMs < 60 * SECOND; nowMs += 5) {
      const at = random(started.length);
      step(CONTENT, nowMs, started[at] ?? 0);
      step(FAILURE, nowMs + 1, started[at] ?? 0);
      started[at] = nowMs + 2;
      step(TRY, nowMs + 2, nowMs + 2);
    }
    // At most open, half open and closed for each pause: 5, 10, 15, 15 and 15 s.
    assert.ok(changes <= 3 * 5 + 1, `seed ${seed}: ${changes} changes`);
  }
});
