/**
 * Those who wait until a record is in PostgreSQL.
 */
import assert from "node:assert/strict";
import { ShippedWaits } from "../../../../../src/store/postgres/shipper/shipped_waits.ts";

Deno.test("until() resolves when the record was shipped, and only then", async () => {
  const waits = new ShippedWaits();
  const seen: string[] = [];
  const first = waits.until("a").then(() => seen.push("a"));
  const twice = waits.until("a").then(() => seen.push("a again"));
  void waits.until("b").then(() => seen.push("b"));
  waits.shipped(["x", "a"]);
  await Promise.all([first, twice]);
  assert.deepEqual([seen, waits.size], [["a", "a again"], 1]);
  waits.forget("b");
  assert.equal(waits.size, 0);
});

Deno.test("those who are never shipped are not kept without bound", () => {
  const waits = new ShippedWaits();
  for (let n = 0; n < 100_010; n++) void waits.until(`r${n}`);
  assert.equal(waits.size, 100_000);
});
