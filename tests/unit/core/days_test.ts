import assert from "node:assert/strict";
import { dayIn } from "../../../src/core/days.ts";

Deno.test("dayIn() gives the day of a zone", () => {
  const atMs = Date.UTC(2026, 0, 31, 23, 30);
  assert.equal(dayIn("UTC")(atMs), "2026-01-31");
  assert.equal(dayIn("Asia/Shanghai")(atMs), "2026-02-01");
  assert.equal(dayIn("America/New_York")(Date.UTC(2026, 0, 31, 4, 59)), "2026-01-30");
});

Deno.test("dayIn() takes any number, and gives a day that sorts as text", () => {
  for (const zone of ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"]) {
    const dayOf = dayIn(zone);
    for (const ms of [NaN, -Infinity, Infinity, -1e300, 1e300, -9_223_372_036_854_776_000, 0]) {
      assert.match(dayOf(ms), /^\d{4}-\d\d-\d\d$/, `${zone} ${ms}`);
    }
  }
});
