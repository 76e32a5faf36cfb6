/**
 * Which records arrived late: with a number below others that were seen already, because several servers write them, each in
 * transactions of its own.
 *
 * Owns how far back is looked, and which of those numbers are known. Bounded in time and in number.
 */
import type { LateRecords } from "../command_database.ts";

/** A transaction that gives numbers is over, or was given up, after this. */
const LATEST_MS = 30_000;
const MAX_IDS = 20_000;
/** How many are looked at before it is known how fast they come. */
const FIRST_IDS = 2_000;

export interface LateIdsOptions extends LateRecords {
  readonly monotonic: () => number;
}

export class LateIds {
  readonly #options: LateIdsOptions;
  /** Of all records above {@link #floor} that were seen. */
  readonly #known = new Set<number>();
  /** Which number was the highest at which time, oldest first. */
  #marks: { readonly id: number; readonly atMs: number }[] = [];
  /** Whatever arrives at or below it is too late. */
  #floor = 0;

  constructor(options: LateIdsOptions) {
    this.#options = options;
  }

  /** What is there now counts as seen. */
  async begin(lastId: number): Promise<void> {
    this.#floor = Math.max(0, lastId - FIRST_IDS);
    for (const id of await this.#ids(lastId)) this.#known.add(id);
    this.#mark(lastId);
  }

  /** It was seen. */
  add(id: number): void {
    this.#known.add(id);
  }

  /** Numbers up to this one that were not seen, which must be the highest so far; they count as seen once {@link add}ed. */
  async missed(lastId: number): Promise<number[]> {
    this.#mark(lastId);
    return (await this.#ids(lastId)).filter((id) => !this.#known.has(id));
  }

  async #ids(lastId: number): Promise<number[]> {
    const ids = await this.#options.idsAfter({ limit: MAX_IDS, afterId: this.#floor });
    return ids.filter((id) => id <= lastId);
  }

  #mark(lastId: number): void {
    const nowMs = this.#options.monotonic();
    this.#marks.push({ id: lastId, atMs: nowMs });
    const isOld = (mark: { readonly atMs: number } | undefined) =>
      mark !== undefined && nowMs - mark.atMs >= LATEST_MS;
    while (isOld(this.#marks[1])) this.#marks.shift();
    const [first] = this.#marks;
    const oldest = isOld(first) ? first?.id ?? 0 : 0;
    this.#floor = Math.max(this.#floor, oldest, lastId - MAX_IDS);
    for (const id of this.#known) {
      if (id <= this.#floor) this.#known.delete(id);
    }
  }
}
