/**
 * What a failed attempt had said, and what it used: it was paid for, so the record keeps both.
 */
import { Buffer } from "node:buffer";
import type { Capture } from "../../capture/capture.ts";
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
  { inbound: { kind }, requestBytes }: Pick<RequestLedger, "inbound" | "requestBytes">,
): string | null {
  if (capture === null || entry.isGiven || entry.ended !== null) return null;
  const { hasContent } = capture.progress;
  // Ended, since only then all of an encoded stream is decoded.
  const reply = hasContent ? capture.finish(false) : capture.partial();
  noteUsage(entry, { ...reply, usage: partialUsage(capture, reply, { kind, requestBytes }) });
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

/**
 * What a stream that was not completed used: as it reported, and estimated from the lengths where it did not come to that.
 * null: nothing is known.
 */
function partialUsage(
  { progress }: Pick<Capture, "progress">,
  reply: CapturedReply,
  { kind, requestBytes }: { readonly kind: EndpointKind; readonly requestBytes: number },
): Usage | null {
  const { usage } = reply;
  if (reply.isComplete || !progress.hasContent || !TEXT_KINDS.has(kind)) return usage;
  const said = Math.ceil(
    (Buffer.byteLength(reply.text) + Buffer.byteLength(reply.reasoning) + Buffer.byteLength(callsOf(reply))) /
      BYTES_A_TOKEN,
  );
  const input = usage?.inputTokens ?? null;
  if (input !== null && (usage?.outputTokens ?? 0) >= said) return usage;
  if (input === null && requestBytes > MAX_ESTIMATED_BYTES) return usage;
  return {
    inputTokens: input ?? Math.ceil(requestBytes / BYTES_A_TOKEN),
    outputTokens: Math.max(said, usage?.outputTokens ?? 0),
    cachedTokens: usage?.cachedTokens ?? null,
    reasoningTokens: usage?.reasoningTokens ?? null,
    details: { ...usage?.details, isEstimated: true },
  };
}

function callsOf({ toolCalls }: CapturedReply): string {
  return toolCalls.map((call) => `${call.name}(${call.arguments})`).join("\n");
}
