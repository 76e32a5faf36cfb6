import { eventually } from "../../../support/router.ts";
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../../../src/core/types.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import type { WriteResult } from "../../../../src/store/store.ts";
import { RunningMark } from "../../../../src/store/database/running_marks.ts";
import { toGoTime } from "../../../../src/store/database/go_time.ts";
import { type PackedRecord, unpackRecord } from "../../../../src/store/write/packed_record.ts";
import {
  brokenWorker,
  byHand,
  makeRecord,
  makeWriter,
  rowsOf,
  spawnWriterWorker,
  until,
  withDirectory,
} from "../support.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

const COUNT = "SELECT count(*) AS n FROM records";

function countOf(path: string): number {
  return Number(rowsOf(path, COUNT)[0]?.["n"]);
}

Deno.test("RecordQueue stores every field, and the reader gives all of them back", async () => {
  await withDirectory(async (path) => {
    const database = openDatabase(path);
    database.config.addUpstream({ sk: "k1", endpoint: "https://one.example/v1" });
    database.config.addUpstream({ sk: "k2", endpoint: "https://two.example/v1", name: "two" });
    const { writer } = makeWriter(path, { instance: "me" });
    const record = makeRecord({
      toolCalls: [{ id: "c1", name: "look_up", arguments: '{"q":1}' }],
      reasoning: "hm",
      error: "none to speak of",
      isTruncated: true,
    });
    assert.equal(await writer.write(record), "committed");
    const stored = database.records.get(record.requestId);
    assert.ok(stored !== null);
    const { attempts, ...fields } = record;
    assert.deepEqual(stored, { ...fields, id: 1, attemptCount: 2, instance: "me" });
    assert.deepEqual(database.records.get(1), stored);
    assert.deepEqual(
      database.records.attempts(1),
      attempts.map((attempt) => ({ ...attempt, upstreamName: attempt.index === 1 ? "one.example" : "two" })),
    );
    await writer.close();
    database.close();
    assert.deepEqual(
      rowsOf(path, "SELECT created_at, elapsed_time, json_extract(body, '$.model') AS model FROM records"),
      [{ created_at: "2024-01-02 03:04:05.678000+00:00", elapsed_time: 1234500000, model: "gpt-4o" }],
    );
  });
});

Deno.test("RecordQueue has committed when it says so", async () => {
  await withDirectory(async (path) => {
    const { writer } = makeWriter(path);
    for (let n = 1; n <= 20; n++) {
      assert.equal(await writer.write(makeRecord()), "committed");
      assert.equal(countOf(path), n);
    }
    await writer.close();
  });
});

Deno.test("RecordQueue commits 10,000 records in groups and loses none", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path);
    const records = Array.from({ length: 10_000 }, (_, n) => makeRecord({ requestId: `r${n}` }));
    const results = await Promise.all(records.map((record) => writer.write(record)));
    assert.ok(results.every((result) => result === "committed"));
    assert.equal(countOf(path), 10_000);
    assert.equal(meter.written, 10_000);
    assert.ok(meter.batches < 1_000, `${meter.batches} batches`);
    assert.equal(writer.queuedBytes, 0);
    assert.equal(meter.queueBytes, 0);
    assert.deepEqual(meter.dropped, {});
    await writer.close();
    assert.deepEqual(rowsOf(path, "SELECT count(DISTINCT record_id) AS r, count(*) AS n FROM attempts"), [
      { r: 10_000, n: 20_000 },
    ]);
  });
});

Deno.test("RecordQueue replaces the row and the attempts of a request that is written again", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path);
    const last = makeRecord({ response: "Hello, world" });
    const first = makeRecord({ ...last, outcome: "in_flight", response: "Hel", attempts: [], error: "e" });
    await writer.write(first);
    assert.deepEqual(rowsOf(path, "SELECT outcome, attempts FROM records"), [{
      outcome: "in_flight",
      attempts: 0,
    }]);
    await writer.write(last);
    await writer.write({ ...last, attempts: last.attempts.slice(1) });
    await writer.close();
    assert.deepEqual(rowsOf(path, "SELECT id, outcome, response, error, attempts FROM records"), [
      { id: 1, outcome: "complete", response: "Hello, world", error: null, attempts: 1 },
    ]);
    assert.deepEqual(rowsOf(path, "SELECT record_id, n FROM attempts"), [{ record_id: 1, n: 2 }]);
    assert.equal(meter.written, 2, "rows in flight are not counted");
  });
});

Deno.test("RecordQueue numbers requests without a gap, however often one is written while it is under way", async () => {
  await withDirectory(async (path) => {
    const { writer } = makeWriter(path);
    const partial = { outcome: "in_flight", attempts: [] } as const;
    for (const requestId of ["a", "b", "c"]) {
      await writer.write(makeRecord({ requestId, ...partial }));
      await writer.write(makeRecord({ requestId, ...partial, upstreamId: 2 }));
      await writer.write(makeRecord({ requestId }));
    }
    await writer.close();
    assert.deepEqual(rowsOf(path, "SELECT id, request_id FROM records"), [
      { id: 1, request_id: "a" },
      { id: 2, request_id: "b" },
      { id: 3, request_id: "c" },
    ]);
  });
});

Deno.test("RecordQueue folds what waits for one request into its latest, and answers every writer", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path);
    const record = makeRecord();
    const results: Promise<WriteResult>[] = [];
    for (let n = 0; n <= 100; n++) results.push(writer.write({ ...record, response: `part ${n}` }));
    assert.ok((await Promise.all(results)).every((result) => result === "committed"));
    assert.equal(meter.batches, 2);
    assert.deepEqual(rowsOf(path, "SELECT response FROM records"), [{ response: "part 100" }]);
    await writer.close();
  });
});

Deno.test("RecordQueue keeps NUL, and replaces lone surrogates", async () => {
  await withDirectory(async (path) => {
    const { writer } = makeWriter(path);
    const database = openDatabase(path);
    const record = makeRecord({
      body: "before\0after",
      response: "lone \ud800 and 😀 \0 end",
      reasoning: "\0",
      userAgent: "\udc00",
      toolCalls: [{ id: null, name: "n\0", arguments: "\ud83d" }],
      error: "a\0b",
    });
    await writer.write(record);
    const stored = database.records.get(record.requestId);
    assert.equal(stored?.body, "before\0after");
    assert.equal(stored?.response, "lone \ufffd and 😀 \0 end");
    assert.equal(stored?.reasoning, "\0");
    assert.equal(stored?.userAgent, "\ufffd");
    assert.equal(stored?.error, "a\0b");
    assert.equal(stored?.toolCalls[0]?.name, "n\0");
    await writer.close();
    database.close();
  });
});

Deno.test("RecordQueue waits out a locked database and then commits everything", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path, { busyTimeoutMs: 10 });
    await writer.write(makeRecord());
    const other = new DatabaseSync(path);
    other.exec("PRAGMA busy_timeout = 5000; BEGIN EXCLUSIVE");
    const results = Array.from({ length: 50 }, () => writer.write(makeRecord()));
    await until(() => meter.troubles.length > 0, "the writer reports trouble");
    assert.ok(writer.queuedBytes > 0);
    results.push(writer.write(makeRecord()));
    other.exec("ROLLBACK");
    other.close();
    assert.ok((await Promise.all(results)).every((result) => result === "committed"));
    assert.deepEqual(meter.troubles, ["locked"]);
    assert.equal(meter.resumed, 1);
    assert.equal(countOf(path), 52);
    assert.deepEqual(meter.dropped, {});
    await writer.close();
  });
});

Deno.test("RecordQueue says that it is in vain to wait while the thread does not answer, or has failed", async () => {
  await withDirectory(async (path) => {
    const script: Script = ["full", "commit"];
    const clock = new FakeClock(0);
    const { writer } = makeWriter(path, { spawnWorker: () => new ScriptedWorker(script), clock });
    assert.equal(writer.isStalled, false);
    const written = writer.write(makeRecord());
    assert.equal(writer.isStalled, false);
    await until(() => clock.pendingTimers === 1, "the batch failed");
    assert.equal(writer.isStalled, true);
    clock.advance(250);
    await written;
    assert.equal(writer.isStalled, false);
    await writer.close();
  });
  await withDirectory(async (path) => {
    const clock = new FakeClock(0);
    const { writer } = makeWriter(path, { clock });
    await writer.write(makeRecord());
    const other = new DatabaseSync(path);
    other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
    const waiting = writer.write(makeRecord());
    assert.equal(writer.isStalled, false);
    clock.advance(250);
    assert.equal(writer.isStalled, true);
    other.exec("ROLLBACK");
    other.close();
    await waiting;
    assert.equal(writer.isStalled, false);
    await writer.close();
  });
});

Deno.test("RecordQueue retries a full database after 250 ms and then 500 ms, with the newest version of each record", async () => {
  await withDirectory(async (path) => {
    const script: Script = ["full", "full", "commit"];
    const clock = new FakeClock(0);
    const { writer, meter } = makeWriter(path, { spawnWorker: () => new ScriptedWorker(script), clock });
    const record = makeRecord({ response: "old" });
    const first = writer.write(record);
    await until(() => meter.troubles.length === 1, "the first batch failed");
    const second = writer.write({ ...record, response: "new" });
    clock.advance(249);
    assert.equal(script.length, 2);
    clock.advance(1);
    await until(() => clock.pendingTimers === 1 && script.length === 1, "the second batch failed");
    clock.advance(499);
    assert.equal(script.length, 1);
    clock.advance(1);
    assert.deepEqual(await Promise.all([first, second]), ["committed", "committed"]);
    assert.deepEqual(ScriptedWorker.committed.map(({ response }) => response), ["new"]);
    assert.deepEqual(meter.troubles, ["full"]);
    assert.equal(meter.resumed, 1);
    await writer.close();
  });
});

Deno.test("RecordQueue never lets a partial version replace the settled one, whatever the order", async () => {
  await withDirectory(async (path) => {
    const { writer } = makeWriter(path);
    const settled = makeRecord({ response: "all of it" });
    const partial: RequestRecord = { ...settled, outcome: "in_flight", response: "all", attempts: [] };
    const warmUp = writer.write(makeRecord());
    const results = await Promise.all([writer.write(settled), writer.write(partial), warmUp]);
    results.push(await writer.write(partial));
    assert.deepEqual(results, ["committed", "committed", "committed", "committed"]);
    assert.equal(writer.queuedBytes, 0);
    await writer.close();
    const rows = rowsOf(path, "SELECT outcome, response, attempts FROM records WHERE id = 2");
    assert.deepEqual(rows, [{ outcome: "complete", response: "all of it", attempts: 2 }]);
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n FROM attempts WHERE record_id = 2"), [{ n: 2 }]);
  });
});

Deno.test("RecordQueue keeps the settled version when a partial one comes during a retry", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock(0);
    const { writer, meter } = makeWriter(path, { spawnWorker: () => new ScriptedWorker(["full"]), clock });
    const settled = makeRecord({ response: "all of it" });
    const results = [
      writer.write(settled),
      writer.write({ ...settled, outcome: "in_flight", response: "all" }),
    ];
    await until(() => meter.troubles.length === 1, "the first batch failed");
    results.push(writer.write({ ...settled, outcome: "in_flight", response: "al" }));
    clock.advance(250);
    assert.deepEqual(await Promise.all(results), ["committed", "committed", "committed"]);
    assert.deepEqual(ScriptedWorker.committed.map(({ response }) => response), ["all of it"]);
    assert.equal(writer.queuedBytes, 0);
    assert.equal(meter.written, 1);
    await writer.close();
  });
});

Deno.test("RecordQueue drops and counts what the queue cannot hold, and keeps what it holds", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path, { busyTimeoutMs: 10, maxQueueBytes: 10_000 });
    await writer.write(makeRecord());
    const other = new DatabaseSync(path);
    other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
    const kept = writer.write(makeRecord({ body: "x".repeat(7_000) }));
    assert.equal(await writer.write(makeRecord({ body: "x".repeat(7_000) })), "dropped");
    assert.deepEqual(meter.dropped, { queue_full: 1 });
    assert.equal(meter.troubles[0], "queue_full");
    assert.ok(writer.queuedBytes <= 10_000);
    other.exec("ROLLBACK");
    other.close();
    assert.equal(await kept, "committed");
    assert.equal(meter.troubles.length, 1);
    assert.equal(meter.resumed, 1);
    await writer.close();
  });
});

Deno.test("RecordQueue drops only the record that nothing could store", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path);
    const warmUp = writer.write(makeRecord());
    const unbindable = { ...makeRecord(), status: {} } as unknown as RequestRecord;
    const badAttempt = {
      ...makeRecord(),
      attempts: [{ ...makeRecord().attempts[0], index: null }],
    } as unknown as RequestRecord;
    const badDate = makeRecord({ createdAtMs: Number.NaN });
    const uncloneable = { ...makeRecord(), client: () => {} } as unknown as RequestRecord;
    const results = [makeRecord(), unbindable, makeRecord(), badAttempt, badDate, uncloneable, makeRecord()]
      .map((record) => writer.write(record));
    assert.equal(await warmUp, "committed");
    assert.deepEqual(await Promise.all(results), [
      "committed",
      "dropped",
      "committed",
      "dropped",
      "dropped",
      "dropped",
      "committed",
    ]);
    assert.deepEqual(meter.dropped, { invalid: 4 });
    assert.equal(countOf(path), 4);
    assert.equal(writer.queuedBytes, 0);
    assert.ok(meter.troubles.includes("invalid"));
    await writer.close();
  });
});

Deno.test("RecordQueue starts another thread when its thread dies, and sends the batch again", async () => {
  await withDirectory(async (path) => {
    let spawned = 0;
    const { writer, meter } = makeWriter(path, {
      spawnWorker: () => {
        spawned++;
        return spawned === 1 ? brokenWorker() : spawnWriterWorker();
      },
    });
    const results = await Promise.all([writer.write(makeRecord()), writer.write(makeRecord())]);
    assert.deepEqual(results, ["committed", "committed"]);
    assert.equal(spawned, 2);
    assert.deepEqual(meter.troubles, ["other"]);
    assert.equal(meter.resumed, 1);
    assert.equal(countOf(path), 2);
    await writer.close();
  });
});

Deno.test("RecordQueue gives up a record that kills every thread, and writes the next", async () => {
  await withDirectory(async (path) => {
    const script: Script = ["crash", "crash", "crash", "commit"];
    const clock = new FakeClock(0);
    const { writer, meter } = makeWriter(path, {
      clock,
      spawnWorker: () => new ScriptedWorker(script),
    });
    const poison = writer.write(makeRecord());
    const next = writer.write(makeRecord());
    for (const left of [3, 2, 1]) {
      await until(() => script.length === left && clock.pendingTimers === 1, `${left} are left`);
      clock.advance(5_000);
    }
    assert.deepEqual(await Promise.all([poison, next]), ["dropped", "committed"]);
    assert.deepEqual(meter.dropped, { invalid: 1 });
    await writer.close();
  });
});

Deno.test("RecordQueue recreates a removed database with its configuration, and what it acknowledges is there", async () => {
  await withDirectory(async (path) => {
    const database = openDatabase(path);
    database.config.addUpstream({ sk: "k", endpoint: "https://a.example/v1", name: "a" });
    database.config.setTokens([{ name: "alice", secret: "sk-alice-0123456789" }]);
    const { writer, meter } = makeWriter(path);
    await writer.write(makeRecord());
    for (const suffix of ["", "-wal", "-shm"]) Deno.removeSync(path + suffix);
    assert.equal(await writer.write(makeRecord({ requestId: "after" })), "committed");
    assert.deepEqual(rowsOf(path, "SELECT request_id FROM records"), [{ request_id: "after" }]);
    assert.deepEqual(meter.troubles, ["gone"]);
    assert.equal(meter.resumed, 1);
    database.config.dataVersion();
    assert.deepEqual(database.config.listUpstreams().map(({ id, name }) => [id, name]), [[1, "a"]]);
    assert.deepEqual(database.config.listTokens().map(({ name }) => name), ["alice"]);
    await writer.close();
    database.close();
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(rowsOf(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  });
});

Deno.test("RecordQueue survives the removal of the database file alone, with its -wal left behind", async () => {
  await withDirectory(async (path) => {
    const database = openDatabase(path);
    const { writer } = makeWriter(path);
    for (let n = 0; n < 100; n++) await writer.write(makeRecord());
    Deno.removeSync(path);
    for (let n = 0; n < 100; n++) await writer.write(makeRecord());
    assert.equal(countOf(path), 100);
    database.config.dataVersion();
    assert.equal(database.records.list({ limit: 1000 }).length, 100);
    database.close();
    await writer.write(makeRecord());
    await writer.close();
    assert.equal(countOf(path), 101);
    assert.deepEqual(rowsOf(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  });
});

Deno.test("RecordQueue.close() commits what waits, checkpoints, and takes nothing more", async () => {
  await withDirectory(async (path, directory) => {
    const { writer, meter } = makeWriter(path);
    const results = Array.from({ length: 1_000 }, () => writer.write(makeRecord()));
    await writer.close();
    assert.ok((await Promise.all(results)).every((result) => result === "committed"));
    assert.equal(await writer.write(makeRecord()), "dropped");
    assert.deepEqual(meter.dropped, { shutdown: 1 });
    assert.deepEqual([...Deno.readDirSync(directory)].map((entry) => entry.name), ["db.sqlite"]);
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n FROM instances"), [{ n: 0 }]);
    await writer.close();
  });
});

Deno.test("RecordQueue.close() gives up after its limit and counts what is lost", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path, { busyTimeoutMs: 10, closeLimitMs: 100 });
    await writer.write(makeRecord());
    const other = new DatabaseSync(path);
    other.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
    const results = [writer.write(makeRecord()), writer.write(makeRecord())];
    await writer.close();
    assert.deepEqual(await Promise.all(results), ["dropped", "dropped"]);
    assert.deepEqual(meter.dropped, { shutdown: 2 });
    assert.equal(writer.queuedBytes, 0);
    other.exec("ROLLBACK");
    other.close();
  });
});

Deno.test("RecordQueue turns the rows of dead processes into crashed, keeping what had arrived", async () => {
  await withDirectory(async (path) => {
    const before = makeWriter(path, { instance: "before" });
    const partial = makeRecord({ outcome: "in_flight", response: "half of" });
    await before.writer.write(partial);
    const living = makeWriter(path, { instance: "living" });
    await living.writer.write(makeRecord({ requestId: "living", outcome: "in_flight" }));
    await before.writer.close();
    byHand(
      path,
      `INSERT INTO instances(id, heartbeat_at) VALUES ('stale', '${toGoTime(Date.now() - 60_000)}'),
         ('marked', '${toGoTime(Date.now() - 60_000)}'), ('elsewhere', '${toGoTime(Date.now() + 6_000)}'),
         ('killed', '${toGoTime(Date.now() + 6_000)}');
       INSERT INTO records(request_id, outcome, instance, response) VALUES ('killed', 'in_flight', 'killed', 'a'),
         ('stale', 'in_flight', 'stale', 'b'), ('marked', 'in_flight', 'marked', 'm'), ('elsewhere', 'in_flight', 'elsewhere', 'c'),
         ('done', 'complete', 'stale', 'd')`,
    );
    Deno.writeFileSync(`${path}.running-killed`, new Uint8Array());
    const marked = RunningMark.set(path, "marked");
    const after = makeWriter(path, { instance: "after" });
    await after.writer.write(makeRecord({ requestId: "own", outcome: "in_flight" }));
    // At once, long before its heartbeat would be too old.
    await eventually(() => {
      const [row] = rowsOf(path, "SELECT outcome FROM records WHERE request_id = 'killed'");
      return row?.["outcome"] === "crashed" ? row : null;
    }, "the row of a killed process to be closed");
    const outcomes = rowsOf(path, "SELECT request_id, outcome, response FROM records ORDER BY id")
      .map((row) => Object.values(row));
    assert.deepEqual(outcomes, [
      [partial.requestId, "crashed", "half of"],
      ["living", "in_flight", "Hello"],
      ["killed", "crashed", "a"],
      ["stale", "crashed", "b"],
      ["marked", "in_flight", "m"],
      ["elsewhere", "in_flight", "c"],
      ["done", "complete", "d"],
      ["own", "in_flight", "Hello"],
    ]);
    await living.writer.close();
    await after.writer.close();
    marked?.clear();
  });
});

type Script = ("commit" | "crash" | "full")[];

/** Answers batches as scripted; everything after the script is committed. */
class ScriptedWorker extends EventTarget implements Worker {
  static committed: RequestRecord[] = [];
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  readonly #script: Script;

  constructor(script: Script) {
    super();
    this.#script = script;
  }

  postMessage(message: { type: string; batch: number; records: PackedRecord[] }): void {
    if (message.type === "close") return this.#answer({ type: "closed" });
    if (message.type !== "batch") return;
    const { batch, records } = message;
    const step = this.#script.shift() ?? "commit";
    if (step === "crash") {
      queueMicrotask(() =>
        this.onerror?.(new ErrorEvent("error", { message: "out of memory", cancelable: true }))
      );
    } else if (step === "full") {
      this.#answer({ type: "failed", batch, reason: "full", message: "database or disk is full" });
    } else {
      ScriptedWorker.committed = records.map(unpackRecord);
      this.#answer({ type: "committed", batch, durationMs: 1, invalid: [] });
    }
  }

  terminate(): void {}

  #answer(data: unknown): void {
    queueMicrotask(() => this.onmessage?.(new MessageEvent("message", { data })));
  }
}
