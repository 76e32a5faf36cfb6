/**
 * How many of an upstream's latest attempts failed: a sliding window in buckets, and when their share is too high.
 *
 * Pure: time comes in as a monotonic number of milliseconds. Needs the same memory whatever the traffic.
 */

/** What is looked at. */
export const FAILURE_WINDOW_MS = 10 * 60_000; // docs/tuning.md#core
const BUCKETS = 20;
const BUCKET_MS = FAILURE_WINDOW_MS / BUCKETS;

/** Above this share of failed attempts an upstream is degraded. */
export const DEGRADED_SHARE = 0.1; // docs/tuning.md#core
/** With fewer attempts, or fewer failed ones, nothing is said: one of three at night is no news. */
export const MIN_JUDGED_ATTEMPTS = 10; // docs/tuning.md#core
export const MIN_JUDGED_FAILURES = 3;
/** What is degraded stays so until its share has fallen to this: a share about the limit is reported once. */
const RECOVERED_SHARE = DEGRADED_SHARE / 2;

export interface FailureCount {
  /** Those that say something about the upstream; the failed ones are among them. */
  readonly attempts: number;
  readonly failed: number;
}

/** Whether so many failures are too many. */
export function isTooMany({ attempts, failed }: FailureCount): boolean {
  return attempts >= MIN_JUDGED_ATTEMPTS && failed >= MIN_JUDGED_FAILURES &&
    failed > attempts * DEGRADED_SHARE;
}

/** A share for people, rounded so that only nothing is 0 and only everything is 100. */
export function failedPercent({ attempts, failed }: FailureCount): number {
  if (attempts === 0 || failed === 0) return 0;
  return failed >= attempts ? 100 : Math.min(99, Math.max(1, Math.round(failed / attempts * 100)));
}

export class FailureWindow implements FailureCount {
  readonly #attempts = new Float64Array(BUCKETS);
  readonly #failed = new Float64Array(BUCKETS);
  /** Number of the newest bucket since the clock's zero. */
  #newest = Number.NEGATIVE_INFINITY;
  attempts = 0;
  failed = 0;
  #isDegraded = false;

  get isDegraded(): boolean {
    return this.#isDegraded;
  }

  /** Adds one attempt; returns whether {@link isDegraded} has changed. */
  add(isFailed: boolean, nowMs: number): boolean {
    this.#slide(nowMs);
    const at = this.#newest % BUCKETS;
    this.#attempts[at] = (this.#attempts[at] ?? 0) + 1;
    this.attempts++;
    if (isFailed) {
      this.#failed[at] = (this.#failed[at] ?? 0) + 1;
      this.failed++;
    }
    return this.#judge();
  }

  /** Forgets what is too old; returns whether {@link isDegraded} has changed. */
  sweep(nowMs: number): boolean {
    if (this.attempts === 0 && !this.#isDegraded) return false;
    this.#slide(nowMs);
    return this.#judge();
  }

  #slide(nowMs: number): void {
    const bucket = Math.floor(nowMs / BUCKET_MS);
    if (bucket <= this.#newest) return;
    const first = Math.max(this.#newest + 1, bucket - BUCKETS + 1);
    for (let each = first; each <= bucket; each++) {
      const at = each % BUCKETS;
      this.attempts -= this.#attempts[at] ?? 0;
      this.failed -= this.#failed[at] ?? 0;
      this.#attempts[at] = this.#failed[at] = 0;
    }
    this.#newest = bucket;
  }

  #judge(): boolean {
    const isDegraded = this.#isDegraded ? this.failed > this.attempts * RECOVERED_SHARE : isTooMany(this);
    if (isDegraded === this.#isDegraded) return false;
    this.#isDegraded = isDegraded;
    return true;
  }
}
