/**
 * The seeds of a fuzzing run, and the number of cases for each.
 *
 * Arguments after `--` win over variables: `--seed`, `--count`, `--seeds`, `--case` over FUZZ_SEED, FUZZ_COUNT,
 * FUZZ_SEEDS, FUZZ_CASE. `--full` is for CI: 2,000 cases of a fixed seed and of a seed from the date.
 */
import { parseArgs } from "node:util";

export interface Campaign {
  readonly seeds: readonly number[];
  /** Case numbers for each seed, from 0. */
  readonly cases: readonly number[];
}

const FIXED_SEED = 1;
const QUICK_COUNT = 200;
const FULL_COUNT = 2_000;

/** @throws when a number is invalid */
export function campaign(args: readonly string[] = Deno.args, now = new Date()): Campaign {
  const { values } = parseArgs({
    args: [...args],
    options: {
      full: { type: "boolean" },
      seed: { type: "string" },
      seeds: { type: "string" },
      count: { type: "string" },
      case: { type: "string" },
    },
  });
  const isFull = values.full === true;
  const seed = numberOf("seed", values.seed ?? Deno.env.get("FUZZ_SEED"));
  const seeds = numberOf("seeds", values.seeds ?? Deno.env.get("FUZZ_SEEDS"));
  const only = numberOf("case", values.case ?? Deno.env.get("FUZZ_CASE"));
  const count = numberOf("count", values.count ?? Deno.env.get("FUZZ_COUNT")) ??
    (isFull ? FULL_COUNT : QUICK_COUNT);
  return {
    seeds: seeds !== null
      ? Array.from({ length: seeds }, (_, at) => (seed ?? FIXED_SEED) + at)
      : seed !== null
      ? [seed]
      : isFull
      ? [FIXED_SEED, dayOf(now)]
      : [FIXED_SEED],
    cases: only === null ? Array.from({ length: count }, (_, at) => at) : [only],
  };
}

/** The command that runs one case again. */
export function again(seed: number, caseNumber: number): string {
  return `deno task fuzz --seed ${seed} --case ${caseNumber}`;
}

/** A date as a number: 20260131. */
function dayOf(now: Date): number {
  return Number(now.toISOString().slice(0, 10).replaceAll("-", ""));
}

function numberOf(name: string, text: string | undefined): number | null {
  if (text === undefined || text === "") return null;
  if (!/^\d{1,9}$/.test(text)) throw new Error(`${name} is not a number below a milliard: ${text}`);
  return Number(text);
}
