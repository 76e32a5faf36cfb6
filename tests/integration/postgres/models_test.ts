/**
 * The models of upstreams with PostgreSQL: each replica asks for itself, and what it learns is there for commands.
 */
import assert from "node:assert/strict";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, startReplica } from "../../support/replica.ts";
import { eventually, runProgram } from "../../support/router.ts";
import { FakeUpstream, reply } from "../../support/upstream.ts";

const COUNT = "SELECT count(*) FROM oar.upstream_models";

Deno.test("lists of models are in PostgreSQL as they are now", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  const list = '{"data":[{"id":"a","n":1.0},{"id":"b"}]}';
  await using first = new FakeUpstream(reply(200, list));
  await using second = new FakeUpstream(reply(404, "{}"));
  const url = plainUrl(postgres);
  const db = await prepareSchema(postgres, [first.endpoint, second.endpoint]);
  const { router, directory } = await startReplica(url, { env: { OAR_MODELS: "union" } });
  try {
    await t.step("with the objects, and by `list --models` over the URL", async () => {
      await eventually(async () => await postgres.psql(COUNT) === "2" || null, "the models");
      assert.equal(
        await postgres.psql("SELECT raw FROM oar.upstream_models WHERE n = 1"),
        '{"id":"a","n":1.0}',
      );
      const { stdout, code } = await runProgram(["list", "--models", "--database", url], { cwd: directory });
      assert.equal(code, 0);
      assert.deepEqual(stdout.trimEnd().split("\n").slice(0, 3), ["upstream-1: 2 models", "  a", "  b"]);
      assert.match(stdout, /^upstream-2: not known/m);
    });
    await t.step("they go with the upstream", async () => {
      await runProgram(["remove", "upstream-1", "--database", url], { cwd: directory });
      await eventually(async () => await postgres.psql(COUNT) === "0" || null, "the deletion");
    });
  } finally {
    await router[Symbol.asyncDispose]();
    await db.close();
    await Deno.remove(directory, { recursive: true });
  }
});
