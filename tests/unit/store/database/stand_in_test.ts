import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { standInFor } from "../../../../src/store/database/stand_in.ts";
import { byHand, withDirectory } from "../support.ts";

const ROWS = ["openai_upstreams", "config_kvs"].map((table) => `SELECT * FROM ${table} ORDER BY id`);

Deno.test("a stand-in has the configuration as it is, also where it breaks the constraints", async () => {
  await withDirectory((path) => {
    openDatabase(path).close();
    byHand(
      path,
      `DROP INDEX idx_sk_endpoint; DROP TABLE config_kvs;
       CREATE TABLE config_kvs (id integer PRIMARY KEY, created_at, updated_at, deleted_at, key text, value text);
       INSERT INTO openai_upstreams(sk, endpoint, name) VALUES ('k', 'https://a.example', 'one'), ('k', 'https://a.example', 'two');
       INSERT INTO openai_upstreams(sk, weight) VALUES (NULL, 9223372036854775807), (x'00ff', 1.5);
       INSERT INTO config_kvs(key, value) VALUES ('authorization', 'a'), ('authorization', 'b')`,
    );
    const source = new DatabaseSync(path, { readOnly: true });
    const copy = standInFor(source);
    for (const sql of ROWS) {
      const read = (db: DatabaseSync) => {
        const statement = db.prepare(sql);
        statement.setReadBigInts(true);
        return statement.all();
      };
      assert.deepEqual(read(copy), read(source));
    }
    copy.close();
    source.close();
  });
});
