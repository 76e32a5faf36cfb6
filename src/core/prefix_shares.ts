/**
 * How much of the traffic begins with the same prompt, so that it is known over how many upstreams it has to be spread.
 *
 * Old requests count for less and less. Pure; bounded, since clients choose their prompts.
 */

/** Requests after which all counts are halved. */
const HALVING = 2_048; // docs/tuning.md#affinity
/** Prompts that are counted; the others are as rare as they can be. */
const MAX_COUNTED = 1_024; // docs/tuning.md#affinity
/** Requests that are assumed to have come before the first, none of them alike: a few say little. */
const ASSUMED = 4;

export class PrefixShares {
  readonly #counts = new Map<number, number>();
  #total = 0;

  /** Counts a request, and returns its prompt's share, 0 to 1. @param hash null: it begins like no other */
  note(hash: number | null): number {
    if (++this.#total >= HALVING) this.#halve();
    if (hash === null) return 0;
    const before = this.#counts.get(hash);
    if (before === undefined && this.#counts.size >= MAX_COUNTED) return 0;
    const count = (before ?? 0) + 1;
    this.#counts.set(hash, count);
    return count / (this.#total + ASSUMED);
  }

  #halve(): void {
    this.#total /= 2;
    for (const [hash, count] of this.#counts) {
      if (count < 2) this.#counts.delete(hash);
      else this.#counts.set(hash, count / 2);
    }
  }
}
