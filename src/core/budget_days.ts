/**
 * The days and periods of budgets in a time zone: sums since a period's first day need no job that resets them.
 *
 * Pure but for what it remembers: the day that was asked for last.
 */
import { dayIn } from "./days.ts";
import type { BudgetPeriod } from "./money.ts";
import { DAY_MS } from "./units.ts";
import { zoneOf } from "./zones.ts";

/** More than any zone is ahead of or behind UTC, and no day is longer or shorter than this makes of it. */
const HOUR_MS = 3_600_000;

/** Before every day: a budget in total has no first one. */
const FIRST_DAY = "0000-01-01";
const MINUTE_LENGTH = "2026-01-31 00:00".length;

export class BudgetDays {
  readonly #dayOf: (atMs: number) => string;
  /** The day asked for last, from its known beginning until its end; both wall clock. */
  #known: { readonly day: string; readonly startMs: number; readonly endMs: number } | null = null;

  readonly #timeZone: string;

  /** @param timeZone an IANA name */
  constructor(timeZone: string) {
    this.#timeZone = zoneOf(timeZone) === null ? "UTC" : timeZone;
    this.#dayOf = dayIn(timeZone);
  }

  /** Such as `2026-01-31`. @param atMs wall clock */
  dayOf(atMs: number): string {
    const known = this.#known;
    if (known !== null && atMs >= known.startMs && atMs < known.endMs) return known.day;
    const day = this.#dayOf(atMs);
    this.#known = { day, startMs: atMs, endMs: this.#firstAfter(atMs, (later) => later > day) };
    return day;
  }

  /** When the period of a moment is over; null: it is never. */
  endOf(period: BudgetPeriod, atMs: number): { readonly inMs: number; readonly shown: string } | null {
    if (period === "total") return null;
    const first = firstDayOf(period, this.dayOf(atMs));
    const endMs = this.#firstAfter(atMs, (later) => firstDayOf(period, later) > first);
    const zone = zoneOf(this.#timeZone);
    const shown = `${(zone?.format(endMs) ?? new Date(endMs).toISOString()).slice(0, MINUTE_LENGTH)} ${
      zone?.offset(endMs) ?? "UTC"
    }`;
    return { inMs: endMs - atMs, shown };
  }

  /** The first millisecond whose day is such; no such one is more than a month away. */
  #firstAfter(atMs: number, isSuch: (day: string) => boolean): number {
    let before = atMs;
    let after = atMs + HOUR_MS;
    while (!isSuch(this.#dayOf(after))) {
      before = after;
      after += DAY_MS / 2;
    }
    while (after - before > 1) {
      const middle = Math.floor((before + after) / 2);
      if (isSuch(this.#dayOf(middle))) after = middle;
      else before = middle;
    }
    return after;
  }
}

/** The first day of the period that a day is part of. Weeks begin on Monday. */
export function firstDayOf(period: BudgetPeriod, day: string): string {
  switch (period) {
    case "day":
      return day;
    case "week": {
      const atMs = Date.parse(`${day}T00:00:00Z`);
      const sinceMonday = (new Date(atMs).getUTCDay() + 6) % 7;
      return new Date(atMs - sinceMonday * DAY_MS).toISOString().slice(0, 10);
    }
    case "month":
      return `${day.slice(0, 8)}01`;
    case "total":
      return FIRST_DAY;
    default:
      return period satisfies never;
  }
}
