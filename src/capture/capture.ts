/**
 * What a capture is: bytes of a reply in, what the reply said out.
 *
 * Owns the interface. A capture is pure, incremental and bounded; it never throws outward, never does I/O,
 * and never alters the bytes it is shown. The same object serves the commit gate (through
 * {@link CaptureProgress}) and the record (through {@link Capture.finish}), so that nothing is parsed twice.
 */
import type { CapturedReply, EndpointKind } from "../core/types.ts";

/** What a stream has shown so far; read by the commit gate and the relay after each push. */
export interface CaptureProgress {
  /** The first content was seen (DESIGN section 5: text, refusal, reasoning or tool-call delta, ...). */
  readonly hasContent: boolean;
  /** Any event that is not neutral was seen (neutral: comments, blank lines, `ping` events). */
  readonly hasEvents: boolean;
  /** The protocol's own end was seen: `[DONE]`, `message_stop`, `response.completed|incomplete`, ... */
  readonly isTerminal: boolean;
  /** Message of an error event (`data: {"error":...}`, `event: error`, `response.failed`); null when none. */
  readonly errorMessage: string | null;
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
   * Shows the next bytes. Never throws.
   * @param isLent they change afterwards: what is kept is copied. Default: they never change
   */
  push(chunk: Uint8Array, isLent?: boolean): void;
  /** What is known so far, for the row of a request that is still in flight. Does not disturb the capture. */
  partial(): CapturedReply;
  /**
   * Ends the capture and gives the result.
   * @param isCleanEnd the body ended as HTTP says it should (declared length or final chunk).
   */
  finish(isCleanEnd: boolean): CapturedReply;
}

/** Text that is kept of one reply, and bytes of a document that are kept until it is parsed. */
export const DEFAULT_CAPTURE_LIMIT_BYTES = 8 * 1024 * 1024;

export interface CaptureOptions {
  readonly kind: EndpointKind;
  /** The reply's `content-type`. */
  readonly contentType: string | null;
  /** By its label or by its first bytes; a JSON document that is labelled a stream is still read as one. */
  readonly isEventStream: boolean;
  /** The reply's `content-encoding`; null, undefined and `identity` mean none. */
  readonly contentEncoding?: string | null;
  /** From 400 on, a document's text is the body as it is. */
  readonly status: number;
  /** Default {@link DEFAULT_CAPTURE_LIMIT_BYTES}. */
  readonly limitBytes?: number;
}
