/**
 * Measures processor time relative to a reference: wall-clock time depends on the machine and its load.
 */
import process from "node:process";

/** Some systems count in ticks of this length. */
const TICK_MS = 10;
/**
 * Allowed factor over a plain text's time: a text may have to be escaped or replaced character by character.
 */
const MAX_FACTOR = 20;
/** More than this factor fails even when the time is linear: part of the text is scanned repeatedly. */
const MAX_SLOWDOWN = 100;
/** Allowed growth for four times the length; includes sorting, caches and GC. Quadratic time grows by 16. */
const MAX_GROWTH = 9;
const TRIALS = 3;

/** Processor time of the calling thread, in milliseconds. */
export function processorMs(action: () => void): number {
  const before = process.threadCpuUsage();
  action();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** A text of a length. */
export type MakeText = (length: number) => string;

/** The time of a plain text of a length, without the first run, which compiles the code. */
export function plainMs(run: (text: string) => void, plain: MakeText, length: number): number {
  run(plain(1000));
  const text = plain(length);
  return processorMs(() => run(text));
}

/**
 * null when `run` takes linear time: either little more than for a plain text of the same length, or
 * moderately more and about four times as long for four times the length. Otherwise the measurements.
 */
export function superlinear(
  run: (text: string) => void,
  { length, make, plainMs }: { readonly length: number; readonly make: MakeText; readonly plainMs: number },
): string | null {
  const ofText = (text: string) => processorMs(() => run(text));
  const text = make(length);
  const ms = ofText(text);
  const factor = ms / Math.max(TICK_MS, plainMs);
  if (factor <= MAX_FACTOR) return null;
  if (factor > MAX_SLOWDOWN) {
    return `${Math.round(ms)} ms, ${Math.round(factor)} times as much as a plain text`;
  }
  const quarter = make(length / 4);
  let growth = Infinity;
  for (let trial = 0; trial < TRIALS && growth > MAX_GROWTH; trial++) {
    growth = Math.min(growth, ofText(text) / Math.max(TICK_MS, ofText(quarter)));
  }
  if (growth <= MAX_GROWTH) return null;
  return `${Math.round(ms)} ms, ${
    growth.toFixed(1)
  } times as much as for a quarter; a plain text ${plainMs} ms`;
}
