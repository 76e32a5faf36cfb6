/**
 * The interface through which the program reports measurements; metrics implement it.
 *
 * Owns the vocabulary of measurements. Label values must never be a token, a key or a raw path.
 */
import type { ShownState } from "../core/breaker.ts";
import type { Attempt, EndpointKind, RequestRecord } from "../core/types.ts";

/** Receives measurements; never throws, never blocks. */
export interface Observer {
  requestStarted(): void;
  /** Once for each started request; `kind` is for the label, the record for everything else. */
  requestSettled(kind: EndpointKind, record: RequestRecord, upstreamName: string | null): void;
  /** Refused before it was started: wrong credentials, body too large, bad target. */
  requestRefused(status: number, reason: string): void;
  attemptEnded(attempt: Attempt): void;
  /** A stream that was to be held whole was not, because the memory for held replies was used up. */
  gateDegraded(): void;
  /** The request moved on from this upstream. */
  failedOver(upstreamName: string, reason: string): void;
  /** A request was sent to a second upstream beside the first; whether that one's answer was used. */
  hedged(isWon: boolean): void;
  upstreamState(upstreamName: string, state: ShownState): void;
  /** Whether too many of its latest attempts failed. */
  upstreamDegraded(upstreamName: string, isDegraded: boolean): void;
  /** The upstreams configured now; the series of others are removed. */
  upstreamsChanged(names: readonly string[]): void;
  recordWritten(count: number): void;
  recordDropped(reason: string, count: number): void;
  recordCommitted(durationMs: number): void;
  recordQueue(bytes: number): void;
  recordAckLate(): void;
  /** Records deleted because of a limit. */
  recordsDeleted(reason: string, count: number): void;
  /** Records whose texts were deleted because of a limit. */
  bodiesDeleted(count: number): void;
  /** A step of the deletion, the full-text index or the statistics failed. */
  choreFailed(chore: string): void;
  alertSent(channel: string, result: "ok" | "error" | "dropped"): void;
}
