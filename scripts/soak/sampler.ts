/**
 * Samples the state of the router at regular intervals.
 */
import type { Books } from "./clients.ts";
import type { RouterProcess } from "./router_process.ts";
import { pause } from "./upstreams.ts";

const SAMPLE_MS = 500;

export interface Sample {
  /** Since the first sample. */
  readonly atS: number;
  /** Resident memory, and its anonymous part, in KiB. */
  readonly rssKib: number;
  readonly anonKib: number;
  readonly sockets: number;
  readonly otherDescriptors: number;
  /** From the router's own metric; null when it did not answer. */
  readonly inFlight: number | null;
  /** Requests that the clients have sent so far. */
  readonly sent: number;
}

export class Sampler {
  readonly samples: Sample[] = [];
  readonly #router: RouterProcess;
  readonly #books: Books;
  #startedMs: number | null = null;

  constructor(router: RouterProcess, books: Books) {
    this.#router = router;
    this.#books = books;
  }

  async sample(): Promise<Sample> {
    const nowMs = performance.now();
    this.#startedMs ??= nowMs;
    const metrics = await this.#router.metrics();
    const { rss, anon } = this.#router.memory();
    const { sockets, others } = this.#router.descriptors();
    return {
      atS: (nowMs - this.#startedMs) / 1000,
      rssKib: rss,
      anonKib: anon,
      sockets,
      otherDescriptors: others,
      inFlight: metrics?.("in_flight_requests") ?? null,
      sent: this.#books.sent.size,
    };
  }

  /** Samples until the signal fires. */
  async run(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      this.samples.push(await this.sample());
      await pause(SAMPLE_MS, stop);
    }
  }
}
