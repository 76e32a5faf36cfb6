/**
 * What a token has spent of its budget in the period that is now.
 *
 * Owns which days belong to it: those of the budgets' time zone, not those of the statistics.
 */
import { firstDayOf } from "../core/budget_days.ts";
import { type BudgetPeriod, toNano } from "../core/money.ts";
import type { SpendQuery, SpentDays } from "../core/spend.ts";
import type { TokenView } from "./token_shapes.ts";
import { DEFAULT_PERIOD } from "./token_spend.ts";

/** Money is in 1e-9 US dollars. */
export interface TokenSpending {
  /** Of its budget; a token without one is shown by the month. */
  readonly period: BudgetPeriod;
  /** The first day of it, such as `2026-01-31`; null: since ever. */
  readonly fromDay: string | null;
  /** null: it has no budget. */
  readonly budgetNano: number | null;
  readonly spentNano: number;
  /** Part of what was spent that nobody reported. */
  readonly estimatedNano: number;
  /** By how much requests have cost more than was left. */
  readonly overshootNano: number;
  readonly requests: number;
}

export interface SpendingDeps {
  readonly spend: (query: SpendQuery) => Promise<SpentDays>;
  /** Of a moment, in the time zone of budgets. */
  readonly dayOf: (atMs: number) => string;
  /** Wall clock. */
  readonly now: () => number;
}

/** null: the token is one of the list, whose spending is not noted. */
export async function spendingOf(
  { id, budgetUsd, budgetPeriod }: Pick<TokenView, "id" | "budgetUsd" | "budgetPeriod">,
  { spend, dayOf, now }: SpendingDeps,
): Promise<TokenSpending | null> {
  if (id === null) return null;
  const period = budgetPeriod ?? DEFAULT_PERIOD;
  const fromDay = firstDayOf(period, dayOf(now()));
  const sums = { spentNano: 0, estimatedNano: 0, overshootNano: 0, requests: 0 };
  for (const day of await spend({ tokenIds: [id], fromDay })) {
    sums.spentNano += day.costNano;
    sums.estimatedNano += day.estimatedNano;
    sums.overshootNano += day.overshootNano;
    sums.requests += day.requests;
  }
  return {
    period,
    fromDay: period === "total" ? null : fromDay,
    budgetNano: budgetUsd === null ? null : toNano(budgetUsd),
    ...sums,
  };
}
