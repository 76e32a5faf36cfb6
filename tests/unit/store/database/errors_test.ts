import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  isNotADatabase,
  isRecordFault,
  toStoreError,
  troubleOf,
} from "../../../../src/store/database/errors.ts";
import { StoreError } from "../../../../src/store/store.ts";
import { withDirectory } from "../support.ts";

function errorOf(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

Deno.test("troubleOf() recognises real errors, from statements and from exec() alike", async () => {
  await withDirectory((path, directory) => {
    using db = new DatabaseSync(path);
    using other = new DatabaseSync(path);
    db.exec("CREATE TABLE t(a text NOT NULL); PRAGMA max_page_count = 3");
    const insert = "INSERT INTO t VALUES ('" + "x".repeat(20_000) + "')";
    assert.equal(troubleOf(errorOf(() => db.exec(insert))), "full");
    assert.equal(troubleOf(errorOf(() => db.prepare(insert).run())), "full");
    other.exec("BEGIN EXCLUSIVE");
    assert.equal(troubleOf(errorOf(() => db.exec("BEGIN IMMEDIATE"))), "locked");
    assert.equal(troubleOf(errorOf(() => db.prepare("BEGIN IMMEDIATE").run())), "locked");
    other.exec("ROLLBACK");
    using readOnly = new DatabaseSync(path, { readOnly: true });
    assert.equal(troubleOf(errorOf(() => readOnly.exec("DELETE FROM t"))), "readonly");
    assert.equal(troubleOf(errorOf(() => readOnly.prepare("DELETE FROM t").run())), "readonly");
    assert.equal(troubleOf(errorOf(() => new DatabaseSync(join(directory, "absent", "db")))), "gone");
    assert.equal(troubleOf(errorOf(() => db.exec("nonsense"))), "other");
    assert.equal(troubleOf(new StoreError("locked", "x")), "locked");
    assert.equal(troubleOf(new StoreError("foreign", "x")), "other");
  });
});

Deno.test("isRecordFault() tells a record's own fault from the database's trouble", async () => {
  await withDirectory((path) => {
    using db = new DatabaseSync(path);
    db.exec("CREATE TABLE t(a text NOT NULL)");
    const insert = db.prepare("INSERT INTO t VALUES (?)");
    assert.equal(isRecordFault(errorOf(() => insert.run(null))), true);
    assert.equal(isRecordFault(errorOf(() => insert.run({} as unknown as string))), true);
    assert.equal(isRecordFault(errorOf(() => db.prepare("SELECT * FROM absent"))), false);
  });
});

Deno.test("toStoreError() keeps the cause, and every message says what could not be done and what to do", async () => {
  await withDirectory((path) => {
    Deno.writeTextFileSync(path, "not a database ".repeat(100));
    using db = new DatabaseSync(path);
    const cause = errorOf(() => db.exec("SELECT * FROM sqlite_schema"));
    assert.equal(isNotADatabase(cause), true);
    const error = toStoreError(cause, "Cannot open database");
    assert.equal(error.code, "foreign");
    assert.equal(error.cause, cause);
    assert.match(error.message, /^Cannot open database: it is not an intact SQLite database; name another/);
  });
});
