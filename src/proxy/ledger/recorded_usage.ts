/**
 * What the record of a request says that it used: what was reported, or an estimate where nothing was.
 */
import { isLookUp } from "../../core/look_up.ts";
import type { CapturedReply, EndpointKind, Inbound, RequestRecord } from "../../core/types.ts";
import { estimatedUsage } from "../../core/usage_estimate.ts";
import type { Ending } from "./ledger_parts.ts";
import type { RequestText } from "./request_text.ts";

/** Nothing is estimated before the end, nor of an error. */
const UNCOUNTED: ReadonlySet<RequestRecord["outcome"]> = new Set([
  "in_flight",
  "crashed",
  "upstream_error",
  "no_upstream",
]);

/** What their replies say is output. */
const WRITING: ReadonlySet<EndpointKind> = new Set(["chat", "completions", "responses", "messages"]);

export function recordedUsage(
  { outcome, captured }: Pick<Ending, "outcome" | "captured">,
  { inbound: { kind, method }, requestText: { text, isTruncated } }: {
    readonly inbound: Pick<Inbound, "kind" | "method">;
    readonly requestText: RequestText;
  },
): Pick<RequestRecord, "usage" | "areTokensEstimated"> {
  const reported = captured?.usage ?? null;
  const asReported = { usage: reported, areTokensEstimated: false };
  if (captured === null || UNCOUNTED.has(outcome) || isLookUp(method)) return asReported;
  const input = reported?.inputTokens ?? null;
  const output = reportedOutput(captured, kind);
  const isReported = input !== null || output !== null;
  if (isReported && (!WRITING.has(kind) || (input !== null && output !== null))) return asReported;
  const hasContent = captured.text !== "" || captured.reasoning !== "" || captured.toolCalls.length > 0 ||
    (kind === "embeddings" && outcome === "complete");
  if (!hasContent) return asReported;
  const usage = estimatedUsage({
    kind,
    request: isTruncated || input !== null ? null : text,
    reply: output !== null ? null : captured,
  });
  if (usage === null) return asReported;
  const counts = {
    inputTokens: input ?? usage.inputTokens,
    outputTokens: output ?? atLeast(usage.outputTokens, reported?.outputTokens ?? null),
    cachedTokens: reported?.cachedTokens ?? null,
    reasoningTokens: reported?.reasoningTokens ?? usage.reasoningTokens,
  };
  return { usage: { ...counts, details: reported?.details ?? null }, areTokensEstimated: true };
}

/** null: it has not come to that. */
function reportedOutput(
  { usage, isComplete, finishReason }: Pick<CapturedReply, "usage" | "isComplete" | "finishReason">,
  kind: EndpointKind,
): number | null {
  // Anthropic's first event counts what is written so far, which is next to nothing; the one with the reason counts all.
  const isBeginning = kind === "messages" && !isComplete && finishReason === null;
  return isBeginning ? null : usage?.outputTokens ?? null;
}

function atLeast(estimated: number | null, reported: number | null): number | null {
  return reported === null || estimated === null ? estimated ?? reported : Math.max(estimated, reported);
}
