/**
 * Medians, quantiles and ratios of measurements.
 */

/** Named numbers of one run; the unit is in the name. */
export type Figures = Readonly<Record<string, number>>;

/** NaN for no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const upper = sorted[Math.floor(middle)] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/**
 * The quantile of the given share, by nearest rank; NaN for no values.
 * @param sorted ascending
 */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  const rank = Math.ceil(part * sorted.length);
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? NaN;
}

/** The median of each figure over the rounds that have it. */
export function medians(rounds: readonly Figures[]): Figures {
  const names = new Set(rounds.flatMap((figures) => Object.keys(figures)));
  return Object.fromEntries([...names].map((name) => [
    name,
    median(rounds.map((figures) => figures[name]).filter((value) => value !== undefined)),
  ]));
}
