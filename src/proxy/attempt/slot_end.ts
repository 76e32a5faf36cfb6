/**
 * What the end of an attempt means for the limits of its upstream. Pure.
 */
import type { SlotEnd } from "../../core/capacity.ts";
import type { ErrorClass, Usage } from "../../core/types.ts";

/** Too many requests; no room (Anthropic says 529, https://docs.anthropic.com/en/api/errors). */
const REFUSALS: ReadonlySet<number | null> = new Set([429, 503, 529]);
/** These use no tokens: the model has not begun. */
const UNUSED: ReadonlySet<ErrorClass> = new Set([
  "connect_error",
  "http_status",
  "redirect",
  "no_credential",
]);

export function slotEnd(
  { errorClass, status, firstTokenMs, usage }: {
    readonly errorClass: ErrorClass | null;
    readonly status: number | null;
    readonly firstTokenMs: number | null;
    readonly usage: Usage | null;
  },
): SlotEnd {
  if (REFUSALS.has(status)) return { result: "refused", firstTokenMs: null, tokens: 0 };
  if (errorClass !== null && UNUSED.has(errorClass)) {
    return { result: "other", firstTokenMs: null, tokens: 0 };
  }
  return { result: errorClass === null ? "served" : "other", firstTokenMs, tokens: totalOf(usage) };
}

/** null: the upstream did not say. */
function totalOf(usage: Usage | null): number | null {
  if (usage === null || (usage.inputTokens === null && usage.outputTokens === null)) return null;
  const total = (usage.inputTokens ?? 0) + (usage.outputTokens ?? 0);
  return Number.isFinite(total) && total >= 0 ? total : null;
}
