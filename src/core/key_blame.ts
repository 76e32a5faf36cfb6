/**
 * What a report says of one of several keys, when it is the key's affair and not its upstream's. Pure.
 */
import type { HealthReport } from "./blame.ts";
import type { BreakerEvent } from "./breaker.ts";
import type { HealthCell } from "./health_cells.ts";
import type { KeyCells } from "./key_cells.ts";
import type { HealthSubject } from "./upstream_cells.ts";

export const NO_CREDIT: BreakerEvent = { type: "failure", cause: "no_credit", isConclusive: true };
const BAD_KEY: BreakerEvent = { type: "failure", cause: "bad_key", isConclusive: true };
/** A 429 of one of several keys that does not say for how long: the others are used meanwhile. */
const KEY_PAUSE_MS = 10_000;
const UNTIMED: BreakerEvent = { type: "throttled", forMs: KEY_PAUSE_MS };

export interface KeyVerdict {
  readonly cell: HealthCell;
  readonly event: BreakerEvent;
}

/**
 * The key's breaker and what happens to it; `nobody`: it is about the key, but there is no evidence yet; null: it is about
 * the upstream, or there is only one key.
 */
export function weighKey(
  keys: KeyCells,
  { subject: { client, key, model }, report }: {
    readonly subject: HealthSubject;
    readonly report: Exclude<HealthReport, { type: "served" }>;
  },
  nowMs: number,
): KeyVerdict | "nobody" | null {
  if (key === null || key === undefined) return null;
  switch (report.type) {
    case "answered":
    case "missing":
      keys.use(key).witnesses.forget();
      return null;
    case "refused": {
      const cell = keys.use(key);
      const counts = report.isProven || cell.witnesses.countsRefusal(client);
      return counts ? { cell, event: BAD_KEY } : "nobody";
    }
    case "no_credit": {
      const cell = keys.use(key);
      const counts = report.isCertain || cell.witnesses.countsFailure(client, nowMs);
      return counts ? { cell, event: NO_CREDIT } : "nobody";
    }
    case "throttled":
      if (report.isBusy) return null;
      return {
        cell: keys.useModel({ key, model }, nowMs),
        event: { type: "throttled", forMs: report.forMs },
      };
    case "failed": {
      // 429 without a time.
      if (report.cause !== "refusal") return null;
      const cell = keys.useModel({ key, model }, nowMs);
      return cell.witnesses.countsFailure(client, nowMs) ? { cell, event: UNTIMED } : "nobody";
    }
    default:
      return null;
  }
}
