/**
 * What other replicas have found of an upstream, beside what this one has found itself.
 *
 * Owns what a replica tells of its breakers, and how long the word of another one counts here. What was heard is never told
 * on: a replica tells only what its own attempts have shown, so replicas cannot keep a state alive among themselves. Pure:
 * times are this process's monotonic milliseconds.
 */
import {
  type BreakerState,
  CLOSED,
  FAILURES_TO_OPEN,
  type HealthNews,
  MAX_ASKED_MS,
  MAX_NO_CREDIT_MS,
  MAX_REFUSAL_MS,
  type OpenCause,
  settled,
  TRIAL_LEASE_MS,
} from "./breaker.ts";
import { type HealthCell, newCell } from "./health_cells.ts";

/** Of an {@link OpenCause}, but what only asked to be left alone (`Retry-After`) is apart. */
export const FINDING_CAUSES = ["outage", "refusal", "no_credit", "throttled"] as const;
export type FindingCause = typeof FINDING_CAUSES[number];

/** A breaker of a replica that is not closed. */
export interface Finding {
  /** null: the whole upstream. */
  readonly model: string | null;
  readonly cause: FindingCause;
  /** Tells the openings of one breaker apart. An integer. */
  readonly opening: number;
  /** When it may be tried again, or has been. */
  readonly untilMs: number;
  readonly reason: string;
  /** The replica has told people. */
  readonly isTold: boolean;
}

export interface ForeignFinding extends Finding {
  /** Identifies the replica. */
  readonly source: string;
}

/** A finding counts so much longer than it says: whoever has it is trying the upstream then. */
export const AFTERMATH_MS = TRIAL_LEASE_MS;
/** Findings of others that are kept for an upstream; further ones are ignored. */
export const MAX_FOREIGN = 256;

/** What is told of a breaker to other replicas; null while it is closed. */
export function findingOf({ model, state, reason, isQuiet }: HealthCell): Finding | null {
  if (state.type === "closed") return null;
  const { cause, times, openedMs } = state.episode;
  // What is known of one of several keys stays with this replica.
  if (cause === "bad_key") return null;
  return {
    model,
    cause: cause === "outage" && times === 0 ? "throttled" : cause,
    opening: Math.round(openedMs * 1_000),
    untilMs: state.type === "open" ? state.untilMs : state.triedMs,
    reason,
    isTold: !isQuiet,
  };
}

interface Entry extends Pick<ForeignFinding, "source" | "cause" | "isTold"> {
  /** Closed once it has been disproved, or its time is over. */
  readonly cell: HealthCell;
  readonly endMs: number;
  /** The key has worked here since the same replica said before that it is refused: perhaps it is refused there only. */
  readonly isDoubted: boolean;
  /** By the operator. */
  isDismissed: boolean;
}

export class ForeignFindings {
  /** As long as the other replica says so, lest what was disproved is believed again. */
  readonly #entries = new Map<string, Entry>();
  readonly #set: (cell: HealthCell, after: BreakerState, reason: string) => void;

  /** @param set changes the state of a cell, and tells of it */
  constructor(set: (cell: HealthCell, after: BreakerState, reason: string) => void) {
    this.#set = set;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** All that others say now, which ends what they say no longer. */
  replace(
    findings: readonly ForeignFinding[],
    moment: { readonly nowMs: number; readonly maxOutageMs: number },
  ): void {
    const former = new Map(this.#entries);
    this.#entries.clear();
    const doubted = [...former.values()].filter((entry) => isDoubtful(entry, moment.nowMs));
    for (const finding of findings) {
      if (this.#entries.size >= MAX_FOREIGN) break;
      const key = JSON.stringify([finding.source, finding.model, finding.opening]);
      if (this.#entries.has(key)) continue;
      const known = former.get(key);
      former.delete(key);
      const isDoubted = doubted.some((entry) => isFromSame(entry, finding));
      if (known === undefined) this.#add(key, { ...finding, isDoubted }, moment);
      else this.#entries.set(key, known);
    }
    for (const { cell } of former.values()) {
      this.#set(cell, CLOSED, "the other replica holds it back no longer");
    }
  }

  /** Ends what is over. */
  expire(nowMs: number): void {
    for (const { cell, endMs } of this.#entries.values()) {
      this.#set(cell, nowMs >= endMs ? CLOSED : settled(cell.state, nowMs), "the other replica's time is up");
    }
  }

  /** What others have said so far does not count any more. */
  dismiss(reason: string): void {
    for (const entry of this.#entries.values()) {
      entry.isDismissed = true;
      this.#set(entry.cell, CLOSED, reason);
    }
  }

  /** Those that a request for the model passes. */
  *cellsFor(model: string): IterableIterator<HealthCell> {
    for (const { cell } of this.#entries.values()) {
      if (cell.model === null || cell.model === model) yield cell;
    }
  }

  /** Those that hold something back: one for each model, the longest. */
  unwell(): HealthCell[] {
    const longest = new Map<string | null, HealthCell>();
    for (const { cell } of this.#entries.values()) {
      const other = longest.get(cell.model);
      if (cell.state.type === "closed" || (other !== undefined && endOf(other) >= endOf(cell))) continue;
      longest.set(cell.model, cell);
    }
    return [...longest.values()];
  }

  /** Whether another replica has found the same, so that one failure here confirms it. */
  isConfirmedBy(cause: OpenCause, { model }: Pick<HealthCell, "model">): boolean {
    for (const { cause: each, cell } of this.#entries.values()) {
      const isAbout = cell.model === model || (cause === "outage" && cell.model === null);
      if (each === cause && isAbout && counts(cell.state)) return true;
    }
    return false;
  }

  /** Whether another replica has told people the same. */
  isToldOf(news: HealthNews, { model }: Pick<HealthCell, "model">): boolean {
    for (const { cause, cell, isTold } of this.#entries.values()) {
      if (isTold && cell.model === model && (news === "down" || cause === news)) return true;
    }
    return false;
  }

  #add(
    key: string,
    { source, model, cause, untilMs, reason, isTold, isDoubted }: ForeignFinding & Pick<Entry, "isDoubted">,
    { nowMs, maxOutageMs }: { readonly nowMs: number; readonly maxOutageMs: number },
  ): void {
    // Another clock may be wrong.
    const boundMs = Math.min(untilMs, nowMs + longestMs(cause, maxOutageMs));
    const endMs = boundMs + AFTERMATH_MS;
    const cell = newCell({ model, key: null, isPublic: true, isForeign: true });
    this.#entries.set(key, { source, cause, isTold, cell, endMs, isDoubted, isDismissed: false });
    if (nowMs >= endMs) return;
    const state = cause === "outage" || isDoubted ? WARNING : heldBack(cause, { untilMs: boundMs, nowMs });
    this.#set(cell, state, `another replica: ${reason}`);
  }
}

/** An outage may be one between that replica and the upstream: it only takes fewer failures here. */
const WARNING: BreakerState = {
  type: "closed",
  failures: FAILURES_TO_OPEN - 1,
  episode: null,
  isProven: false,
};

function heldBack(
  cause: Exclude<FindingCause, "outage">,
  { untilMs, nowMs }: { readonly untilMs: number; readonly nowMs: number },
): BreakerState {
  const episode = { cause: cause === "throttled" ? "outage" : cause, times: 0, openedMs: nowMs } as const;
  return { type: "open", untilMs, episode };
}

/** One that is on trial counts as the longest. */
function endOf({ state }: HealthCell): number {
  return state.type === "open" ? state.untilMs : Infinity;
}

function isDoubtful({ cause, cell, endMs, isDoubted, isDismissed }: Entry, nowMs: number): boolean {
  const isDisproved = cell.state.type === "closed" && !isDismissed && nowMs < endMs;
  return cause === "refusal" && (isDoubted || isDisproved);
}

function isFromSame({ source, cause, cell }: Entry, finding: ForeignFinding): boolean {
  return source === finding.source && cause === finding.cause && cell.model === finding.model;
}

function counts(state: BreakerState): boolean {
  return state.type !== "closed" || state.failures > 0;
}

function longestMs(cause: FindingCause, maxOutageMs: number): number {
  switch (cause) {
    case "outage":
      return maxOutageMs;
    case "refusal":
      return MAX_REFUSAL_MS;
    case "no_credit":
      return MAX_NO_CREDIT_MS;
    case "throttled":
      return MAX_ASKED_MS;
    default:
      return cause satisfies never;
  }
}
