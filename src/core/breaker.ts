/**
 * Per-upstream health as a state machine over (state, event, now): closed, open, half open.
 *
 * Pure: time comes in as a monotonic number of milliseconds. See docs/architecture.md, "Breaker".
 */

export type BreakerState =
  | { readonly type: "closed"; readonly failures: number }
  | { readonly type: "open"; readonly untilMs: number; readonly times: number }
  | { readonly type: "half_open"; readonly times: number };

export type BreakerEvent =
  /** The upstream answered as it should. */
  | { readonly type: "success" }
  /** Connection, timeout, 5xx, 429, 401, 403 or bad stream. */
  | { readonly type: "failure" }
  /** It asked not to be tried for a while (`Retry-After`). */
  | { readonly type: "throttled"; readonly forMs: number }
  /** A request is about to try it. */
  | { readonly type: "try" }
  /** The try says nothing about the upstream (the client left). */
  | { readonly type: "abandoned" };

/** What the state allows now: a normal try, one trial request, or only as a last resort. */
export type Availability = "ready" | "trial" | "cooling";

export const CLOSED: BreakerState = { type: "closed", failures: 0 };
const FAILURES_TO_OPEN = 3;
export const FIRST_OPEN_MS = 30_000;
export const MAX_OPEN_MS = 5 * 60_000;

/** The next state. A state that does not change is returned as the same object. */
export function transition(state: BreakerState, event: BreakerEvent, nowMs: number): BreakerState {
  switch (event.type) {
    case "success":
      return state.type === "closed" && state.failures === 0 ? state : CLOSED;
    case "failure":
      return afterFailure(state, nowMs);
    case "throttled":
      return { type: "open", untilMs: nowMs + Math.min(event.forMs, MAX_OPEN_MS), times: timesOpened(state) };
    case "try":
      return availability(state, nowMs) === "trial"
        ? { type: "half_open", times: timesOpened(state) }
        : state;
    case "abandoned":
      return state.type === "half_open" ? { type: "open", untilMs: nowMs, times: state.times } : state;
    default:
      return event satisfies never;
  }
}

/** Whether the event changes nothing, whatever the time: the common case, an upstream without failures. */
export function isUnmoved(state: BreakerState, event: BreakerEvent): boolean {
  if (state.type !== "closed") return false;
  return event.type === "try" || event.type === "abandoned" ||
    (event.type === "success" && state.failures === 0);
}

/** What the state allows at this moment. */
export function availability(state: BreakerState, nowMs: number): Availability {
  switch (state.type) {
    case "closed":
      return "ready";
    case "open":
      return nowMs >= state.untilMs ? "trial" : "cooling";
    case "half_open":
      return "cooling";
    default:
      return state satisfies never;
  }
}

function afterFailure(state: BreakerState, nowMs: number): BreakerState {
  switch (state.type) {
    case "closed": {
      const failures = state.failures + 1;
      return failures < FAILURES_TO_OPEN ? { type: "closed", failures } : openAgain(0, nowMs);
    }
    case "half_open":
      return openAgain(state.times, nowMs);
    case "open":
      return nowMs >= state.untilMs ? openAgain(state.times, nowMs) : state;
    default:
      return state satisfies never;
  }
}

function openAgain(timesBefore: number, nowMs: number): BreakerState {
  const openMs = Math.min(FIRST_OPEN_MS * 2 ** timesBefore, MAX_OPEN_MS);
  return { type: "open", untilMs: nowMs + openMs, times: timesBefore + 1 };
}

function timesOpened(state: BreakerState): number {
  return state.type === "closed" ? 0 : state.times;
}
