/**
 * One record as the commands show it, in a few words.
 */
import { usdText } from "../../core/money.ts";
import type { StoredRecord } from "../../store/store.ts";

const START_LENGTH = 160;

/** The beginning of the reply: its text, else its tool calls, its error or its reasoning. */
export function startOfReply({ response, toolCalls, error, reasoning }: StoredRecord): string {
  if (response) return response.slice(0, START_LENGTH);
  if (toolCalls.length > 0) {
    return toolCalls.map((call) => `${call.name}(${call.arguments})`).join(" ").slice(0, START_LENGTH);
  }
  return (error || reasoning || "").slice(0, START_LENGTH);
}

/** The status that the client got; `-` while there is none. */
export function statusText({ status, outcome }: StoredRecord): string {
  return status === null || status === 0 || outcome === "in_flight" ? "-" : String(status);
}

/** A number, or `-` when it is not known. */
/** `~12` when it is our own estimate. */
export function tokensText(
  { usage, areTokensEstimated }: Pick<StoredRecord, "usage" | "areTokensEstimated">,
  of: "inputTokens" | "outputTokens",
): string {
  const count = usage[of];
  return `${areTokensEstimated && count !== null ? "~" : ""}${countText(count)}`;
}

export function countText(count: number | null): string {
  return count === null ? "-" : String(count);
}

/** In US dollars; unknown is not 0. */
export function costText(costNano: number | null): string {
  return costNano === null ? "unknown" : usdText(costNano);
}
