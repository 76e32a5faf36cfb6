/**
 * Money, in integers of 1e-9 US dollars: sums of any number of requests are exact. Pure.
 */

export const NANO_PER_USD = 1_000_000_000;

/** Of an amount in dollars; null: it is not finite, negative, or larger than can be counted exactly. */
export function toNano(usd: number): number | null {
  const nano = Math.round(usd * NANO_PER_USD);
  return Number.isSafeInteger(nano) && nano >= 0 ? nano : null;
}

const PERIODS = ["day", "week", "month", "total"] as const;
export type BudgetPeriod = typeof PERIODS[number];
export const BUDGET_PERIODS: readonly BudgetPeriod[] = PERIODS;

/** What may be spent in each period. */
export interface Budget {
  readonly nano: number;
  readonly period: BudgetPeriod;
}

/** Such as `20/month`, `0.5/day`, `$100/total`; without a period it is for a month. null: it is none. */
export function parseBudget(text: string): Budget | null {
  const match = /^\$?(\d{1,7}(?:\.\d{1,9})?)(?:\/([a-z]{3,5}))?$/i.exec(text.trim());
  if (match === null) return null;
  const [, amount = "", word = "month"] = match;
  const nano = toNano(Number(amount));
  const period = PERIODS.find((each) => each === word.toLowerCase());
  return nano === null || period === undefined ? null : { nano, period };
}

/** As {@link parseBudget} reads it. */
export function budgetText({ nano, period }: Budget): string {
  return `${usdText(nano)}/${period}`;
}

/** In dollars, exact, without trailing zeros: `20`, `0.0315`. */
export function usdText(nano: number): string {
  const sign = nano < 0 ? "-" : "";
  const digits = String(Math.abs(Math.trunc(nano))).padStart(10, "0");
  const fraction = digits.slice(-9).replace(/0{1,9}$/, "");
  return `${sign}${digits.slice(0, -9)}${fraction === "" ? "" : `.${fraction}`}`;
}
