/**
 * What a reply turned out to be, and what it takes to find out.
 *
 * Types only: assess.ts chooses the way, gate.ts and whole_reply.ts go it.
 */
import type { Capture } from "../../capture/capture.ts";
import type { Clock } from "../../core/clock.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import type { AttemptOutcome, CapturedReply, Inbound, Upstream } from "../../core/types.ts";
import type { LendingSource } from "../../wire/byte_source.ts";
import type { SecretMask } from "../relay/masking.ts";
import type { HeldAccount, HeldBudget } from "./held_budget.ts";

/** The head of an upstream's reply. */
export interface UpstreamHead {
  readonly upstream: Upstream;
  readonly status: number;
  readonly headers: HeaderView;
  /** Declared length of the whole body in bytes; null when unknown. */
  readonly contentLength: number | null;
}

export type ReplyProblem = Extract<AttemptOutcome, { type: "bad_reply" | "bad_stream" | "timeout" }>;

/** A reply that was read to its end. */
export interface WholeReply extends UpstreamHead {
  readonly type: "whole";
  /** Masked where it may echo the upstream's key. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly captured: CapturedReply;
  readonly problem: ReplyProblem | null;
}

/** A reply that is relayed as it comes. */
export interface OpenReply extends UpstreamHead {
  readonly type: "open";
  /** Read, not yet sent; already shown to the capture when `isHeldCaptured`. The last may be lent by `body`. */
  readonly held: readonly Uint8Array<ArrayBuffer>[];
  readonly isHeldCaptured: boolean;
  readonly body: LendingSource;
  readonly capture: Capture;
  readonly isEventStream: boolean;
  /** For an error body. */
  readonly mask: SecretMask | null;
  /** For an event stream: applied to its chunks from its error event on; a chunk is never held back for it. */
  readonly errorEventMask: SecretMask | null;
  readonly problem: ReplyProblem | null;
}

export type ReplyAssessment = WholeReply | OpenReply;

/** Sends what may go out while the choice of upstream is open. */
export interface EarlyOutput {
  /** The head has gone out, so that only a stream can follow. */
  readonly isBegun: boolean;
  /**
   * Sends neutral bytes, and before the first of them the head, even when there are none. Never rejects: a client that
   * takes no more has left.
   */
  send(head: UpstreamHead, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

export interface GateTimes {
  readonly gateMs: number;
  readonly firstTokenTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

export interface AssessmentContext {
  readonly inbound: Pick<Inbound, "method" | "kind" | "isStream">;
  readonly head: UpstreamHead;
  readonly clock: Clock;
  readonly times: GateTimes;
  /** Masks the upstream's keys, where the body may echo one; null when there is none to hide. */
  readonly mask: SecretMask | null;
  readonly capture: (isEventStream: boolean) => Capture;
  readonly budget: HeldBudget;
  /** Takes neutral bytes of a stream whose choice is still open. */
  readonly early: Pick<EarlyOutput, "send">;
}

/** The same, with the account of this one reply. */
export interface Assessing extends AssessmentContext {
  readonly account: HeldAccount;
}
