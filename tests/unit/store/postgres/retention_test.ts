import assert from "node:assert/strict";
import type { Partition } from "../../../../src/store/postgres/partitions.ts";
import { dueForDeletion, type RetentionLimits } from "../../../../src/store/postgres/retention.ts";

const DAY_MS = 86_400_000;
const TODAY_MS = Date.UTC(2026, 10, 29);
const NOW_MS = TODAY_MS + DAY_MS / 2;
const NONE: RetentionLimits = { keepDays: null, keepBodiesDays: null, maxBytes: null };

/** Of each of these days (0: today), both tables, a hundred bytes each. */
function partitions(...days: readonly number[]): Partition[] {
  return days.flatMap((day) =>
    (["records", "record_texts", "record_search", "attempts"] as const).map((table) => ({
      table,
      name: `${table}${day}`,
      dayMs: TODAY_MS + day * DAY_MS,
      bytes: 100,
    }))
  );
}

function due(limits: Partial<RetentionLimits>, ...days: readonly number[]): string[] {
  return dueForDeletion(partitions(...days), { ...NONE, ...limits }, NOW_MS).map(({ name }) => name);
}

Deno.test("without limits everything is kept", () => {
  assert.deepEqual(due({}, -10_000, -1, 0, 7), []);
});

Deno.test("a day is dropped when all of it is older than is to be kept", () => {
  // The day before yesterday ended a day and a half ago.
  assert.deepEqual(due({ keepDays: 1.4 }, -3, -2, -1, 0).filter((name) => name.startsWith("records")), [
    "records-3",
    "records-2",
  ]);
  assert.deepEqual(due({ keepDays: 1.6 }, -3, -2, -1, 0).filter((name) => name.startsWith("records")), [
    "records-3",
  ]);
});

Deno.test("texts and the words that find them are dropped before the rest", () => {
  assert.deepEqual(due({ keepDays: 30, keepBodiesDays: 1 }, -2, 0), ["record_texts-2", "record_search-2"]);
});

Deno.test("the oldest days are dropped until the rest is small enough, never today or later", () => {
  assert.deepEqual(
    new Set(due({ maxBytes: 1_000 }, -2, -1, 0, 1).map((name) => name.replace(/\D+/, ""))),
    new Set(["2", "1"]),
  );
  assert.deepEqual(due({ maxBytes: 1 }, 0, 1), []);
  assert.deepEqual(due({ maxBytes: 1_600 }, -2, -1, 0, 1), []);
});

Deno.test("what is dropped for its age counts as gone for the size", () => {
  const names = due({ keepDays: 2, maxBytes: 800 }, -9, -2, -1);
  assert.ok(names.every((name) => name.endsWith("-9")), names.join());
});
