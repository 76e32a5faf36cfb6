/**
 * Days that are dropped: by several replicas at once, while somebody reads for long, and by a replica whose clock is wrong.
 */
import assert from "node:assert/strict";
import { openDatabase } from "../../../src/store/database/open.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import { DAY_MS, makePartitions } from "../../../src/store/postgres/partitions.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { RemoteSession } from "../../../src/store/postgres/remote_session.ts";
import { cautiousNow, keepLimits } from "../../../src/store/postgres/retention.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import { isPostgresMissing, openPg, Postgres } from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";

const LIMITS = { keepDays: 30, keepBodiesDays: null, maxBytes: null };

/** Two replicas, and days that are 10 and 40 days ago. */
async function withDays(
  postgres: Postgres,
  use: (one: PgDatabase, two: PgDatabase) => Promise<void>,
): Promise<void> {
  await postgres.clear();
  const [one, two] = [openPg(postgres.url()), openPg(postgres.url())];
  try {
    await migrate(one);
    const days = [10, 40].map((age) => Date.now() - age * DAY_MS);
    await makePartitions(one, { days, shouldWait: true });
    await use(one, two);
  } finally {
    await one.close();
    await two.close();
  }
}

async function ages(postgres: Postgres): Promise<number[]> {
  const names = await postgres.psql("SELECT relname FROM pg_class WHERE relname ~ '^records_\\d{8}$'");
  return names.split("\n").map((name) => {
    const [, year, month, day] = /_(\d{4})(\d\d)(\d\d)$/.exec(name) ?? [];
    return Math.floor((Date.now() - Date.parse(`${year}-${month}-${day}`)) / DAY_MS);
  }).filter((age) => age > 1).toSorted((a, b) => a - b);
}

/** As a backup does: reads all tables in one transaction. */
async function reading(postgres: Postgres): Promise<{ end(): Promise<void> }> {
  const ended = postgres.psql("BEGIN; SELECT count(*) FROM oar.records; SELECT pg_sleep(60); COMMIT")
    .then(() => {}, () => {});
  const session = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
  await eventually(
    async () => await postgres.psql(`SELECT count(*) ${session}`) === "1" ? true : null,
    "the reader",
  );
  return {
    end: async () => {
      await postgres.psql(`SELECT pg_terminate_backend(pid) ${session}`);
      await ended;
    },
  };
}

async function detaching(postgres: Postgres): Promise<void> {
  await eventually(
    async () =>
      await postgres.psql(
          "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%CONCURRENTLY' AND wait_event_type = 'Lock'",
        ) === "1"
        ? true
        : null,
    "the detaching",
  );
}

function openSession(
  folder: string,
  { postgres, clock, troubles = [], dropped = [] }: {
    postgres: Postgres;
    clock: FakeClock;
    troubles?: string[];
    dropped?: string[];
  },
): RemoteSession {
  const journal = `${folder}/journal.sqlite`;
  openDatabase(journal).close();
  const session = new RemoteSession({
    ...{ database: openPg(postgres.url()), journal, instance: "one", version: "1.2.3", listen: ":0" },
    ...{ spendDatabase: openPg(postgres.url()), timeZone: "UTC" },
    ...{ retention: LIMITS, gatherMs: 0, clock, newId: () => crypto.randomUUID() },
    events: {
      changed: () => {},
      copied: () => {},
      shipped: () => {},
      rejected: () => {},
      trouble: (_, message) => troubles.push(message),
      resumed: () => {},
      dropped: (names) => dropped.push(...names),
      foreignStates: () => {},
    },
  });
  session.start();
  return session;
}

/** A replica that says that it lives although a day cannot be dropped yet. */
async function beatStep(postgres: Postgres): Promise<void> {
  const folder = await Deno.makeTempDir();
  const clock = new FakeClock(Date.now());
  const troubles: string[] = [];
  const reader = await reading(postgres);
  const session = openSession(folder, { postgres, clock, troubles });
  try {
    await detaching(postgres);
    const beat = () => postgres.psql("SELECT heartbeat_at FROM oar.instances");
    const first = await eventually(async () => await beat() || null, "the first beat");
    await eventually(async () => {
      clock.advance(5_000);
      return await beat() === first ? null : true;
    }, "a beat during the detaching");
  } finally {
    await reader.end();
    await session.close(1_000);
    await Deno.remove(folder, { recursive: true });
  }
  assert.deepEqual(troubles, []);
}

Deno.test("days that are too old", { ignore: isPostgresMissing }, async (t) => {
  await using postgres = await Postgres.start();

  await t.step(
    "two replicas drop the same ones, while somebody reads",
    () =>
      withDays(postgres, async (one, two) => {
        const reader = await reading(postgres);
        const first = keepLimits(one, LIMITS, Date.now());
        await detaching(postgres);
        await keepLimits(two, LIMITS, Date.now());
        await reader.end();
        await first;
        await keepLimits(two, LIMITS, Date.now());
        assert.deepEqual(await ages(postgres), [10]);
      }),
  );

  await t.step(
    "a replica goes on to say that it lives while it waits for a reader",
    () => withDays(postgres, () => beatStep(postgres)),
  );

  await t.step("of two clocks the earlier one counts", () =>
    withDays(postgres, async (one) => {
      const behindMs = Date.now() - 365 * DAY_MS;
      assert.equal(await cautiousNow(one, behindMs), behindMs);
      const ahead = await cautiousNow(one, Date.now() + 365 * DAY_MS);
      assert.ok(Math.abs(ahead - Date.now()) < DAY_MS);
    }));

  await t.step(
    "a replica whose clock is far ahead deletes nothing that is to be kept",
    () =>
      withDays(postgres, async () => {
        const folder = await Deno.makeTempDir();
        const clock = new FakeClock(Date.now() + 3_650 * DAY_MS);
        const dropped: string[] = [];
        const session = openSession(folder, { postgres, clock, dropped });
        try {
          await eventually(() => dropped.length > 0 ? true : null, "the deletion");
          assert.deepEqual(await ages(postgres), [10]);
        } finally {
          await session.close(1_000);
          await Deno.remove(folder, { recursive: true });
        }
      }),
  );
});
