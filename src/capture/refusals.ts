/** Which finish reasons are refusals. Pure. */
import { plainKey } from "./substance.ts";

/**
 * Finish reasons that are an answer by themselves: to say nothing was the decision, and no other upstream is asked. Without
 * `_` and in lower case.
 *
 * @see https://ai.google.dev/api/generate-content#FinishReason , which reach clients of other APIs, too
 */
const REFUSALS: ReadonlySet<string> = new Set([
  "blocklist",
  "contentfilter",
  "imageprohibitedcontent",
  "imagerecitation",
  "imagesafety",
  "prohibitedcontent",
  "recitation",
  "refusal",
  "safety",
  "sensitive",
  "spii",
]);

/** Google's servers say more behind a colon: `content_filter: PROHIBITED_CONTENT`. */
export function isRefusal(finishReason: string): boolean {
  return REFUSALS.has(plainKey(finishReason.replace(/:.*/s, "")));
}
