/**
 * The commit gate: holds a stream until it shows content, so that a failure before that can still move on to the next
 * upstream.
 *
 * The capture defines what content is. See docs/architecture.md, "The gate".
 */
import type { Capture } from "../../capture/capture.ts";
import { concat } from "../../core/bytes.ts";
import { messageOf } from "../../core/errors.ts";
import type { TimedReader } from "../../wire/timed_reader.ts";
import type { Assessing, OpenReply, ReplyProblem } from "./assessment.ts";

/** A stream that has shown no content after this many bytes is relayed as it is. */
export const HELD_LIMIT_BYTES = 64 * 1024; // docs/tuning.md#budgets-and-remembered-values

/** Holds one stream until it shows content. One object per stream. */
export class StreamGate {
  readonly #reader: TimedReader;
  readonly #context: Assessing;
  readonly #capture: Capture;
  readonly #startedMs: number;
  #held: Uint8Array<ArrayBuffer>[] = [];
  #heldBytes = 0;
  /** Bytes of the stream that have gone out early. */
  #sentBytes = 0;
  #isWaitOver = false;
  /** The last held chunk is lent, and must be copied before the next read. */
  #isLastLent = false;

  constructor(reader: TimedReader, context: Assessing) {
    this.#reader = reader;
    this.#context = context;
    this.#capture = context.capture(true);
    this.#startedMs = context.clock.monotonic();
  }

  async run(first: readonly Uint8Array<ArrayBuffer>[]): Promise<OpenReply> {
    for (const chunk of first) this.#take(chunk);
    for (;;) {
      const verdict = this.#judge();
      if (verdict !== null) return verdict;
      if (this.#isWaitOver) {
        const bytes = this.#takeNeutral();
        if (bytes.length > 0) await this.#sendEarly(bytes);
      }
      const { gateMs, firstTokenTimeoutMs } = this.#context.times;
      const limitMs = this.#isWaitOver ? firstTokenTimeoutMs : Math.min(gateMs, firstTokenTimeoutMs);
      this.#own();
      const lent = this.#reader.lend();
      const read = lent ?? await this.#reader.read(limitMs - this.#elapsedMs());
      switch (read.type) {
        case "chunk":
          this.#take(read.bytes, lent !== null);
          break;
        case "end":
          return this.#endedWithoutContent();
        case "broken":
          return this.#result({
            type: "bad_stream",
            message: `the stream broke off before any content: ${messageOf(read.error)}`,
            isCut: true,
            isFinished: false,
            error: null,
          });
        case "late":
          // Compares limits, not the clock: a timer may fire a fraction of a millisecond early.
          if (limitMs >= firstTokenTimeoutMs) {
            return this.#result({ type: "timeout", phase: "first_token", limitMs: firstTokenTimeoutMs });
          }
          if (!this.#isWaitOver) {
            this.#isWaitOver = true;
            if (!this.#capture.progress.hasEvents) await this.#sendEarly(this.#takeNeutral());
          }
          break;
        default:
          read satisfies never;
      }
    }
  }

  #sendEarly(neutral: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#context.early.send(this.#context.head, neutral);
  }

  #elapsedMs(): number {
    return this.#context.clock.monotonic() - this.#startedMs;
  }

  #take(chunk: Uint8Array<ArrayBuffer>, isLent = false): void {
    this.#capture.push(chunk, isLent);
    this.#held.push(chunk);
    this.#isLastLent = isLent;
    this.#heldBytes += chunk.length;
    this.#context.account.take(chunk.length);
  }

  /** Copies a lent chunk; call before the reader is asked again. */
  #own(): void {
    const last = this.#held.at(-1);
    if (this.#isLastLent && last !== undefined) this.#held[this.#held.length - 1] = last.slice();
    this.#isLastLent = false;
  }

  /** The assessment, once there is enough to decide; null before. */
  #judge(): OpenReply | null {
    const { hasContent, hasEvents, error, isTerminal, isDocument } = this.#capture.progress;
    // A document is no stream: assess.ts has it read whole.
    if (hasContent || isDocument) return this.#result(null);
    if (error !== null) {
      return this.#result({
        type: "bad_stream",
        message: `the stream is an error: ${error.message}`.slice(0, 500),
        isCut: false,
        isFinished: false,
        error,
      });
    }
    if (isTerminal) return this.#endedWithoutContent();
    const isFull = this.#heldBytes >= HELD_LIMIT_BYTES || this.#context.budget.isExceeded;
    if (isFull || (this.#isWaitOver && hasEvents)) return this.#result(null);
    return null;
  }

  #endedWithoutContent(): OpenReply {
    return this.#result({
      type: "bad_stream",
      message: "the stream ended without content",
      isCut: false,
      isFinished: this.#capture.partial().finishReason !== null,
      error: null,
    });
  }

  /** Removes the neutral bytes from what is held, and returns them. */
  #takeNeutral(): Uint8Array<ArrayBuffer> {
    const count = this.#capture.progress.neutralBytes - this.#sentBytes;
    if (count <= 0) return new Uint8Array();
    const all = concat(this.#held);
    const rest = all.slice(count);
    this.#held = rest.length > 0 ? [rest] : [];
    this.#isLastLent = false;
    this.#heldBytes = rest.length;
    this.#sentBytes += count;
    return all.slice(0, count);
  }

  #result(problem: ReplyProblem | null): OpenReply {
    const body = this.#reader.rest();
    if (problem !== null) {
      // Another upstream may be chosen; this connection can serve other requests meanwhile.
      this.#own();
      body.release();
    }
    return {
      ...this.#context.head,
      type: "open",
      held: this.#held,
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
