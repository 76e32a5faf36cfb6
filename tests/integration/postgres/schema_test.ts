/**
 * The schema `oar`: how it is made, by several replicas and releases at once, what a change of the configuration does, and
 * the partitions by day.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { migrate as migrateSqlite } from "../../../src/store/database/migrations.ts";
import { RECORD_COLUMNS } from "../../../src/store/database/record_columns.ts";
import { isMissingPartition, PgError } from "../../../src/store/postgres/errors.ts";
import { LOCK_SPACE, migrate, schemaVersion } from "../../../src/store/postgres/migration.ts";
import {
  DAY_MS,
  dayOf,
  daysAhead,
  dropPartition,
  listPartitions,
  makePartitions,
  PARTITION_LOCK,
} from "../../../src/store/postgres/partitions.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { pgTime } from "../../../src/store/postgres/query.ts";
import { CONFIG_CHANNEL, PARTITIONED, SCHEMA_VERSION, STEPS } from "../../../src/store/postgres/schema.ts";
import {
  isPgBouncerMissing,
  isPostgresMissing,
  openPg,
  PgBouncer,
  Postgres,
} from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";

/** Two replicas on a database without tables. */
async function withTwo(
  postgres: Postgres,
  body: (one: PgDatabase, two: PgDatabase) => Promise<void>,
): Promise<void> {
  await postgres.clear();
  const [one, two] = [openPg(postgres.url()), openPg(postgres.url())];
  try {
    await body(one, two);
  } finally {
    await Promise.all([one.close(), two.close()]);
  }
}

async function failure(work: Promise<unknown>): Promise<PgError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof PgError, String(error));
    return error;
  }
  throw new Error("it did not fail");
}

const TODAY = Date.UTC(2026, 10, 29);

Deno.test({
  name: "PostgreSQL: the schema",
  ignore: isPostgresMissing,
  fn: async (t) => {
    await using postgres = await Postgres.start();
    const step = (name: string, body: (one: PgDatabase, two: PgDatabase) => Promise<void>) =>
      t.step(name, () => withTwo(postgres, body));
    await step("is made once, by whoever comes first", onceStep);
    await step("has the columns of the SQLite database", columnsStep);
    await step(
      "of another release: a newer minor version goes on, a newer major one is refused",
      releasesStep,
    );
    await step("a step that fails leaves nothing behind", failedStep);
    await t.step("is refused in a database of another encoding", () => encodingStep(postgres));
    await t.step("needs the right to make it, or one that is there", () => rightsStep(postgres));
    await step("each change of the configuration counts, and is told", (one) => configStep(postgres, one));
    await t.step("who may only edit upstreams changes the version all the same", () => editorStep(postgres));
    await step("partitions are made for a week, once", partitionsStep);
    await step("partitions are made while others write", openTransactionStep);
    await step("a partition begins and ends at midnight UTC", (one) => midnightStep(postgres, one));
    await step("a partition is dropped while others write", dropStep);
    await step("a drop that was interrupted is finished", interruptedDropStep);
    await step("long texts are compressed by lz4", compressionStep);
    await step("the same record is one row", sameRecordStep);
  },
});

async function onceStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  assert.equal(await schemaVersion((text, values) => one.read(text, values)), 0);
  assert.deepEqual(
    await Promise.all([one, two, one, two].map((db) => migrate(db))),
    Array(4).fill(SCHEMA_VERSION),
  );
  assert.equal(await migrate(two), SCHEMA_VERSION);
  assert.deepEqual(
    await one.read("SELECT version FROM oar.schema_version ORDER BY version"),
    STEPS.map(({ version }) => ({ version })),
  );
  assert.deepEqual(await one.read("SELECT version FROM oar.config_version"), [{ version: 1 }]);
}

/** Tables of the journal that PostgreSQL has too; what else there is concerns one machine only. */
const SHARED_TABLES = [
  "openai_upstreams",
  "config_kvs",
  "upstream_checks",
  "attempts",
  "request_stats",
  "usage_stats",
  "client_totals",
  "upstream_states",
];

async function columnsStep(one: PgDatabase): Promise<void> {
  await migrate(one);
  const rows = await one.read<{ table: string; column: string; type: string }>(
    `SELECT table_name::text AS table, column_name::text AS column, data_type::text AS type
      FROM information_schema.columns WHERE table_schema = 'oar'`,
  );
  const typesOf = (...tables: string[]) =>
    new Map(rows.filter(({ table }) => tables.includes(table)).map(({ column, type }) => [column, type]));
  using db = new DatabaseSync(":memory:");
  migrateSqlite(db);
  for (const table of SHARED_TABLES) {
    const present = typesOf(table);
    for (const { name, type } of db.prepare("SELECT name, type FROM pragma_table_info(?)").all(table)) {
      assert.equal(present.get(String(name)), TYPE_OF[String(type).toLowerCase()], `${table}.${name}`);
    }
  }
  const record = typesOf("records", "record_texts");
  for (const [name, kind] of Object.entries(RECORD_COLUMNS)) {
    const type = name === "created_at" ? "timestamp with time zone" : kind === "number" ? "bigint" : "text";
    assert.equal(record.get(name), type, name);
  }
}

const TYPE_OF: Readonly<Record<string, string>> = {
  integer: "bigint",
  text: "text",
  datetime: "timestamp with time zone",
};

async function releasesStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  await migrate(one);
  const newest = [...STEPS, {
    version: SCHEMA_VERSION + 1,
    sql: "ALTER TABLE oar.records ADD COLUMN later text",
  }];
  assert.equal(await migrate(two, newest), SCHEMA_VERSION + 1);
  // The release before goes on, and changes nothing.
  assert.equal(await migrate(one), SCHEMA_VERSION + 1);
  assert.equal(await makePartitions(one, { days: [TODAY], shouldWait: true }), 1);
  await one.write((query) => insertRecord(query, "old", TODAY));
  assert.deepEqual(await two.read("SELECT request_id, later FROM oar.records"), [{
    request_id: "old",
    later: null,
  }]);

  const major = 1000 * (Math.floor(SCHEMA_VERSION / 1000) + 1) + 1;
  await migrate(two, [...newest]);
  await two.write((query) => query("INSERT INTO oar.schema_version VALUES ($1)", [major]));
  const error = await failure(migrate(one));
  assert.equal(error.kind, "setup");
  assert.match(error.message, new RegExp(`version ${major}.* newer release.*install the newer release`));
  const old = await failure(migrate(two, [{ version: major + 1000, sql: "" }]));
  assert.match(old.message, /too old/);
}

async function failedStep(one: PgDatabase): Promise<void> {
  const broken = [...STEPS, {
    version: SCHEMA_VERSION + 1,
    sql: "CREATE TABLE oar.half (n int); SELECT 1 / 0",
  }];
  await failure(migrate(one, broken));
  assert.equal(await schemaVersion((text, values) => one.read(text, values)), 0);
  assert.deepEqual(await one.read("SELECT to_regnamespace('oar')::text AS name"), [{ name: null }]);
  assert.equal(await migrate(one), SCHEMA_VERSION);
}

async function encodingStep(postgres: Postgres): Promise<void> {
  await postgres.psql(
    "CREATE DATABASE latin OWNER app TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'",
    { database: "postgres" },
  );
  const db = openPg(postgres.url().replace(/\/oar$/, "/latin"));
  const error = await failure(migrate(db));
  await db.close();
  assert.equal(error.kind, "setup");
  assert.match(error.message, /encoding is LATIN1.*createdb --encoding UTF8/);
}

async function rightsStep(postgres: Postgres): Promise<void> {
  await postgres.clear();
  const db = openPg(postgres.url({ user: "tls_only" }));
  try {
    const error = await failure(migrate(db));
    assert.deepEqual([error.kind, error.code], ["setup", "42501"]);
    assert.match(error.message, /grant this user/);
    // As an administrator prepares it, who gives no right to make schemas.
    await postgres.psql("CREATE SCHEMA oar AUTHORIZATION tls_only");
    assert.equal(await migrate(db), SCHEMA_VERSION);
    await makePartitions(db, { days: [TODAY], shouldWait: true });
    await db.write((query) => insertRecord(query, "x", TODAY));
  } finally {
    await db.close();
  }
}

const versionOf = async (db: PgDatabase) =>
  (await db.read<{ version: number }>("SELECT version FROM oar.config_version"))[0]?.version ?? 0;

async function configStep(postgres: Postgres, db: PgDatabase): Promise<void> {
  await migrate(db);
  const told: string[] = [];
  const stop = db.listen(CONFIG_CHANNEL, (version) => told.push(version));
  await eventually(() => told.length === 1 ? true : null, "the listener");
  const changes = [
    "INSERT INTO oar.openai_upstreams(sk, endpoint) VALUES ('sk-1', 'https://a/v1'), ('sk-2', 'https://a/v1')",
    "UPDATE oar.openai_upstreams SET enabled = 0 WHERE sk = 'sk-1'",
    "DELETE FROM oar.openai_upstreams WHERE sk = 'sk-1'",
    "COPY oar.openai_upstreams(sk, endpoint) FROM stdin;\nsk-3\thttps://b/v1\n\\.\n",
    "TRUNCATE oar.openai_upstreams",
    "INSERT INTO oar.config_kvs(key, value) VALUES ('authorization', 'sk-oar-1')",
    "UPDATE oar.config_kvs SET value = 'sk-oar-2'",
    "DELETE FROM oar.config_kvs",
  ];
  for (const [index, change] of changes.entries()) {
    await postgres.psql(change);
    assert.equal(await versionOf(db), index + 2, change);
  }
  await postgres.psql("BEGIN; DELETE FROM oar.config_kvs; ROLLBACK");
  assert.equal(await versionOf(db), changes.length + 1);
  await eventually(() => told.length === changes.length + 1 ? true : null, "the notifications");
  assert.deepEqual(told, ["", ...changes.map((_, index) => String(index + 2))]);
  stop();

  await db.write((query) => query("INSERT INTO oar.openai_upstreams(sk, endpoint) VALUES ('a', 'b')"));
  const twin = await failure(
    db.write((query) => query("INSERT INTO oar.openai_upstreams(sk, endpoint) VALUES ('a', 'b')")),
  );
  assert.equal(twin.code, "23505");
  assert.deepEqual(await db.read("SELECT enabled, weight, deleted_at FROM oar.openai_upstreams"), [
    { enabled: 1, weight: 1, deleted_at: null },
  ]);
}

async function editorStep(postgres: Postgres): Promise<void> {
  await postgres.psql("CREATE ROLE editor LOGIN; GRANT USAGE ON SCHEMA oar TO editor");
  await postgres.psql("GRANT SELECT, INSERT ON oar.openai_upstreams TO editor");
  const version = async () => Number(await postgres.psql("SELECT version FROM oar.config_version"));
  const before = await version();
  await postgres.psql("INSERT INTO oar.openai_upstreams(sk, endpoint) VALUES ('e', 'e')", { user: "editor" });
  assert.equal(await version(), before + 1);
  await assert.rejects(postgres.psql("UPDATE oar.config_version SET version = 1", { user: "editor" }));
}

async function partitionsStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  await migrate(one);
  const days = daysAhead(TODAY + 5_000);
  assert.deepEqual([days[0], days.at(-1), days.length], [TODAY - DAY_MS, TODAY + 7 * DAY_MS, 9]);
  const made = await Promise.all([one, two].map((db) => makePartitions(db, { days, shouldWait: true })));
  assert.deepEqual(made.toSorted((a, b) => a - b), [0, 9]);
  assert.equal(await makePartitions(two, { days, shouldWait: false }), 0);
  const listed = await listPartitions(one);
  assert.equal(listed.length, 9 * PARTITIONED.length);
  assert.deepEqual(
    listed.map(({ table, dayMs }) => `${table} ${dayMs}`).toSorted(),
    days.flatMap((dayMs) => PARTITIONED.map((table) => `${table} ${dayMs}`)).toSorted(),
  );
  assert.ok(listed.every(({ bytes }) => bytes > 0));

  // Who does not wait leaves it to the one that is at work.
  await one.write(async (query) => {
    await query("SELECT pg_advisory_xact_lock($1, $2)", [LOCK_SPACE, PARTITION_LOCK]);
    assert.equal(await makePartitions(two, { days: [TODAY + 20 * DAY_MS], shouldWait: false }), 0);
  });
  const tooLate = await failure(makePartitions(one, { days: [Date.UTC(10000, 0, 1)], shouldWait: true }));
  assert.equal(tooLate.kind, "poison");
  assert.equal(
    await makePartitions(one, { days: [Date.parse("0001-01-01T00:00:00Z")], shouldWait: true }),
    1,
  );
}

function insertRecord(
  query: (text: string, values?: readonly unknown[]) => Promise<unknown>,
  requestId: string,
  createdAtMs: number,
): Promise<unknown> {
  return query("INSERT INTO oar.records(request_id, created_at) VALUES ($1, $2)", [
    requestId,
    pgTime(createdAtMs),
  ]);
}

async function openTransactionStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  await migrate(one);
  await makePartitions(one, { days: [TODAY], shouldWait: true });
  await one.write(async (query) => {
    await insertRecord(query, "x", TODAY);
    assert.equal(await makePartitions(two, { days: daysAhead(TODAY), shouldWait: true }), 8);
    await insertRecord(query, "y", TODAY + DAY_MS);
  });
  assert.deepEqual(await two.read("SELECT count(*) AS n FROM oar.records"), [{ n: 2 }]);
}

async function midnightStep(postgres: Postgres, db: PgDatabase): Promise<void> {
  await migrate(db);
  await postgres.psql("ALTER DATABASE oar SET timezone TO 'Asia/Kathmandu'");
  const other = openPg(postgres.url());
  try {
    await makePartitions(other, { days: [TODAY], shouldWait: true });
    const [first, last] = [dayOf(TODAY), dayOf(TODAY) + DAY_MS - 1];
    for (const ms of [first, last]) await other.write((query) => insertRecord(query, String(ms), ms));
    for (const ms of [first - 1, last + 1]) {
      const error = await failure(other.write((query) => insertRecord(query, String(ms), ms)));
      assert.equal(isMissingPartition(error), true);
      assert.equal(error.kind, "retry");
    }
    assert.deepEqual(await db.read("SELECT created_at FROM ONLY oar.records_20261129 ORDER BY 1"), [
      { created_at: first },
      { created_at: last },
    ]);
  } finally {
    await other.close();
    await postgres.psql("ALTER DATABASE oar RESET timezone");
  }
}

async function dropStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  await migrate(one);
  await makePartitions(one, { days: [TODAY, TODAY + DAY_MS], shouldWait: true });
  await one.write((query) => insertRecord(query, "old", TODAY));
  const [oldest] = (await listPartitions(one)).filter(({ table }) => table === "records");
  assert.ok(oldest !== undefined);
  assert.equal(oldest.dayMs, TODAY);

  // Detaching waits for the transactions that began before, but stops nobody who comes after.
  const dropped = await one.write(async (query) => {
    await insertRecord(query, "a", TODAY + DAY_MS);
    const dropping = dropPartition(two, oldest);
    await eventually(async () => {
      const [row] = await one.read(
        "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%DETACH%' AND wait_event_type = 'Lock'",
      );
      return row === undefined ? null : true;
    }, "the detaching");
    await two.write((other) => insertRecord(other, "b", TODAY + DAY_MS + 1));
    await insertRecord(query, "c", TODAY + DAY_MS + 2);
    return { dropping };
  });
  await dropped.dropping;
  assert.deepEqual(await one.read("SELECT request_id FROM oar.records ORDER BY 1"), [
    { request_id: "a" },
    { request_id: "b" },
    { request_id: "c" },
  ]);
  assert.equal((await listPartitions(one)).length, 2 * PARTITIONED.length - 1);
  // What is gone can be dropped again, and made again for a record that comes late.
  await dropPartition(one, oldest);
  assert.equal(await makePartitions(two, { days: [TODAY], shouldWait: true }), 1);
  await one.write((query) => insertRecord(query, "late", TODAY));
  await assert.rejects(dropPartition(one, { table: "records", name: "records; DROP TABLE x" }), TypeError);
}

/** The program, or the server, ended between two steps. */
async function interruptedDropStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  await migrate(one);
  const days = [TODAY, TODAY + DAY_MS];
  await makePartitions(one, { days, shouldWait: true });
  await one.write((query) => insertRecord(query, "x", TODAY));
  const records = async () => (await listPartitions(one)).filter(({ table }) => table === "records");
  const [oldest] = await records();
  assert.ok(oldest !== undefined);
  const interrupted = await one.write(async (query) => {
    await insertRecord(query, "y", TODAY + DAY_MS);
    const dropping = failure(dropPartition(two, oldest));
    await eventually(async () => {
      const [row] = await one.read(
        "SELECT pid FROM pg_stat_activity WHERE query LIKE '%DETACH%' AND wait_event_type = 'Lock'",
      );
      if (row === undefined) return null;
      return await one.read("SELECT pg_cancel_backend($1)", [row["pid"]]);
    }, "the detaching");
    return { error: await dropping };
  });
  assert.equal(interrupted.error.kind, "retry");
  assert.equal((await records()).length, 2);
  await dropPartition(two, oldest);
  assert.deepEqual((await records()).map(({ dayMs }) => dayMs), [TODAY + DAY_MS]);

  // Detached, and not dropped yet: it is listed, and comes back with its rows where a record needs it.
  const [next] = await records();
  assert.ok(next !== undefined);
  const stopped = {
    read: two.read.bind(two),
    write: two.write.bind(two),
    execute: (text: string) =>
      text.includes("DROP TABLE") ? Promise.reject(new Error("stopped")) : two.execute(text),
  };
  await assert.rejects(dropPartition(stopped, next), /stopped/);
  assert.deepEqual(await one.read("SELECT request_id FROM oar.records"), []);
  assert.equal((await records()).length, 1);
  assert.equal(await makePartitions(one, { days, shouldWait: true }), 2);
  assert.deepEqual(await one.read("SELECT request_id FROM oar.records"), [{ request_id: "y" }]);
  // Somebody has detached it, to keep it.
  await one.execute(`ALTER TABLE oar.records DETACH PARTITION oar.${next.name}`);
  assert.deepEqual((await records()).map(({ dayMs }) => dayMs), [TODAY]);
}

async function compressionStep(db: PgDatabase): Promise<void> {
  await migrate(db);
  await makePartitions(db, { days: [TODAY], shouldWait: true });
  const [server] = await db.read("SELECT current_setting('server_version_num')::int >= 140000 AS can");
  if (server?.["can"] !== true) return;
  assert.deepEqual(
    await db.read(
      `SELECT DISTINCT attcompression::text AS method FROM pg_attribute
        WHERE attrelid = 'oar.record_texts_20261129'::regclass AND atttypid = 'text'::regtype`,
    ),
    [{ method: "l" }],
  );
}

async function sameRecordStep(one: PgDatabase, two: PgDatabase): Promise<void> {
  await migrate(one);
  await makePartitions(one, { days: [TODAY], shouldWait: true });
  const put = (db: PgDatabase, outcome: string) =>
    db.write((query) =>
      query<{ id: number }>(
        `INSERT INTO oar.records(request_id, created_at, outcome) VALUES ($1, $2, $3)
          ON CONFLICT (request_id, created_at) DO UPDATE SET outcome = excluded.outcome RETURNING id`,
        ["same", pgTime(TODAY), outcome],
      )
    );
  const [first] = await put(one, "in_flight");
  const [second] = await put(two, "success");
  assert.equal(first?.id, second?.id);
  assert.deepEqual(await one.read("SELECT outcome FROM oar.records"), [{ outcome: "success" }]);
}

Deno.test({
  name: "PostgreSQL: schema, partitions and the version of the configuration behind PgBouncer",
  ignore: isPgBouncerMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    await using bouncer = await PgBouncer.start(postgres);
    const [one, two] = [openPg(bouncer.url()), openPg(bouncer.url())];
    try {
      assert.deepEqual(await Promise.all([migrate(one), migrate(two)]), [SCHEMA_VERSION, SCHEMA_VERSION]);
      const made = await Promise.all(
        [one, two].map((db) => makePartitions(db, { days: daysAhead(TODAY), shouldWait: true })),
      );
      assert.deepEqual(made.toSorted((a, b) => a - b), [0, 9]);
      await one.write((query) => insertRecord(query, "x", TODAY));
      const [oldest] = await listPartitions(one);
      assert.ok(oldest !== undefined);
      await dropPartition(one, oldest);
      await postgres.psql("INSERT INTO oar.config_kvs(key, value) VALUES ('authorization', 'x')");
      assert.equal(await versionOf(two), 2);
      assert.deepEqual(
        await one.read("SELECT count(*) AS n FROM pg_locks WHERE locktype = 'advisory'"),
        [{ n: 0 }],
      );
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  },
});
