/**
 * Tokens in a minute as a bucket that fills evenly (GCRA): debited by an estimate, corrected when the count is known.
 *
 * A correction may leave a debt, which the bucket fills first. Pure: time comes in, monotonic.
 *
 * @see https://www.itu.int/rec/T-REC-I.371 (generic cell rate algorithm)
 */

const MINUTE_MS = 60_000;
/** Minutes that a debt takes at most: what an upstream reports may be wrong by any factor. */
const MAX_DEBT_MINUTES = 60; // docs/tuning.md#budgets-and-remembered-values

export class TokenBucket {
  #perMinute: number;
  /** What it held at {@link #atMs}; negative: a debt. */
  #level: number;
  #atMs: number;

  constructor(perMinute: number, nowMs: number) {
    this.#perMinute = perMinute;
    this.#level = perMinute;
    this.#atMs = nowMs;
  }

  get perMinute(): number {
    return this.#perMinute;
  }

  /** What is used already counts against another limit, too. */
  resize(perMinute: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#level += perMinute - this.#perMinute;
    this.#perMinute = perMinute;
  }

  /** At least 0, rounded down. */
  remaining(nowMs: number): number {
    this.#fill(nowMs);
    return Math.max(0, Math.floor(this.#level));
  }

  /** Milliseconds until `tokens` fit; 0: now. More than the whole bucket fit when it is full. */
  roomInMs(tokens: number, nowMs: number): number {
    this.#fill(nowMs);
    const missing = Math.min(tokens, this.#perMinute) - this.#level;
    return missing <= 0 ? 0 : Math.ceil(missing * MINUTE_MS / this.#perMinute);
  }

  take(tokens: number, nowMs: number): void {
    this.#fill(nowMs);
    this.#level -= tokens;
  }

  /** Gives back what was taken and not used; negative: more was used. */
  giveBack(tokens: number, nowMs: number): void {
    this.#fill(nowMs);
    const least = -MAX_DEBT_MINUTES * this.#perMinute;
    this.#level = Math.max(least, Math.min(this.#perMinute, this.#level + tokens));
  }

  #fill(nowMs: number): void {
    if (nowMs <= this.#atMs) return;
    const filled = (nowMs - this.#atMs) * this.#perMinute / MINUTE_MS;
    this.#level = Math.min(this.#perMinute, this.#level + filled);
    this.#atMs = nowMs;
  }
}
