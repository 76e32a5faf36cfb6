import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "../../../../src/store/database/open.ts";
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

/** Rows that the index itself has for a word. */
function indexed(path: string, word: string): number[] {
  return rowsOf(path, `SELECT rowid AS id FROM records_search('"${word}"') ORDER BY rowid`)
    .map((row) => Number(row["id"]));
}

function progress(path: string): unknown {
  const [row] = rowsOf(
    path,
    "SELECT low, high, (SELECT count(*) FROM search_queue) AS waiting FROM search_progress",
  );
  return row;
}

/** Rows that a search has to read, because the index does not know them. */
function unindexedCount(path: string): number {
  const [row] = rowsOf(
    path,
    `SELECT count(*) AS n FROM records, search_progress
      WHERE records.id > high OR records.id <= low OR records.id IN (SELECT q.id FROM search_queue q)`,
  );
  return Number(row?.["n"]);
}

Deno.test("SearchIndex indexes settled rows, and rows in flight when they are settled", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const partial = makeRecord({ outcome: "in_flight", response: "par" });
    session.write([makeRecord({ response: "first" }), partial, makeRecord({ response: "third" })]);
    assert.deepEqual(progress(path), { low: 0, high: 0, waiting: 0 });
    indexAll(session);
    assert.deepEqual(progress(path), { low: 0, high: 3, waiting: 1 });
    assert.deepEqual([...indexed(path, "first"), ...indexed(path, "third")], [1, 3]);
    assert.deepEqual(indexed(path, "par"), []);
    session.write([{ ...partial, response: "partial no more", outcome: "complete" }]);
    indexAll(session);
    assert.deepEqual(progress(path), { low: 0, high: 3, waiting: 0 });
    assert.deepEqual(indexed(path, "partial"), [2]);
    session.close();
  });
});

Deno.test("SearchIndex replaces the words of a rewritten row, and forgets a deleted one", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const record = makeRecord({ response: "before" });
    session.write([record, makeRecord({ response: "doomed" })]);
    indexAll(session);
    session.write([{ ...record, response: "between" }]);
    session.write([{ ...record, response: "after" }]);
    byHand(path, "DELETE FROM records WHERE id = 2");
    assert.deepEqual(progress(path), { low: 0, high: 2, waiting: 2 });
    indexAll(session);
    assert.deepEqual(progress(path), { low: 0, high: 2, waiting: 0 });
    assert.deepEqual(indexed(path, "before"), []);
    assert.deepEqual(indexed(path, "after"), [1]);
    assert.deepEqual(indexed(path, "doomed"), []);
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n FROM records_search_docsize"), [{ n: 1 }]);
    byHand(path, "INSERT INTO records(id, response) VALUES (2, 'came back')");
    indexAll(session);
    assert.deepEqual(indexed(path, "came"), [2]);
    session.close();
  });
});

Deno.test("SearchIndex indexes what a dead process left in flight", async () => {
  await withDirectory((path) => {
    const dead = makeSession(path);
    dead.beat();
    dead.write([makeRecord({ outcome: "in_flight", response: "unfinished sympathy" })]);
    indexAll(dead);
    dead.close();
    const session = makeSession(path);
    session.beat();
    indexAll(session);
    assert.deepEqual(rowsOf(path, "SELECT outcome FROM records"), [{ outcome: "crashed" }]);
    assert.deepEqual(indexed(path, "unfinished"), [1]);
    session.close();
  });
});

Deno.test("SearchIndex leaves rows that change nothing of their text alone", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([makeRecord()]);
    indexAll(session);
    byHand(path, "UPDATE records SET client = 'bob', status = 500");
    assert.deepEqual(progress(path), { low: 0, high: 1, waiting: 0 });
    session.close();
  });
});

Deno.test("SearchIndex indexes an old database from its newest row down, in small steps", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    byHand(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO records(id, created_at, body, response)
        SELECT i, '2023-11-08 13:00:05+08:00', '"{\\"input\\":\\"number ' || i || '\\"}"', 'reply' FROM n`,
    );
    const database = openDatabase(path, { maxScannedLength: 100 * 4096 });
    const session = makeSession(path);
    const search = (text: string) =>
      database.records.list({ limit: 3, filter: { text } }).map(({ id }) => id);
    assert.deepEqual(progress(path), { low: 2000, high: 2000, waiting: 0 });
    assert.deepEqual(search("number"), [2000, 1999, 1998]);
    assert.deepEqual(search("你好"), [], "beyond what one search may read");
    session.write([makeRecord({ body: "number new" })]);
    session.index();
    assert.deepEqual(search("number"), [2001, 2000, 1999]);
    assert.ok(unindexedCount(path) > 0);
    assert.ok(indexAll(session) > 5);
    assert.equal(unindexedCount(path), 0);
    assert.deepEqual(search("你好"), [1]);
    assert.deepEqual(search("你"), [1]);
    assert.deepEqual(search("number 777"), [777]);
    database.close();
    session.close();
  });
});

Deno.test("RecordReader finds a record as soon as its commit is acknowledged", async () => {
  await withDirectory(async (path) => {
    const database = openDatabase(path);
    const { writer } = makeWriter(path);
    for (let n = 0; n < 50; n++) {
      const record = makeRecord({ response: `answer${n}z` });
      await writer.write(record);
      const found = database.records.list({ limit: 9, filter: { text: `answer${n}z` } });
      assert.deepEqual(found.map(({ requestId }) => requestId), [record.requestId]);
    }
    await writer.close();
    database.close();
  });
});

Deno.test("the writing thread indexes by itself when it is idle, hand-made rows included", async () => {
  await withDirectory(async (path) => {
    openDatabase(path).close();
    byHand(path, "INSERT INTO records(response) VALUES ('typed by hand')");
    const { writer } = makeWriter(path);
    await until(() => indexed(path, "typed").length === 1, "the row that was there is indexed");
    await Promise.all(
      Array.from({ length: 2_000 }, (_, n) => writer.write(makeRecord({ response: `say ${n}` }))),
    );
    await until(() => unindexedCount(path) === 0, "all records are indexed");
    assert.equal(indexed(path, "say").length, 2_000);
    await writer.close();
    assert.deepEqual(rowsOf(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
  });
});

Deno.test("the writing thread keeps indexing while records come without a pause", async () => {
  await withDirectory(async (path) => {
    const { writer } = makeWriter(path);
    const isEnough = () => indexed(path, "say").length > 100;
    for (let n = 0; n % 200 !== 199 || !isEnough(); n++) {
      assert.ok(n < 50_000, "next to nothing is indexed");
      await writer.write(makeRecord({ response: `say ${n}` }));
    }
    await writer.close();
  });
});

Deno.test("SearchIndex loses nothing and repeats nothing when it is killed in the middle", async () => {
  await withDirectory(async (path) => {
    openDatabase(path).close();
    byHand(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO records(request_id, body, response) SELECT 'r' || i, 'number ' || i, 'common reply' FROM n;
      UPDATE search_progress SET low = 10000, high = 10000`,
    );
    let kills = 0;
    for (; kills < 3 && unindexedCount(path) > 0; kills++) await killWhileIndexing(path);
    assert.ok(kills > 0);
    const reached = unindexedCount(path);
    assert.ok(reached < 20_000, "something was kept");
    assert.deepEqual(rowsOf(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
    const session = makeSession(path);
    const database = openDatabase(path, { maxScannedLength: 0 });
    indexAll(session);
    assert.equal(unindexedCount(path), 0);
    assert.equal(indexed(path, "common").length, 20_000);
    for (const n of [1, 9_999, 10_000, 10_001, 20_000]) {
      const found = database.records.list({ limit: 9, filter: { text: `"number ${n}"` } });
      assert.deepEqual(found.map(({ id }) => id), [n]);
    }
    database.close();
    session.close();
  });
});

async function killWhileIndexing(path: string): Promise<void> {
  const script = fileURLToPath(new URL("./index_process.ts", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", script, path],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  assert.match(new TextDecoder().decode(value), /^indexing/);
  child.kill("SIGKILL");
  await reader.cancel();
  await child.status;
}

Deno.test("SearchIndex does nothing while another program holds the lock, and goes on afterwards", async () => {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write([makeRecord({ response: "patience" })]);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    const { writer, meter } = makeWriter(path, { busyTimeoutMs: 10 });
    const waiting = writer.write(makeRecord({ response: "virtue" }));
    await until(() => meter.troubles.length > 0, "the writer reports trouble");
    assert.deepEqual(indexed(path, "patience"), []);
    other.exec("ROLLBACK");
    other.close();
    assert.equal(await waiting, "committed");
    await until(() => indexed(path, "virtue").length === 1, "the record is indexed");
    await writer.close();
    session.close();
  });
});

// The triggers must not need anything that an old client lacks, FTS5 least of all.
Deno.test({
  name: "records can be changed with the sqlite3 program, and the changes are found",
  ignore: spawnSync("sqlite3", ["--version"]).status !== 0,
  fn: async () => {
    await withDirectory((path) => {
      const session = makeSession(path);
      session.write([makeRecord({ response: "one" }), makeRecord({ response: "two" }), makeRecord()]);
      indexAll(session);
      const sql =
        `UPDATE records SET response = 'changed' WHERE id = 1; UPDATE records SET body = 'twice' WHERE id = 1;
        DELETE FROM records WHERE id = 2; INSERT OR REPLACE INTO records(id, response) VALUES (3, 'replaced');
        INSERT INTO records(response) VALUES ('inserted')`;
      const { status, stderr } = spawnSync("sqlite3", [path, sql]);
      assert.equal(status, 0, String(stderr));
      const database = openDatabase(path);
      const search = (text: string) =>
        database.records.list({ limit: 9, filter: { text } }).map(({ id }) => id);
      for (const isIndexed of [false, true]) {
        if (isIndexed) indexAll(session);
        const found = ["one", "two", "changed", "twice", "replaced", "inserted"].map(search);
        assert.deepEqual(found, [[], [], [1], [1], [3], [4]]);
      }
      assert.equal(unindexedCount(path), 0);
      database.close();
      session.close();
    });
  },
});

Deno.test("a search reads at most as much text that is not indexed as it may, the newest first", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write(Array.from({ length: 9 }, () => makeRecord({ body: `large ${"word ".repeat(20_000)}` })));
    const found = (maxScannedLength?: number): number[] => {
      const database = openDatabase(path, maxScannedLength === undefined ? {} : { maxScannedLength });
      const ids = database.records.list({ limit: 20, filter: { text: "large" } }).map(({ id }) => id);
      database.close();
      return ids;
    };
    assert.deepEqual(found(150_000), [9, 8]);
    assert.deepEqual(found(), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
    indexAll(session);
    assert.equal(found(0).length, 9);
    session.close();
  });
});

/** More than is read, made ready and written within one transaction. */
const LARGE = `large ${"word ".repeat(20_000)}`;

function queue(path: string): unknown {
  return rowsOf(path, "SELECT id, is_gone FROM search_queue ORDER BY id");
}

Deno.test("SearchIndex indexes a large row, new, changed or old, and claims it for the time that it takes", async () => {
  await withDirectory((path) => {
    makeSession(path).close();
    byHand(path, `INSERT INTO records(id, response) VALUES (1, 'old ${LARGE}')`);
    byHand(path, "UPDATE search_progress SET low = 1, high = 1");
    const session = makeSession(path);
    const record = makeRecord({ response: `new ${LARGE}` });
    session.write([makeRecord({ response: "small" }), record]);
    indexAll(session);
    assert.deepEqual(indexed(path, "large"), [1, 3]);
    session.write([{ ...record, response: `changed ${LARGE}` }]);
    indexAll(session);
    assert.deepEqual(indexed(path, "changed"), [3]);
    assert.deepEqual(progress(path), { low: 0, high: 3, waiting: 0 });
    session.close();
  });
});

Deno.test("SearchIndex leaves out what a process died of, and nothing else", async () => {
  await withDirectory((path) => {
    const dead = makeSession(path);
    dead.write([makeRecord({ response: "before" }), makeRecord({ response: "poison" })]);
    indexAll(dead);
    dead.close();
    // As a process leaves it that ends while it makes the row's text ready; its number may be anybody's by now.
    for (const pid of [Deno.pid, 999_999_999]) {
      byHand(path, `INSERT OR REPLACE INTO search_queue(id, is_gone) VALUES (2, -${pid})`);
      const session = makeSession(path);
      session.write([makeRecord({ response: "after" })]);
      indexAll(session);
      assert.deepEqual(queue(path), []);
      assert.deepEqual(indexed(path, "poison"), []);
      session.close();
    }
    assert.deepEqual([...indexed(path, "before"), ...indexed(path, "after")], [1, 3, 4]);
  });
});

Deno.test("SearchIndex leaves alone what another living process has claimed, and searches find it", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([makeRecord({ response: "claimed" })]);
    indexAll(session);
    const other = Deno.ppid;
    byHand(
      path,
      `INSERT INTO instances(id, pid) VALUES ('other', ${other});
      INSERT INTO search_queue(id, is_gone) VALUES (1, -${other})`,
    );
    const second = makeSession(path);
    indexAll(second);
    assert.deepEqual(queue(path), [{ id: 1, is_gone: -other }]);
    const database = openDatabase(path);
    assert.equal(database.records.list({ limit: 9, filter: { text: "claimed" } }).length, 1);
    database.close();
    session.close();
    second.close();
  });
});

Deno.test("SearchIndex holds no lock while it makes a large row ready", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const record = makeRecord({ response: `first ${LARGE}` });
    session.write([record]);
    const normalize = String.prototype.normalize;
    let wasChanged = false;
    String.prototype.normalize = function (form) {
      if (!wasChanged) {
        wasChanged = true;
        byHand(path, "PRAGMA busy_timeout = 0; UPDATE records SET response = 'second'");
      }
      return normalize.call(this, form);
    };
    try {
      indexAll(session);
    } finally {
      String.prototype.normalize = normalize;
    }
    assert.ok(wasChanged);
    assert.deepEqual(indexed(path, "first"), []);
    assert.deepEqual(indexed(path, "second"), [1]);
    session.close();
  });
});
