import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { troubleOf } from "../../../../src/store/database/errors.ts";
import { migrate } from "../../../../src/store/database/migrations.ts";
import { inTransaction } from "../../../../src/store/database/transaction.ts";
import { withDirectory } from "../support.ts";

const PAGES_OF_A_SCHEMA = 60;

Deno.test("a disk that is full at any point of a migration is said to be full, and nothing of it is done", async () => {
  await withDirectory((_, directory) => {
    let full = 0;
    for (let pages = 1; pages <= PAGES_OF_A_SCHEMA; pages++) {
      using db = new DatabaseSync(`${directory}/${pages}.sqlite`);
      db.exec(`PRAGMA max_page_count = ${pages}`);
      try {
        migrate(db);
      } catch (error) {
        full++;
        assert.equal(troubleOf(error), "full", `${pages} pages: ${error}`);
        assert.equal(db.isTransaction, false);
        assert.equal(db.prepare("SELECT count(*) AS n FROM sqlite_schema").get()?.["n"], 0);
      }
    }
    assert.ok(full > 10 && full < PAGES_OF_A_SCHEMA, `${full}`);
  });
});

Deno.test("inTransaction() commits what its body does, and does nothing of it when the body throws", () => {
  using db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t(a)");
  const count = () => Number(db.prepare("SELECT count(*) AS n FROM t").get()?.["n"]);
  assert.equal(inTransaction(db, () => db.prepare("INSERT INTO t VALUES (1)").run().changes), 1);
  assert.throws(() =>
    inTransaction(db, () => {
      db.exec("INSERT INTO t VALUES (2)");
      throw new Error("stopped");
    }), /stopped/);
  assert.deepEqual([count(), db.isTransaction], [1, false]);
});
