/**
 * What one replica finds of an upstream holds it back at the other one: two processes, one PostgreSQL.
 */
import assert from "node:assert/strict";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, type Replica, startReplica } from "../../support/replica.ts";
import { eventually } from "../../support/router.ts";
import { chatReply, FakeUpstream, reply, type Script } from "../../support/upstream.ts";

const NO_CREDIT = reply(402, '{"error":{"message":"no credit left"}}', {
  "content-type": "application/json",
});
const SERVER_ERROR = reply(500, '{"error":{"message":"oops"}}', { "content-type": "application/json" });

/** Which upstream answers, and after how many attempts. */
async function ask({ router }: Replica): Promise<string> {
  const response = await router.chat();
  await response.text();
  return `${response.headers.get("x-oar-upstream")} ${response.headers.get("x-oar-attempts")}`;
}

Deno.test("breakers of two replicas over one PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  let script: Script = NO_CREDIT;
  await using first = new FakeUpstream((request, wire) => script(request, wire));
  await using second = new FakeUpstream(chatReply("second"));
  const db = await prepareSchema(postgres, [first.endpoint, second.endpoint]);
  const [one, two] = [await startReplica(plainUrl(postgres)), await startReplica(plainUrl(postgres))];
  const shown = ({ router }: Replica, state: string) =>
    eventually(
      async () => await router.metric(`upstream_state{upstream="upstream-1",state="${state}"}`) === 1 || null,
      `${state} is shown`,
    );
  try {
    await t.step(
      "without credit at one, it is not asked by the other, which says nothing of its own",
      async () => {
        assert.equal(await ask(one), "upstream-2 2");
        await shown(two, "no_credit");
        assert.equal(await ask(two), "upstream-2 1");
        assert.equal(
          await postgres.psql("SELECT state, count(*) FROM oar.upstream_states GROUP BY state"),
          "no_credit|1",
        );
        assert.match(one.router.text, /upstream-1 has no credit left/);
        assert.doesNotMatch(two.router.text, /has no credit left/);
        assert.match(two.router.text, /upstream-1 is held back, as another replica found: "HTTP 402/);
      },
    );
    await t.step("enabled by the operator, it is asked at once by both", async () => {
      script = chatReply("first");
      await postgres.psql("UPDATE oar.openai_upstreams SET updated_at = now() WHERE name = 'upstream-1'");
      for (const replica of [one, two]) {
        await shown(replica, "closed");
        assert.equal(await ask(replica), "upstream-1 1");
      }
    });
    await t.step("an outage at one is told, and holds nothing back at the other", async () => {
      script = SERVER_ERROR;
      for (let n = 0; n < 3; n++) await ask(one);
      await shown(one, "open");
      await eventually(
        async () => await postgres.psql("SELECT cause FROM oar.upstream_findings") === "outage" || null,
        "the finding",
      );
      await shown(two, "closed");
    });
  } finally {
    for (const { router } of [one, two]) await router[Symbol.asyncDispose]();
    await db.close();
  }
});
