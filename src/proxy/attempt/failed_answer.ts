/**
 * Makes a complete answer of the reply of a failed attempt, so that it can be given to the client later, and reads what
 * it says.
 *
 * Everything is read within limits of time and size; nothing is relayed here.
 */
import type { Capture } from "../../capture/capture.ts";
import { readableText } from "../../capture/content_coding.ts";
import { errorOfBody } from "../../capture/judge.ts";
import { concat } from "../../core/bytes.ts";
import type { Clock } from "../../core/clock.ts";
import { errorOfText, type ReportedError } from "../../core/reported_error.ts";
import type { Upstream } from "../../core/types.ts";
import { ENDED } from "../../wire/byte_source.ts";
import { collect } from "../../wire/collect.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import type { CapturedHead, OpenReply, ReplyAssessment, WholeReply } from "../assess/assessment.ts";
import { fitsBegunStream } from "../assess/gate.ts";
import { withoutByteOrderMark } from "../assess/held_bytes.ts";
import { maskFor } from "../relay/masking.ts";
import { errorWithoutKeys } from "./failure.ts";
import type { AttemptReply } from "./transport.ts";

/** How much of an error reply is read before the next upstream is tried, and for how long. */
const ERROR_LIMITS = { limitMs: 250, limitBytes: 64 * 1024 }; // docs/tuning.md#relay-and-settlement
/** The same for one that may say what the client did wrong, and may quote its request. */
const MISTAKE_LIMITS = { limitMs: 2_000, limitBytes: 1024 * 1024 }; // docs/tuning.md#relay-and-settlement
/** What may follow the last event of a stream that is to be kept. */
const TAIL_LIMITS = { limitMs: 100, limitBytes: 64 * 1024 }; // docs/tuning.md#relay-and-settlement
const SHOWN_TEXT_LENGTH = 300;

export interface ErrorReply {
  readonly error: ReportedError;
  /** null: its body did not come to its end within the limits. */
  readonly reply: WholeReply | null;
}

/** Reads an error reply; does not cancel the rest of its body. Never rejects. */
export async function readErrorReply(
  { status, headers, contentLength, body }: AttemptReply,
  { upstream, clock, createCapture }: {
    readonly upstream: Upstream;
    readonly clock: Clock;
    readonly createCapture: (reply: CapturedHead) => Capture;
  },
): Promise<ErrorReply> {
  const isPatient = status >= 400 && status < 500 && status !== 429 &&
    (contentLength ?? 0) < MISTAKE_LIMITS.limitBytes;
  const reader = new TimedReader(body, clock);
  const { bytes: raw, isWhole } = await collect(reader, isPatient ? MISTAKE_LIMITS : ERROR_LIMITS);
  const mask = maskFor(upstream);
  const bytes = mask === null ? raw : concat([mask.push(raw), mask.flush()]);
  const capture = createCapture({ headers, status: Math.max(status, 400), isEventStream: false });
  capture.push(bytes);
  const captured = capture.finish(isWhole);
  const text = readableText(bytes, headers.get("content-encoding"));
  const error = errorWithoutKeys(statedError(text) ?? errorOfText(`HTTP ${status}`), upstream);
  const head = { upstream, status, headers, contentLength };
  return { error, reply: isWhole ? { ...head, type: "whole", bytes, captured, problem: null } : null };
}

/** What the text of an error reply states; null for an empty one. */
export function statedError(text: string): ReportedError | null {
  const start = text.slice(0, 2 * SHOWN_TEXT_LENGTH).trim().slice(0, SHOWN_TEXT_LENGTH);
  return errorOfBody(text) ?? (start === "" ? null : errorOfText(start));
}

/** The same reply, complete, without its connection. */
export async function withoutConnection(reply: ReplyAssessment, clock: Clock): Promise<ReplyAssessment> {
  if (reply.type === "whole") return reply;
  const { bytes } = await collect(new TimedReader(reply.body, clock), TAIL_LIMITS);
  reply.capture.push(bytes);
  return { ...reply, held: [concat([...reply.held, bytes])], body: ENDED, contentLength: null };
}

/** Drops a byte order mark when the client's stream has already begun: it is valid only at the start. */
export function withoutLateBom<Reply extends ReplyAssessment>(reply: Reply, isBegun: boolean): Reply {
  if (!isBegun || reply.type !== "open") return reply;
  const held = withoutByteOrderMark(reply.held);
  return held === reply.held ? reply : { ...reply, held };
}

/** Bytes of memory that a complete reply takes, roughly: as they came, and as they were read. */
export function bytesOf(reply: ReplyAssessment): number {
  if (reply.type === "whole") return reply.bytes.length + reply.captured.text.length;
  return 2 * reply.held.reduce((sum, chunk) => sum + chunk.length, 0);
}

/** Whether a reply is a stream that can go on in one whose head has been sent. */
export function isStream(reply: ReplyAssessment): reply is OpenReply {
  return reply.type === "open" && fitsBegunStream(reply);
}
