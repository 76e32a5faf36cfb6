/**
 * How much attention failed requests may ask for: clients name their causes, and could make a new one each time.
 *
 * Owns the number of immediate alerts, and which models are known because they were served. Both are bounded. Time
 * comes in as a monotonic number of milliseconds.
 */

const WINDOW_MS = 60_000;
export const MAX_IMMEDIATE = 10;

/** Ten immediate alerts in any minute. */
export class AlertBudget {
  /** When the last ones were sent. */
  readonly #sentMs: number[] = [];

  /** Whether one more may be sent at once; it is then counted. */
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
