import assert from "node:assert/strict";
import { ChoreWatch } from "../../../src/server/chores.ts";
import type { ChoreReport } from "../../../src/store/write/messages.ts";
import { FakeClock } from "../../support/fake_clock.ts";

function bench(): {
  readonly clock: FakeClock;
  readonly seen: string[];
  readonly failed: Record<string, number>;
  report(chore: ChoreReport["chore"], failure: ChoreReport["failure"]): void;
} {
  const clock = new FakeClock();
  const seen: string[] = [];
  const failed: Record<string, number> = {};
  const watch = new ChoreWatch({
    clock,
    observer: { choreFailed: (chore) => failed[chore] = (failed[chore] ?? 0) + 1 },
    notifier: { raise: ({ type }) => seen.push(`alert ${type}`) },
    log: {
      warn: (_text, { what, message }) => seen.push(`warn ${what}: ${message}`),
      info: (_text, { chore }) => seen.push(`info ${chore}`),
    },
  });
  return { clock, seen, failed, report: (chore, failure) => watch.report({ type: "chore", chore, failure }) };
}

const BROKEN = { reason: "other", message: "no such table" } as const;
const LOCKED = { reason: "locked", message: "database is locked" } as const;

Deno.test("a chore that fails is logged once an episode, and counted each time", () => {
  const { seen, failed, report } = bench();
  for (let n = 0; n < 3; n++) report("search_index", BROKEN);
  report("statistics", BROKEN);
  report("search_index", null);
  report("search_index", BROKEN);
  assert.deepEqual(seen, [
    "warn the full-text index is not being kept up to date: no such table",
    "warn the statistics are not being kept up to date: no such table",
    "info search_index",
    "warn the full-text index is not being kept up to date: no such table",
  ]);
  assert.deepEqual(failed, { search_index: 4, statistics: 1 });
});

Deno.test("a lock is told of when it lasts", () => {
  const { clock, seen, report } = bench();
  report("retention", LOCKED);
  report("retention", null);
  assert.deepEqual(seen, []);
  report("retention", LOCKED);
  clock.advance(60_000);
  report("retention", LOCKED);
  assert.deepEqual(seen, ["warn old records are not being deleted: database is locked"]);
});

Deno.test("an alert is raised once when deletion has failed for an hour, and when it works again", () => {
  const { clock, seen, report } = bench();
  for (let minute = 0; minute <= 180; minute++) {
    report("retention", BROKEN);
    report("statistics", BROKEN);
    clock.advance(60_000);
  }
  report("retention", null);
  report("statistics", null);
  assert.deepEqual(seen.filter((line) => line.startsWith("alert")), [
    "alert retention_failing",
    "alert retention_resumed",
  ]);
});
