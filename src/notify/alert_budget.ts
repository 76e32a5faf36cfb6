/**
 * Limits on alerts about failed requests, since clients influence their causes and could make each one new.
 *
 * Owns the rate of immediate alerts and of digests, and which models are known because they have been served. Both are bounded.
 * Time comes in as a monotonic number of milliseconds.
 */

const MAX_IMMEDIATE = 10;
/** Time in which one more immediate alert becomes available: whoever goes on failing gets ten an hour. */
const REFILL_MS = 360_000;

/** Ten immediate alerts at once, and one more every six minutes. */
export class AlertBudget {
  #available = MAX_IMMEDIATE;
  #refilledMs = 0;

  /** Whether one more may be sent now; if so, it is counted. */
  take(nowMs: number): boolean {
    const refilled = Math.floor((nowMs - this.#refilledMs) / REFILL_MS);
    if (this.#available + refilled >= MAX_IMMEDIATE) {
      this.#available = MAX_IMMEDIATE;
      this.#refilledMs = nowMs;
    } else {
      this.#available += refilled;
      this.#refilledMs += refilled * REFILL_MS;
    }
    if (this.#available === 0) return false;
    this.#available--;
    return true;
  }
}

const FIRST_DIGEST_MS = 60_000;
const MAX_DIGEST_MS = 900_000;

/**
 * When failed requests may be in a digest: a minute after the first, then after 2, 4, 8 and 15 minutes, for as long as
 * requests fail. Otherwise one failing request a minute would be a message a minute.
 */
export class DigestPace {
  #intervalMs = FIRST_DIGEST_MS;
  #nextMs = 0;

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs;
  }

  /** A digest with failed requests goes out now. */
  sent(nowMs: number): void {
    const wasQuiet = nowMs >= this.#nextMs + this.#intervalMs;
    this.#intervalMs = wasQuiet ? FIRST_DIGEST_MS : this.#intervalMs;
    this.#intervalMs = Math.min(MAX_DIGEST_MS, 2 * this.#intervalMs);
    this.#nextMs = nowMs + this.#intervalMs;
  }
}

const MAX_MODELS = 256;
const MAX_NAME_LENGTH = 100;

/** Models for which a request has succeeded, the last 256 of them. */
export class ServedModels {
  readonly #names = new Set<string>();

  add(model: string): void {
    if (this.#names.has(model) || model.length > MAX_NAME_LENGTH) return;
    this.#names.add(model);
    for (const oldest of this.#names) {
      if (this.#names.size <= MAX_MODELS) break;
      this.#names.delete(oldest);
    }
  }

  has(model: string): boolean {
    return this.#names.has(model);
  }
}
