/**
 * What may be a label, and what may be counted. Pure.
 */
import type { Counter } from "./prometheus.ts";

export const TOKEN_TYPES = ["input", "output", "cached", "reasoning"] as const;

const MAX_NAME_LENGTH = 100;

export type Labels<T extends string> = Partial<Record<T, string | number>>;

/** Upstreams report token counts, so they can be anything; invalid counts are ignored. */
export function addTo<T extends string>(counter: Counter<T>, labels: Labels<T>, count: number | null): void {
  if (count !== null && Number.isSafeInteger(count) && count >= 0) counter.inc(labels, count);
}

/** Whether a name that people or clients chose can be a label. */
export function isPlainLabel(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && name.isWellFormed() && !/\p{Cc}/u.test(name);
}
