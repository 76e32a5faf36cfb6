import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { prepared } from "../../../../src/store/database/statements.ts";
import { makeRecord, makeSession, withDirectory } from "../support.ts";

/** The statements that are prepared while `body` runs. */
function preparedDuring(body: () => void): string[] {
  const original = DatabaseSync.prototype.prepare;
  const statements: string[] = [];
  DatabaseSync.prototype.prepare = function (sql, ...rest) {
    statements.push(sql);
    return original.call(this, sql, ...rest);
  };
  try {
    body();
  } finally {
    DatabaseSync.prototype.prepare = original;
  }
  return statements;
}

function repeat(times: number, body: () => void): void {
  for (let n = 0; n < times; n++) body();
}

Deno.test("prepared() gives one statement for one text and connection, and forgets the oldest", () => {
  const [one, two] = [new DatabaseSync(":memory:"), new DatabaseSync(":memory:")];
  const statement = prepared(one, "SELECT 1 AS n");
  assert.equal(prepared(one, "SELECT 1 AS n"), statement);
  assert.notEqual(prepared(two, "SELECT 1 AS n"), statement);
  for (let n = 0; n < 1_000; n++) prepared(one, `SELECT ${n} AS m`);
  assert.notEqual(prepared(one, "SELECT 1 AS n"), statement);
  one.close();
  two.close();
});

Deno.test("polling, searching and heartbeats prepare nothing again", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    const session = makeSession(path);
    session.write([makeRecord(), makeRecord()]);
    const work = () => {
      database.config.dataVersion();
      database.config.listUpstreams();
      database.config.listTokens();
      database.config.listUpstreamStates();
      database.records.list({ limit: 5, filter: { text: "hello", status: 2 } });
      database.records.attempts(1);
      session.beat();
      session.index();
    };
    repeat(3, work);
    // On a slow machine a step of the index may come to its last statement only now, for the first time.
    const statements = preparedDuring(() => repeat(50, work));
    assert.deepEqual(statements, [...new Set(statements)]);
    session.close();
    database.close();
  });
});

Deno.test("statements follow the connection when another file takes the place", async () => {
  await withDirectory(async (path, directory) => {
    const database = openDatabase(path);
    database.config.addUpstream({ sk: "k", endpoint: "https://a.example" });
    assert.equal(database.config.listUpstreams().length, 1);
    openDatabase(`${directory}/other.sqlite`).close();
    await Deno.rename(`${directory}/other.sqlite`, path);
    database.config.dataVersion();
    assert.equal(database.config.listUpstreams().length, 0);
    database.close();
  });
});
