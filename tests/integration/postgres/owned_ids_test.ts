/**
 * Owners of ids with PostgreSQL: what one replica has found, another one knows; a copy of a database has it, too.
 */
import assert from "node:assert/strict";
import { FIRST_OWNED_ID, ownedIdsAfter, putOwnedIds } from "../../../src/store/config/owned_ids.ts";
import { openConnection } from "../../../src/store/database/connection.ts";
import { OwnedIdSync } from "../../../src/store/postgres/owned_id_sync.ts";
import {
  deleteOldRemoteOwnedIds,
  putRemoteOwnedIds,
  remoteOwnedIdsAfter,
} from "../../../src/store/postgres/owned_ids.ts";
import { copyFromPostgres } from "../../../src/store/postgres/copy/from_postgres.ts";
import { copyToPostgres } from "../../../src/store/postgres/copy/to_postgres.ts";
import { SqliteSource } from "../../../src/store/postgres/copy/sqlite_source.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import { Tokenizer } from "../../../src/store/search/tokenizer.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { hashOfId } from "../../../src/core/owned_ids.ts";
import type { OwnedId } from "../../../src/core/types.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { isPostgresMissing, openPg, Postgres } from "../../support/postgres.ts";
import { plainUrl, prepareSchema, startReplica } from "../../support/replica.ts";
import { eventually } from "../../support/router.ts";
import { StatefulUpstream } from "../../support/stateful_upstream.ts";
import { withDirectory } from "../../unit/store/support.ts";

function owned(id: string, changes: Partial<OwnedId> = {}): OwnedId {
  return { hash: hashOfId(id), upstreamId: 1, keyHash: null, kind: "responses", seenMs: 1_000, ...changes };
}

/** id hash, upstream and key, in the order of hashes. */
function facts(ids: readonly OwnedId[]): string[] {
  return ids.map(({ hash, upstreamId, keyHash }) => `${hash} ${upstreamId} ${keyHash}`).sort();
}

async function withDatabase(use: (db: PgDatabase, postgres: Postgres) => Promise<void>): Promise<void> {
  await using postgres = await Postgres.start();
  const db = openPg(postgres.url());
  try {
    await migrate(db);
    await use(db, postgres);
  } finally {
    await db.close();
  }
}

Deno.test(
  "owners of ids go to PostgreSQL and to other replicas",
  { ignore: isPostgresMissing },
  async (t) => {
    await withDatabase(async (db) => {
      await withDirectory(async (path, folder) => {
        const one = openConnection(path).db;
        const two = openConnection(`${folder}/two.sqlite`).db;
        try {
          const clock = new FakeClock();
          const sync = (journal: typeof one) =>
            new OwnedIdSync({ database: db, journal: () => journal, clock, keepDays: 60 });
          const [first, second] = [sync(one), sync(two)];
          const nowMs = clock.now();
          const many = Array.from(
            { length: 450 },
            (_, n) =>
              owned(`resp_${n}`, {
                upstreamId: n % 3,
                keyHash: n % 2 === 0 ? null : 2 ** 32 - 1,
                seenMs: nowMs - n % 7,
              }),
          );
          await t.step("once", async () => {
            putOwnedIds(one, many);
            await first.round();
            await second.round();
            assert.deepEqual(facts(ownedIdsAfter(two, FIRST_OWNED_ID, 1_000)), facts(many));
          });
          await t.step("again: nothing is written", async () => {
            const before = await remoteOwnedIdsAfter(db, FIRST_OWNED_ID, 1_000);
            await first.round();
            await second.round();
            await sync(two).round();
            assert.deepEqual(await remoteOwnedIdsAfter(db, FIRST_OWNED_ID, 1_000), before);
          });
          await t.step("what a replica with a slow clock finds comes to the others, too", async () => {
            putOwnedIds(two, [owned("late", { seenMs: nowMs })]);
            await second.round();
            await first.round();
            assert.equal(ownedIdsAfter(one, FIRST_OWNED_ID, 1_000).length, 451);
          });
          await t.step("old ones are deleted", async () => {
            await deleteOldRemoteOwnedIds(db, Date.now() + 3_600_000);
            assert.deepEqual(await remoteOwnedIdsAfter(db, FIRST_OWNED_ID, 10), []);
          });
        } finally {
          one.close();
          two.close();
        }
      });
    });
  },
);

Deno.test("a copy of a database has the owners of ids", { ignore: isPostgresMissing }, async () => {
  await withDatabase(async (db) => {
    await withDirectory(async (path, folder) => {
      const ids = [owned("resp_1"), owned("file-1", { upstreamId: 7, keyHash: 5, seenMs: 2_000 })];
      const source = openConnection(path).db;
      putOwnedIds(source, ids);
      source.close();
      const options = {
        database: db,
        clock: new FakeClock(),
        signal: new AbortController().signal,
        newId: () => crypto.randomUUID(),
        onProgress: () => {},
      };
      const from = new SqliteSource(path, options.newId);
      try {
        await copyToPostgres({ ...options, source: from, tokenizer: new Tokenizer() });
        // A later finding stays.
        await db.write((query) =>
          putRemoteOwnedIds(query, [owned("resp_1", { upstreamId: 9, seenMs: 5_000 })], { isNow: false })
        );
        await copyToPostgres({ ...options, source: from, tokenizer: new Tokenizer() });
      } finally {
        from.close();
      }
      const there = await remoteOwnedIdsAfter(db, FIRST_OWNED_ID, 10);
      assert.deepEqual(facts(there), facts([owned("resp_1", { upstreamId: 9 }), ...ids.slice(1)]));
      await copyFromPostgres({ ...options, path: `${folder}/back.sqlite` });
      const back = openConnection(`${folder}/back.sqlite`).db;
      assert.deepEqual(ownedIdsAfter(back, FIRST_OWNED_ID, 10), there);
      back.close();
    });
  });
});

Deno.test(
  "a conversation goes on at its owner, whichever replica is asked",
  { ignore: isPostgresMissing },
  async () => {
    await using postgres = await Postgres.start();
    const upstreams = [0, 1, 2].map((index) => new StatefulUpstream(`p${index}x`));
    const db = await prepareSchema(postgres, upstreams.map(({ endpoint }) => endpoint));
    const args = ["--policy", "round_robin"];
    const one = await startReplica(plainUrl(postgres), { args });
    const two = await startReplica(plainUrl(postgres), { args });
    try {
      const made = await one.router.fetch("/responses", {
        method: "POST",
        body: JSON.stringify({ model: "m", input: "hi" }),
      });
      const { id } = await made.json();
      await eventually(() => {
        const [row] = two.router.query("SELECT count(*) AS n FROM owned_ids");
        return Number(row?.["n"]) > 0 ? true : null;
      }, "the owner at the other replica");
      for (let turn = 0; turn < 3; turn++) {
        const found = await two.router.fetch(`/responses/${id}`);
        await found.body?.cancel();
        assert.equal(found.headers.get("x-oar-attempts"), "1");
        assert.equal(found.headers.get("x-oar-affinity"), "owner");
      }
    } finally {
      for (const { router, directory } of [one, two]) {
        await router[Symbol.asyncDispose]();
        await Deno.remove(directory, { recursive: true });
      }
      for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
      await db.close();
    }
  },
);
