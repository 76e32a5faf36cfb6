/**
 * What tokens have spent in the period of their budget. Pure.
 */
import { firstDayOf } from "../core/budget_days.ts";
import type { BudgetPeriod } from "../core/money.ts";
import type { SpendQuery, SpentDays } from "../core/spend.ts";
import { type ClientTokenRow, parseClientToken } from "../store/config/client_token_row.ts";

/** A token without a budget is shown with what it spends in a month. */
export const DEFAULT_PERIOD: BudgetPeriod = "month";

/** Of one token, by its row. */
export type SpentByToken = ReadonlyMap<number, number>;

/**
 * In 1e-9 US dollars, of each row.
 * @param today in the time zone of the settings
 */
export async function spentBy(
  rows: readonly ClientTokenRow[],
  { today, read }: {
    readonly today: string;
    readonly read: (query: SpendQuery) => Promise<SpentDays> | SpentDays;
  },
): Promise<SpentByToken> {
  if (rows.length === 0) return new Map();
  const firstDays = new Map(rows.map((row) => [row.id, firstDayOf(periodOf(row), today)]));
  const spent = new Map(rows.map(({ id }) => [id, 0]));
  const fromDay = [...firstDays.values()].reduce((first, day) => day < first ? day : first);
  for (const { tokenId, day, costNano } of await read({ fromDay })) {
    const firstDay = firstDays.get(tokenId);
    if (firstDay !== undefined && day >= firstDay) spent.set(tokenId, (spent.get(tokenId) ?? 0) + costNano);
  }
  return spent;
}

function periodOf(row: ClientTokenRow): BudgetPeriod {
  const rules = parseClientToken(row);
  return typeof rules === "string" ? DEFAULT_PERIOD : rules.limits.budget?.period ?? DEFAULT_PERIOD;
}
