/**
 * How much processor time something takes, in relation to something else: what a clock says depends on the machine and
 * on who else uses it.
 */
import process from "node:process";

/** Some systems count by ticks of this length. */
const TICK_MS = 10;
/** What any text may cost of a plain text's time: it may have to be escaped or replaced character by character. */
const MAX_FACTOR = 20;
/** More is too much, even where it grows with the length: a part of the text is looked at again and again. */
const MAX_SLOWDOWN = 100;
/** Four times the length; sorting, caches and the collector's work included. Quadratic time grows by 16. */
const MAX_GROWTH = 9;
const TRIALS = 3;

/** The calling thread's, in milliseconds. */
export function processorMs(action: () => void): number {
  const before = process.threadCpuUsage();
  action();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}

/** A text of a length. */
export type MakeText = (length: number) => string;

/** What a plain text of a length costs; the first run, which has to compile the code, does not count. */
export function plainMs(run: (text: string) => void, plain: MakeText, length: number): number {
  run(plain(1000));
  const text = plain(length);
  return processorMs(() => run(text));
}

/**
 * null when `run` takes time linear in the text: it takes not much more than for a plain text of the length, or within
 * reason more and four times the length takes about four times as long. Otherwise what was measured.
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
