/**
 * The interface of a capture: bytes of a reply in, what the reply said out.
 *
 * Owns the contract: a capture is pure, incremental and bounded; it never throws, does no I/O, and never alters
 * the bytes that it reads. The same object serves the commit gate (through {@link CaptureProgress}) and the record
 * (through {@link Capture.finish}), so that nothing is parsed twice.
 */
import type { ReportedError } from "../core/reported_error.ts";
import type { CapturedReply, EndpointKind } from "../core/types.ts";

/** What a stream has shown so far; read by the commit gate and the relay after each push. */
export interface CaptureProgress {
  /** Content was seen: text, a refusal, reasoning, a tool call, ... (docs/architecture.md, "The gate"). */
  readonly hasContent: boolean;
  /** Any event that is not neutral was seen (neutral: comments, blank lines, `ping` events). */
  readonly hasEvents: boolean;
  /** The protocol's own end was seen: `[DONE]`, `message_stop`, `response.completed|incomplete`, ... */
  readonly isTerminal: boolean;
  /** The first error that the reply states (`data: {"error":...}`, `event: error`, `response.failed`); null when none. */
  readonly error: ReportedError | null;
  /**
   * Length in bytes of the longest prefix of the stream that holds nothing but whole neutral lines and
   * events; these bytes may be sent while the choice of upstream is open. Grows until the first
   * non-neutral event begins.
   */
  readonly neutralBytes: number;
}

/** Extracts one reply. One object per attempt. */
export interface Capture {
  readonly progress: CaptureProgress;
  /**
   * Reads the next bytes. Never throws.
   * @param isLent the caller reuses their buffer, so what is kept is copied. Default: they never change
   */
  push(chunk: Uint8Array, isLent?: boolean): void;
  /** What is known so far, for the row of a request still in flight. The capture goes on as before. */
  partial(): CapturedReply;
  /**
   * Ends the capture and gives the result.
   * @param isCleanEnd the body ended as HTTP says it should (declared length or final chunk).
   */
  finish(isCleanEnd: boolean): CapturedReply;
}

/** Limit on the text kept of one reply, and on the bytes of a document kept until it is parsed. */
export const DEFAULT_CAPTURE_LIMIT_BYTES = 8 * 1024 * 1024;

export interface CaptureOptions {
  readonly kind: EndpointKind;
  /** The reply's `content-type`. */
  readonly contentType: string | null;
  /** By its label or its first bytes. A JSON document labelled as a stream is still read as a document. */
  readonly isEventStream: boolean;
  /** The reply's `content-encoding`; null, undefined and `identity` mean none. */
  readonly contentEncoding?: string | null;
  /** From 400 on, the text of a document is its raw body. */
  readonly status: number;
  /** Default {@link DEFAULT_CAPTURE_LIMIT_BYTES}. */
  readonly limitBytes?: number;
}
