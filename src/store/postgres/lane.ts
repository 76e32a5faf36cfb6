/**
 * A bounded queue in front of a few connections: who comes first gets one first.
 */
import { PgError } from "./errors.ts";

export class Lane<Item> {
  readonly #free: Item[];
  readonly #maxWaiting: number;
  readonly #waiting: { resolve(item: Item): void; reject(error: PgError): void }[] = [];

  constructor(items: readonly Item[], maxWaiting: number) {
    this.#free = [...items];
    this.#maxWaiting = maxWaiting;
  }

  /** @throws PgError when too many wait */
  async use<Result>(body: (item: Item) => Promise<Result>): Promise<Result> {
    const item = this.#free.pop() ?? await this.#wait();
    try {
      return await body(item);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(item);
      else next.resolve(item);
    }
  }

  /** Nobody waits any longer. */
  refuse(error: PgError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #wait(): Promise<Item> {
    if (this.#waiting.length >= this.#maxWaiting) {
      throw new PgError(`PostgreSQL: ${this.#maxWaiting} statements wait already`, {
        kind: "retry",
        code: "BUSY",
        isConnectionLost: false,
      });
    }
    const { promise, resolve, reject } = Promise.withResolvers<Item>();
    this.#waiting.push({ resolve, reject });
    return promise;
  }
}
