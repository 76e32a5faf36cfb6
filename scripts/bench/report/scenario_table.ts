/**
 * The table of one scenario: a row for each contender in each variant, medians, and ratios of ours to the others.
 */
import type { ContenderName, Layout, Result } from "../measure/result.ts";
import { type Figures, medians } from "../measure/statistics.ts";
import { DISTURBING_CORES } from "../measure/undisturbed.ts";
import { number, textTable } from "./table.ts";

export function scenarioTable(layout: Layout, results: readonly Result[]): string {
  const own = results.filter(({ scenario }) => scenario === layout.scenario);
  const { ratioOf } = layout;
  const header = ["variant", "contender", ...layout.columns.map(({ title }) => title)];
  if (ratioOf !== null) header.push("ours/this");
  const rows = [header];
  let previous = "";
  for (const { variant, contender, rounds } of own) {
    const figures = medians(rounds);
    const row = [variant === previous ? "" : variant, contender];
    for (const { figure, digits } of layout.columns) row.push(number(figures[figure], digits));
    if (ratioOf !== null) {
      const ours = figuresOf(own, variant, "ours")?.[ratioOf];
      row.push(contender === "ours" ? "" : number(divide(ours, figures[ratioOf]), 2));
    }
    rows.push(row);
    previous = variant;
  }
  const notes = [...layout.notes, ...disturbanceNotes(own)];
  return [`== ${layout.title}`, textTable(rows, 2), ...notes.map((note) => `   ${note}`)].join("\n");
}

function disturbanceNotes(results: readonly Result[]): string[] {
  const worst = Math.max(0, ...results.map(({ rounds }) => medians(rounds)["otherCores"] ?? 0));
  return worst <= DISTURBING_CORES ? [] : [
    `DISTURBED: other processes used up to ${
      number(worst, 2)
    } cores; measure again when the machine is quiet`,
  ];
}

/** The medians of one contender in one variant. */
export function figuresOf(
  results: readonly Result[],
  variant: string,
  contender: ContenderName,
): Figures | undefined {
  const found = results.find((result) => result.variant === variant && result.contender === contender);
  return found === undefined ? undefined : medians(found.rounds);
}

export function divide(dividend: number | undefined, divisor: number | undefined): number | undefined {
  return dividend === undefined || divisor === undefined ? undefined : dividend / divisor;
}
