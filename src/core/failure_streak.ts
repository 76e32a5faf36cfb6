/**
 * Failures of an upstream's models in a row, with nothing answered in between. Pure.
 */
import { FAILURES_TO_OPEN } from "./breaker.ts";

/** As many as it takes to hold back two models. */
const LONG = 2 * FAILURES_TO_OPEN;
/** A failure this long after the one before begins another row. */
const MAX_GAP_MS = 5 * 60_000;

export class FailureStreak {
  #count = 0;
  #lastMs = 0;
  #model: string | null = null;
  #hasSeveralModels = false;

  /** Something was answered. */
  end(): void {
    this.#count = 0;
  }

  /** Notes a failure of a model; true when so many models fail in a row that it is not the models. */
  add(model: string, nowMs: number): boolean {
    if (this.#count === 0 || nowMs - this.#lastMs >= MAX_GAP_MS) {
      this.#count = 0;
      this.#model = model;
      this.#hasSeveralModels = false;
    }
    this.#count++;
    this.#lastMs = nowMs;
    this.#hasSeveralModels ||= this.#model !== model;
    return this.#hasSeveralModels && this.#count >= LONG;
  }
}
