/**
 * The words for how an upstream is: the same on the page, on the command line, in the admin API and in `/readyz`. Pure.
 */
import type { ShownState } from "./breaker.ts";

export const CONDITIONS = [
  "ok",
  /** Held back until its next try. */
  "failing",
  /** A request is finding out whether it is well again. */
  "trying",
  "no_credit",
  "disabled",
  /** It has answered no request and no test since it was added, or since its key or endpoint was changed. */
  "untested",
  /** Its row cannot be used. */
  "skipped",
] as const;
export type Condition = typeof CONDITIONS[number];

export interface ConditionFacts {
  readonly isUsable: boolean;
  readonly isEnabled: boolean;
  readonly breaker: ShownState;
  readonly isTested: boolean;
}

export function conditionOf({ isUsable, isEnabled, breaker, isTested }: ConditionFacts): Condition {
  if (!isUsable) return "skipped";
  if (!isEnabled) return "disabled";
  switch (breaker) {
    case "closed":
      return isTested ? "ok" : "untested";
    case "open":
      return "failing";
    case "half_open":
      return "trying";
    case "no_credit":
      return breaker;
    default:
      return breaker satisfies never;
  }
}
