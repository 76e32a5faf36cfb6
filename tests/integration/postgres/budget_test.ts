/**
 * One budget over two replicas on one PostgreSQL: it holds when all ask at once, when one is killed, and when PostgreSQL is
 * away.
 */
import assert from "node:assert/strict";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { LIMITED_SECRET } from "../../support/budget_stage.ts";
import { sha256Hex } from "../../support/client_token.ts";
import { plainUrl, prepareSchema, type Replica, startReplica } from "../../support/replica.ts";
import { eventually, type Router } from "../../support/router.ts";
import { chatReply, FakeUpstream } from "../../support/upstream.ts";

const BUDGET_NANO = 400_000_000;
const CENT_NANO = 10_000_000;
const REQUESTS = 200;

interface Stage {
  readonly postgres: Postgres;
  readonly upstream: FakeUpstream;
  readonly replicas: Replica[];
  /** Starts a replica again, or another one. */
  start(directory?: string): Promise<Replica>;
}

function chat(router: Router): Promise<Response> {
  return router.chat({}, { headers: { authorization: `Bearer ${LIMITED_SECRET}` } });
}

/** Statuses of so many requests, to one replica after the other; 0: it was killed. */
async function flood(routers: readonly Router[], count = REQUESTS): Promise<number[]> {
  return await Promise.all(Array.from({ length: count }, async (_, n) => {
    const router = routers[n % routers.length];
    if (router === undefined) return 0;
    try {
      const response = await chat(router);
      await response.text();
      return response.status;
    } catch {
      return 0;
    }
  }));
}

/** Chats that have reached the upstream, each of which costs a cent. */
function servedBy({ requests }: FakeUpstream): number {
  return requests.filter(({ target }) => target.endsWith("/chat/completions")).length;
}

/** What the database says. */
async function charges(postgres: Postgres): Promise<{ rows: number; leases: number }> {
  const text = await postgres.psql(
    `SELECT (SELECT coalesce(sum(cost_nano), 0) FROM oar.token_spend), (SELECT coalesce(sum(nano), 0) FROM oar.token_leases)`,
  );
  const [rows = 0, leases = 0] = text.split("|").map(Number);
  return { rows, leases };
}

async function withReplicas(postgres: Postgres, body: (stage: Stage) => Promise<void>): Promise<void> {
  await postgres.clear();
  const folder = await Deno.makeTempDir({ prefix: "oar-prices-" });
  const prices = `${folder}/prices.json`;
  await Deno.writeTextFile(
    prices,
    JSON.stringify({ "test-model": { request: 0.01, input: 0, output: 0 } }),
  );
  await using upstream = new FakeUpstream(chatReply("ok"));
  const db = await prepareSchema(postgres, [upstream.endpoint]);
  await db.write((query) =>
    query(
      "INSERT INTO oar.client_tokens (name, sha256, hint, budget_usd, budget_period) VALUES ('amy', $1, 'sk-…', $2, 'total')",
      [sha256Hex(LIMITED_SECRET), String(BUDGET_NANO / 1e9)],
    )
  );
  await db.close();
  const replicas: Replica[] = [];
  const start = async (directory?: string): Promise<Replica> => {
    const replica = await startReplica(plainUrl(postgres), {
      args: ["--prices", prices],
      ...(directory === undefined ? {} : { directory }),
    });
    replicas.push(replica);
    await eventually(async () => (await replica.router.fetch("/models")).ok || null, "the replica");
    return replica;
  };
  try {
    await Promise.all([start(), start()]);
    await body({ postgres, upstream, replicas, start });
  } finally {
    for (const { router } of replicas) await router[Symbol.asyncDispose]();
    for (const { directory } of replicas) await Deno.remove(directory, { recursive: true }).catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
}

const CASES: readonly (readonly [name: string, body: (stage: Stage) => Promise<void>])[] = [
  ["200 requests at once over two replicas: no cent more than the budget", async (stage) => {
    const { postgres, upstream, replicas } = stage;
    const statuses = await flood(replicas.map(({ router }) => router));
    const served = servedBy(upstream);
    console.log(`two replicas: served ${served} of 40, budget ${BUDGET_NANO}, bound 0`);
    assert.equal(statuses.filter((status) => status === 200).length, served);
    assert.ok(served * CENT_NANO <= BUDGET_NANO);
    // Leases that are not used come back, so that in the end all of the budget can be spent.
    await eventually(async () => {
      await flood(replicas.map(({ router }) => router), 4);
      return servedBy(upstream) === BUDGET_NANO / CENT_NANO || null;
    }, "the rest of the budget");
    await eventually(async () => (await charges(postgres)).rows === BUDGET_NANO || null, "the charges");
    assert.ok((await flood(replicas.map(({ router }) => router), 10)).every((status) => status === 429));
    assert.deepEqual(await charges(postgres), { rows: BUDGET_NANO, leases: 0 });
  }],
  ["one replica is killed in the middle, and starts again", async (stage) => {
    const { postgres, upstream, replicas, start } = stage;
    const [first, second] = replicas;
    assert.ok(first && second);
    let taken = 0;
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    upstream.script = async (request, wire) => {
      if (++taken % 2 === 1) await Promise.race([request.closed, gate]);
      await chatReply("ok")(request, wire);
    };
    const over = flood([first.router, second.router], 30);
    await eventually(() => servedBy(upstream) >= 8 || null, "requests at the upstream");
    const dead = String(first.router.query("SELECT id FROM instances")[0]?.["id"]);
    first.router.signal("SIGKILL");
    await first.router.exited();
    replicas.splice(replicas.indexOf(first), 1);
    open();
    upstream.script = chatReply("ok");
    const again = await start(first.directory);
    await flood([second.router, again.router]);
    const atKill = await charges(postgres);
    assert.ok(servedBy(upstream) * CENT_NANO <= BUDGET_NANO, String(servedBy(upstream)));
    assert.ok(atKill.rows + atKill.leases <= BUDGET_NANO);
    // Others find out that it is dead by its silence.
    await postgres.psql(
      `UPDATE oar.token_leases SET renewed_ms = renewed_ms - 60000;
      UPDATE oar.instances SET heartbeat_at = now() - interval '1 hour'
        WHERE id = '${dead}'`,
    );
    await eventually(
      async () =>
        await postgres.psql(`SELECT 1 FROM oar.token_leases WHERE source = '${dead}'`) === "" || null,
      "the charge of the dead replica",
    );
    replicas.splice(replicas.indexOf(second), 1);
    await second.router[Symbol.asyncDispose]();
    await over;
    await flood([again.router]);
    const served = servedBy(upstream);
    const counted = await charges(postgres);
    console.log(
      `one of two replicas killed: served ${served} of 40, budget ${BUDGET_NANO}, bound 0`,
      counted,
    );
    assert.ok(served * CENT_NANO <= BUDGET_NANO);
    assert.ok(
      served * CENT_NANO <= counted.rows + counted.leases && counted.rows + counted.leases <= BUDGET_NANO,
    );
    assert.ok(Number(await postgres.psql("SELECT sum(estimated_nano) FROM oar.token_spend")) > 0);
  }],
  ["a replica that stops in order notes everything and gives its leases back", async (stage) => {
    const { postgres, upstream, replicas } = stage;
    const [first] = replicas.splice(0, 1);
    assert.ok(first);
    await flood([first.router], 5);
    await first.router[Symbol.asyncDispose]();
    assert.deepEqual(await charges(postgres), { rows: servedBy(upstream) * CENT_NANO, leases: 0 });
    assert.equal(await postgres.psql("SELECT sum(estimated_nano) FROM oar.token_spend"), "0");
  }],
  ["while PostgreSQL is away no more than leases is spent, and later all of it is noted", async (stage) => {
    const { postgres, upstream, replicas } = stage;
    const routers = replicas.map(({ router }) => router);
    assert.deepEqual(await flood(routers, 6), [200, 200, 200, 200, 200, 200]);
    await postgres.kill9();
    const statuses = await flood(routers, 60);
    assert.ok(
      statuses.every((status) => status === 200 || status === 503 || status === 429),
      String(statuses),
    );
    assert.ok(statuses.includes(503));
    await postgres.start();
    await eventually(async () => {
      const { rows, leases } = await charges(postgres);
      return rows === servedBy(upstream) * CENT_NANO && leases === 0 ? true : null;
    }, "the charges");
    await eventually(async () => {
      const found = await flood(routers, 4);
      return found.every((status) => status === 200) || null;
    }, "requests are served again");
  }],
];

Deno.test({
  name: "one budget over replicas",
  ignore: isPostgresMissing,
  fn: async (t) => {
    await using postgres = await Postgres.start();
    for (const [name, body] of CASES) await t.step(name, () => withReplicas(postgres, body));
  },
});
