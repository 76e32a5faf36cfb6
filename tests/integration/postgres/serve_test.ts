/**
 * Two replicas over one PostgreSQL, as processes of their own.
 */
import assert from "node:assert/strict";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, startReplica } from "../../support/replica.ts";
import { askApi } from "../../support/admin.ts";
import { eventually, runProgram } from "../../support/router.ts";
import { chatReply, FakeUpstream } from "../../support/upstream.ts";

Deno.test("replicas over one PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  const url = plainUrl(postgres);

  await t.step("the first start makes the schema and says the clients' token", async () => {
    const { router } = await startReplica(url);
    try {
      assert.match(router.text, /new database postgres:/);
      assert.match(router.text, /clients must send this token/);
      await eventually(() => /no upstream yet/.exec(router.text), "a warning");
      const again = await startReplica(url);
      assert.doesNotMatch(again.router.text, /clients must send this token/);
      await again.router[Symbol.asyncDispose]();
    } finally {
      await router[Symbol.asyncDispose]();
    }
    await postgres.clear();
  });

  await t.step("both serve the same upstreams, and each shows the records of both", async () => {
    await using upstream = new FakeUpstream(chatReply("hello"));
    const db = await prepareSchema(postgres, [upstream.endpoint]);
    const one = await startReplica(url);
    const two = await startReplica(url);
    try {
      for (const { router } of [one, two, one]) {
        const response = await router.chat();
        assert.equal(response.status, 200);
        await response.body?.cancel();
      }
      const rows = await eventually(async () => {
        const found = await db.read<{ instance: string }>(
          "SELECT instance FROM oar.records WHERE outcome = 'complete'",
          [],
        );
        return found.length === 3 ? found : null;
      }, "three records in PostgreSQL");
      assert.equal(new Set(rows.map(({ instance }) => instance)).size, 2);
      for (const { router } of [one, two]) {
        await eventually(
          () => router.query("SELECT 1 FROM config_kvs WHERE key = 'admin'")[0] ?? null,
          "admin token",
        );
        const { records } = await askApi<{ records: unknown[] }>(router, "/records");
        assert.equal(records.length, 3);
      }
    } finally {
      await one.router[Symbol.asyncDispose]();
      await two.router[Symbol.asyncDispose]();
      await db.close();
    }
    await postgres.clear();
  });
});

Deno.test("a server with a PostgreSQL that cannot be used", { ignore: isPostgresMissing }, async (t) => {
  await t.step("refuses a database of its own as its journal", async () => {
    const cwd = await Deno.makeTempDir({ prefix: "oar-replica-" });
    await runProgram(["token", "set", "test-token-0123456789"], { cwd });
    const { code, stderr } = await runProgram(
      [
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--database",
        "postgres://a@127.0.0.1:1/x",
        "--journal",
        "db.sqlite",
      ],
      { cwd },
    );
    assert.equal(code, 1);
    assert.match(stderr, /is a database of its own, and no journal/);
    await Deno.remove(cwd, { recursive: true });
  });
});
