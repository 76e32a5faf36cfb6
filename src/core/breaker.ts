/**
 * Health as a state machine over (state, event, moment): closed, open, half open. One for an upstream as a whole, one
 * for each of its models, and one for each client whose own key or header it refuses.
 *
 * Pure: time comes in as a monotonic number of milliseconds. See docs/architecture.md, "Breaker".
 */

/** Why it opened; decides for how long. */
export type OpenCause =
  /** Connection, timeout, 5xx, broken stream. */
  | "outage"
  /** 401, 403, 404, and 429 without a time. */
  | "refusal"
  /** The account has no credit left. */
  | "no_credit"
  /** One of several keys is refused: 401, 403. */
  | "bad_key";

/** What lasts from an opening until an attempt has ended well again. */
export interface Episode {
  readonly cause: OpenCause;
  /** How often it has opened by itself; 0 when it was only asked to wait. */
  readonly times: number;
  /** When it opened last. */
  readonly openedMs: number;
}

export type BreakerState =
  | {
    readonly type: "closed";
    readonly failures: number;
    /** null: it is well. */
    readonly episode: Episode | null;
    /** An attempt has ended well; false: a trial has only shown content. */
    readonly isProven: boolean;
  }
  | { readonly type: "open"; readonly untilMs: number; readonly episode: Episode }
  | { readonly type: "half_open"; readonly triedMs: number; readonly episode: Episode };

export type BreakerEvent =
  /** An attempt ended as it should. */
  | { readonly type: "success" }
  /** A trial has shown content: it counts as answered, although it has not ended. */
  | { readonly type: "content" }
  | {
    readonly type: "failure";
    readonly cause: OpenCause;
    /** One is enough; otherwise three in a row are. */
    readonly isConclusive: boolean;
  }
  /** It asked not to be tried for a while (`Retry-After`). */
  | { readonly type: "throttled"; readonly forMs: number }
  /** A request is about to try it. */
  | { readonly type: "try" }
  /** The attempt says nothing about it (the client left): a trial is made again at once. */
  | { readonly type: "abandoned" }
  /** Another upstream was faster: a trial is made again after the same pause. */
  | { readonly type: "outrun" };

/** When an event happens. */
export interface Moment {
  readonly nowMs: number;
  /** When the attempt that it is about began. */
  readonly startedMs: number;
  /** The longest pause after an outage. */
  readonly maxOutageMs: number;
}

/** What the state allows now: a normal try, one trial request, or only as a last resort. */
export type Availability = "ready" | "trial" | "cooling";

/** As shown to people and in metrics. */
export const SHOWN_STATES = ["closed", "open", "half_open", "no_credit"] as const;
export type ShownState = typeof SHOWN_STATES[number];

export const CLOSED: BreakerState = { type: "closed", failures: 0, episode: null, isProven: true };
export const FAILURES_TO_OPEN = 3;
/** After an outage: 5, 10, 15 s. */
export const OUTAGE_STEP_MS = 5_000;
export const DEFAULT_MAX_OUTAGE_MS = 15_000;
/** After a refusal: 30 s, doubling to 5 min. */
export const FIRST_REFUSAL_MS = 30_000;
export const MAX_REFUSAL_MS = 5 * 60_000;
/** Without credit, and for one of several keys that is refused: 10 min, doubling to 6 h. */
export const FIRST_NO_CREDIT_MS = 10 * 60_000;
export const MAX_NO_CREDIT_MS = 6 * 60 * 60_000;
/** What it may ask for. */
export const MAX_ASKED_MS = 5 * 60_000;
/** A trial that has said nothing for so long keeps no other request from trying. */
export const TRIAL_LEASE_MS = 60_000;
/** An episode lasts at least so long: what flaps is reported once. */
export const MIN_EPISODE_MS = 5_000;

/** The next state. A state that does not change is returned as the same object. */
export function transition(state: BreakerState, event: BreakerEvent, moment: Moment): BreakerState {
  switch (event.type) {
    case "success":
      return afterSuccess(state, moment);
    case "content":
      if (state.type !== "half_open" || isFromBefore(state.episode, moment)) return state;
      return { type: "closed", failures: 0, episode: state.episode, isProven: false };
    case "failure":
      return afterFailure(state, event, moment);
    case "throttled":
      return afterThrottling(state, event.forMs, moment);
    case "try":
      if (state.type === "closed" || availability(state, moment.nowMs) !== "trial") return state;
      return { type: "half_open", triedMs: moment.nowMs, episode: state.episode };
    case "abandoned":
      if (state.type !== "half_open" || isFromBefore(state.episode, moment)) return state;
      return { type: "open", untilMs: moment.nowMs, episode: state.episode };
    case "outrun":
      if (state.type !== "half_open" || isFromBefore(state.episode, moment)) return state;
      return { type: "open", untilMs: moment.nowMs + pauseOf(state.episode, moment), episode: state.episode };
    default:
      return event satisfies never;
  }
}

/** Whether the event changes nothing, whatever the time: the common case, all is well. */
export function isUnmoved(state: BreakerState, event: BreakerEvent): boolean {
  return state === CLOSED && event.type !== "failure" && event.type !== "throttled";
}

/** What the state allows at this moment. */
export function availability(state: BreakerState, nowMs: number): Availability {
  switch (state.type) {
    case "closed":
      return "ready";
    case "open":
      return nowMs >= state.untilMs ? "trial" : "cooling";
    case "half_open":
      return nowMs - state.triedMs >= TRIAL_LEASE_MS ? "trial" : "cooling";
    default:
      return state satisfies never;
  }
}

/** The state some time later: an episode that an attempt has ended is over once it has lasted long enough. */
export function settled(state: BreakerState, nowMs: number): BreakerState {
  const { episode } = state;
  const isOver = state.type === "closed" && state.isProven && state.failures === 0 && episode !== null &&
    nowMs - episode.openedMs >= MIN_EPISODE_MS;
  return isOver ? CLOSED : state;
}

/** For how long nobody has asked for what may be tried again; 0 when it may not yet. */
export function unaskedMs(state: Exclude<BreakerState, { type: "closed" }>, nowMs: number): number {
  return Math.max(0, nowMs - (state.type === "open" ? state.untilMs : state.triedMs + TRIAL_LEASE_MS));
}

export function shownState(state: BreakerState): ShownState {
  return state.type === "open" && state.episode.cause === "no_credit" ? "no_credit" : state.type;
}

export type HealthNews = "down" | "no_credit" | "recovered";

/** What people should be told of a change; null when it is nothing new to them. */
export function newsOf(before: BreakerState, after: BreakerState): HealthNews | null {
  if (after.episode === null) return before.episode === null ? null : "recovered";
  if (after.episode.cause === "no_credit") {
    return before.episode?.cause === "no_credit" ? null : "no_credit";
  }
  return before.episode === null ? "down" : null;
}

/** An attempt that began before the opening says nothing about what came after it. */
function isFromBefore({ openedMs }: Episode, { startedMs }: Moment): boolean {
  return startedMs < openedMs;
}

function afterSuccess(state: BreakerState, moment: Moment): BreakerState {
  const { episode } = state;
  if (episode === null) return CLOSED;
  if (state.type !== "closed" && isFromBefore(episode, moment)) return state;
  if (moment.nowMs - episode.openedMs >= MIN_EPISODE_MS) return CLOSED;
  const isKnown = state.type === "closed" && state.failures === 0 && state.isProven;
  return isKnown ? state : { type: "closed", failures: 0, episode, isProven: true };
}

function afterFailure(
  state: BreakerState,
  { cause, isConclusive }: Extract<BreakerEvent, { type: "failure" }>,
  moment: Moment,
): BreakerState {
  if (isConclusive && (state.type === "closed" || state.episode.cause !== cause)) {
    return opened(state.episode, cause, moment);
  }
  if (state.type === "closed") {
    const failures = state.failures + 1;
    if (failures >= FAILURES_TO_OPEN) return opened(state.episode, cause, moment);
    return { type: "closed", failures, episode: state.episode, isProven: false };
  }
  if (isFromBefore(state.episode, moment)) return state;
  const isAwaited = state.type === "half_open" || moment.nowMs >= state.untilMs;
  return isAwaited ? opened(state.episode, cause, moment) : state;
}

/** The longer of both waits counts. */
function afterThrottling(state: BreakerState, forMs: number, { nowMs }: Moment): BreakerState {
  const untilMs = nowMs + Math.min(forMs, MAX_ASKED_MS);
  if (state.type === "open" && state.untilMs >= untilMs) return state;
  const { cause, times } = state.episode ?? { cause: "outage", times: 0 };
  return { type: "open", untilMs, episode: { cause, times, openedMs: nowMs } };
}

/** Another cause counts its openings from one again. */
function opened(episode: Episode | null, cause: OpenCause, { nowMs, maxOutageMs }: Moment): BreakerState {
  const times = (episode?.cause === cause ? episode.times : 0) + 1;
  const untilMs = nowMs + pauseMs(cause, times, maxOutageMs);
  return { type: "open", untilMs, episode: { cause, times, openedMs: nowMs } };
}

/** The pause before the trial. */
function pauseOf({ cause, times }: Episode, { maxOutageMs }: Moment): number {
  return pauseMs(cause, Math.max(times, 1), maxOutageMs);
}

function pauseMs(cause: OpenCause, times: number, maxOutageMs: number): number {
  switch (cause) {
    case "outage":
      return Math.min(OUTAGE_STEP_MS * times, maxOutageMs);
    case "refusal":
      return Math.min(FIRST_REFUSAL_MS * 2 ** (times - 1), MAX_REFUSAL_MS);
    case "no_credit":
    case "bad_key":
      return Math.min(FIRST_NO_CREDIT_MS * 2 ** (times - 1), MAX_NO_CREDIT_MS);
    default:
      return cause satisfies never;
  }
}
