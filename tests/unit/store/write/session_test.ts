import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";

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
