/**
 * Upstreams with several keys in PostgreSQL: many of them in one row, and what a server finds of one, for other processes.
 */
import assert from "node:assert/strict";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, startReplica } from "../../support/replica.ts";
import { eventually, runProgram } from "../../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../../support/upstream.ts";

Deno.test("a pool of a thousand keys, one of which is refused", { ignore: isPostgresMissing }, async () => {
  await using postgres = await Postgres.start();
  const keys = Array.from({ length: 1_000 }, () => `sk-${crypto.randomUUID()}${crypto.randomUUID()}`);
  const refused = keys[0] ?? "";
  const refuse = reply(401, '{"error":{"message":"no"}}');
  await using pool = new FakeUpstream((request, wire) =>
    (request.headers.get("authorization")?.endsWith(refused) ? refuse : chatReply("ok"))(request, wire)
  );
  const db = await prepareSchema(postgres, []);
  const cwd = await Deno.makeTempDir({ prefix: "oar-pgkeys-" });
  const env = { OAR_DATABASE: plainUrl(postgres), PGPASSFILE: "/dev/null" };
  const add = (name: string) =>
    runProgram(["add", "--no-test", "--key", "-", "--endpoint", pool.endpoint, "--name", name], {
      ...{ cwd, env },
      stdin: keys.join("\n"),
    });
  const replica = await startReplica(plainUrl(postgres));
  try {
    const { code, stderr } = await add("pool");
    assert.equal(code, 0, stderr);
    assert.match((await add("again")).stderr, /this key and endpoint already/);
    const { router } = replica;
    const answer = await eventually(async () => {
      const response = await router.chat();
      await response.text();
      return response.status === 200 ? response : null;
    }, "an answer");
    assert.equal(answer.headers.get("x-oar-attempts"), "2");
    const listed = await eventually(async () => {
      const { stdout } = await runProgram(["list", "--json"], { cwd, env });
      const [upstream] = JSON.parse(stdout);
      return upstream.keys[0].state === "refused" ? upstream : null;
    }, "the key's state");
    assert.equal(listed.condition, "ok");
    assert.equal(listed.keys.length, 1_000);
    assert.ok(listed.keys[0].until !== null && listed.keys[1].state === "ok");
    assert.match((await runProgram(["list"], { cwd, env })).stdout, /1000 keys \(1 refused\)/);
  } finally {
    await replica.router[Symbol.asyncDispose]();
    await db.close();
    await Deno.remove(cwd, { recursive: true });
  }
});
