/**
 * Two replicas with a journal each over one PostgreSQL: configuration, records, and PostgreSQL that dies and comes back.
 */
import assert from "node:assert/strict";
import { openDatabase } from "../../../src/store/database/open.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { type RemoteEvents, RemoteSession } from "../../../src/store/postgres/remote_session.ts";
import { WriterSession } from "../../../src/store/write/session.ts";
import { KEEP_EVERYTHING } from "../../../src/store/write/retention.ts";
import { systemClock } from "../../../src/server/clock.ts";
import { isPostgresMissing, openPg, Postgres } from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";
import { makeRecord } from "../../unit/store/support.ts";

/** A replica without its proxy: the journal, who writes to it, and the session with PostgreSQL. */
class Replica implements AsyncDisposable {
  readonly journal: string;
  readonly session: RemoteSession;
  readonly troubles: string[] = [];
  readonly shipped = new Set<string>();
  copies = 0;
  readonly #writer: WriterSession;
  readonly #database: PgDatabase;

  constructor(folder: string, { name, url }: { readonly name: string; readonly url: string }) {
    this.journal = `${folder}/${name}.sqlite`;
    openDatabase(this.journal).close();
    this.#writer = new WriterSession({
      timeZone: "UTC",
      path: this.journal,
      durability: "normal",
      instance: name,
      pid: Deno.pid,
      busyTimeoutMs: 5_000,
      retention: KEEP_EVERYTHING,
    });
    this.#database = openPg(url);
    this.session = new RemoteSession({
      ...{ database: this.#database, spendDatabase: this.#database, timeZone: "UTC" },
      journal: this.journal,
      instance: name,
      version: "1.2.3",
      listen: ":0",
      retention: { keepDays: null, keepBodiesDays: null, maxBytes: null },
      gatherMs: 0,
      clock: systemClock,
      newId: () => crypto.randomUUID(),
      events: this.#events(),
    });
    this.session.start();
  }

  #events(): RemoteEvents {
    return {
      changed: () => {},
      copied: () => this.copies++,
      shipped: (ids) => ids.forEach((id) => this.shipped.add(id)),
      rejected: (id, reason) => this.troubles.push(`rejected ${id}: ${reason}`),
      trouble: (kind) => this.troubles.push(kind),
      resumed: () => {},
      dropped: () => {},
      foreignStates: () => {},
    };
  }

  record(requestId: string): void {
    this.#writer.write([makeRecord({ requestId, createdAtMs: Date.now() })]);
    this.session.wake();
  }

  /** Names of the upstreams that it would serve with. */
  upstreams(): (string | null)[] {
    const database = openDatabase(this.journal, { access: "read" });
    try {
      return database.config.listUpstreams().map(({ name }) => name);
    } finally {
      database.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close(5_000);
    this.#writer.close();
  }
}

function upstream(name: string) {
  return { sk: `sk-${name}-0123456789`, endpoint: `https://${name}.example/v1`, name };
}

Deno.test("two replicas over one PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();
  const folder = await Deno.makeTempDir();
  const url = postgres.url();
  let sent = 0;
  try {
    await using one = new Replica(folder, { name: "one", url });
    await using two = new Replica(folder, { name: "two", url });
    const both = [one, two];

    await t.step("both make the schema, and copy what is there", async () => {
      await eventually(() => Promise.resolve(one.copies + two.copies === 2 ? true : null), "the copies");
    });

    await t.step("a change by one is in its own journal at once, and in the other's soon", async () => {
      await one.session.change((store) => store.addUpstream(upstream("a")));
      assert.deepEqual(one.upstreams(), ["a"]);
      await eventually(() => Promise.resolve(two.upstreams().length === 1 ? true : null), "the other copy");
    });

    await t.step("an edit by psql is in both journals soon", async () => {
      await postgres.psql("UPDATE oar.openai_upstreams SET name = 'by psql'");
      for (const replica of both) {
        await eventually(
          () => Promise.resolve(replica.upstreams()[0] === "by psql" ? true : null),
          "the edit",
        );
      }
    });

    await t.step("records of both are there", async () => {
      for (let at = 0; at < 20; at++) both[at % 2]?.record(`r${sent++}`);
      await arrived(postgres, sent);
    });

    await t.step("both live, and say what waits", async () => {
      await eventually(async () => {
        const rows = await postgres.psql("SELECT id, version, waiting FROM oar.instances ORDER BY id");
        return rows === "one|1.2.3|0\ntwo|1.2.3|0" ? true : null;
      }, "the beats");
    });

    await t.step("nothing is lost, and nothing twice, when PostgreSQL is killed and comes back", async () => {
      for (let round = 0; round < 3; round++) {
        for (let at = 0; at < 30; at++) both[at % 2]?.record(`r${sent++}`);
        await postgres.kill9();
        for (let at = 0; at < 30; at++) both[at % 2]?.record(`r${sent++}`);
        await postgres.start();
        await arrived(postgres, sent);
      }
      assert.ok(both.some(({ troubles }) => troubles.includes("retry")), "it was noticed");
      assert.equal(
        await postgres.psql("SELECT count(*), count(DISTINCT request_id) FROM oar.records"),
        `${sent}|${sent}`,
      );
    });

    await t.step(
      "a replica that starts while PostgreSQL is away copies and ships when it is back",
      async () => {
        await postgres.kill9();
        await using three = new Replica(folder, { name: "three", url });
        three.record(`r${sent++}`);
        await eventually(() => Promise.resolve(three.troubles.length > 0 ? true : null), "the trouble");
        assert.equal(three.copies, 0);
        await postgres.start();
        await eventually(() => Promise.resolve(three.copies === 1 ? true : null), "the copy");
        assert.deepEqual(three.upstreams(), ["by psql"]);
        await arrived(postgres, sent);
      },
    );

    await t.step("one that has ended is no replica any more", async () => {
      assert.equal(await postgres.psql("SELECT count(*) FROM oar.instances WHERE id = 'three'"), "0");
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function arrived(postgres: Postgres, count: number): Promise<void> {
  await eventually(async () => {
    const found = await postgres.psql("SELECT count(*) FROM oar.records").catch(() => "");
    return Number(found) === count ? true : null;
  }, `${count} records`);
}
