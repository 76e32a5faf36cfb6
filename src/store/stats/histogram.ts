/**
 * Durations counted in buckets that grow by a tenth each, so that a percentile is accurate to 5 %.
 *
 * Owns the buckets and their text form in the database: a JSON object from bucket to count. Pure.
 */

const GROWTH = Math.log(1.1); // docs/tuning.md#store-search-and-statistics
/** A week; nothing measured here is longer. */
const MAX_MS = 604_800_000;

/** Bucket 0 holds everything up to a millisecond; bucket n ends at 1.1 to the nth. */
function bucketOf(ms: number): number {
  return Math.max(0, Math.ceil(Math.log(Math.min(ms, MAX_MS)) / GROWTH));
}

/** Mutable: counts add up. */
export class Histogram {
  readonly #counts = new Map<number, number>();
  #total = 0;

  get total(): number {
    return this.#total;
  }

  /** Ignores what is no duration. */
  add(ms: number): void {
    if (ms >= 0) this.#count(bucketOf(ms), 1);
  }

  addAll(other: Histogram): void {
    for (const [bucket, count] of other.#counts) this.#count(bucket, count);
  }

  /**
   * The duration that a share of all does not exceed, nearest rank.
   * @param share from 0 to 1
   * @returns milliseconds, the middle of the bucket; null when nothing was counted
   */
  percentile(share: number): number | null {
    const rank = Math.max(1, Math.ceil(share * this.#total));
    let passed = 0;
    for (const [bucket, count] of [...this.#counts].sort(([a], [b]) => a - b)) {
      passed += count;
      if (passed >= rank) return bucket === 0 ? 1 : Math.exp((bucket - 0.5) * GROWTH);
    }
    return null;
  }

  toText(): string {
    return JSON.stringify(Object.fromEntries(this.#counts));
  }

  /** Text that is not of this form counts as nothing. */
  static fromText(text: string): Histogram {
    const histogram = new Histogram();
    for (const [bucket, count] of Object.entries(parseObject(text))) {
      if (typeof count === "number" && count > 0) histogram.#count(Number(bucket), count);
    }
    return histogram;
  }

  #count(bucket: number, count: number): void {
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + count);
    this.#total += count;
  }
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
