/**
 * The interface of a capture: bytes of a reply in, what the reply said out.
 *
 * Owns the contract: a capture is pure, incremental and bounded; it never throws, does no I/O, and never alters
 * the bytes that it reads. The same object serves the commit gate (through {@link CaptureProgress}) and the record
 * (through {@link Capture.finish}), so that nothing is parsed twice.
 */
import type { ReportedError } from "../core/reported_error.ts";
import type { CapturedReply, EndpointKind } from "../core/types.ts";
import type { IdListener } from "./reply_ids.ts";

/** What a stream has shown so far; read by the commit gate and the relay after each push. */
export interface CaptureProgress {
  /**
   * Something was said before any error: text, a refusal, reasoning, a call, an image, an opaque item that is no empty
   * shell (docs/architecture.md, "The gate"). Also true of what cannot be looked into. Of a document, known at its end.
   */
  readonly hasContent: boolean;
  /** Any event that is not neutral was seen (neutral: comments, blank lines, `ping` events). */
  readonly hasEvents: boolean;
  /** The protocol's own end was seen: `[DONE]`, `message_stop`, `response.completed|incomplete`, ... */
  readonly isTerminal: boolean;
  /** The first error that the reply states, as event or as document, in whatever shape (judge.ts); null when none. */
  readonly error: ReportedError | null;
  /** Why a document is no answer although it states no error; known at its end. */
  readonly defect: Defect | null;
  /** What is labelled as a stream is one JSON document. */
  readonly isDocument: boolean;
  /**
   * Length in bytes of the longest prefix of the stream that holds nothing but whole neutral lines and
   * events; these bytes may be sent while the choice of upstream is open. Grows until the first
   * non-neutral event begins.
   */
  readonly neutralBytes: number;
}

/**
 * `corrupt`: does not decode as its content encoding says. `unreadable`: neither JSON nor an event stream. `wordless`: nothing
 * is said in it, whether it is finished or not.
 */
export type Defect = "corrupt" | "empty" | "unreadable" | "wordless";

/** Of a reply's texts, in UTF-16 units. */
export interface TextLengths {
  readonly text: number;
  readonly reasoning: number;
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
   * The same with what came of text and reasoning since these lengths of them; costs what is new. null, or no such
   * function: that cannot be told, because its texts do not only grow at their ends.
   */
  partialFrom?(from: TextLengths): CapturedReply | null;
  /**
   * Ends the capture and gives the result; the same when it is called again.
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
  /** The reply is what was found (core/look_up.ts): it is complete when it came whole, whatever it says. */
  readonly isLookUp?: boolean;
  /** Called with the ids that a success names, as soon as they are read (reply_ids.ts). Default: nobody asks. */
  readonly onId?: IdListener | null;
  /** Default {@link DEFAULT_CAPTURE_LIMIT_BYTES}. */
  readonly limitBytes?: number;
}
