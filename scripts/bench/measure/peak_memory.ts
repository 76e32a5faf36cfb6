/**
 * Watches the resident memory of processes while something runs.
 */
import { rssKib } from "./proc_stat.ts";

const INTERVAL_MS = 200;

export class PeakMemory implements Disposable {
  readonly #pids: readonly number[];
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #startKib: number;
  #peakKib: number;

  /** Watches from now until it is disposed of. */
  constructor(pids: readonly number[]) {
    this.#pids = pids;
    this.#startKib = this.#peakKib = rssKib(pids);
    this.#timer = setInterval(() => this.#look(), INTERVAL_MS);
  }

  get peakKib(): number {
    this.#look();
    return this.#peakKib;
  }

  /** Above the value at the start. */
  get growthKib(): number {
    return this.peakKib - this.#startKib;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.#peakKib = Math.max(this.#peakKib, rssKib(this.#pids));
  }
}
