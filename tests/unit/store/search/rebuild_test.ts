import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { rebuildSearchIndex } from "../../../../src/store/search/rebuild.ts";
import { StoreError } from "../../../../src/store/store.ts";
import { indexAll, makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";

/** Damages, as a program without SQLite's defences can make them, and whether the doctor sees them. */
const DAMAGES: readonly (readonly [sql: string, isSeen: boolean])[] = [
  ["UPDATE records_search_data SET block = x'00112233' WHERE id > 10", true],
  ["DELETE FROM records_search_data", true],
  ["DELETE FROM records_search_config", true],
  ["DROP TABLE records_search_config", true],
  ["DROP TABLE records_search_data", true],
  ["DROP TABLE records_search", true],
  ["DROP TABLE search_queue", true],
  ["PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'records_search'", true],
  ["SELECT 1", false],
];

Deno.test("a full-text index is made anew from the records, however it is damaged", async () => {
  for (const [sql, isSeen] of DAMAGES) {
    await withDirectory((path) => {
      const session = makeSession(path);
      session.write(Array.from({ length: 200 }, (_, n) => makeRecord({ response: `needle-${n} hay` })));
      indexAll(session);
      session.close();
      const careless = new DatabaseSync(path, { defensive: false } as object);
      careless.exec(sql);
      careless.close();
      const before = openDatabase(path, { access: "read" });
      const { corruptions, searchProblem } = before.inspect();
      assert.deepEqual(corruptions, [], sql);
      assert.equal(searchProblem !== null, isSeen, `${sql}: ${searchProblem}`);
      before.close();
      const progress: number[] = [];
      rebuildSearchIndex(path, { busyTimeoutMs: 100, onProgress: (low) => progress.push(low) });
      assert.equal(progress.at(-1), 0, sql);
      const after = openDatabase(path, { access: "read", maxScannedLength: 0 });
      assert.equal(after.inspect().searchProblem, null, sql);
      assert.equal(after.records.list({ limit: 500, filter: { text: "needle" } }).length, 200, sql);
      after.close();
      // Later records go on to be indexed.
      const again = makeSession(path);
      again.write([makeRecord({ response: "a new needle" })]);
      indexAll(again);
      again.close();
      assert.deepEqual(rowsOf(path, "SELECT low, high FROM search_progress"), [{ low: 0, high: 201 }], sql);
    });
  }
});

Deno.test("an index that cannot be locked stays as it is", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([makeRecord()]);
    const lock = openDatabase(path);
    lock.config.atomically("Cannot lock", () => {
      assert.throws(
        () => rebuildSearchIndex(path, { busyTimeoutMs: 1, onProgress: () => {} }),
        (error) => error instanceof StoreError && error.code === "locked",
      );
    });
    lock.close();
    session.close();
  });
});
