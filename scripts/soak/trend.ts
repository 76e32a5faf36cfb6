/**
 * Whether a series of samples grows: least squares, and what counts as noise.
 */

export interface Point {
  /** Seconds. */
  readonly atS: number;
  readonly value: number;
}

export interface Trend {
  readonly mean: number;
  /** Units a second. */
  readonly slope: number;
  /** Of one sample around the line. */
  readonly deviation: number;
  /** The increase along the line from the first sample to the last. */
  readonly growth: number;
}

/** The least-squares line through at least two points with different times. */
export function trendOf(points: readonly Point[]): Trend {
  const count = points.length;
  const meanAtS = points.reduce((sum, { atS }) => sum + atS, 0) / count;
  const mean = points.reduce((sum, { value }) => sum + value, 0) / count;
  let spread = 0;
  let covariance = 0;
  for (const { atS, value } of points) {
    spread += (atS - meanAtS) ** 2;
    covariance += (atS - meanAtS) * (value - mean);
  }
  const slope = covariance / spread;
  const squares = points.reduce(
    (sum, { atS, value }) => sum + (value - mean - slope * (atS - meanAtS)) ** 2,
    0,
  );
  const lengthS = (points.at(-1)?.atS ?? 0) - (points[0]?.atS ?? 0);
  return { mean, slope, deviation: Math.sqrt(squares / Math.max(1, count - 2)), growth: slope * lengthS };
}

/** Growth up to this is noise: a twentieth of the mean, or twice the deviation when samples scatter more. */
export function noiseBound({ mean, deviation }: Pick<Trend, "mean" | "deviation">): number {
  return Math.max(mean / 20, 2 * deviation);
}
