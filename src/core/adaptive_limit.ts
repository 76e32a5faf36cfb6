/**
 * How many requests at once an upstream takes without refusing any: one more after a window of successes, fewer after a
 * refusal or when first tokens become slow (AIMD, as the congestion window of TCP: RFC 5681 section 3.1).
 *
 * Pure: knows neither time nor requests.
 */

const START = 4; // docs/tuning.md#relay-and-settlement
const MAX = 1_024; // docs/tuning.md#relay-and-settlement
/** What is left of it after a refusal. */
const DECREASE = 0.7; // docs/tuning.md#relay-and-settlement
/** Weights of the newest first token in what is usual, and in what is so lately. */
const USUAL_WEIGHT = 0.02; // docs/tuning.md#relay-and-settlement
const LATELY_WEIGHT = 0.2; // docs/tuning.md#relay-and-settlement
/** First tokens before anything counts as usual. */
const MIN_SAMPLES = 20; // docs/tuning.md#relay-and-settlement
/** First tokens that take this many times longer than usual, and this much longer, are clearly slow. */
const SLOW_FACTOR = 2; // docs/tuning.md#relay-and-settlement
const SLOW_MS = 250; // docs/tuning.md#relay-and-settlement

/** How an attempt ended, as far as the limit depends on it. */
export interface AdaptiveSample {
  /** The limit's {@link AdaptiveLimit.epoch} when it began. */
  readonly epoch: number;
  readonly result: "served" | "refused" | "other";
  /** Of a stream; null: none, or not known. */
  readonly firstTokenMs: number | null;
  /** As many were under way as the limit allows. */
  readonly isFull: boolean;
}

export class AdaptiveLimit {
  #limit = START;
  #epoch = 0;
  /** Successes since the limit changed, while it was used up. */
  #served = 0;
  #samples = 0;
  #usualMs = 0;
  #latelyMs = 0;

  /** Whole, 1 or more. */
  get limit(): number {
    return Math.max(1, Math.floor(this.#limit));
  }

  /** Changes with each decrease, so that a burst of refusals counts once: those sent before it say nothing new. */
  get epoch(): number {
    return this.#epoch;
  }

  add({ epoch, result, firstTokenMs, isFull }: AdaptiveSample): void {
    const isSlow = firstTokenMs !== null && this.#isSlow(firstTokenMs);
    if (epoch !== this.#epoch) return;
    if (result === "refused" || (isSlow && isFull)) return this.#decrease();
    if (result !== "served" || !isFull || ++this.#served < this.limit) return;
    this.#served = 0;
    this.#limit = Math.min(MAX, this.limit + 1);
  }

  #decrease(): void {
    this.#limit = Math.max(1, this.limit * DECREASE);
    this.#epoch++;
    this.#served = 0;
    this.#latelyMs = this.#usualMs;
  }

  #isSlow(firstTokenMs: number): boolean {
    this.#samples++;
    if (this.#samples === 1) this.#usualMs = this.#latelyMs = firstTokenMs;
    // Until enough is known, the plain mean.
    const weight = Math.max(USUAL_WEIGHT, 1 / this.#samples);
    this.#usualMs += weight * (firstTokenMs - this.#usualMs);
    this.#latelyMs += Math.max(LATELY_WEIGHT, 1 / this.#samples) * (firstTokenMs - this.#latelyMs);
    return this.#samples > MIN_SAMPLES && this.#latelyMs > SLOW_FACTOR * this.#usualMs + SLOW_MS;
  }
}
