/**
 * What hedging shares between requests: how often it may happen, and how long first tokens take.
 *
 * Decides nothing about one request: core/hedging.ts and failover.ts do.
 */
import type { HedgeDelay } from "../../core/hedging.ts";
import type { Inbound } from "../../core/types.ts";

/** Hedges that may be saved up. */
const MAX_SAVED = 10; // docs/tuning.md#relay-and-settlement
/** First tokens of one upstream and model, of streams or of documents, that are remembered. */
const WINDOW = 64; // docs/tuning.md#relay-and-settlement
/** Such groups; clients choose the models. */
const MAX_WINDOWS = 1_024; // docs/tuning.md#budgets-and-remembered-values
const PERCENTILE = 0.95;

/** What its first token depends on: that of a document comes with its last. */
type TimedRequest = Pick<Inbound, "model" | "isStream">;

export class Hedging {
  /** Unless a request says otherwise. */
  readonly delay: HedgeDelay;
  readonly #perRequest: number;
  /** Hedges that may be made now. */
  #saved: number;
  readonly #windows = new Map<string, TimeWindow>();

  /** @param budgetPercent hedges per hundred requests */
  constructor({ delay, budgetPercent }: { readonly delay: HedgeDelay; readonly budgetPercent: number }) {
    this.delay = delay;
    this.#perRequest = budgetPercent / 100;
    this.#saved = Math.min(1, budgetPercent);
  }

  /** Counts a request, hedged or not. */
  noteRequest(): void {
    this.#saved = Math.min(MAX_SAVED, this.#saved + this.#perRequest);
  }

  /** The budget allows another hedge. */
  get isAffordable(): boolean {
    return this.#saved >= 1;
  }

  spend(): void {
    this.#saved--;
  }

  /** @param ms until the first content, or for which there was none when another upstream won */
  noteFirstToken(upstreamId: number, request: TimedRequest, ms: number): void {
    const key = keyOf(upstreamId, request);
    let window = this.#windows.get(key);
    if (window === undefined) {
      window = new TimeWindow();
      if (this.#windows.size >= MAX_WINDOWS) this.#forgetOldest();
      this.#windows.set(key, window);
    }
    window.add(ms);
  }

  /** The 95th percentile of what was noted lately; null: nothing was. */
  usualMs(upstreamId: number, request: TimedRequest): number | null {
    return this.#windows.get(keyOf(upstreamId, request))?.percentile(PERCENTILE) ?? null;
  }

  #forgetOldest(): void {
    for (const key of this.#windows.keys()) {
      this.#windows.delete(key);
      return;
    }
  }
}

function keyOf(upstreamId: number, { model, isStream }: TimedRequest): string {
  return `${upstreamId} ${isStream ? "stream" : ""} ${model ?? ""}`;
}

/** The last times, in no order. */
class TimeWindow {
  readonly #times = new Float64Array(WINDOW);
  #count = 0;

  add(ms: number): void {
    this.#times[this.#count++ % WINDOW] = ms;
  }

  /** By nearest rank. */
  percentile(share: number): number {
    const sorted = this.#times.slice(0, Math.min(this.#count, WINDOW)).sort();
    return sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
  }
}
