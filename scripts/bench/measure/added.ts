/**
 * What a proxy adds: its figures minus those without a proxy, for each round.
 */
import type { Endpoint } from "../contenders/contender.ts";
import type { Figures } from "./statistics.ts";

/** Adds `addedX` for each named figure `x`, where there is a direct contender to compare with. */
export function withAdded(
  measured: ReadonlyMap<Endpoint, readonly Figures[]>,
  names: readonly string[],
): Map<Endpoint, Figures[]> {
  const base = [...measured].find(([{ name }]) => name === "direct")?.[1] ?? [];
  const result = new Map<Endpoint, Figures[]>();
  for (const [endpoint, rounds] of measured) {
    result.set(
      endpoint,
      rounds.map((figures, round) => ({ ...figures, ...added(figures, base[round], names) })),
    );
  }
  return result;
}

function added(figures: Figures, base: Figures | undefined, names: readonly string[]): Figures {
  return Object.fromEntries(names.map((name) => [
    `added${name.charAt(0).toUpperCase()}${name.slice(1)}`,
    (figures[name] ?? NaN) - (base?.[name] ?? NaN),
  ]));
}
