/**
 * Proves a reply before the choice of upstream becomes final: small JSON is read whole (whole_reply.ts), a stream is
 * held until it shows content (the commit gate), everything else passes as it comes.
 *
 * Decides nothing about other upstreams: it says what the reply turned out to be. DESIGN section 5.
 */
import type { Capture } from "../../capture/capture.ts";
import { EventStreamSniffer, isEventStream, isJson } from "../../core/body_form.ts";
import { concat } from "../../core/bytes.ts";
import { messageOf } from "../../core/errors.ts";
import type { Clock } from "../../core/clock.ts";
import type { AttemptOutcome, CapturedReply, Inbound } from "../../core/types.ts";
import type { HeldAccount, HeldBudget } from "./held_budget.ts";
import type { SecretMask } from "../relay/masking.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import type { AttemptReply, ReplyBody } from "../attempt/transport.ts";
import { WholeReply } from "./whole_reply.ts";

/** A stream that has shown no content after this many bytes is relayed as it is. */
export const HELD_LIMIT_BYTES = 64 * 1024;

export interface GateTimes {
  readonly gateMs: number;
  readonly firstTokenTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

export interface ProofContext {
  readonly inbound: Pick<Inbound, "method" | "kind" | "isStream">;
  readonly clock: Clock;
  readonly times: GateTimes;
  /** Set for a reply whose body may echo the upstream's key. */
  readonly mask: SecretMask | null;
  readonly capture: (isEventStream: boolean) => Capture;
  readonly budget: HeldBudget;
  /** Sends neutral bytes of a stream whose choice is still open; the head goes out with the first of them. */
  readonly sendEarly: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
}

/** What proving needs besides the reply. */
export interface Proving extends ProofContext {
  readonly account: HeldAccount;
}

export type ReplyProblem = Extract<AttemptOutcome, { type: "bad_reply" | "bad_stream" | "timeout" }>;

/** What a reply turned out to be. */
export type Proof =
  | {
    readonly type: "whole";
    readonly bytes: Uint8Array<ArrayBuffer>;
    readonly captured: CapturedReply;
    readonly problem: ReplyProblem | null;
  }
  | {
    readonly type: "open";
    /** Read, not yet sent; already shown to the capture (and masked) when `isHeldCaptured`. The last may be lent. */
    readonly held: readonly Uint8Array<ArrayBuffer>[];
    readonly isHeldCaptured: boolean;
    readonly body: ReplyBody;
    readonly capture: Capture;
    readonly isEventStream: boolean;
    readonly problem: ReplyProblem | null;
  };

/**
 * The proof at once when the whole reply has come with its head, as small ones do; else a promise of it, which resolves
 * when the reply has proved itself, or failed to. Cancels nothing: the caller does.
 */
export function prove(reply: AttemptReply, context: ProofContext): Proof | Promise<Proof> {
  const account = context.budget.open();
  let proof: Proof | Promise<Proof> | null = null;
  try {
    proof = proveWith(reply, { ...context, account });
    return proof instanceof Promise ? proof.finally(() => account.release()) : proof;
  } finally {
    if (!(proof instanceof Promise)) account.release();
  }
}

/** The way of proving that fits the reply. */
function proveWith(reply: AttemptReply, context: Proving): Proof | Promise<Proof> {
  if (hasNoBody(reply.status, context.inbound.method)) {
    reply.body.cancel();
    const captured = context.capture(false).finish(true);
    return { type: "whole", bytes: new Uint8Array(), captured, problem: null };
  }
  const reader = new TimedReader(reply.body, context.clock);
  const contentType = reply.headers.get("content-type");
  if (reply.status >= 400) return new WholeReply(reply, reader, context).prove();
  if (isEventStream(contentType)) return new StreamGate(reader, context).run([]);
  if (context.inbound.isStream) return proveUnlabelled(reply, reader, context);
  return isJson(contentType)
    ? new WholeReply(reply, reader, context).prove()
    : openAsItComes(reader, context, []);
}

/** A stream was asked for, and the reply's label says that it is none: its beginning shows whether it is one. */
async function proveUnlabelled(reply: AttemptReply, reader: TimedReader, context: Proving): Promise<Proof> {
  const { isStream, chunks } = await sniff(reader, context);
  if (isStream) return await new StreamGate(reader, context).run(chunks);
  return isJson(reply.headers.get("content-type"))
    ? await new WholeReply(reply, reader, context, chunks).prove()
    : openAsItComes(reader, context, chunks);
}

/** RFC 9110 section 6.4.1: no content in answers to HEAD, and with 204, 205 and 304. */
export function hasNoBody(status: number, method: string): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}

function openAsItComes(
  reader: TimedReader,
  context: Proving,
  held: Uint8Array<ArrayBuffer>[],
): Proof {
  const capture = context.capture(false);
  for (const chunk of held) capture.push(chunk);
  return {
    type: "open",
    held,
    isHeldCaptured: true,
    body: reader.rest(),
    capture,
    isEventStream: false,
    problem: null,
  };
}

/** Reads just enough of an unlabelled answer to see whether it begins like an event stream. */
async function sniff(
  reader: TimedReader,
  context: Proving,
): Promise<{ isStream: boolean; chunks: Uint8Array<ArrayBuffer>[] }> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const sniffer = new EventStreamSniffer();
  let isStream: boolean | null = null;
  while (isStream === null) {
    const read = await reader.read(context.times.firstTokenTimeoutMs);
    if (read.type !== "chunk") break;
    chunks.push(read.bytes);
    isStream = sniffer.push(read.bytes);
  }
  return { isStream: isStream ?? false, chunks };
}

/** Holds one stream until it shows content. One object per stream. */
class StreamGate {
  readonly #reader: TimedReader;
  readonly #context: Proving;
  readonly #capture: Capture;
  readonly #startedMs: number;
  #held: Uint8Array<ArrayBuffer>[] = [];
  #heldBytes = 0;
  /** Bytes of the stream that have gone out early. */
  #sentBytes = 0;
  #isWaitOver = false;
  /** The last piece that is held is lent; one that has to stay is copied. */
  #isLastLent = false;

  constructor(reader: TimedReader, context: Proving) {
    this.#reader = reader;
    this.#context = context;
    this.#capture = context.capture(true);
    this.#startedMs = context.clock.monotonic();
  }

  async run(first: readonly Uint8Array<ArrayBuffer>[]): Promise<Proof> {
    for (const chunk of first) this.#take(chunk);
    for (;;) {
      const verdict = this.#judge();
      if (verdict !== null) return verdict;
      if (this.#isWaitOver) {
        const bytes = this.#takeNeutral();
        if (bytes.length > 0) await this.#context.sendEarly(bytes);
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
          });
        case "late":
          // Not by the clock: a timer may fire a fraction of a millisecond early.
          if (limitMs >= firstTokenTimeoutMs) {
            return this.#result({ type: "timeout", phase: "first_token", limitMs: firstTokenTimeoutMs });
          }
          if (!this.#isWaitOver) {
            this.#isWaitOver = true;
            if (!this.#capture.progress.hasEvents) await this.#context.sendEarly(this.#takeNeutral());
          }
          break;
        default:
          read satisfies never;
      }
    }
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

  /** Before the reader is asked again. */
  #own(): void {
    const last = this.#held.at(-1);
    if (this.#isLastLent && last !== undefined) this.#held[this.#held.length - 1] = last.slice();
    this.#isLastLent = false;
  }

  /** The proof, once what has been seen suffices; null while the choice is open. */
  #judge(): Proof | null {
    const { hasContent, hasEvents, errorMessage, isTerminal } = this.#capture.progress;
    if (hasContent) return this.#result(null);
    if (errorMessage !== null) {
      return this.#result({
        type: "bad_stream",
        message: `the stream is an error: ${errorMessage}`.slice(0, 500),
        isCut: false,
        isFinished: false,
      });
    }
    if (isTerminal) return this.#endedWithoutContent();
    const isFull = this.#heldBytes >= HELD_LIMIT_BYTES || this.#context.budget.isExceeded;
    if (isFull || (this.#isWaitOver && hasEvents)) return this.#result(null);
    return null;
  }

  #endedWithoutContent(): Proof {
    return this.#result({
      type: "bad_stream",
      message: "the stream ended without content",
      isCut: false,
      isFinished: this.#capture.partial().finishReason !== null,
    });
  }

  /** Takes the neutral bytes off what is held. */
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

  #result(problem: ReplyProblem | null): Proof {
    const body = this.#reader.rest();
    if (problem !== null) {
      // The choice may fall on another upstream: this one's connection need not wait for it.
      this.#own();
      body.release();
    }
    return {
      type: "open",
      held: this.#held,
      isHeldCaptured: true,
      body,
      capture: this.#capture,
      isEventStream: true,
      problem,
    };
  }
}
