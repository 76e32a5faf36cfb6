/**
 * One budget over two servers in one PostgreSQL: together they spend no more, also when one is killed.
 */
import assert from "node:assert/strict";
import { LIMITED_SECRET } from "../../support/budget_stage.ts";
import { sha256Hex } from "../../support/client_token.ts";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, type Replica, startReplica } from "../../support/replica.ts";
import { eventually } from "../../support/router.ts";
import { chatReply, FakeUpstream, hang } from "../../support/upstream.ts";

/** One request costs a cent. */
const CENT_NANO = 10_000_000;
const BUDGET_NANO = 20 * CENT_NANO;

interface Place {
  readonly upstream: FakeUpstream;
  readonly postgres: Postgres;
  readonly replicas: readonly Replica[];
  /** In 1e-9 US dollars. */
  spent(): Promise<number>;
  leased(): Promise<number>;
}

/** @param killed the replica that the test kills; null: none */
async function overTwo(killed: number | null, use: (place: Place) => Promise<void>): Promise<void> {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using postgres = await Postgres.start();
  const prices = await Deno.makeTempFile({ prefix: "oar-prices-" });
  const database = await prepareSchema(postgres, [upstream.endpoint]);
  const replicas: Replica[] = [];
  const sum = async (sql: string) => Number((await postgres.psql(sql)).trim() || "0");
  try {
    await Deno.writeTextFile(prices, JSON.stringify({ "test-model": { request: 0.01 } }));
    await postgres.psql(
      `INSERT INTO oar.client_tokens(name, sha256, hint, budget_usd, budget_period)
        VALUES ('amy', '${sha256Hex(LIMITED_SECRET)}', 'sk-…', '0.2', 'day')`,
    );
    for (let count = 0; count < 2; count++) {
      replicas.push(await startReplica(plainUrl(postgres), { args: ["--prices", prices] }));
    }
    await use({
      ...{ upstream, postgres, replicas },
      spent: () => sum("SELECT coalesce(sum(cost_nano), 0) FROM oar.token_spend"),
      leased: () => sum("SELECT coalesce(sum(nano), 0) FROM oar.token_leases"),
    });
  } finally {
    for (const [index, { router, directory }] of replicas.entries()) {
      if (index !== killed) await router[Symbol.asyncDispose]();
      await Deno.remove(directory, { recursive: true });
    }
    await database.close();
    await Deno.remove(prices);
  }
}

/** The status of a request of the limited token, or the code of its refusal; null: the connection was lost. */
async function ask({ router }: Replica): Promise<string | null> {
  try {
    const response = await router.chat({}, { headers: { authorization: `Bearer ${LIMITED_SECRET}` } });
    const text = await response.text();
    return response.ok ? "200" : JSON.parse(text).error.code;
  } catch {
    return null;
  }
}

function counted(results: readonly (string | null)[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const each of results) counts[each ?? "lost"] = (counts[each ?? "lost"] ?? 0) + 1;
  return counts;
}

Deno.test({
  name: "200 requests at once over two servers against a budget for 20: together they spend no more",
  ignore: isPostgresMissing,
  fn: () =>
    overTwo(null, async ({ upstream, replicas, spent }) => {
      const results = await Promise.all(
        Array.from({ length: 200 }, (_, index) => {
          const replica = replicas[index % 2];
          return replica === undefined ? null : ask(replica);
        }),
      );
      const counts = counted(results);
      const served = counts["200"] ?? 0;
      await eventually(async () => await spent() === served * CENT_NANO ? true : null, "the spending");
      console.log("two servers, 200 at once:", counts, "spent", await spent(), "of", BUDGET_NANO);
      assert.ok(served > 0 && served <= 20, String(served));
      assert.equal(upstream.requests.length, served);
      // What one has lent and not used comes back, until all of it is spent, and nothing more.
      await eventually(async () => {
        for (const replica of replicas) await ask(replica);
        return await spent() === BUDGET_NANO ? true : null;
      }, "all of it to be spent");
      for (const replica of replicas) {
        await eventually(
          async () => await ask(replica) === "insufficient_quota" ? true : null,
          "a last word",
        );
      }
      assert.equal(upstream.requests.length, 20);
    }),
});

Deno.test({
  name: "what a killed server had reserved stays reserved: the other one spends only the rest",
  ignore: isPostgresMissing,
  fn: () =>
    overTwo(0, async ({ upstream, replicas: [first, second], spent, leased }) => {
      assert.ok(first !== undefined && second !== undefined);
      upstream.script = hang;
      const held = Array.from({ length: 12 }, () => ask(first));
      await upstream.received(12);
      first.router.signal("SIGKILL");
      await first.router.exited();
      await Promise.all(held);
      upstream.script = chatReply("ok");
      const counts = counted(await Promise.all(Array.from({ length: 100 }, () => ask(second))));
      console.log("after SIGKILL of one with 12 under way:", counts);
      assert.ok((counts["200"] ?? 0) <= 8);
      await eventually(async () => {
        await ask(second);
        return upstream.requests.length === 20 || await spent() + await leased() >= BUDGET_NANO ? true : null;
      }, "the rest to be spent");
      assert.ok(upstream.requests.length <= 20, String(upstream.requests.length));
      assert.ok(await spent() + await leased() <= BUDGET_NANO);
    }),
});
