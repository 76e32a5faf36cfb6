/**
 * Assesses a reply before the choice of upstream becomes final: small JSON is read whole (whole_reply.ts), a stream is
 * held until it shows content (gate.ts), everything else passes as it comes.
 *
 * Decides nothing about other upstreams: it says what the reply turned out to be.
 */
import { EventStreamSniffer, isEventStream, isJson } from "../../core/body_form.ts";
import type { LendingSource } from "../../wire/byte_source.ts";
import { TimedReader } from "../../wire/timed_reader.ts";
import type { Assessing, AssessmentContext, OpenReply, ReplyAssessment } from "./assessment.ts";
import { HELD_LIMIT_BYTES, StreamGate } from "./gate.ts";
import { WholeReplyReader } from "./whole_reply.ts";

/**
 * Returns the assessment itself when the whole reply arrived with its head, as small ones do; otherwise a promise.
 * Cancels only a body that must be empty; any other is left to the caller.
 */
export function assess(
  body: LendingSource,
  context: AssessmentContext,
): ReplyAssessment | Promise<ReplyAssessment> {
  const account = context.budget.open();
  let assessment: ReplyAssessment | Promise<ReplyAssessment> | null = null;
  try {
    assessment = assessWith(body, { ...context, account });
    return assessment instanceof Promise ? assessment.finally(() => account.release()) : assessment;
  } finally {
    if (!(assessment instanceof Promise)) account.release();
  }
}

/** Chooses how the reply is assessed. */
function assessWith(body: LendingSource, context: Assessing): ReplyAssessment | Promise<ReplyAssessment> {
  const { status, headers } = context.head;
  if (hasNoBody(status, context.inbound.method)) {
    body.cancel();
    const captured = context.capture(false).finish(true);
    return { ...context.head, type: "whole", bytes: new Uint8Array(), captured, problem: null };
  }
  const reader = new TimedReader(body, context.clock);
  const contentType = headers.get("content-type");
  if (status >= 400) return new WholeReplyReader(reader, context).assess();
  if (isEventStream(contentType)) return passStream(reader, context, []);
  if (context.inbound.isStream) return assessUnlabelled(reader, context);
  return isJson(contentType)
    ? new WholeReplyReader(reader, context).assess()
    : openAsItComes(reader, context, { held: [], isEventStream: false });
}

/** @param held what was read before */
function passStream(
  reader: TimedReader,
  context: Assessing,
  held: Uint8Array<ArrayBuffer>[],
): OpenReply | Promise<OpenReply> {
  if (context.holding.mode !== "none") return new StreamGate(reader, context).run(held);
  return openAsItComes(reader, context, { held, isEventStream: true });
}

/** A stream was requested, but the label says otherwise: the first bytes decide. */
async function assessUnlabelled(reader: TimedReader, context: Assessing): Promise<ReplyAssessment> {
  const { isStream, chunks } = await sniff(reader, context);
  if (isStream) return await passStream(reader, context, chunks);
  return isJson(context.head.headers.get("content-type"))
    ? await new WholeReplyReader(reader, context, chunks).assess()
    : openAsItComes(reader, context, { held: chunks, isEventStream: false });
}

/** Reads just enough of an unlabelled answer to see whether it begins like an event stream. */
async function sniff(
  reader: TimedReader,
  { clock, times }: Pick<Assessing, "clock" | "times">,
): Promise<{ isStream: boolean; chunks: Uint8Array<ArrayBuffer>[] }> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  const sniffer = new EventStreamSniffer();
  const deadlineMs = clock.monotonic() + times.firstTokenTimeoutMs;
  let isStream: boolean | null = null;
  // Empty lines decide nothing, however many come.
  for (let bytes = 0; isStream === null && bytes < HELD_LIMIT_BYTES;) {
    const read = await reader.read(deadlineMs - clock.monotonic());
    if (read.type !== "chunk") break;
    bytes += read.bytes.length;
    chunks.push(read.bytes);
    isStream = sniffer.push(read.bytes);
  }
  return { isStream: isStream ?? false, chunks };
}

function openAsItComes(
  reader: TimedReader,
  context: Assessing,
  { held, isEventStream }: Pick<OpenReply, "held" | "isEventStream">,
): OpenReply {
  const capture = context.capture(isEventStream);
  for (const chunk of held) capture.push(chunk);
  return {
    ...context.head,
    type: "open",
    held,
    isHeldCaptured: true,
    body: reader.rest(),
    capture,
    isEventStream,
    mask: null,
    errorEventMask: isEventStream ? context.mask : null,
    problem: null,
  };
}

/** RFC 9110 section 6.4.1: no content in answers to HEAD, and with 204, 205 and 304. */
export function hasNoBody(status: number, method: string): boolean {
  return method === "HEAD" || status === 204 || status === 205 || status === 304;
}
