/** What one replica learns of an upstream that refuses to be asked for usage, the others know. */
import assert from "node:assert/strict";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, startReplica } from "../../support/replica.ts";
import { eventually } from "../../support/router.ts";
import { chatEvents, FakeUpstream, reply, stream } from "../../support/upstream.ts";

const REFUSAL = '{"error":{"message":"Unrecognized request argument supplied: stream_options"}}';

Deno.test(
  "replicas learn from each other who refuses stream_options",
  { ignore: isPostgresMissing },
  async () => {
    await using postgres = await Postgres.start();
    const events = chatEvents(["hi"]).filter((event) => !event.includes('"choices":[]'));
    await using upstream = new FakeUpstream((request, wire) =>
      (request.text.includes("stream_options") ? reply(400, REFUSAL) : stream(events))(request, wire)
    );
    const db = await prepareSchema(postgres, [upstream.endpoint]);
    const url = plainUrl(postgres);
    const one = await startReplica(url, { env: { OAR_USAGE: "auto" } });
    const two = await startReplica(url, { env: { OAR_USAGE: "auto" } });
    try {
      assert.equal(await (await one.router.chat({ stream: true })).text(), events.join(""));
      assert.equal(upstream.requests.length, 2);
      await eventually(
        async () => Number(await postgres.psql("SELECT usage_refused FROM oar.upstream_checks")) > 0 || null,
        "the refusal in PostgreSQL",
      );
      await eventually(async () => {
        const before = upstream.requests.length;
        await (await two.router.chat({ stream: true })).text();
        return upstream.requests.length === before + 1 || null;
      }, "the other replica to know");
      // Its own question would have been written down later.
      const row = "SELECT count(*) FROM oar.upstream_checks WHERE checked_at IS NOT NULL";
      await eventually(async () => await postgres.psql(row) === "1" || null, "that it has answered");
      assert.ok(Number(await postgres.psql("SELECT usage_refused FROM oar.upstream_checks")) > 0);
    } finally {
      await one.router[Symbol.asyncDispose]();
      await two.router[Symbol.asyncDispose]();
      await db.close();
      for (const { directory } of [one, two]) await Deno.remove(directory, { recursive: true });
    }
  },
);
