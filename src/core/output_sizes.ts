/**
 * How many tokens replies of a model have: their 95th percentile, learned from replies. In memory, bounded.
 *
 * Pure: no time. Old replies fade, because counts are halved now and then.
 */

/** Clients choose the names of models. */
const MAX_MODELS = 256; // docs/tuning.md#budgets-and-remembered-values
const MAX_NAME_LENGTH = 256;
/** Bucket n holds sizes up to 2^(n/2): the last one a million. */
const BUCKETS = 41;
/** With fewer replies nothing is known. */
const MIN_REPLIES = 20;
/** After this many, each counts half. */
const MAX_REPLIES = 1_000;
const SHARE = 0.95;

interface Sizes {
  readonly counts: Float64Array;
  total: number;
}

export class OutputSizes {
  readonly #models = new Map<string, Sizes>();

  /** Notes the output of one reply, in tokens. */
  add(model: string, tokens: number): void {
    if (!Number.isSafeInteger(tokens) || tokens < 0 || model.length > MAX_NAME_LENGTH) return;
    const sizes = this.#of(model);
    const bucket = bucketOf(tokens);
    sizes.counts[bucket] = (sizes.counts[bucket] ?? 0) + 1;
    sizes.total++;
    if (sizes.total > MAX_REPLIES) {
      sizes.total = 0;
      sizes.counts.forEach((count, at) => {
        sizes.counts[at] = count / 2;
        sizes.total += count / 2;
      });
    }
  }

  /** The size that 95 % of a model's replies do not exceed; null: too few are known. */
  p95(model: string): number | null {
    const sizes = this.#models.get(model);
    if (sizes === undefined || sizes.total < MIN_REPLIES) return null;
    let left = sizes.total * SHARE;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= sizes.counts[bucket] ?? 0;
      if (left <= 0) return Math.ceil(2 ** (bucket / 2));
    }
    return Math.ceil(2 ** ((BUCKETS - 1) / 2));
  }

  #of(model: string): Sizes {
    let sizes = this.#models.get(model);
    if (sizes === undefined) {
      if (this.#models.size >= MAX_MODELS) {
        // The one that was met first makes room.
        for (const oldest of this.#models.keys()) {
          this.#models.delete(oldest);
          break;
        }
      }
      sizes = { counts: new Float64Array(BUCKETS), total: 0 };
      this.#models.set(model, sizes);
    }
    return sizes;
  }
}

function bucketOf(tokens: number): number {
  return tokens <= 1 ? 0 : Math.min(BUCKETS - 1, Math.ceil(2 * Math.log2(tokens)));
}
