/**
 * A sum over the last minute: a ring with one sum for each second.
 *
 * A second counts until the whole of it is older than a minute, so that no minute, wherever it begins, holds more than the
 * limit; room comes back up to one second late. Pure: time comes in.
 */

/** The seconds of a minute, and the one that is not over. */
const SECONDS = 61;

export class SlidingWindow {
  readonly #sums = new Float64Array(SECONDS);
  /** The second of the newest sum. */
  #second = 0;
  #total = 0;

  /** The sum of what was added within the last minute. @param nowMs monotonic */
  total(nowMs: number): number {
    this.#advance(nowMs);
    return this.#total;
  }

  add(amount: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#change(this.#second, amount);
  }

  /** Corrects what was added at `atMs`; nothing that is over changes, and no second falls below 0. */
  correct(change: number, { atMs, nowMs }: { readonly atMs: number; readonly nowMs: number }): void {
    this.#advance(nowMs);
    const second = Math.floor(atMs / 1000);
    if (second > this.#second - SECONDS) this.#change(Math.min(second, this.#second), change);
  }

  /** Milliseconds until at most `allowed` is left of what the window holds now; 0: at once. */
  untilAtMost(allowed: number, nowMs: number): number {
    this.#advance(nowMs);
    let left = this.#total;
    if (left <= allowed) return 0;
    for (let second = this.#second - SECONDS + 1; second <= this.#second; second++) {
      left -= this.#sums[place(second)] ?? 0;
      if (left <= allowed) return Math.max(1, (second + SECONDS) * 1000 - nowMs);
    }
    return SECONDS * 1000;
  }

  /** Milliseconds until nothing is left of what the window holds now; 0: at once. Looks at the newest sums first. */
  untilEmpty(nowMs: number): number {
    this.#advance(nowMs);
    if (this.#total <= 0) return 0;
    let newest = this.#second;
    while (newest > this.#second - SECONDS && (this.#sums[place(newest)] ?? 0) <= 0) newest--;
    return Math.max(1, (newest + SECONDS) * 1000 - nowMs);
  }

  /** Milliseconds since the oldest sum that is not 0; 0: there is none. */
  ageMs(nowMs: number): number {
    this.#advance(nowMs);
    for (let second = this.#second - SECONDS + 1; second <= this.#second; second++) {
      if ((this.#sums[place(second)] ?? 0) > 0) return nowMs - second * 1000;
    }
    return 0;
  }

  #change(second: number, amount: number): void {
    const at = place(second);
    const before = this.#sums[at] ?? 0;
    const after = Math.max(0, before + amount);
    this.#sums[at] = after;
    this.#total += after - before;
  }

  #advance(nowMs: number): void {
    const second = Math.floor(nowMs / 1000);
    if (second <= this.#second) return;
    if (second - this.#second >= SECONDS) {
      this.#sums.fill(0);
      this.#total = 0;
    } else {
      for (let each = this.#second + 1; each <= second; each++) this.#clear(place(each));
    }
    this.#second = second;
  }

  #clear(at: number): void {
    this.#total -= this.#sums[at] ?? 0;
    this.#sums[at] = 0;
  }
}

function place(second: number): number {
  return ((second % SECONDS) + SECONDS) % SECONDS;
}
