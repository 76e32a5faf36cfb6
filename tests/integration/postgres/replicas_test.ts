/**
 * Replicas in PostgreSQL: who lives, and the rows that dead ones left behind.
 */
import assert from "node:assert/strict";
import { migrate } from "../../../src/store/postgres/migration.ts";
import { makePartitions } from "../../../src/store/postgres/partitions.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { deleteOldStatistics } from "../../../src/store/postgres/old_statistics.ts";
import { PgRecordReader } from "../../../src/store/postgres/read/record_queries.ts";
import { type ReplicaNote, Replicas } from "../../../src/store/postgres/replicas.ts";
import { isPostgresMissing, openPg, Postgres } from "../../support/postgres.ts";

const NOTE: ReplicaNote = { version: "1.2.3", listen: ":8888", waiting: 0, lagMs: null };

async function withReplicas(
  use: (place: { one: Replicas; two: Replicas; postgres: Postgres; database: PgDatabase }) => Promise<void>,
): Promise<void> {
  await using postgres = await Postgres.start();
  const databases = [openPg(postgres.url()), openPg(postgres.url())];
  const [database, other] = databases;
  assert.ok(database !== undefined && other !== undefined);
  try {
    await migrate(database);
    await makePartitions(database, { days: [Date.now() - 86_400_000, Date.now()], shouldWait: true });
    await use({
      one: new Replicas({ database, id: "one", journal: "j1" }),
      two: new Replicas({ database: other, id: "two", journal: "j2" }),
      postgres,
      database,
    });
  } finally {
    for (const each of databases) await each.close();
  }
}

/** A search looks at the texts of what was closed for another. */
async function foundByWord(database: PgDatabase): Promise<void> {
  const reader = new PgRecordReader(database);
  try {
    const found = await reader.list({ limit: 10, filter: { text: "unheard" } });
    assert.deepEqual(found.map(({ requestId, outcome }) => [requestId, outcome]), [[
      "r-one-3000",
      "crashed",
    ]]);
  } finally {
    reader.close();
  }
}

/** A request under way, which began so many seconds ago. */
async function underWay(postgres: Postgres, instance: string, { seconds = 1 } = {}): Promise<void> {
  await postgres.psql(
    `INSERT INTO oar.records(request_id, created_at, outcome, instance)
      VALUES ('r-${instance}-${seconds}', now() - interval '${seconds} s', 'in_flight', '${instance}')`,
  );
}

function outcomes(postgres: Postgres): Promise<string> {
  return postgres.psql("SELECT request_id, outcome, error FROM oar.records ORDER BY request_id");
}

Deno.test("replicas and what dead ones left behind", { ignore: isPostgresMissing }, async (t) => {
  await withReplicas(async ({ one, two, postgres, database }) => {
    await t.step("a replica is listed with what it last said", async () => {
      assert.equal(await one.beat(NOTE), 0);
      await one.beat({ ...NOTE, waiting: 7, lagMs: 1_500 });
      const [first, ...others] = await two.list();
      assert.deepEqual(others, []);
      assert.ok(first !== undefined && first.silentMs >= 0 && first.startedAtMs > 0);
      assert.deepEqual([first.id, first.version, first.listen, first.waiting, first.lagMs], [
        "one",
        "1.2.3",
        ":8888",
        7,
        1_500,
      ]);
    });

    await t.step("rows of the living are left alone", async () => {
      await two.beat(NOTE);
      await underWay(postgres, "one", { seconds: 3_000 });
      assert.equal(await two.beat(NOTE), 0);
      assert.equal(await outcomes(postgres), "r-one-3000|in_flight|");
      await postgres.psql(
        `INSERT INTO oar.record_texts(created_at, record_id, body)
          SELECT created_at, id, '{"messages":[{"role":"user","content":"unheard of"}]}' FROM oar.records`,
      );
    });

    await t.step(
      "rows of one that has been silent for 30 s become crashed, and it is forgotten with its notes",
      async () => {
        await postgres.psql(
          "INSERT INTO oar.upstream_states(upstream_id, instance, state) VALUES (1, 'one', 'open'), (1, 'two', 'open')",
        );
        await postgres.psql(
          "UPDATE oar.instances SET heartbeat_at = now() - interval '31 s' WHERE id = 'one'",
        );
        assert.deepEqual((await two.list()).map(({ id }) => id), ["two"]);
        assert.equal(await two.beat(NOTE), 1);
        await foundByWord(database);
        assert.equal(
          await outcomes(postgres),
          "r-one-3000|crashed|the replica stopped while this request was in flight",
        );
        assert.equal(await postgres.psql("SELECT instance FROM oar.upstream_states"), "two");
        assert.equal(await postgres.psql("SELECT id FROM oar.instances"), "two");
      },
    );

    await t.step("one that was alive after all comes back", async () => {
      await one.beat(NOTE);
      assert.deepEqual((await two.list()).map(({ id }) => id).toSorted(), ["one", "two"]);
    });

    await t.step("rows of an unknown replica become crashed, but not at once", async () => {
      await underWay(postgres, "gone", { seconds: 10 });
      await underWay(postgres, "gone", { seconds: 200 });
      assert.equal(await two.beat(NOTE), 1);
      assert.match(await outcomes(postgres), /^r-gone-10\|in_flight\|$/m);
      assert.match(await outcomes(postgres), /^r-gone-200\|crashed\|/m);
    });

    await t.step(
      "two that find the same dead one do not wait for each other, and count its rows once",
      async () => {
        await postgres.psql(
          "INSERT INTO oar.instances(id, heartbeat_at) VALUES ('dead', now() - interval '1 h')",
        );
        await underWay(postgres, "dead");
        await underWay(postgres, "dead", { seconds: 2 });
        const closed = await Promise.all([one.beat(NOTE), two.beat(NOTE)]);
        assert.equal(closed.reduce((sum, count) => sum + count, 0), 2);
      },
    );

    await t.step("statistics that nobody asks for any more are deleted, whoever counted them", async () => {
      const day = 86_400;
      const nowSeconds = Math.floor(Date.now() / 1000);
      for (
        const [journal, step, age] of [["gone", 10, day], ["gone", 600, day], ["gone", 600, 9 * day]] as const
      ) {
        await postgres.psql(
          `INSERT INTO oar.request_stats(journal, step_seconds, at, upstream_id, requests, errors, failures,
            input_tokens, output_tokens, latencies, first_tokens) VALUES ('${journal}', ${step}, ${
            nowSeconds - age
          }, 1, 1, 0, 0, 0, 0, '{}', '{}')`,
        );
        await postgres.psql(
          `INSERT INTO oar.usage_stats(journal, step_seconds, at, dimension, is_rest, name, requests, errors,
            input_tokens, output_tokens, cached_tokens, latencies) VALUES ('${journal}', ${step}, ${
            nowSeconds - age
          }, 'model', 0, 'm', 1, 0, 0, 0, 0, '{}')`,
        );
      }
      await deleteOldStatistics(database, Date.now());
      for (const table of ["request_stats", "usage_stats"]) {
        assert.equal(
          await postgres.psql(`SELECT step_seconds, ${nowSeconds} - at FROM oar.${table}`),
          `600|${day}`,
        );
      }
    });

    await t.step("one that leaves is gone at once", async () => {
      await one.leave();
      assert.deepEqual((await two.list()).map(({ id }) => id), ["two"]);
    });
  });
});
