import assert from "node:assert/strict";
import { ensureToken } from "../../../../src/store/config/initial_tokens.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { makeDatabase, makeGoDatabase } from "../../../fixtures/go/fixture.ts";
import { byHand, rowsOf, withDirectory } from "../support.ts";

Deno.test("ensureToken() gives a new database a random token once", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    const token = ensureToken(database);
    assert.match(token ?? "", /^sk-oar-[\w-]{43}$/);
    assert.deepEqual(database.config.listTokens().map(({ secret }) => secret), [token]);
    assert.equal(ensureToken(database), null);
    database.close();
  });
});

Deno.test("ensureToken() still does so when another command created the database before the server", async () => {
  await withDirectory((path) => {
    openDatabase(path).close();
    const database = openDatabase(path);
    assert.notEqual(ensureToken(database), null);
    database.close();
  });
});

Deno.test("ensureToken() leaves alone what was configured, even when it was emptied", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    database.config.setTokens([]);
    assert.equal(ensureToken(database), null);
    assert.deepEqual(database.config.listTokens(), []);
    database.close();
  });
});

Deno.test("ensureToken() never adds a token to a Go database", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    byHand(path, "DELETE FROM config_kvs WHERE key = 'authorization'");
    const database = openDatabase(path);
    assert.equal(ensureToken(database), null);
    database.close();
  });
});

Deno.test("the config store writes times as the Go program does", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path, { now: () => Date.UTC(2023, 10, 8, 12, 34, 56, 789) });
    database.config.addUpstream({ sk: "k", endpoint: "https://a.example" });
    database.config.removeUpstream(1);
    database.close();
    const time = "2023-11-08 12:34:56.789000+00:00";
    assert.deepEqual(rowsOf(path, "SELECT created_at, updated_at, deleted_at FROM openai_upstreams"), [
      { created_at: time, updated_at: time, deleted_at: time },
    ]);
  });
});

Deno.test("the config store reads rows of any type that people typed by hand", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    byHand(
      path,
      `INSERT INTO openai_upstreams(sk, endpoint, timeout, enabled) VALUES
        (123, x'68690068', 'soon', 9223372036854775807), (NULL, NULL, 1.5, NULL)`,
    );
    assert.deepEqual(
      database.config.listUpstreams().map((
        { sk, endpoint, timeout, enabled },
      ) => [sk, endpoint, timeout, enabled]),
      [["123", "hi\0h", Number.NaN, 2 ** 63], [null, null, 1.5, null]],
    );
    database.close();
  });
});

Deno.test("setConfig() brings back a soft-deleted key, and works without a unique index", async () => {
  await withDirectory((path) => {
    makeDatabase(
      path,
      `CREATE TABLE config_kvs (id integer PRIMARY KEY, deleted_at datetime, key text, value text);
       INSERT INTO config_kvs(deleted_at, key, value) VALUES ('2023-11-08 12:34:56+08:00', 'policy', 'main')`,
    );
    const database = openDatabase(path);
    assert.equal(database.config.getConfig("policy"), null);
    database.config.setConfig("policy", "random");
    database.config.setConfig("new", "value");
    assert.equal(database.config.getConfig("policy"), "random");
    assert.equal(database.config.getConfig("new"), "value");
    database.close();
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n FROM config_kvs"), [{ n: 2 }]);
  });
});
