/**
 * What the record of a request says that it used: what was reported, or an estimate where nothing was.
 */
import { JsonMemberScanner } from "../../core/json_members.ts";
import { isLookUp } from "../../core/look_up.ts";
import type { Inbound, RequestRecord } from "../../core/types.ts";
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

export function recordedUsage(
  { outcome, captured }: Pick<Ending, "outcome" | "captured">,
  { inbound: { kind, method }, requestText: { text, isTruncated } }: {
    readonly inbound: Pick<Inbound, "kind" | "method">;
    readonly requestText: RequestText;
  },
): Pick<RequestRecord, "usage" | "areTokensEstimated"> {
  const reported = captured?.usage ?? null;
  const isCounted = reported !== null && (reported.inputTokens !== null || reported.outputTokens !== null);
  if (captured === null || UNCOUNTED.has(outcome) || isLookUp(method)) {
    return { usage: reported, areTokensEstimated: false };
  }
  if (isCounted) {
    const isOver = outcome === "complete" || outcome === "empty" || captured.finishReason !== null;
    const said = isOver ? null : estimatedUsage({ kind, request: null, reply: captured });
    return withSaid(reported, said?.outputTokens ?? 0);
  }
  const hasContent = captured.text !== "" || captured.reasoning !== "" || captured.toolCalls.length > 0 ||
    (kind === "embeddings" && outcome === "complete");
  const usage = hasContent && !(kind === "responses" && isInBackground(text))
    ? estimatedUsage({ kind, request: isTruncated ? null : text, reply: captured })
    : null;
  if (usage === null) return { usage: reported, areTokensEstimated: false };
  return { usage: { ...usage, details: reported?.details ?? null }, areTokensEstimated: true };
}

/**
 * A stream that ends before its last report has counted little of what it said: Anthropic's begins with one token of output.
 */
function withSaid(reported: Usage, said: number): Pick<RequestRecord, "usage" | "areTokensEstimated"> {
  if ((reported.outputTokens ?? 0) * 2 >= said) return { usage: reported, areTokensEstimated: false };
  return { usage: { ...reported, outputTokens: said }, areTokensEstimated: true };
}

/** Its reply only says that the work has begun, which goes on whoever leaves. */
function isInBackground(body: string): boolean {
  const scanner = new JsonMemberScanner(["background"], { isStrict: false });
  scanner.push(body);
  const span = scanner.end().spans.get("background");
  return span !== undefined && body.slice(span.start, span.end) === "true";
}
