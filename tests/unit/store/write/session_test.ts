import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { KEEP_EVERYTHING } from "../../../../src/store/write/retention.ts";
import { WriterSession } from "../../../../src/store/write/session.ts";
import { byHand, makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";

/** Lets the next statement that is prepared on a new connection fail, as it does while another program has a lock. */
function failOnce(pattern: RegExp): Disposable {
  const { prepare } = DatabaseSync.prototype;
  let isDone = false;
  DatabaseSync.prototype.prepare = function (sql: string) {
    if (!isDone && pattern.test(sql)) {
      isDone = true;
      throw new Error("database is locked");
    }
    return prepare.call(this, sql);
  };
  return { [Symbol.dispose]: () => DatabaseSync.prototype.prepare = prepare };
}

Deno.test("a file that was replaced is written to although the first try to open it failed halfway", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "before" })]);
    Deno.removeSync(path);
    {
      using _ = failOnce(/coalesce\(max\(id\), 0\)/);
      assert.throws(() => session.write([makeRecord({ requestId: "first" })]), /locked/);
    }
    session.write([makeRecord({ requestId: "first" })]);
    session.write([makeRecord({ requestId: "second" })]);
    session.beat();
    session.close();
    const ids = rowsOf(path, "SELECT request_id FROM records ORDER BY id").map((row) => row["request_id"]);
    assert.deepEqual(ids, ["first", "second"]);
  });
});

Deno.test("a session sets the journal mode once the lock is free that kept it from being set", async () => {
  await withDirectory((path) => {
    openDatabase(path).close();
    byHand(path, "PRAGMA journal_mode = DELETE");
    const lock = new DatabaseSync(path);
    lock.exec("BEGIN IMMEDIATE");
    const session = new WriterSession({
      timeZone: "UTC",
      path,
      durability: "normal",
      instance: "waiting",
      pid: Deno.pid,
      busyTimeoutMs: 1,
      retention: KEEP_EVERYTHING,
    });
    assert.throws(() => session.beat(), /locked/);
    lock.exec("ROLLBACK");
    lock.close();
    session.beat();
    assert.deepEqual(rowsOf(path, "PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
    session.close();
  });
});
