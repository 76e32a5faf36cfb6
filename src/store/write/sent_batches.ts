/**
 * The batches at the database thread, which answers them in order.
 */
import type { Pending } from "./waiting_records.ts";

interface SentBatch {
  readonly number: number;
  readonly pendings: readonly Pending[];
  readonly requestIds: ReadonlySet<string>;
  /** Monotonic. */
  readonly sentAtMs: number;
}

export class SentBatches {
  #batches: SentBatch[] = [];

  get count(): number {
    return this.#batches.length;
  }

  add({ number, pendings, sentAtMs }: Omit<SentBatch, "requestIds">): void {
    const requestIds = new Set(pendings.map(({ record }) => record.requestId));
    this.#batches.push({ number, pendings, requestIds, sentAtMs });
  }

  /** It could not be sent after all. */
  removeNewest(): void {
    this.#batches.pop();
  }

  /** Whether the batch of this number is the one to be answered next. */
  isNext(number: number): boolean {
    return this.#batches[0]?.number === number;
  }

  /** Removes the oldest, which the thread has answered. */
  takeOldest(): readonly Pending[] {
    return this.#batches.shift()?.pendings ?? [];
  }

  /** Removes all, which nobody answers any more. */
  takeAll(): Pending[] {
    const pendings = this.#batches.flatMap((batch) => batch.pendings);
    this.#batches = [];
    return pendings;
  }

  /** Whether a version of the request's record is under way. */
  holds(requestId: string): boolean {
    return this.#batches.some(({ requestIds }) => requestIds.has(requestId));
  }

  /** How long the oldest has waited for its answer, in milliseconds; 0: there is none. */
  waitedMs(nowMs: number): number {
    const [oldest] = this.#batches;
    return oldest === undefined ? 0 : nowMs - oldest.sentAtMs;
  }
}
