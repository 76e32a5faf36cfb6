/**
 * Alternates between contenders, so that changes of the machine affect all of them.
 */
import type { Figures } from "./statistics.ts";
import { undisturbed } from "./undisturbed.ts";

/** Each of them once per round; each round begins with a different one. */
export async function alternate<T>(
  contenders: readonly T[],
  rounds: number,
  measure: (contender: T, round: number) => Promise<Figures>,
): Promise<Map<T, Figures[]>> {
  const all = new Map<T, Figures[]>(contenders.map((contender) => [contender, []]));
  for (let round = 0; round < rounds; round++) {
    for (const contender of rotated(contenders, round)) {
      all.get(contender)?.push(await undisturbed(() => measure(contender, round)));
    }
  }
  return all;
}

export function rotated<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
