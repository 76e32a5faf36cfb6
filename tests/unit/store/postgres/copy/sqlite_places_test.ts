/**
 * The SQLite ends of a copy: what a source is taken for, and what a target keeps.
 */
import assert from "node:assert/strict";
import { openDatabase } from "../../../../../src/store/database/open.ts";
import type { RemoteRecord } from "../../../../../src/store/postgres/copy/remote_source.ts";
import { SqliteSource } from "../../../../../src/store/postgres/copy/sqlite_source.ts";
import { SqliteTarget } from "../../../../../src/store/postgres/copy/sqlite_target.ts";
import { RECORD_COLUMNS } from "../../../../../src/store/database/record_columns.ts";
import { Journal } from "../../../../../src/store/postgres/shipper/journal.ts";
import { byHand, makeRecord, makeSession, rowsOf, withDirectory } from "../../support.ts";

function withSource<Result>(path: string, use: (source: SqliteSource) => Result, newId = "id-1"): Result {
  const source = new SqliteSource(path, () => newId);
  try {
    return use(source);
  } finally {
    source.close();
  }
}

Deno.test("a database keeps its id, wherever it is; a journal has its own", () =>
  withDirectory(async (path, folder) => {
    openDatabase(path).close();
    const identity = withSource(path, (source) => source.identity);
    assert.deepEqual(identity, {
      id: "id1",
      origin: null,
      isJournal: false,
      statisticsId: "copy-id1",
      goPrefix: "go-id1-",
    });
    await Deno.copyFile(path, `${folder}/copy.sqlite`);
    assert.deepEqual(withSource(`${folder}/copy.sqlite`, (source) => source.identity, "id-2"), identity);
    new Journal(path, { busyTimeoutMs: 1_000, newId: () => "j1", now: Date.now }).close();
    assert.deepEqual(withSource(path, (source) => source.identity), {
      id: "j1",
      origin: null,
      isJournal: true,
      statisticsId: "j1",
      goPrefix: "go-",
    });
  }));

Deno.test("keys come in order, whatever the numbers, and say what is under way", () =>
  withDirectory((path) => {
    const session = makeSession(path, undefined, "me");
    session.beat();
    session.write([
      makeRecord({ requestId: "a", response: "one" }),
      makeRecord({ requestId: "b", outcome: "in_flight", response: "half" }),
      makeRecord({ requestId: "c", outcome: "in_flight", response: "half" }),
    ]);
    byHand(
      path,
      `UPDATE records SET instance = 'gone', error = NULL WHERE request_id = 'c';
      INSERT INTO records(id, created_at) VALUES (-3, '2024-01-02 03:04:05.678901234+01:00'),
        (9223372036854775807, 'never')`,
    );
    withSource(path, (source) => {
      const lastId = source.lastId() ?? 0n;
      assert.equal(lastId, 9223372036854775807n);
      assert.equal(source.count(null, lastId), 5);
      assert.equal(source.count(1n, lastId), 3);
      const keys = source.keys(null, lastId, 10);
      assert.deepEqual(
        keys.map(({ id, requestId, createdAt, isUnderWay }) => [id, requestId, createdAt, isUnderWay]),
        [
          [-3n, "go-id1--3", "2024-01-02T02:04:05.678901Z", false],
          [1n, "a", "2024-01-02T03:04:05.678000Z", false],
          [2n, "b", "2024-01-02T03:04:05.678000Z", true],
          [3n, "c", "2024-01-02T03:04:05.678000Z", false],
          [9223372036854775807n, "go-id1-9223372036854775807", null, false],
        ],
      );
      assert.deepEqual(source.keys(1n, 3n, 1).map(({ id }) => id), [2n]);
      assert.equal(source.read(1n)?.isCrashed, false);
      assert.equal(source.read(9223372036854775807n), null);
      const dead = source.read(3n);
      assert.deepEqual([dead?.isCrashed, dead?.record.isSettled, dead?.record.texts.response], [
        true,
        true,
        "half",
      ]);
      assert.ok(dead?.record.values.includes("crashed"));
      assert.equal(source.keyOf(1n), "2024-01-02 03:04:05.678000+00:00");
      assert.equal(source.keyOf(77n), null);
      assert.equal(source.hasUncounted(), false);
    });
    byHand(path, "UPDATE usage_progress SET low = 2");
    assert.equal(withSource(path, (source) => source.hasUncounted()), true);
    session.close();
  }));

function remoteRecord(id: bigint, requestId: string, changes: Partial<RemoteRecord> = {}): RemoteRecord {
  const at = changes.at ?? "2024-01-02 03:04:05.678901+00:00";
  return {
    id,
    at,
    requestId,
    isUnderWay: false,
    isInFlight: false,
    attempts: [[1n, 2n, null, 5n, null, "timeout", null, null]],
    values: Object.keys(RECORD_COLUMNS).map((name) =>
      name === "request_id" ? requestId : name === "created_at" ? at : null
    ),
    ...changes,
  };
}

Deno.test("a target takes each record once, and gets its name at the end", () =>
  withDirectory((path) => {
    const open = (source = "pg-1"): SqliteTarget => new SqliteTarget(path, { source, ownId: "new" });
    const first = remoteRecord(5n, "a");
    const sameId = remoteRecord(6n, "a", { at: "2024-01-03 03:04:05.678901+00:00" });
    const sameNumber = remoteRecord(5n, "b");
    let target = open();
    assert.equal(target.put([first]), 0);
    target.close();
    assert.throws(() => open("pg-2"), /no unfinished copy of this database/);
    target = open();
    assert.deepEqual([first, sameId, sameNumber].map((record) => target.has(record)), [true, false, false]);
    assert.equal(target.put([sameId, sameNumber, remoteRecord(9n, "c", { isInFlight: true })]), 1);
    assert.deepEqual([first, sameId, sameNumber].map((record) => target.has(record)), [true, true, true]);
    assert.throws(() => Deno.statSync(path));
    target.finish();
    target.close();
    assert.deepEqual(rowsOf(path, "SELECT id, request_id, outcome, error FROM records ORDER BY id"), [
      { id: 5, request_id: "a", outcome: null, error: null },
      { id: 6, request_id: "a~6", outcome: null, error: null },
      { id: 7, request_id: "b", outcome: null, error: null },
      {
        id: 9,
        request_id: "c",
        outcome: "crashed",
        error: "the router stopped while this request was in flight",
      },
    ]);
    assert.deepEqual(
      rowsOf(path, "SELECT record_id FROM attempts"),
      [5, 6, 7, 9].map((record_id) => ({ record_id })),
    );
    assert.deepEqual(rowsOf(path, "SELECT low, high FROM search_progress"), [{ low: 9, high: 9 }]);
    assert.throws(() => open(), /the file exists/);
    assert.equal(withSource(path, (source) => source.identity.origin), "pg-1");
  }));
