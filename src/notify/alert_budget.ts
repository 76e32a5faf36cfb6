/**
 * Limits on alerts about failed requests, since clients influence their causes and could make each one new.
 *
 * Owns the rate of immediate alerts, and which models are known because they have been served. Both are bounded.
 * Time comes in as a monotonic number of milliseconds.
 */

const WINDOW_MS = 60_000;
const MAX_IMMEDIATE = 10;

/** At most {@link MAX_IMMEDIATE} immediate alerts in any minute. */
export class AlertBudget {
  /** When the latest ones were sent, oldest first. */
  readonly #sentMs: number[] = [];

  /** Whether one more may be sent now; if so, it is counted. */
  take(nowMs: number): boolean {
    while (this.#sentMs.length > 0 && nowMs - (this.#sentMs[0] ?? 0) >= WINDOW_MS) this.#sentMs.shift();
    if (this.#sentMs.length >= MAX_IMMEDIATE) return false;
    this.#sentMs.push(nowMs);
    return true;
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
