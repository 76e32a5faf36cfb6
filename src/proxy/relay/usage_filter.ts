/**
 * Which replies are relayed without the usage in them.
 */
import { isEncoded } from "../../core/content_coding.ts";
import type { Upstream } from "../../core/types.ts";
import type { OpenReply } from "../assess/assessment.ts";
import { UsageEventFilter } from "./usage_event.ts";

/**
 * Leaves out the usage that only the router has asked for; null: the reply passes as it is.
 *
 * @param attempt whose reply it is; null: nobody's
 * @param usage told of a reply in whose bytes nothing can be found
 */
export function usageFilterFor(
  { isEventStream, headers, upstream }: Pick<OpenReply, "isEventStream" | "headers" | "upstream">,
  { attempt, usage }: {
    readonly attempt: { readonly asksUsage: boolean } | null;
    readonly usage: { coded(upstream: Upstream): void } | undefined;
  },
): UsageEventFilter | null {
  if (!isEventStream || attempt?.asksUsage !== true) return null;
  if (!isEncoded(headers.get("content-encoding"))) return new UsageEventFilter();
  usage?.coded(upstream);
  return null;
}
