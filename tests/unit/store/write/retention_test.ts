import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openConnection } from "../../../../src/store/database/connection.ts";
import {
  KEEP_EVERYTHING,
  MAX_STEP_ROWS,
  Retention,
  type RetentionLimits,
  type RetentionStep,
} from "../../../../src/store/write/retention.ts";
import { RunningMark } from "../../../../src/store/database/running_marks.ts";
import { toGoTime } from "../../../../src/store/database/go_time.ts";
import { makeGoDatabase } from "../../../fixtures/go/fixture.ts";
import {
  byHand,
  indexAll,
  makeRecord,
  makeSession,
  makeWriter,
  rowsOf,
  until,
  withDirectory,
} from "../support.ts";

const NOW_MS = Date.UTC(2026, 5, 15, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MIB = 1024 * 1024;

/** Retention over a connection of its own, at a time that the test sets. */
class Bench {
  nowMs = NOW_MS;
  readonly #db: DatabaseSync;
  readonly #retention: Retention;

  constructor(path: string, limits: Partial<RetentionLimits>) {
    this.#db = openConnection(path).db;
    this.#retention = new Retention(this.#db, {
      limits: { ...KEEP_EVERYTHING, ...limits },
      walBytes: () => Deno.statSync(`${path}-wal`).size,
      now: () => this.nowMs,
    });
  }

  step(): RetentionStep {
    return this.#retention.step();
  }

  /** Works until it rests; gives what it did, and checks that no step did too much. */
  run(): Exclude<RetentionStep, { type: "rest" }>[] {
    const steps: Exclude<RetentionStep, { type: "rest" }>[] = [];
    for (;;) {
      const step = this.step();
      if (step.type === "rest") return steps;
      if ("count" in step) assert.ok(step.count <= MAX_STEP_ROWS, `${step.count} rows in one step`);
      steps.push(step);
      assert.ok(steps.length < 10_000, "it never rests");
    }
  }

  /** A later moment, when it has rested. */
  runAt(nowMs: number): ReturnType<Bench["run"]> {
    this.nowMs = nowMs;
    return this.run();
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** `n` records, one an hour, the newest an hour before {@link NOW_MS}; the oldest is row 1. */
function writeHourly(path: string, n: number, text = "Hello"): void {
  const session = makeSession(path);
  const records = Array.from(
    { length: n },
    (_, at) =>
      makeRecord({ requestId: `r${at + 1}`, createdAtMs: NOW_MS - (n - at) * HOUR_MS, response: text }),
  );
  for (let at = 0; at < n; at += 500) session.write(records.slice(at, at + 500));
  indexAll(session);
  session.close();
}

function idsOf(path: string): number[] {
  return rowsOf(path, "SELECT id FROM records ORDER BY id").map(({ id }) => Number(id));
}

function counted(steps: readonly RetentionStep[]): number {
  return steps.reduce((sum, step) => sum + ("count" in step ? step.count : 0), 0);
}

Deno.test("Retention deletes records that are older than the limit, with their attempts, oldest first", async () => {
  await withDirectory((path) => {
    writeHourly(path, 200);
    using bench = new Bench(path, { keepDays: 2.5 });
    const first = bench.step();
    assert.ok(first.type === "deleted" && first.reason === "keep_days");
    assert.equal(idsOf(path)[0], first.count + 1, "the oldest went first");
    const steps = bench.run();
    assert.equal(first.count + counted(steps), 140);
    assert.deepEqual(idsOf(path), Array.from({ length: 60 }, (_, at) => 141 + at));
    assert.deepEqual(
      rowsOf(path, "SELECT count(*) AS n, min(record_id) AS first FROM attempts"),
      [{ n: 120, first: 141 }],
    );
    assert.deepEqual(bench.runAt(NOW_MS + 1), [], "it rests after a pass");
    assert.equal(counted(bench.runAt(NOW_MS + HOUR_MS)), 1);
    assert.equal(counted(bench.runAt(NOW_MS - DAY_MS)), 0, "also when the clock was set back");
  });
});

Deno.test("Retention does nothing without a limit, and keeps rows whose time is none", async () => {
  await withDirectory((path) => {
    writeHourly(path, 3);
    byHand(path, "INSERT INTO records(created_at) VALUES (NULL), (''), ('long ago'), (7), (x'32')");
    using everything = new Bench(path, {});
    assert.deepEqual(everything.run(), []);
    using bench = new Bench(path, { keepDays: 0.00001, keepBodiesDays: 0.00001 });
    bench.run();
    assert.deepEqual(idsOf(path), [4, 5, 6, 7, 8]);
  });
});

Deno.test("Retention never touches a row in flight, and comes back to it when it is settled", async () => {
  await withDirectory((path) => {
    writeHourly(path, 100);
    byHand(path, "UPDATE records SET outcome = 'in_flight' WHERE id IN (1, 40)");
    using bench = new Bench(path, { keepDays: 3, keepBodiesDays: 1, maxDbSizeBytes: 1 });
    const all = new Bench(path, { keepDays: 3, keepBodiesDays: 1 });
    all.run();
    assert.deepEqual(idsOf(path).slice(0, 4), [1, 29, 30, 31]);
    assert.deepEqual(
      rowsOf(path, "SELECT id FROM records WHERE response IS NOT NULL ORDER BY id").map(({ id }) => id).slice(
        0,
        3,
      ),
      [1, 40, 77],
    );
    byHand(path, "UPDATE records SET outcome = 'crashed' WHERE id IN (1, 40)");
    all.runAt(NOW_MS + 60_000);
    assert.deepEqual(idsOf(path).slice(0, 2), [30, 31]);
    assert.deepEqual(rowsOf(path, "SELECT response, outcome FROM records WHERE id = 40"), [
      { response: null, outcome: "crashed" },
    ]);
    byHand(path, "UPDATE records SET outcome = 'in_flight' WHERE id = 50");
    bench.run();
    assert.deepEqual(idsOf(path), [50], "not even when the database is too large");
    all[Symbol.dispose]();
  });
});

Deno.test("Retention deletes texts before records, says so in the row, and the search forgets them", async () => {
  await withDirectory((path) => {
    const session = makeSession(path, { ...KEEP_EVERYTHING, keepBodiesDays: 30 });
    const nowMs = Date.now();
    session.write([
      makeRecord({ createdAtMs: nowMs - 31 * DAY_MS, response: "gone", reasoning: "hm", model: "old" }),
      makeRecord({ createdAtMs: nowMs - 31 * DAY_MS, body: "", response: "", model: "empty" }),
      makeRecord({ createdAtMs: nowMs - 29 * DAY_MS, response: "kept", model: "new" }),
    ]);
    indexAll(session);
    const steps: RetentionStep[] = [];
    for (let step = session.retain(); step.type !== "rest"; step = session.retain()) steps.push(step);
    indexAll(session);
    session.close();
    // One step, or more where the machine is busy: a step ends after a few milliseconds.
    const deleted = steps.map((step) => step.type === "bodies_deleted" ? step.count : NaN);
    assert.equal(deleted.reduce((sum, count) => sum + count, 0), 2);
    assert.deepEqual(
      rowsOf(
        path,
        "SELECT model, body, response, reasoning, tool_calls, is_truncated, input_tokens FROM records",
      ),
      [
        {
          model: "old",
          body: null,
          response: null,
          reasoning: null,
          tool_calls: null,
          is_truncated: 1,
          input_tokens: 3,
        },
        {
          model: "empty",
          body: null,
          response: null,
          reasoning: null,
          tool_calls: null,
          is_truncated: 0,
          input_tokens: 3,
        },
        {
          model: "new",
          body: '{"model":"gpt-4o","messages":[]}',
          response: "kept",
          reasoning: "",
          tool_calls: null,
          is_truncated: 0,
          input_tokens: 3,
        },
      ],
    );
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n FROM attempts"), [{ n: 6 }]);
    assert.deepEqual(rowsOf(path, "SELECT rowid FROM records_search('gone OR kept')"), [{ rowid: 3 }]);
  });
});

Deno.test("Retention goes through old rows without texts once, and not again at every pass", async () => {
  await withDirectory((path) => {
    writeHourly(path, 1_000);
    using bench = new Bench(path, { keepBodiesDays: 1 });
    assert.equal(counted(bench.run()), 976);
    assert.deepEqual(bench.runAt(NOW_MS + 60_000), [{ type: "bodies_deleted", count: 1 }]);
    assert.deepEqual(bench.runAt(NOW_MS + 120_000), []);
    byHand(path, "UPDATE records SET response = 'came back' WHERE id = 1");
    assert.deepEqual(bench.runAt(NOW_MS + HOUR_MS), []);
    assert.equal(counted(bench.runAt(NOW_MS + HOUR_MS + 60_000)), 2, "every hour it looks at all of them");
    using restarted = new Bench(path, { keepBodiesDays: 1 });
    assert.deepEqual(new Set(restarted.run().map(({ type }) => type)), new Set(["looked"]));
  });
});

Deno.test("Retention deletes what failed attempts had said together with the other texts", async () => {
  await withDirectory((path) => {
    writeHourly(path, 30);
    byHand(
      path,
      "UPDATE records SET body = NULL, response = NULL, reasoning = NULL, tool_calls = NULL WHERE id = 2",
    );
    const left = () =>
      rowsOf(path, "SELECT DISTINCT record_id AS id FROM attempts WHERE partial IS NOT NULL").length;
    assert.equal(left(), 30);
    using bench = new Bench(path, { keepBodiesDays: 1 });
    const deleted = counted(bench.run());
    assert.ok(deleted > 0);
    assert.equal(left(), 30 - deleted);
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n FROM attempts WHERE record_id = 1"), [{ n: 2 }]);
  });
});

Deno.test("Retention reads the Go program's times with their offsets", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    // 12:00 UTC is the limit: due are the first two of these, and the third reads as if it were.
    byHand(
      path,
      `DELETE FROM records;
      INSERT INTO records(id, created_at, body) VALUES
        (1, '2026-06-14 19:59:59.9+08:00', '"a"'), (2, '2026-06-14 06:59:59-05:00', '"b"'),
        (3, '2026-06-14 07:00:01-05:00', '"c"'), (4, '2026-06-14 20:00:01+08:00', '"d"'),
        (5, '2026-06-14 12:00:01+00:00', '"e"')`,
    );
    using bench = new Bench(path, { keepDays: 1 });
    bench.run();
    assert.deepEqual(idsOf(path), [3, 4, 5]);
    bench.runAt(NOW_MS + 10_000);
    assert.deepEqual(idsOf(path), []);
  });
});

Deno.test("Retention keeps the database below a size by deleting the oldest records, and the file shrinks", async () => {
  await withDirectory((path) => {
    writeHourly(path, 2_000, "lorem ipsum ".repeat(1_000));
    const before = Deno.statSync(path).size;
    assert.ok(before > 20 * MIB, `${before}`);
    using bench = new Bench(path, { maxDbSizeBytes: 16 * MIB });
    const steps = bench.run();
    const after = Deno.statSync(path).size + Deno.statSync(`${path}-wal`).size;
    assert.ok(after < 17 * MIB, `${before} became ${after}`);
    assert.ok(Deno.statSync(path).size < 14 * MIB);
    const ids = idsOf(path);
    assert.ok(ids.length > 600, `${ids.length} are left`);
    assert.deepEqual(ids, Array.from({ length: ids.length }, (_, at) => 2_001 - ids.length + at));
    assert.equal(counted(steps), 2_000 - ids.length);
    assert.ok(steps.every((step) => step.type !== "deleted" || step.reason === "max_db_size"));
    assert.deepEqual(rowsOf(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  });
});

Deno.test("Retention reuses free pages of a database that cannot shrink", async () => {
  await withDirectory((path) => {
    const db = new DatabaseSync(path);
    db.exec("PRAGMA auto_vacuum = NONE; CREATE TABLE config_kvs(key text, value text)");
    db.close();
    writeHourly(path, 500, "lorem ipsum ".repeat(1_000));
    const before = Deno.statSync(path).size;
    using bench = new Bench(path, { maxDbSizeBytes: 2 * MIB });
    assert.deepEqual(new Set(bench.run().map(({ type }) => type)), new Set(["deleted"]));
    assert.ok(idsOf(path).length < 200);
    writeHourly(path, 100, "lorem ipsum ".repeat(1_000));
    assert.ok(Deno.statSync(path).size <= before);
  });
});

Deno.test("Retention gives up when nothing is left to delete", async () => {
  await withDirectory((path) => {
    writeHourly(path, 100);
    using bench = new Bench(path, { maxDbSizeBytes: 1 });
    assert.equal(counted(bench.run()), 100);
    assert.deepEqual(bench.step(), { type: "rest" });
  });
});

Deno.test("Retention goes on after a restart where it stopped", async () => {
  await withDirectory((path) => {
    writeHourly(path, 400);
    let left = 400;
    while (left > 24) {
      using bench = new Bench(path, { keepDays: 1 });
      const step = bench.step();
      assert.ok(step.type === "deleted");
      left -= step.count;
      assert.equal(idsOf(path).length, left);
    }
  });
});

Deno.test("Retention does nothing of a step that fails, and all of it later", async () => {
  await withDirectory((path) => {
    writeHourly(path, 100);
    byHand(
      path,
      `CREATE TRIGGER stop BEFORE DELETE ON attempts WHEN old.record_id = 20 BEGIN SELECT raise(ABORT, 'no'); END`,
    );
    using bench = new Bench(path, { keepDays: 1 });
    const before = idsOf(path).length;
    assert.throws(() => {
      for (let n = 0; n < 100; n++) bench.step();
    });
    assert.ok(idsOf(path).length >= before - 19);
    assert.equal(idsOf(path).includes(20), true);
    byHand(path, "DROP TRIGGER stop");
    bench.run();
    assert.equal(idsOf(path).length, 24);
  });
});

Deno.test("the writer's thread deletes while batches keep coming, and reports what it deleted", async () => {
  await withDirectory(async (path) => {
    const session = makeSession(path, KEEP_EVERYTHING, "living");
    const mark = RunningMark.set(path, "living");
    const oldMs = Date.now() - 3 * DAY_MS;
    for (let n = 0; n < 4; n++) {
      session.write(Array.from({ length: 300 }, () => makeRecord({ createdAtMs: oldMs })));
    }
    session.write([makeRecord({ createdAtMs: oldMs, outcome: "in_flight" })]);
    session.beat();
    const { writer, meter } = makeWriter(path, {
      retention: { keepDays: 2, keepBodiesDays: 1, maxDbSizeBytes: null },
    });
    let written = 0;
    while ((meter.deleted["keep_days"] ?? 0) < 1_200) {
      assert.equal(await writer.write(makeRecord({ createdAtMs: Date.now() })), "committed");
      written++;
      assert.ok(written < 100_000, `only ${meter.deleted["keep_days"]} deleted`);
    }
    await writer.close();
    assert.deepEqual(rowsOf(path, "SELECT outcome, count(*) AS n FROM records GROUP BY outcome ORDER BY n"), [
      { outcome: "in_flight", n: 1 },
      { outcome: "complete", n: written },
    ]);
    assert.deepEqual(meter.deleted, { keep_days: 1_200 });
    assert.equal(meter.bodies, 0);
    session.close();
    mark?.clear();
  });
});

Deno.test("the writer's thread deletes texts of an idle database as they become too old", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path, {
      retention: { keepDays: null, keepBodiesDays: 1, maxDbSizeBytes: null },
    });
    await writer.write(makeRecord({ createdAtMs: Date.now() - DAY_MS + 300 }));
    assert.equal(meter.bodies, 0);
    await until(() => meter.bodies === 1, "its body is deleted");
    await writer.close();
    assert.equal(rowsOf(path, "SELECT created_at, body FROM records")[0]?.["body"], null);
    assert.ok(
      toGoTime(Date.now()) > String(rowsOf(path, "SELECT created_at FROM records")[0]?.["created_at"]),
    );
  });
});
