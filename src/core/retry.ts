/**
 * When the same upstream is asked once more, because its failure may pass soon. Pure.
 */
import type { HeaderView } from "./header_fields.ts";
import { retryAfterMs } from "./policy.ts";
import type { AttemptOutcome } from "./types.ts";

/** Failures that often pass within a second. 503 may also say for how long. */
const PASSING: ReadonlySet<number> = new Set([500, 502, 503, 504]);
const PAUSE_MS = 400;
const PAUSE_SPREAD_MS = 200;
/** Beyond what an upstream asks for: its clock is not ours. */
const MARGIN_MS = 10;

/** Larger requests are not sent to the same upstream twice. */
export const MAX_RETRIED_BYTES = 1024 * 1024;

export interface RetryContext {
  /** Of the reply; null when none came. */
  readonly headers: HeaderView | null;
  /** Longest pause that an upstream may ask for. */
  readonly maxWaitMs: number;
  readonly wallNowMs: number;
  /** In [0, 1). */
  readonly random: number;
}

/**
 * Milliseconds until the upstream may be asked again; null: it must not. `x-should-retry: false` (OpenAI) forbids it.
 */
export function retryDelayMs(
  outcome: AttemptOutcome,
  { headers, maxWaitMs, wallNowMs, random }: RetryContext,
): number | null {
  const pauseMs = PAUSE_MS + PAUSE_SPREAD_MS * random;
  if (outcome.type === "connect_error") return outcome.isReset ? pauseMs : null;
  if (outcome.type !== "response" || headers?.get("x-should-retry") === "false") return null;
  const askedMs = headers === null ? null : retryAfterMs(headers, wallNowMs);
  if (askedMs !== null && askedMs > maxWaitMs) return null;
  if (outcome.status === 429) return askedMs === null ? null : askedMs + MARGIN_MS;
  if (!PASSING.has(outcome.status)) return null;
  return askedMs === null ? pauseMs : askedMs + MARGIN_MS;
}
