/**
 * What the record of a request says that it used: what was reported, or an estimate where nothing was.
 */
import { JsonMemberScanner } from "../../core/json_members.ts";
import { isLookUp } from "../../core/look_up.ts";
import type { Inbound, RequestRecord } from "../../core/types.ts";
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
  if (isCounted || captured === null || UNCOUNTED.has(outcome) || isLookUp(method)) {
    return { usage: reported, areTokensEstimated: false };
  }
  const hasContent = captured.text !== "" || captured.reasoning !== "" || captured.toolCalls.length > 0 ||
    (kind === "embeddings" && outcome === "complete");
  const usage = hasContent && !(kind === "responses" && isInBackground(text))
    ? estimatedUsage({ kind, request: isTruncated ? null : text, reply: captured })
    : null;
  if (usage === null) return { usage: reported, areTokensEstimated: false };
  return { usage: { ...usage, details: reported?.details ?? null }, areTokensEstimated: true };
}

/** Its reply only says that the work has begun, which goes on whoever leaves. */
function isInBackground(body: string): boolean {
  const scanner = new JsonMemberScanner(["background"], { isStrict: false });
  scanner.push(body);
  const span = scanner.end().spans.get("background");
  return span !== undefined && body.slice(span.start, span.end) === "true";
}
