import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { targetOf } from "../../../../src/core/upstream_target.ts";
import {
  isCheckOf,
  listUpstreamChecks,
  listUsageRefusals,
  putUpstreamChecks,
} from "../../../../src/store/config/upstream_checks.ts";

const ONE = { id: 1, sk: "sk-1", endpoint: "https://a.example/v1" };
const target = targetOf(ONE);
const other = targetOf({ ...ONE, sk: "sk-2" });

function database(columns = ", usage_refused integer"): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  db.exec(`CREATE TABLE upstream_checks (
    upstream_id integer PRIMARY KEY, target text NOT NULL, checked_at datetime${columns})`);
  return db;
}

Deno.test("a refusal makes no upstream look tested, and a test leaves the refusal", () => {
  const db = database();
  putUpstreamChecks(db, [{ upstreamId: 1, target, refusedAtMs: 5 }], 0);
  assert.equal(isCheckOf(listUpstreamChecks(db), ONE), false);
  assert.deepEqual(listUsageRefusals(db), [{ upstreamId: 1, target, refusedAtMs: 5 }]);
  putUpstreamChecks(db, [{ upstreamId: 1, target }], 0);
  assert.equal(isCheckOf(listUpstreamChecks(db), ONE), true);
  assert.equal(listUsageRefusals(db).length, 1);
  putUpstreamChecks(db, [{ upstreamId: 1, target, refusedAtMs: 1_900_000_000_000 }], 0);
  assert.equal(listUsageRefusals(db)[0]?.refusedAtMs, 1_900_000_000_000);
  assert.equal(isCheckOf(listUpstreamChecks(db), ONE), true);
});

Deno.test("what is known of one key does not hold for another", () => {
  const db = database();
  putUpstreamChecks(db, [{ upstreamId: 1, target, refusedAtMs: 5 }, { upstreamId: 1, target: other }], 0);
  assert.deepEqual(listUsageRefusals(db), []);
  putUpstreamChecks(db, [{ upstreamId: 1, target, refusedAtMs: 6 }], 0);
  assert.equal(listUpstreamChecks(db).size, 0);
});

Deno.test("databases of older versions know of no refusals", () => {
  assert.deepEqual(listUsageRefusals(database("")), []);
  assert.deepEqual(listUsageRefusals(new DatabaseSync(":memory:")), []);
});
