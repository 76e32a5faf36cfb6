/**
 * One request to one upstream, read to its end: what a replay does on the wire.
 *
 * Owns how the reply is read and how it ended. Masks the upstream's key in everything it returns.
 */
import { Cancellation } from "../core/cancellation.ts";
import type { Capture, CaptureProgress } from "../capture/capture.ts";
import { createCapture } from "../capture/create.ts";
import { EventStreamSniffer, isEventStream } from "../core/body_form.ts";
import { messageOf } from "../core/errors.ts";
import { isLookUp } from "../core/look_up.ts";
import { firstByteTimeout } from "../core/policy.ts";
import { keysOf, redactSecrets } from "../core/secrets.ts";
import { NO_TOKENS } from "../core/token_guard.ts";
import type { CapturedReply, Inbound, RequestRecord, Upstream } from "../core/types.ts";
import { TimedReader } from "../wire/timed_reader.ts";
import { type AttemptReply, send, type SendResult, type TransportDeps } from "../proxy/attempt/transport.ts";

/** How a replay ended; what it says is named as in a record. */
export interface ReplayedReply extends
  Pick<
    RequestRecord,
    | "response"
    | "reasoning"
    | "toolCalls"
    | "responseModel"
    | "finishReason"
    | "usage"
    | "elapsedMs"
    | "firstTokenMs"
  > {
  /** null: no headers came. */
  readonly status: number | null;
  /** What went wrong, for people; null when the reply came to its end. */
  readonly error: string | null;
}

/** How long a reply may be silent. */
const IDLE_LIMIT_MS = 120_000;

/** Sends the request and reads the reply. Never throws. */
export async function exchange(
  deps: TransportDeps,
  { inbound, upstream }: { readonly inbound: Inbound; readonly upstream: Upstream },
): Promise<ReplayedReply> {
  const result = await send(deps, { inbound, upstream }, {
    // No other upstream can take over, so it gets the timeout of a single one.
    headersTimeoutMs: firstByteTimeout(inbound, upstream, true),
    cancellation: new Cancellation(),
    guard: NO_TOKENS,
  });
  const elapsedMs = () => deps.clock.monotonic() - inbound.startedMonoMs;
  const reply = result.type === "reply"
    ? await readReply(result, { inbound, deps, elapsedMs })
    : unanswered(problemOf(result), elapsedMs());
  return withoutKeys(reply, upstream);
}

interface ReadContext {
  readonly inbound: Inbound;
  readonly deps: TransportDeps;
  readonly elapsedMs: () => number;
}

async function readReply(
  { status, headers, body }: AttemptReply,
  { inbound, deps, elapsedMs }: ReadContext,
): Promise<ReplayedReply> {
  const reader = new TimedReader(body, deps.clock);
  const sniffer = new EventStreamSniffer();
  /** null while the beginning of an unlabelled reply may be both. */
  let isStream: boolean | null = isEventStream(headers.get("content-type")) ||
    (inbound.isStream ? null : false);
  const undecided: Uint8Array<ArrayBuffer>[] = [];
  let capture: Capture | null = null;
  let firstTokenMs: number | null = null;
  let problem: string | null = null;
  const start = (): Capture => {
    const started = createCapture({
      kind: inbound.kind,
      contentType: headers.get("content-type"),
      contentEncoding: headers.get("content-encoding"),
      isEventStream: isStream ?? false,
      isLookUp: isLookUp(inbound.method),
      status,
    });
    for (const piece of undecided) started.push(piece);
    return started;
  };
  for (;;) {
    const read = await reader.read(IDLE_LIMIT_MS);
    if (read.type === "chunk") {
      if (capture === null) {
        undecided.push(read.bytes);
        isStream ??= sniffer.push(read.bytes);
        if (isStream === null) continue;
        capture = start();
      } else {
        capture.push(read.bytes);
      }
      if (isStream && capture.progress.hasContent) firstTokenMs ??= elapsedMs();
      // Some servers keep the connection open after the end of their stream.
      if (!isStream || !capture.progress.isTerminal) continue;
    }
    if (read.type === "broken") problem = `the reply broke off: ${messageOf(read.error)}`;
    if (read.type === "late") problem = `the upstream sent nothing for ${IDLE_LIMIT_MS / 1000} s`;
    break;
  }
  body.cancel();
  capture ??= start();
  const captured = capture.finish(problem === null);
  return {
    ...said(captured),
    status,
    elapsedMs: elapsedMs(),
    firstTokenMs,
    error: problem ?? problemOfReply(captured, { status, progress: capture.progress }),
  };
}

function said(captured: CapturedReply): Pick<
  ReplayedReply,
  "response" | "reasoning" | "toolCalls" | "responseModel" | "finishReason" | "usage"
> {
  return {
    response: captured.text,
    reasoning: captured.reasoning,
    toolCalls: captured.toolCalls,
    responseModel: captured.model,
    finishReason: captured.finishReason,
    usage: captured.usage,
  };
}

function problemOfReply(
  captured: CapturedReply,
  { status, progress }: { readonly status: number; readonly progress: CaptureProgress },
): string | null {
  if (status < 200 || status >= 300) return `HTTP ${status}`;
  if (progress.error !== null) return `the reply carried an error: ${progress.error.message}`;
  if (!captured.isComplete && progress.defect !== null) return `the reply is no answer: ${progress.defect}`;
  return captured.isComplete ? null : "the reply ended without its end marker";
}

function unanswered(error: string, elapsedMs: number): ReplayedReply {
  return {
    status: null,
    response: "",
    reasoning: "",
    toolCalls: [],
    responseModel: null,
    finishReason: null,
    usage: null,
    elapsedMs,
    firstTokenMs: null,
    error,
  };
}

function problemOf(result: Exclude<SendResult, AttemptReply>): string {
  switch (result.type) {
    case "connect_error":
    case "bad_reply":
      return result.message;
    case "timeout":
      return `no answer within ${result.limitMs / 1000} s`;
    case "no_credential":
      return "there is no key to send";
    case "client_gone":
      return "stopped";
    default:
      return result satisfies never;
  }
}

/** Error bodies of some providers repeat the key. */
function withoutKeys(reply: ReplayedReply, upstream: Upstream): ReplayedReply {
  const keys = keysOf(upstream);
  const clean = (text: string): string => redactSecrets(text, keys);
  return {
    ...reply,
    response: clean(reply.response),
    reasoning: clean(reply.reasoning),
    toolCalls: reply.toolCalls.map((call) => ({ ...call, arguments: clean(call.arguments) })),
    error: reply.error === null ? null : clean(reply.error),
  };
}
