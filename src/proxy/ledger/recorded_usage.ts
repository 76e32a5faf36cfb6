/**
 * What the record of a request says that it used: what was reported, or an estimate where nothing was.
 */
import { JsonMemberScanner } from "../../core/json_members.ts";
import { isLookUp } from "../../core/look_up.ts";
import type { CapturedReply, EndpointKind, Inbound, RequestRecord } from "../../core/types.ts";
import type { Usage } from "../../core/usage.ts";
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
  if (captured === null || UNCOUNTED.has(outcome) || isLookUp(method)) {
    return { usage: captured?.usage ?? null, areTokensEstimated: false };
  }
  const hasContent = captured.text !== "" || captured.reasoning !== "" || captured.toolCalls.length > 0 ||
    (kind === "embeddings" && outcome === "complete");
  if (captured.usage === null && kind === "responses" && isInBackground(text)) {
    return { usage: null, areTokensEstimated: false };
  }
  const request = isTruncated ? null : text;
  const { usage, isEstimated } = replyUsage(captured, { kind, hasContent, request });
  return { usage, areTokensEstimated: isEstimated };
}

/**
 * What a reply reported, and an estimate of what it did not; of one without content, nothing is estimated.
 *
 * @param request its body; null: it is not known
 */
export function replyUsage(
  captured: CapturedReply,
  { kind, hasContent, request }: {
    readonly kind: EndpointKind;
    readonly hasContent: boolean;
    readonly request: string | null;
  },
): { readonly usage: Usage | null; readonly isEstimated: boolean } {
  const reported = captured.usage;
  const input = reported?.inputTokens ?? null;
  const output = reportedOutput(captured, kind);
  const isReported = input !== null || output !== null;
  const isWhole = isReported && (!WRITING.has(kind) || (input !== null && output !== null));
  if (isWhole || !hasContent) return { usage: reported, isEstimated: false };
  const estimated = estimatedUsage({
    kind,
    request: input === null ? request : null,
    reply: output === null ? captured : null,
  });
  if (estimated === null) return { usage: reported, isEstimated: false };
  // A count near what was said is a count, whatever it came with.
  const isNear = input !== null && (reported?.outputTokens ?? 0) * 2 >= (estimated.outputTokens ?? Infinity);
  if (isNear) return { usage: reported, isEstimated: false };
  const counts = {
    inputTokens: input ?? estimated.inputTokens,
    outputTokens: output ?? atLeast(estimated.outputTokens, reported?.outputTokens ?? null),
    cachedTokens: reported?.cachedTokens ?? null,
    reasoningTokens: reported?.reasoningTokens ?? estimated.reasoningTokens,
  };
  const details = reported?.details ?? null;
  const usage = details === null ? counts : { ...counts, details };
  return { usage, isEstimated: true };
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

/** Its reply only says that the work has begun, which goes on whoever leaves. */
function isInBackground(body: string): boolean {
  const scanner = new JsonMemberScanner(["background"], { isStrict: false });
  scanner.push(body);
  const span = scanner.end().spans.get("background");
  return span !== undefined && body.slice(span.start, span.end) === "true";
}
