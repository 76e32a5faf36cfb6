/**
 * The commit gate: holds a stream until it shows content, or until its end, so that a failure before that can still move
 * on to the next upstream.
 *
 * The capture defines what content is. See docs/architecture.md, "The gate".
 */
import type { Capture } from "../../capture/capture.ts";
import { concat } from "../../core/bytes.ts";
import { ERROR_TEXT_LENGTH, isErrorText } from "../../core/error_texts.ts";
import { isEncoded } from "../../core/content_coding.ts";
import { messageOf } from "../../core/errors.ts";
import type { CapturedReply } from "../../core/types.ts";
import { ENDED } from "../../wire/byte_source.ts";
import type { TimedReader } from "../../wire/timed_reader.ts";
import type { Assessing, OpenReply, ReplyProblem } from "./assessment.ts";
import { errorTextProblem } from "./error_text.ts";
import { FinishedCapture } from "./finished_capture.ts";
import { HeldBytes, withoutByteOrderMark } from "./held_bytes.ts";

/** A stream that has shown no content after this many bytes is relayed as it is. */
export const HELD_LIMIT_BYTES = 2 * 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values
/** How long a stream that is held whole may go on after its protocol's end. */
const TAIL_MS = 1_000; // docs/tuning.md#relay-and-settlement

/** Until when the gate waits for more, on the monotonic clock, and what it is that ends then. */
interface Wait {
  readonly type: "gate" | "body_start" | "first_token" | "text" | "idle" | "tail";
  readonly untilMs: number;
}

const NO_WAIT: Wait = { type: "gate", untilMs: 0 };

/** Holds one stream. One object per stream. */
export class StreamGate {
  readonly #reader: TimedReader;
  readonly #context: Assessing;
  readonly #capture: Capture;
  readonly #held = new HeldBytes();
  /** Its bytes are not its text, so that nothing can be found or inserted in them. */
  readonly #isEncoded: boolean;
  readonly #startedMs: number;
  #isWhole: boolean;
  /** Bytes of the stream that have gone out early. */
  #sentBytes = 0;
  /** `--gate-ms` has passed. */
  #isWaitOver = false;
  /** When the last bytes came; null: none has. */
  #lastMs: number | null = null;
  /** Patterns of errors in the form of an answer. */
  readonly #errorTexts: readonly string[];
  /** The text so far may still become such an error. */
  #isTextOpen: boolean;
  /** When the first content came, while that is open. */
  #contentMs: number | null = null;
  /** When the protocol's end was seen, if the stream is held whole. */
  #terminalMs: number | null = null;

  constructor(reader: TimedReader, context: Assessing) {
    this.#reader = reader;
    this.#context = context;
    this.#capture = context.capture(true);
    this.#isEncoded = isEncoded(context.head.headers.get("content-encoding"));
    this.#isWhole = context.holding.mode === "whole";
    this.#errorTexts = context.head.upstream.shaping.errorTexts;
    this.#isTextOpen = this.#errorTexts.length > 0 && !this.#isEncoded;
    this.#startedMs = context.clock.monotonic();
  }

  /** @param first what was read before */
  async run(first: readonly Uint8Array<ArrayBuffer>[]): Promise<OpenReply> {
    for (const chunk of first) this.#take(chunk, { isLent: false });
    for (;;) {
      const verdict = this.#judge();
      if (verdict !== null) return verdict;
      if (this.#isWaitOver) await this.#passNeutral();
      this.#held.own();
      const lent = this.#reader.lend();
      const wait = lent === null ? this.#wait() : NO_WAIT;
      const read = lent ?? await this.#reader.read(wait.untilMs - this.#context.clock.monotonic());
      switch (read.type) {
        case "chunk":
          this.#take(read.bytes, { isLent: lent !== null });
          break;
        case "end":
          return this.#ended();
        case "broken":
          return this.#broken(read.error);
        case "late": {
          const late = await this.#late(wait);
          if (late !== null) return late;
          break;
        }
        default:
          read satisfies never;
      }
    }
  }

  #take(chunk: Uint8Array<ArrayBuffer>, { isLent }: { readonly isLent: boolean }): void {
    this.#capture.push(chunk, isLent);
    this.#held.push(chunk, { isLent });
    this.#context.account.take(chunk.length);
    this.#lastMs = this.#context.clock.monotonic();
  }

  /** What ends first. */
  #wait(): Wait {
    const silence = this.#silence();
    const gateMs = this.#startedMs + this.#context.times.gateMs;
    return this.#isWaitOver || silence.untilMs <= gateMs ? silence : { type: "gate", untilMs: gateMs };
  }

  /**
   * How long the stream may go on as it does. The last candidate may take as long as something comes from it: nobody else
   * is left to ask.
   */
  #silence(): Wait {
    const { times, isLast, bodyStartTimeoutMs } = this.#context;
    if (this.#terminalMs !== null) return { type: "tail", untilMs: this.#terminalMs + TAIL_MS };
    const { streamLimit = null } = this.#context;
    const firstToken: Wait = {
      type: "first_token",
      untilMs: streamLimit?.untilMs ?? this.#startedMs + times.firstTokenTimeoutMs,
    };
    if (streamLimit !== null && !this.#capture.progress.hasContent) return firstToken;
    if (this.#lastMs === null) {
      const untilMs = this.#startedMs + bodyStartTimeoutMs;
      return isLast || firstToken.untilMs <= untilMs ? firstToken : { type: "body_start", untilMs };
    }
    const idle: Wait = { type: "idle", untilMs: this.#lastMs + times.idleTimeoutMs };
    if (this.#contentMs !== null && this.#isTextOpen && !this.#isWhole) {
      return { type: "text", untilMs: this.#contentMs + times.gateMs };
    }
    if (this.#capture.progress.hasContent) return idle;
    if (this.#isWhole) return isLast || idle.untilMs < firstToken.untilMs ? idle : firstToken;
    return isLast && idle.untilMs > firstToken.untilMs ? idle : firstToken;
  }

  /** Compares limits, not the clock: a timer may fire a fraction of a millisecond early. */
  async #late({ type }: Wait): Promise<OpenReply | null> {
    const { times: { firstTokenTimeoutMs, idleTimeoutMs }, bodyStartTimeoutMs } = this.#context;
    switch (type) {
      case "body_start":
        return this.#result({ type: "timeout", phase: "first_token", limitMs: bodyStartTimeoutMs });
      case "first_token":
        return this.#result({
          type: "timeout",
          phase: "first_token",
          limitMs: this.#context.streamLimit?.limitMs ?? firstTokenTimeoutMs,
        });
      case "idle":
        return this.#result({ type: "timeout", phase: "body", limitMs: idleTimeoutMs });
      case "text":
      case "tail":
        return this.#result(null);
      case "gate":
        this.#isWaitOver = true;
        // What is inserted must not end up between encoded bytes, and another upstream's are encoded otherwise.
        if (this.#isEncoded) return this.#context.isLast && !this.#isWhole ? this.#result(null) : null;
        await this.#sendEarly(this.#takeNeutral());
        return null;
      default:
        return type satisfies never;
    }
  }

  async #passNeutral(): Promise<void> {
    const bytes = this.#takeNeutral();
    if (bytes.length > 0) await this.#sendEarly(bytes);
  }

  #sendEarly(neutral: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#context.early.send(this.#context.head, neutral);
  }

  /** Removes the neutral bytes from what is held, and returns them. */
  #takeNeutral(): Uint8Array<ArrayBuffer> {
    if (this.#isEncoded) return new Uint8Array();
    const bytes = this.#held.takeFirst(this.#capture.progress.neutralBytes - this.#sentBytes);
    this.#context.account.give(bytes.length);
    const isFirst = this.#sentBytes === 0;
    this.#sentBytes += bytes.length;
    // A byte order mark is valid only at the start of what the client gets.
    return isFirst && this.#context.early.hasSent ? concat(withoutByteOrderMark([bytes])) : bytes;
  }

  /** The assessment, once there is enough to decide; null before. */
  #judge(): OpenReply | null {
    if (this.#isWhole && this.#terminalMs === null && this.#context.budget.isExceeded) {
      this.#isWhole = false;
      this.#context.holding.degraded();
    }
    const { hasContent, error, isTerminal, isDocument } = this.#capture.progress;
    // A document is no stream: assess.ts has it read whole.
    if (isDocument) return this.#result(null);
    if (hasContent && this.#isTextOpen && this.#isErrorText({ isOpen: !isTerminal })) {
      return this.#errorTextResult();
    }
    if (hasContent && !this.#isWhole && !this.#isTextOpen) return this.#result(null);
    if (error !== null) return this.#errorResult();
    // Only a capture that is ended knows the finish reason of an encoded stream.
    if (isTerminal && !hasContent) return this.#endedWithoutContent(this.#capture.finish(false));
    if (this.#isWhole) {
      if (hasContent) this.#context.onContent();
      if (isTerminal) this.#terminalMs ??= this.#context.clock.monotonic();
      return null;
    }
    return this.#held.length >= HELD_LIMIT_BYTES || this.#context.budget.isExceeded
      ? this.#result(null)
      : null;
  }

  /** Looks at the beginning of the text, until there is enough of it. */
  #isErrorText({ isOpen }: { readonly isOpen: boolean }): boolean {
    const { text, toolCalls } = this.#capture.partial();
    this.#contentMs ??= this.#context.clock.monotonic();
    if (!isOpen || text.length >= ERROR_TEXT_LENGTH || toolCalls.length > 0) this.#isTextOpen = false;
    return isErrorText(text, this.#errorTexts, { isOpen });
  }

  #errorTextResult(): OpenReply {
    return this.#result(errorTextProblem(this.#capture.partial().text));
  }

  #ended(): OpenReply {
    const captured = this.#capture.finish(true);
    const { hasContent, error } = this.#capture.progress;
    if (error !== null) return this.#errorResult();
    if (!hasContent) return this.#endedWithoutContent(captured);
    if (isErrorText(captured.text, this.#errorTexts, { isOpen: false })) return this.#errorTextResult();
    if (captured.isComplete || !this.#isWhole) {
      return this.#wholeResult(new FinishedCapture(this.#capture.progress, captured));
    }
    // It looks whole to a client that does not know the protocol's end.
    return this.#result({
      type: "bad_stream",
      message: "the stream ended without its end marker",
      isCut: true,
      isFinished: false,
      error: null,
    });
  }

  #broken(error: unknown): OpenReply {
    if (this.#terminalMs !== null) return this.#wholeResult(this.#capture);
    const { hasContent } = this.#capture.progress;
    return this.#result({
      type: "bad_stream",
      message: `the stream broke off ${hasContent ? "before its end" : "before any content"}: ${
        messageOf(error)
      }`,
      isCut: true,
      isFinished: false,
      error: null,
    });
  }

  #errorResult(): OpenReply {
    const { error } = this.#capture.progress;
    return this.#result({
      type: "bad_stream",
      message: `the stream is an error: ${error?.message ?? ""}`.slice(0, 500),
      isCut: false,
      isFinished: false,
      error,
    });
  }

  #endedWithoutContent({ finishReason }: CapturedReply): OpenReply {
    return this.#result({
      type: "bad_stream",
      message: "the stream ended without content",
      isCut: false,
      isFinished: finishReason !== null,
      error: null,
    });
  }

  /** The stream is complete, and its connection can serve other requests. */
  #wholeResult(capture: Capture): OpenReply {
    this.#held.own();
    const reply = this.#result(null);
    reply.body.release();
    return { ...reply, capture, contentLength: null, body: ENDED };
  }

  #result(problem: ReplyProblem | null): OpenReply {
    const body = this.#reader.rest();
    if (problem !== null) {
      // Another upstream may be chosen; this connection can serve other requests meanwhile.
      this.#held.own();
      body.release();
    } else if (this.#isWhole) this.#context.holding.keep(this.#held.length);
    return {
      ...this.#context.head,
      type: "open",
      held: this.#held.chunks,
      isHeldCaptured: true,
      body,
      capture: this.#capture,
      isEventStream: true,
      mask: null,
      errorEventMask: this.#context.mask,
      problem,
    };
  }
}

/** Whether a reply can follow a stream's head that was sent early: heads of encoded streams never are. */
export function fitsBegunStream({ isEventStream, headers }: OpenReply): boolean {
  return isEventStream && !isEncoded(headers.get("content-encoding"));
}
