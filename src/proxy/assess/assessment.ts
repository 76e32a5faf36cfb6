/**
 * The result of assessing a reply, and what an assessment needs.
 *
 * Types only: assess.ts dispatches to gate.ts and whole_reply.ts.
 */
import type { Capture } from "../../capture/capture.ts";
import type { Clock } from "../../core/clock.ts";
import type { HeaderView } from "../../core/header_fields.ts";
import type { StreamLimit } from "../../core/policy.ts";
import type { AttemptOutcome, CapturedReply, EndpointKind, Inbound, Upstream } from "../../core/types.ts";
import type { LendingSource } from "../../wire/byte_source.ts";
import type { SecretMask } from "../relay/masking.ts";
import type { HeldAccount, HeldBudget } from "./held_budget.ts";
import type { Holding } from "./holding.ts";

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
  /** Masked if it may echo the upstream's key. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly captured: CapturedReply;
  readonly problem: ReplyProblem | null;
}

/** A reply that is relayed as it comes. */
export interface OpenReply extends UpstreamHead {
  readonly type: "open";
  /** Read but not yet sent; the capture has seen it if `isHeldCaptured`. The last chunk may be lent by `body`. */
  readonly held: readonly Uint8Array<ArrayBuffer>[];
  readonly isHeldCaptured: boolean;
  readonly body: LendingSource;
  readonly capture: Capture;
  readonly isEventStream: boolean;
  /** For an error body. */
  readonly mask: SecretMask | null;
  /** For an event stream: masks chunks from the first error event on, without holding any back. */
  readonly errorEventMask: SecretMask | null;
  readonly problem: ReplyProblem | null;
}

export type ReplyAssessment = WholeReply | OpenReply;

/** What a capture must know of the reply itself. */
export interface CapturedHead {
  readonly headers: HeaderView;
  readonly status: number;
  readonly isEventStream: boolean;
}

/** Makes the capture of one reply. */
export type CaptureFactory = (
  options: CapturedHead & {
    readonly kind: EndpointKind;
    readonly isLookUp: boolean;
    /** See `CaptureOptions.onId`. */
    readonly onId?: ((id: string) => void) | null;
  },
) => Capture;

/** Sends what may go out while the choice of upstream is open. */
export interface EarlyOutput {
  /** The head has been sent, so only a stream can follow. */
  readonly isBegun: boolean;
  /** Bytes of the body have been sent, too. */
  readonly hasSent: boolean;
  /**
   * Sends neutral bytes, which end where a line of a stream may begin, outside of any event. The first call also sends
   * the head; with no bytes, a keepalive takes their place. Never rejects: a client that cannot be written to has left.
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
  /** No other upstream is left for this request, so that giving up would help nobody. */
  readonly isLast: boolean;
  /** How long a stream may take from its head to the first byte of its body while another upstream is left. */
  readonly bodyStartTimeoutMs: number;
  /** Takes the place of all other limits until the first content; null or absent: the upstream has none of its own. */
  readonly streamLimit?: StreamLimit | null;
  /** Masks the upstream's keys; null when it has none to hide. */
  readonly mask: SecretMask | null;
  readonly capture: (isEventStream: boolean) => Capture;
  readonly budget: HeldBudget;
  /** Takes neutral bytes of a stream whose choice is still open. */
  readonly early: Pick<EarlyOutput, "send" | "hasSent">;
  readonly holding: Holding;
  /** A stream that is held whole has shown its first content. */
  readonly onContent: () => void;
}

/** The same, with the memory account of this reply. */
export interface Assessing extends AssessmentContext {
  readonly account: HeldAccount;
}
