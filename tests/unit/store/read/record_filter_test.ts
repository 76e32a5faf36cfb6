import assert from "node:assert/strict";
import { dayWindow, filterCondition } from "../../../../src/store/read/record_filter.ts";
import type { RecordFilter } from "../../../../src/store/store.ts";

const TABLE: readonly (readonly [RecordFilter, string, readonly (string | number)[]])[] = [
  [{}, "1", []],
  [{ text: "not a matter of this" }, "1", []],
  [{ model: "gpt-4o" }, "model = ?", ["gpt-4o"]],
  [{ model: "gpt-4*" }, "model GLOB ?", ["gpt-4*"]],
  [{ model: "g?t**" }, "model GLOB ?", ["g?t*"]],
  [{ model: "[a-z]*" }, "model GLOB ?", ["[[]a-z]*"]],
  [{ model: "100%_" }, "model = ?", ["100%_"]],
  [{ model: "'; DROP TABLE records; --" }, "model = ?", ["'; DROP TABLE records; --"]],
  [{ model: "*".repeat(100_000) }, "0", []],
  [{ status: 4 }, "status BETWEEN ? AND ?", [400, 499]],
  [{ status: 404 }, "status = ?", [404]],
  [{ status: 0 }, "status = ?", [0]],
  [{ upstreamId: 3, outcome: "crashed", client: "a'b" }, "upstream_id = ? AND outcome = ? AND client = ?", [
    3,
    "crashed",
    "a'b",
  ]],
];

Deno.test("filterCondition() makes a parameter of every value", () => {
  for (const [filter, sql, params] of TABLE) {
    assert.deepEqual(filterCondition(filter), { sql, params }, JSON.stringify(filter).slice(0, 100));
  }
});

Deno.test("filterCondition() takes any number for a time", () => {
  for (const ms of [-1e300, -1, 0, 1e300, Infinity, -Infinity]) {
    assert.equal(filterCondition({ sinceMs: ms, untilMs: ms }).params.length, 4, String(ms));
  }
});

Deno.test("dayWindow() leaves room for every offset around its moments", () => {
  const noon = Date.UTC(2024, 2, 10, 12);
  assert.deepEqual(dayWindow({}), { from: null, to: null });
  assert.deepEqual(dayWindow({ sinceMs: noon, untilMs: noon }), { from: "2024-03-08", to: "2024-03-12" });
});
