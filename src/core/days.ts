/**
 * The day of a time that a database has, which may be any number. Pure but for what {@link BudgetDays} remembers.
 */
import { BudgetDays } from "./budget_days.ts";

/** The years 1 to 9999, which every text of a day can hold, without the days that only some zones have. */
const FIRST_MS = -62_135_596_800_000 + 7 * 86_400_000;
const LAST_MS = 253_402_300_799_999 - 7 * 86_400_000;

/** What is no time is on the first day. @param timeZone an IANA name */
export function dayIn(timeZone: string): (ms: number) => string {
  const days = new BudgetDays(timeZone);
  return (ms) => days.dayOf(Math.min(Math.max(Number.isFinite(ms) ? ms : FIRST_MS, FIRST_MS), LAST_MS));
}
