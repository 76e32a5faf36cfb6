/**
 * Factors between units of time.
 */

export const NANOSECONDS_PER_MS = 1_000_000;
export const DAY_MS = 86_400_000;
