import assert from "node:assert/strict";
import { BudgetDays, firstDayOf } from "../../../src/core/budget_days.ts";

const HOUR_MS = 3_600_000;

Deno.test("a day begins at midnight of the zone, also where the clocks change", () => {
  const days = new BudgetDays("Europe/Berlin");
  for (
    const [time, day] of [
      ["2026-03-28T22:59:59.999Z", "2026-03-28"],
      ["2026-03-28T23:00:00.000Z", "2026-03-29"],
      // The 29th has 23 hours.
      ["2026-03-29T21:59:59.999Z", "2026-03-29"],
      ["2026-03-29T22:00:00.000Z", "2026-03-30"],
      // The 25th of October has 25.
      ["2026-10-24T22:00:00.000Z", "2026-10-25"],
      ["2026-10-25T22:59:59.999Z", "2026-10-25"],
      ["2026-10-25T23:00:00.000Z", "2026-10-26"],
      // Back again: the clock may jump.
      ["2026-03-28T12:00:00.000Z", "2026-03-28"],
    ] as const
  ) assert.equal(days.dayOf(Date.parse(time)), day, time);
  assert.equal(new BudgetDays("Asia/Shanghai").dayOf(Date.parse("2026-01-01T16:00:00Z")), "2026-01-02");
  assert.equal(new BudgetDays("Pacific/Kiritimati").dayOf(Date.parse("2026-01-01T10:00:00Z")), "2026-01-02");
});

Deno.test("what is remembered of a day is what is found anew, at every hour of two years", () => {
  for (
    const zone of ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "America/Santiago"]
  ) {
    const days = new BudgetDays(zone);
    const format = new Intl.DateTimeFormat("en-CA", { timeZone: zone });
    for (let atMs = Date.UTC(2026, 0, 1); atMs < Date.UTC(2028, 0, 1); atMs += HOUR_MS) {
      assert.equal(days.dayOf(atMs), format.format(atMs), `${zone} ${new Date(atMs).toISOString()}`);
    }
  }
});

Deno.test("the first day of a period: a week begins on Monday, and a total has no beginning", () => {
  assert.equal(firstDayOf("day", "2026-03-01"), "2026-03-01");
  assert.equal(firstDayOf("week", "2026-03-01"), "2026-02-23");
  assert.equal(firstDayOf("week", "2026-03-02"), "2026-03-02");
  assert.equal(firstDayOf("month", "2026-03-31"), "2026-03-01");
  assert.ok(firstDayOf("total", "2026-03-31") < "1970-01-01");
});

Deno.test("how long a period lasts", () => {
  const days = new BudgetDays("Europe/Berlin");
  const atMs = Date.parse("2026-03-28T23:30:00Z");
  assert.equal(days.endOf("day", atMs)?.inMs, 22.5 * HOUR_MS);
  // Until Monday, 30 March.
  assert.equal(days.endOf("week", atMs)?.inMs, 22.5 * HOUR_MS);
  const month = days.endOf("month", atMs);
  assert.equal(month?.inMs, Date.parse("2026-03-31T22:00:00Z") - atMs);
  // As a clock there shows it, also where it has been put forward meanwhile.
  assert.equal(month?.shown, "2026-04-01 00:00 UTC+2");
  assert.equal(days.endOf("total", atMs), null);
});
