/**
 * What a failed attempt had said, and what it used: it was paid for, so the record keeps both.
 */
import type { Capture } from "../../capture/capture.ts";
import { replyUsage } from "../ledger/recorded_usage.ts";
import type { AttemptEntry, RequestLedger } from "../ledger/request_ledger.ts";
import type { CapturedReply, EndpointKind, Usage } from "../../core/types.ts";

/** Of English text; https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them */
const BYTES_A_TOKEN = 4;
/** Larger requests are images and sound, of which the length says nothing. */
const MAX_ESTIMATED_BYTES = 1024 * 1024; // docs/tuning.md#budgets-and-remembered-values
const TEXT_KINDS: ReadonlySet<EndpointKind> = new Set(["chat", "completions", "responses", "messages"]);

/**
 * What a stream that nobody gets has said when its attempt ends: text, else reasoning, else calls; null when it has shown no
 * content, is the client's, or had ended before.
 */
export function readPartial(
  capture: Capture | null,
  entry: AttemptEntry,
  { inbound: { kind }, requestBody }: Pick<RequestLedger, "inbound" | "requestBody">,
): string | null {
  if (capture === null || entry.isGiven || entry.ended !== null) return null;
  const { hasContent } = capture.progress;
  // Ended, since only then all of an encoded stream is decoded.
  const reply = hasContent ? capture.finish(false) : capture.partial();
  noteUsage(entry, { ...reply, usage: partialUsage(capture, reply, { kind, requestBody }) });
  return hasContent
    ? [reply.text, reply.reasoning, callsOf(reply)].find((part) => part !== "") ?? null
    : null;
}

/** What the reply of a failed attempt used. */
export function noteUsage(
  entry: AttemptEntry,
  { model, usage }: Pick<CapturedReply, "model" | "usage">,
): void {
  entry.usage = usage;
  entry.responseModel = model;
}

/** What a stream that was not completed used: as it reported, and estimated where it did not; null: nothing is known. */
function partialUsage(
  { progress: { hasContent } }: Pick<Capture, "progress">,
  reply: CapturedReply,
  { kind, requestBody: { bytes, text } }: Pick<RequestLedger, "requestBody"> & {
    readonly kind: EndpointKind;
  },
): Usage | null {
  if (reply.isComplete || !TEXT_KINDS.has(kind)) return reply.usage;
  const { usage, isEstimated } = replyUsage(reply, { kind, hasContent, request: text });
  if (usage === null || !isEstimated) return usage;
  const byLength = bytes > MAX_ESTIMATED_BYTES ? null : Math.ceil(bytes / BYTES_A_TOKEN);
  return {
    ...usage,
    inputTokens: usage.inputTokens ?? byLength,
    details: { ...usage.details, isEstimated: true },
  };
}

function callsOf({ toolCalls }: CapturedReply): string {
  return toolCalls.map((call) => `${call.name}(${call.arguments})`).join("\n");
}
