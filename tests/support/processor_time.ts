/**
 * How much processor time something takes, in relation to something else: what a clock says depends on the machine and
 * on who else uses it.
 */
import process from "node:process";

/** Too little to be measured. */
const FLOOR_MS = 0.2;
/** What any text may cost of a plain text's time: it may have to be escaped or replaced character by character. */
const MAX_FACTOR = 50;
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

/**
 * null when `run` takes time linear in the text: it takes little more than for a plain text of the length, or four
 * times the length takes about four times as long. Otherwise what was measured.
 */
export function superlinear(
  run: (text: string) => void,
  { length, make, plain }: { readonly length: number; readonly make: MakeText; readonly plain: MakeText },
): string | null {
  const ofText = (text: string) => processorMs(() => run(text));
  run(make(1000));
  const [plainText, text] = [plain(length), make(length)];
  const plainMs = Math.max(FLOOR_MS, ofText(plainText));
  const ms = ofText(text);
  if (ms <= MAX_FACTOR * plainMs) return null;
  const quarter = make(length / 4);
  let growth = Infinity;
  for (let trial = 0; trial < TRIALS && growth > MAX_GROWTH; trial++) {
    growth = Math.min(growth, ofText(text) / Math.max(FLOOR_MS, ofText(quarter)));
  }
  return growth <= MAX_GROWTH
    ? null
    : `${Math.round(ms)} ms, a plain text ${plainMs.toFixed(1)} ms, grows by ${
      growth.toFixed(1)
    } for four times the length`;
}
