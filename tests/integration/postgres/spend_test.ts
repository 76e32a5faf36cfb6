/**
 * What tokens spend over several clients of one PostgreSQL: a budget holds under contention, and when the database dies.
 */
import assert from "node:assert/strict";
import type { LeaseRequest } from "../../../src/core/spend.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { readRemoteSpend } from "../../../src/store/postgres/read/spending.ts";
import { chargeDeadLeases } from "../../../src/store/postgres/spend/dead_leases.ts";
import { RemoteLeases } from "../../../src/store/postgres/spend/remote_leases.ts";
import { StoreError } from "../../../src/store/store.ts";
import {
  isPgBouncerMissing,
  isPostgresMissing,
  openPg,
  PgBouncer,
  Postgres,
} from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";

const BUDGET = 10_000;
const TOKENS = [1, 2, 3];
const today = new Date().toISOString().slice(0, 10);

/** One server with one token each: what it was told it may charge, and has charged. */
class Server {
  readonly spent = new Map<number, number>();
  readonly #leases: RemoteLeases;

  constructor(readonly db: PgDatabase, readonly name: string) {
    this.#leases = new RemoteLeases(db, name);
  }

  /** Charges all of what it gets, of all tokens in this order. */
  async charge(tokens: readonly number[], wantedNano: number): Promise<void> {
    const answers = await this.#leases.renew(tokens.map((id) => this.request(id, wantedNano)));
    for (const { tokenId, leaseNano } of answers) {
      this.spent.set(tokenId, (this.spent.get(tokenId) ?? 0) + leaseNano);
    }
  }

  request(tokenId: number, wantedNano: number): LeaseRequest {
    const costNano = this.spent.get(tokenId) ?? 0;
    const row = { day: today, costNano, requests: 1, tokens: 1, estimatedNano: 0, overshootNano: 0 };
    return {
      ...{ tokenId, rows: [row], neededNano: wantedNano, wantedNano },
      ...{ budgetNano: BUDGET, fromDay: today },
    };
  }
}

const sumOf = (numbers: Iterable<number>): number => [...numbers].reduce((sum, each) => sum + each, 0);

async function prepare(postgres: Postgres): Promise<void> {
  await postgres.clear();
  const db = openPg(postgres.url());
  await migrate(db);
  await db.close();
  await postgres.psql("INSERT INTO oar.client_tokens(name) VALUES ('a'), ('b'), ('c')");
}

async function sums(postgres: Postgres, id: number): Promise<number> {
  return Number(
    await postgres.psql(
      `SELECT (SELECT coalesce(sum(cost_nano), 0) FROM oar.token_spend WHERE token_id = ${id})
        + (SELECT coalesce(sum(nano), 0) FROM oar.token_leases WHERE token_id = ${id})`,
    ),
  );
}

Deno.test(
  "what tokens spend over several clients of PostgreSQL",
  { ignore: isPostgresMissing },
  async (t) => {
    await using postgres = await Postgres.start();

    /** Servers that renew at once, one token or several in any order; together they want more than there is. */
    const contend = async (url: string): Promise<void> => {
      await prepare(postgres);
      const clients = [openPg(url), openPg(url)];
      const servers = Array.from(
        { length: 200 },
        (_, n) => new Server(clients[n % 2] ?? openPg(url), `s${n}`),
      );
      try {
        for (const share of [1, 20, 100]) {
          await Promise.all(servers.map((server, n) => {
            const rotated = [...TOKENS.slice(n % 3), ...TOKENS.slice(0, n % 3)];
            return server.charge(n % 5 === 0 ? rotated : [1], 1 + n % share);
          }));
          for (const id of TOKENS) {
            const charged = sumOf(servers.map(({ spent }) => spent.get(id) ?? 0));
            const counted = await sums(postgres, id);
            assert.ok(charged <= counted && counted <= BUDGET, `token ${id}: ${charged} ${counted}`);
          }
        }
        assert.equal(sumOf(servers.map(({ spent }) => spent.get(1) ?? 0)), BUDGET);
      } finally {
        await Promise.all(clients.map((db) => db.close()));
      }
    };

    await t.step("200 renewals at once never exceed a budget", () => contend(postgres.url()));
    await t.step("nor behind PgBouncer", async () => {
      if (isPgBouncerMissing) return;
      await using bouncer = await PgBouncer.start(postgres);
      await contend(bouncer.url());
    });

    await t.step(
      "PostgreSQL is killed in the middle: renewals fail, and nothing is charged twice",
      async () => {
        await prepare(postgres);
        const servers = ["s1", "s2"].map((name) => new Server(openPg(postgres.url()), name));
        let failures = 0;
        let isOver = false;
        const loops = servers.map(async (server) => {
          while (!isOver) {
            try {
              await server.charge([1], 3);
            } catch (error) {
              assert.ok(error instanceof StoreError, String(error));
              failures++;
              await Promise.resolve();
            }
          }
        });
        for (let kill = 0; kill < 3; kill++) {
          const before = sumOf(servers.map(({ spent }) => spent.get(1) ?? 0));
          await eventually(
            () => sumOf(servers.map(({ spent }) => spent.get(1) ?? 0)) > before + 50 || null,
            "charges",
          );
          const failed = failures;
          await postgres.kill9();
          await eventually(() => failures > failed || null, "a failure");
          await postgres.start();
        }
        isOver = true;
        await Promise.all(loops);
        const charged = sumOf(servers.map(({ spent }) => spent.get(1) ?? 0));
        const counted = await sums(postgres, 1);
        assert.ok(charged <= counted && counted <= BUDGET, `${charged} ${counted}`);
        for (const server of servers) await server.charge([1], 0);
        assert.equal(await sums(postgres, 1), charged);
        await Promise.all(servers.map(({ db }) => db.close()));
      },
    );

    await t.step("a frozen PostgreSQL does not hold up a renewal for long", async () => {
      await prepare(postgres);
      const server = new Server(openPg(postgres.url(), { connectTimeoutMs: 500 }), "s1");
      await server.charge([1], 10);
      await postgres.freeze();
      try {
        await assert.rejects(server.charge([1], 20), StoreError);
      } finally {
        await postgres.thaw();
      }
      await eventually(() => server.charge([1], 20).then(() => true, () => null), "an answer");
      assert.ok((server.spent.get(1) ?? 0) <= await sums(postgres, 1));
      await server.db.close();
    });

    await t.step("two servers that find the same dead one charge it once", async () => {
      await prepare(postgres);
      const dbs = Array.from({ length: 4 }, () => openPg(postgres.url()));
      const [db] = dbs;
      assert.ok(db);
      await new Server(db, "dead").charge(TOKENS, 500);
      await postgres.psql("UPDATE oar.token_leases SET renewed_ms = renewed_ms - 60000");
      await Promise.all(
        dbs.map((each, n) => chargeDeadLeases(each, { source: `s${n}`, dayOf: () => today })),
      );
      const spent = await readRemoteSpend(db, { fromDay: "" });
      assert.deepEqual(
        spent.map(({ costNano, estimatedNano }) => [costNano, estimatedNano]),
        TOKENS.map(() => [500, 500]),
      );
      await Promise.all(dbs.map((each) => each.close()));
    });

    await t.step("rows that people typed do no harm", async () => {
      await prepare(postgres);
      await postgres.psql(
        `INSERT INTO oar.token_spend(token_id, day, source, cost_nano) VALUES (1, 'yesterday''s', 'x', 9223372036854775807),
        (1, '${today}', 'y', 9223372036854775807), (2, '${today}', 'gift', -100), (9223372036854775807, '', '', 1);
      INSERT INTO oar.token_leases VALUES (1, 'z', -5, -9223372036854775808), (2, 'z', 0, 9223372036854775807)`,
      );
      const server = new Server(openPg(postgres.url()), "s1");
      await server.charge([1, 2], BUDGET + 1_000);
      assert.deepEqual([...server.spent], [[1, 0], [2, BUDGET + 100]]);
      await chargeDeadLeases(server.db, { source: "s1", dayOf: () => today });
      assert.equal((await readRemoteSpend(server.db, { fromDay: "" })).length, 4);
      await server.db.close();
    });
  },
);
