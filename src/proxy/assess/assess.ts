/**
 * Assesses a reply before the choice of upstream becomes final: small JSON, or what should be JSON, is read whole
 * (whole_reply.ts), a stream is held until it shows content (gate.ts), everything else passes as it comes. So does a
 * look-up's event stream: nothing in it is judged.
 *
 * Decides nothing about other upstreams: it says what the reply turned out to be.
 */
import { promisesJson } from "../../capture/judge.ts";
import { EventStreamSniffer, isEventStream, isJson, isJsonLines } from "../../core/body_form.ts";
import { isLookUp } from "../../core/look_up.ts";
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
    // The status promises nothing, so nothing is missing.
    const captured = { ...context.capture(false).finish(true), isComplete: true };
    return { ...context.head, type: "whole", bytes: new Uint8Array(), captured, problem: null };
  }
  const reader = new TimedReader(body, context.clock);
  if (status >= 400) return new WholeReplyReader(reader, context).assess();
  const contentType = headers.get("content-type");
  const { method, kind, isStream } = context.inbound;
  if (isEventStream(contentType)) return passStream(reader, context, []);
  if (isJsonLines(contentType)) return openAsItComes(reader, context);
  // Where only JSON or an event stream can be an answer, a label that says otherwise is not believed.
  const isExpected = isJson(contentType) || (promisesJson(kind) && !isLookUp(method));
  if (isStream || (isExpected && !isJson(contentType))) {
    return assessUnlabelled(reader, context, { isExpected });
  }
  return isExpected ? new WholeReplyReader(reader, context).assess() : openAsItComes(reader, context);
}

/** @param held what was read before */
function passStream(
  reader: TimedReader,
  context: Assessing,
  held: Uint8Array<ArrayBuffer>[],
): ReplyAssessment | Promise<ReplyAssessment> {
  return context.holding.mode === "none" || isLookUp(context.inbound.method)
    ? openAsItComes(reader, context, { held, isEventStream: true })
    : assessStream(reader, context, held);
}

/** The gate, and what follows from what it finds. */
async function assessStream(
  reader: TimedReader,
  context: Assessing,
  chunks: Uint8Array<ArrayBuffer>[],
): Promise<ReplyAssessment> {
  const gated = await new StreamGate(reader, context).run(chunks);
  if (gated.problem !== null || !gated.capture.progress.isDocument) return gated;
  // One JSON document, whatever its label says. The last chunk may be lent.
  const held = gated.held.map((chunk) => chunk.slice());
  return await new WholeReplyReader(reader, context, held).assess();
}

/** The first bytes decide, not the label. */
async function assessUnlabelled(
  reader: TimedReader,
  context: Assessing,
  { isExpected }: { readonly isExpected: boolean },
): Promise<ReplyAssessment> {
  const { isStream, chunks } = await sniff(reader, context);
  if (isStream) return await passStream(reader, context, chunks);
  return isExpected
    ? await new WholeReplyReader(reader, context, chunks).assess()
    : openAsItComes(reader, context, { held: chunks });
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
  { isEventStream = false, held = [] }: {
    readonly isEventStream?: boolean;
    readonly held?: Uint8Array<ArrayBuffer>[];
  } = {},
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
