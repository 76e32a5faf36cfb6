import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { isFailure } from "../../../../src/core/outcome.ts";
import { OUTCOMES } from "../../../../src/core/types.ts";
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
  [{ without: "model" }, "coalesce(model, '') = ''", []],
  [{ without: "client" }, "coalesce(client, '') = ''", []],
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

Deno.test("filterCondition() names no column that only the table has", () => {
  const { sql } = filterCondition({
    triedUpstreamId: 1,
    failedUpstreamId: 1,
    attempts: { min: 1, max: 2 },
    slowerThanMs: 5,
    without: "client",
    isFailure: true,
  });
  assert.match(sql, /INDEXED BY idx_attempts_failed/);
  assert.match(sql, /t\.attempts >= \? AND t\.attempts <= \? AND t\.elapsed_time > \?/);
  assert.doesNotMatch(sql, /[^t]\.(?:attempts|elapsed_time)/);
});

Deno.test("the condition of a failed request says what isFailure() says", () => {
  const db = new DatabaseSync(":memory:");
  const { sql } = filterCondition({ isFailure: true });
  const statement = db.prepare(`SELECT ${sql} AS failed FROM (SELECT ? AS outcome, ? AS status)`);
  for (const outcome of [null, ...OUTCOMES, "typed by hand"]) {
    for (const status of [null, 0, 200, 204, 302, 399, 400, 401, 404, 409, 422, 429, 499, 500, 502, 599]) {
      const failed = Number(statement.get(outcome, status)?.["failed"] ?? 0) === 1;
      assert.equal(failed, isFailure(outcome, status), `${outcome} ${status}`);
    }
  }
  db.close();
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
