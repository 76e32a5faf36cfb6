/**
 * The order of trial, set at one server, holds at the others of the same PostgreSQL database.
 */
import assert from "node:assert/strict";
import { askApi, posted } from "../../support/admin.ts";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, startReplica } from "../../support/replica.ts";
import { eventually } from "../../support/router.ts";

interface PolicyInUse {
  readonly policy: string;
}

Deno.test(
  "the policy that one server's API sets holds at another one",
  { ignore: isPostgresMissing },
  async () => {
    await using postgres = await Postgres.start();
    const db = await prepareSchema(postgres, []);
    const first = await startReplica(plainUrl(postgres));
    const second = await startReplica(plainUrl(postgres));
    try {
      const set = await askApi<PolicyInUse>(first.router, "/policy", posted({ policy: "fastest" }, "PUT"));
      assert.equal(set.policy, "fastest");
      await eventually(async () => {
        const { policy } = await askApi<PolicyInUse>(second.router, "/status");
        return policy === "fastest" || null;
      }, "the other server to use it");
    } finally {
      await first.router[Symbol.asyncDispose]();
      await second.router[Symbol.asyncDispose]();
      await db.close();
    }
  },
);
