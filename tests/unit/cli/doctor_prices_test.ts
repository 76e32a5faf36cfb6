/** The doctor's look at prices. */
import assert from "node:assert/strict";
import { checkAge, checkPrices } from "../../../src/cli/doctor/prices.ts";

Deno.test("the built-in prices are good for 180 days", () => {
  assert.equal(checkAge(null, Date.parse("2027-03-22T23:00:00Z")).level, "ok");
  const old = checkAge("prices.json", Date.parse("2027-03-23T23:00:00Z"));
  assert.equal(old.level, "warn");
  assert.match(old.message, /of 2026-09-23, those of prices\.json go before them: 181 days old/);
});

Deno.test("a file of prices that cannot be used is a failure", () => {
  const [finding, ...others] = checkPrices("/nonexistent/prices.json", { database: null, nowMs: 0 });
  assert.deepEqual([finding?.level, others], ["fail", []]);
  assert.match(finding?.message ?? "", /there is no such file/);
});
