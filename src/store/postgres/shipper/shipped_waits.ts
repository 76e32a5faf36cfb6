/**
 * Who waits until a record is in PostgreSQL (`--durability remote`).
 *
 * Owns the list of those; how long they wait is theirs to decide.
 */

/** Requests that nobody gave up are not remembered without bound. */
const MAX_WAITS = 100_000;

export class ShippedWaits {
  readonly #waits = new Map<string, PromiseWithResolvers<void>>();

  /**
   * To be called before the record is given to the journal, which may be faster than its caller. Never rejects.
   *
   * Call {@link forget} when it has taken too long. Beyond 100,000 the oldest waits for ever.
   */
  until(requestId: string): Promise<void> {
    const waiting = this.#waits.get(requestId);
    if (waiting !== undefined) return waiting.promise;
    const wait = Promise.withResolvers<void>();
    this.#waits.set(requestId, wait);
    if (this.#waits.size > MAX_WAITS) {
      for (const oldest of this.#waits.keys()) {
        this.#waits.delete(oldest);
        break;
      }
    }
    return wait.promise;
  }

  forget(requestId: string): void {
    this.#waits.delete(requestId);
  }

  /** These are committed in PostgreSQL. */
  shipped(requestIds: readonly string[]): void {
    for (const requestId of requestIds) {
      this.#waits.get(requestId)?.resolve();
      this.#waits.delete(requestId);
    }
  }

  get size(): number {
    return this.#waits.size;
  }
}
