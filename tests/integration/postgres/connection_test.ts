/**
 * The connection to PostgreSQL: which host is used, how it is checked, and what happens when it stops.
 */
import assert from "node:assert/strict";
import { PgError } from "../../../src/store/postgres/errors.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { pgTime } from "../../../src/store/postgres/query.ts";
import { FakeClock } from "../../support/fake_clock.ts";
import {
  isPgBouncerMissing,
  isPostgresMissing,
  openPg,
  PgBouncer,
  Postgres,
  SECRET_PASSWORD,
} from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";
import { freePort } from "../../support/server_process.ts";
import { makeAuthority } from "../../support/tls_authority.ts";

/** Opens it for as long as `body` runs. */
async function withPg(db: PgDatabase, body: (db: PgDatabase) => Promise<void>): Promise<void> {
  try {
    await body(db);
  } finally {
    await db.close();
  }
}

async function failure(work: Promise<unknown>): Promise<PgError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof PgError, String(error));
    assert.ok(!error.message.includes(SECRET_PASSWORD), error.message);
    return error;
  }
  throw new Error("it did not fail");
}

const portOf = (db: PgDatabase) =>
  db.read<{ port: number }>("SELECT inet_server_port() AS port").then(([row]) => row?.port);

Deno.test({
  name: "PostgreSQL: one server",
  ignore: isPostgresMissing,
  fn: async (t) => {
    await using postgres = await Postgres.start();
    await t.step("values come back as what they are", () => valuesStep(postgres));
    await t.step("a session's settings change nothing", () => settingsStep(postgres));
    await t.step("what is committed is on the disk, whatever a role has set", () => durabilityStep(postgres));
    await t.step("a transaction is all or nothing", () => transactionStep(postgres));
    await t.step("writes wait for each other, reads do not wait for them", () => orderStep(postgres));
    await t.step("a read cannot write", () => readOnlyStep(postgres));
    await t.step("a long statement is cancelled, and its connection goes on", () => cancelStep(postgres));
    await t.step("too many statements at once are refused", () => busyStep(postgres));
    await t.step("a Unix socket works", () => socketStep(postgres));
    await t.step("a password is needed, and may hold anything", () => passwordStep(postgres));
    await t.step("TLS is checked as sslmode says", () => tlsStep(postgres));
    await t.step("a client certificate opens", () => clientCertificateStep(postgres));
    await t.step("what people have to change is told", () => setupStep(postgres));
    await t.step("a killed backend is replaced", () => killedBackendStep(postgres));
    await t.step("notifications arrive, also after the connection was lost", () => listenStep(postgres));
    await t.step("close() ends everything", () => closeStep(postgres));
  },
});

async function valuesStep(postgres: Postgres): Promise<void> {
  await withPg(openPg(postgres.url()), async (db) => {
    const [row] = await db.read(
      `SELECT true AS bool, 1::int2 AS int2, -2::int4 AS int4, 9007199254740991::int8 AS int8, 1.5::float8 AS float8,
        'infinity'::float4 AS float4, 'é\u{1f600}' AS text, null AS nothing, 12345678901234567890.5::numeric AS numeric,
        '2026-11-29 04:05:06.789999+00'::timestamptz AS at, '0001-01-01 00:00:00+00'::timestamptz AS first,
        '20000-01-01 00:00:00+00'::timestamptz AS late, '{"a":1}'::jsonb AS json, '\\x00ff'::bytea AS bytes`,
    );
    assert.deepEqual(row, {
      bool: true,
      int2: 1,
      int4: -2,
      int8: 9007199254740991,
      float8: 1.5,
      float4: Infinity,
      text: "é\u{1f600}",
      nothing: null,
      numeric: "12345678901234567890.5",
      at: Date.UTC(2026, 10, 29, 4, 5, 6, 789),
      first: Date.parse("0001-01-01T00:00:00Z"),
      late: Date.UTC(20000, 0, 1),
      json: '{"a": 1}',
      bytes: "\\x00ff",
    });
    for (const unreadable of ["9007199254740992::int8", "'infinity'::timestamptz"]) {
      assert.equal((await failure(db.read(`SELECT ${unreadable} AS value`))).kind, "poison");
    }
    for (
      const ms of [0, Date.UTC(2026, 10, 29, 4, 5, 6, 789), Date.UTC(12026, 0, 1), Date.parse("0001-01-01")]
    ) {
      assert.deepEqual(await db.read("SELECT $1::timestamptz AS at", [pgTime(ms)]), [{ at: ms }]);
    }
    const many = Array.from({ length: 65_536 }, () => 1);
    assert.equal((await failure(db.read("SELECT 1", many))).kind, "poison");
    const texts = ["a,b", 'quote "', "back\\slash", "", "{}", "NULL", "é\u{1f600}", null];
    const rows = await db.read("SELECT * FROM unnest($1::text[], $2::bigint[]) AS t(text, n)", [
      texts,
      texts.map((_, n) => n),
    ]);
    assert.deepEqual(rows, texts.map((text, n) => ({ text, n })));
  });
}

/** Set for the role, or by variables that the package reads. */
async function settingsStep(postgres: Postgres): Promise<void> {
  await postgres.psql(
    "ALTER ROLE app SET datestyle TO 'German'; ALTER ROLE app SET timezone TO 'Asia/Kathmandu'; " +
      "ALTER ROLE app SET statement_timeout TO '10ms'",
  );
  const kept = Deno.env.toObject();
  Deno.env.set("PGOPTIONS", "-c default_transaction_read_only=on");
  Deno.env.set("PGBINARY", "1");
  Deno.env.set("PGREPLICATION", "database");
  try {
    await withPg(openPg(postgres.url()), async (db) => {
      assert.deepEqual(
        await db.read("SELECT '2026-01-02 03:04:05+00'::timestamptz AS at, pg_sleep(0.05)::text AS s"),
        [
          { at: Date.UTC(2026, 0, 2, 3, 4, 5), s: "" },
        ],
      );
    });
  } finally {
    for (const name of ["PGOPTIONS", "PGBINARY", "PGREPLICATION"]) {
      const value = kept[name];
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
    await postgres.psql("ALTER ROLE app RESET ALL");
  }
}

/** Of what a write promises. */
async function durabilityStep(postgres: Postgres): Promise<void> {
  const settings = [["off", "on"], ["local", "local"], ["remote_apply", "remote_apply"], ["on", "on"]];
  try {
    for (const [set, used] of settings) {
      await postgres.psql(
        `ALTER ROLE app SET synchronous_commit TO ${set}; ALTER ROLE app SET default_transaction_isolation TO 'repeatable read'`,
      );
      await withPg(openPg(postgres.url()), async (db) => {
        const shown = await db.write((query) =>
          query(
            "SELECT current_setting('synchronous_commit') AS commit, current_setting('transaction_isolation') AS level",
            [],
          )
        );
        assert.deepEqual(shown, [{ commit: used, level: "read committed" }]);
      });
    }
  } finally {
    await postgres.psql("ALTER ROLE app RESET ALL");
  }
}

async function transactionStep(postgres: Postgres): Promise<void> {
  await postgres.psql("CREATE TABLE numbers (n int PRIMARY KEY); GRANT ALL ON numbers TO app");
  await withPg(openPg(postgres.url()), async (db) => {
    const count = async () => (await db.read("SELECT n FROM numbers ORDER BY n")).map(({ n }) => n);
    assert.equal(
      await db.write(async (query) => {
        await query("INSERT INTO numbers VALUES ($1)", [1]);
        const [row] = await query<{ n: number }>("INSERT INTO numbers VALUES ($1) RETURNING n", [2]);
        return row?.n;
      }),
      2,
    );
    const own = new Error("changed its mind");
    await assert.rejects(
      db.write(async (query) => {
        await query("INSERT INTO numbers VALUES (3)");
        throw own;
      }),
      own,
    );
    const twice = await failure(db.write((query) => query("INSERT INTO numbers VALUES (4), (1)")));
    assert.deepEqual([twice.kind, twice.code, twice.isConnectionLost], ["poison", "23505", false]);
    // A statement that failed unnoticed: COMMIT would say nothing, and roll back.
    const swallowed = await failure(db.write(async (query) => {
      await query("INSERT INTO numbers VALUES (5)");
      await query("INSERT INTO numbers VALUES (1)").catch(() => {});
    }));
    assert.equal(swallowed.code, "25P02");
    assert.deepEqual(await count(), [1, 2]);
    await db.write((query) => query("INSERT INTO numbers VALUES (6)"));
    assert.deepEqual(await count(), [1, 2, 6]);
  });
}

async function orderStep(postgres: Postgres): Promise<void> {
  await withPg(openPg(postgres.url()), async (db) => {
    const order: string[] = [];
    const inside = Promise.withResolvers<void>();
    const first = db.write(async (query) => {
      await query("SELECT 1");
      order.push("first began");
      await inside.promise;
      await query("SELECT 1");
      order.push("first ended");
    });
    const second = db.write(async (query) => {
      order.push("second");
      await query("SELECT 1");
    });
    await eventually(() => order.length > 0 ? true : null, "the first transaction");
    assert.deepEqual(await Promise.all([1, 2, 3, 4, 5].map((n) => db.read("SELECT $1::int AS n", [n]))), [
      ...[1, 2, 3, 4, 5].map((n) => [{ n }]),
    ]);
    inside.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(order, ["first began", "first ended", "second"]);
    const [sessions] = await db.read(
      "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = $1",
      [
        "openai-api-route",
      ],
    );
    assert.equal(sessions?.["n"], 4);
  });
}

async function readOnlyStep(postgres: Postgres): Promise<void> {
  await withPg(openPg(postgres.url()), async (db) => {
    const error = await failure(db.read("INSERT INTO numbers VALUES (7) RETURNING n"));
    assert.equal(error.code, "25006");
  });
}

async function cancelStep(postgres: Postgres): Promise<void> {
  await withPg(openPg(postgres.url()), async (db) => {
    const backend = async () =>
      (await db.write((query) => query("SELECT pg_backend_pid() AS pid")))[0]?.["pid"];
    const before = await backend();
    const error = await failure(db.write((query) => query("SELECT pg_sleep(60)"), { timeoutMs: 50 }));
    assert.deepEqual([error.kind, error.code, error.isConnectionLost], ["retry", "57014", false]);
    assert.equal(await backend(), before);
    assert.equal((await failure(db.read("SELECT pg_sleep(60)", [], { timeoutMs: 50 }))).code, "57014");
  });
}

async function busyStep(postgres: Postgres): Promise<void> {
  await withPg(openPg(postgres.url()), async (db) => {
    const results = await Promise.allSettled(Array.from({ length: 300 }, () => db.read("SELECT 1")));
    const refused = results.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 300 - 256 - 3);
    assert.equal((await db.read("SELECT 1 AS n"))[0]?.["n"], 1);
  });
}

async function socketStep(postgres: Postgres): Promise<void> {
  const url = `postgres:///oar?user=app&host=${
    encodeURIComponent(postgres.socketFolder)
  }&port=${postgres.port}`;
  // There, sslmode means nothing, as with libpq.
  for (const mode of ["", "&sslmode=verify-full"]) {
    await withPg(openPg(url + mode), async (db) => {
      assert.deepEqual(await db.read("SELECT inet_server_addr() AS address, current_user::text AS name"), [
        { address: null, name: "app" },
      ]);
    });
  }
  await withPg(openPg("postgres:///oar?user=app&host=/nonexistent"), async (db) => {
    const error = await failure(db.read("SELECT 1"));
    assert.deepEqual([error.kind, error.code], ["retry", "ENOENT"]);
  });
}

async function passwordStep(postgres: Postgres): Promise<void> {
  const password = encodeURIComponent(SECRET_PASSWORD);
  await withPg(openPg(postgres.url({ user: `secret:${password}` })), async (db) => {
    assert.deepEqual(await db.read("SELECT current_user::text AS name"), [{ name: "secret" }]);
  });
  for (
    const [user, message] of [["secret:wrong", /PGPASSWORD/], ["secret", /asks for a password/]] as const
  ) {
    await withPg(openPg(postgres.url({ user })), async (db) => {
      const error = await failure(db.read("SELECT 1"));
      assert.deepEqual([error.kind, error.code], ["setup", "28P01"]);
      assert.match(error.message, message);
    });
  }
}

const IS_TLS = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";

async function tlsStep(postgres: Postgres): Promise<void> {
  const { root } = postgres.authority;
  const stranger = (await makeAuthority(postgres.folder, "stranger")).root;
  const cases: [options: { user?: string; host?: string; query: string }, tls: boolean | null][] = [
    [{ query: "sslmode=disable" }, false],
    [{ query: "" }, true],
    [{ query: "sslmode=require" }, true],
    [{ query: `sslmode=verify-ca&sslrootcert=${root}` }, true],
    [{ query: `sslmode=verify-full&sslrootcert=${root}`, host: "localhost" }, true],
    // The certificate is not for this address.
    [{ query: `sslmode=verify-full&sslrootcert=${root}` }, null],
    // Nobody whom the client trusts has signed it.
    [{ query: "sslmode=verify-full" }, null],
    [{ query: "sslmode=verify-ca" }, null],
    [{ query: `sslmode=verify-full&sslrootcert=${stranger}` }, null],
    [{ query: `sslmode=verify-ca&sslrootcert=${stranger}` }, null],
    [{ query: `sslmode=require&sslrootcert=${stranger}` }, null],
    [{ query: "", user: "tls_only" }, true],
    [{ query: "", user: "plain_only" }, false],
    [{ query: "sslmode=require", user: "plain_only" }, null],
    [{ query: "sslmode=disable", user: "tls_only" }, null],
  ];
  for (const [options, isTls] of cases) {
    await withPg(openPg(postgres.url(options)), async (db) => {
      const what = JSON.stringify(options);
      if (isTls === null) {
        const error = await failure(db.read(IS_TLS));
        assert.ok(error.isConnectionLost, what);
        assert.match(error.message, /sslrootcert=|connect by a name|pg_hba\.conf/, what);
      } else {
        assert.deepEqual(await db.read(IS_TLS), [{ ssl: isTls }], what);
      }
    });
  }
}

async function clientCertificateStep(postgres: Postgres): Promise<void> {
  const { root, client } = postgres.authority;
  const query = `sslmode=verify-full&sslrootcert=${root}`;
  const own = `&sslcert=${client.cert}&sslkey=${client.key}`;
  await withPg(openPg(postgres.url({ user: "cert", host: "localhost", query: query + own })), async (db) => {
    assert.deepEqual(await db.read("SELECT current_user::text AS name"), [{ name: "cert" }]);
  });
  await withPg(openPg(postgres.url({ user: "cert", host: "localhost", query })), async (db) => {
    assert.equal((await failure(db.read("SELECT 1"))).kind, "setup");
  });
}

async function setupStep(postgres: Postgres): Promise<void> {
  const cases: [url: string, code: string, message: RegExp][] = [
    [postgres.url().replace("/oar", "/nowhere"), "3D000", /database "nowhere" does not exist.*createdb/],
    [postgres.url({ user: "nobody" }), "28000", /role "nobody" does not exist/],
  ];
  for (const [url, code, message] of cases) {
    await withPg(openPg(url), async (db) => {
      const error = await failure(db.write((query) => query("SELECT 1")));
      assert.deepEqual([error.kind, error.code], ["setup", code]);
      assert.match(error.message, message);
    });
  }
}

const KILL_OTHERS =
  "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'openai-api-route'";

async function killedBackendStep(postgres: Postgres): Promise<void> {
  const events: string[] = [];
  const options = { onTrouble: () => events.push("trouble"), onResumed: () => events.push("resumed") };
  await withPg(openPg(postgres.url(), options), async (db) => {
    await db.read("SELECT 1");
    await db.write((query) => query("SELECT 1"));
    await postgres.psql(KILL_OTHERS);
    // Both were idle: the next statements notice nothing.
    assert.deepEqual(await db.read("SELECT 1 AS n"), [{ n: 1 }]);
    assert.deepEqual(await db.write((query) => query("SELECT 2 AS n")), [{ n: 2 }]);

    const begun = Promise.withResolvers<void>();
    const killed = Promise.withResolvers<void>();
    let runs = 0;
    const work = failure(db.write(async (query) => {
      runs++;
      await query("INSERT INTO numbers VALUES (100)");
      begun.resolve();
      await killed.promise;
      await query("INSERT INTO numbers VALUES (101)");
    }));
    await begun.promise;
    await postgres.psql(KILL_OTHERS);
    killed.resolve();
    const error = await work;
    assert.deepEqual([error.kind, error.isConnectionLost, runs], ["retry", true, 1]);
    assert.deepEqual(await db.read("SELECT n FROM numbers WHERE n >= 100"), []);
    await db.write((query) => query("SELECT 1"));
    // Once for the connection that was used, and perhaps once for the idle one.
    assert.match(events.join(" "), /^trouble resumed( trouble resumed)?$/);
  });
}

async function listenStep(postgres: Postgres): Promise<void> {
  await withPg(openPg(postgres.url()), async (db) => {
    const heard: string[] = [];
    const stop = db.listen("some channel", (payload) => heard.push(payload));
    await eventually(() => heard.length === 1 ? true : null, "the start");
    await postgres.psql(`NOTIFY "some channel", 'one'; NOTIFY other, 'no'`);
    await eventually(() => heard.length === 2 ? true : null, "the notification");
    await postgres.psql(KILL_OTHERS);
    await eventually(() => heard.length === 3 ? true : null, "the new start");
    await postgres.psql(`NOTIFY "some channel", 'two'`);
    await eventually(() => heard.length === 4 ? true : null, "the notification");
    assert.deepEqual(heard, ["", "one", "", "two"]);
    stop();
    await eventually(
      async () =>
        await postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") === "0" || null,
      "the end of the listener",
    );
  });
}

async function closeStep(postgres: Postgres): Promise<void> {
  const db = openPg(postgres.url());
  const stop = db.listen("channel", () => {});
  await db.read("SELECT 1");
  const begun = Promise.withResolvers<void>();
  const running = failure(db.write(async (query) => {
    const sleeping = query("SELECT pg_sleep(60)");
    begun.resolve();
    await sleeping;
  }, { timeoutMs: 1_000 }));
  const waiting = failure(db.write((query) => query("SELECT 1")));
  await begun.promise;
  await db.close();
  for (const error of [await running, await waiting, await failure(db.read("SELECT 1"))]) {
    assert.equal(error.code, "CLOSED");
  }
  await db.close();
  stop();
  await eventually(
    async () =>
      await postgres.psql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'") === "0" || null,
    "the end of the sessions",
  );
}

Deno.test({
  name: "PostgreSQL: a frozen server costs its timeout, then a fresh connection is used",
  ignore: isPostgresMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    const clock = new FakeClock();
    const events: string[] = [];
    const db = openPg(postgres.url(), {
      clock,
      onTrouble: ({ code }) => events.push(`trouble ${code}`),
      onResumed: () => events.push("resumed"),
    });
    await withPg(db, async () => {
      await db.write((query) => query("CREATE TABLE numbers (n int)"));
      await db.read("SELECT 1");
      await postgres.freeze();
      const write = failure(
        db.write((query) => query("INSERT INTO numbers VALUES (1)"), { timeoutMs: 5_000 }),
      );
      const read = failure(db.read("SELECT 1", [], { timeoutMs: 5_000 }));
      await eventually(() => clock.pendingTimers === 2 ? true : null, "both statements");
      clock.advance(7_000);
      for (const error of [await write, await read]) {
        assert.deepEqual([error.kind, error.code, error.isConnectionLost], ["retry", "TIMEOUT", true]);
      }
      // The kernel lets it connect all the same.
      const connecting = failure(db.read("SELECT 1"));
      await eventually(() => clock.pendingTimers === 1 ? true : null, "the new connection");
      clock.advance(3_000);
      // `prefer` tries once more without TLS only where TLS was the reason.
      assert.equal((await connecting).code, "TIMEOUT");
      await postgres.thaw();
      assert.deepEqual(await db.read("SELECT 1 AS n"), [{ n: 1 }]);
      await db.write((query) => query("INSERT INTO numbers VALUES (2)"));
      assert.deepEqual(await db.read("SELECT n FROM numbers"), [{ n: 2 }]);
      assert.deepEqual(events, ["trouble TIMEOUT", "resumed"]);
    });
  },
});

Deno.test({
  name: "PostgreSQL: a listener whose server froze connects again",
  ignore: isPostgresMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    const clock = new FakeClock();
    await withPg(openPg(postgres.url(), { clock }), async (db) => {
      const heard: string[] = [];
      db.listen("channel", (payload) => heard.push(payload));
      await eventually(() => heard.length === 1 ? true : null, "the start");
      await postgres.freeze();
      const asked = clock.timerSet(3_000);
      clock.advance(10_000);
      await asked;
      const pausing = clock.timerSet(250);
      clock.advance(3_000);
      await pausing;
      await postgres.thaw();
      clock.advance(250);
      await eventually(() => heard.length === 2 ? true : null, "the new start");
      await postgres.psql("NOTIFY channel, 'again'");
      await eventually(() => heard.at(-1) === "again" ? true : null, "the notification");
    });
  },
});

Deno.test({
  name: "PostgreSQL: a server that is killed and started again is used again",
  ignore: isPostgresMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    await withPg(openPg(postgres.url()), async (db) => {
      await db.write((query) => query("CREATE TABLE numbers (n int)"));
      await db.read("SELECT 1");
      await postgres.kill9();
      for (const work of [db.read("SELECT 1"), db.write((query) => query("SELECT 1"))]) {
        const error = await failure(work);
        assert.deepEqual([error.kind, error.isConnectionLost], ["retry", true]);
      }
      assert.match((await failure(db.read("SELECT 1"))).message, /127\.0\.0\.1:\d+: .*ECONNREFUSED/);
      await postgres.start();
      await db.write((query) => query("INSERT INTO numbers VALUES (1)"));
      assert.deepEqual(await db.read("SELECT n FROM numbers"), [{ n: 1 }]);

      await postgres.halt();
      await postgres.start({ isTls: false });
      assert.deepEqual(await db.read(IS_TLS), [{ ssl: false }]);
    });
    for (const mode of ["require", "verify-full"]) {
      await withPg(openPg(postgres.url({ query: `sslmode=${mode}` })), async (db) => {
        assert.match((await failure(db.read("SELECT 1"))).message, /does not support SSL.*; switch ssl on/);
      });
    }
  },
});

Deno.test({
  name: "PostgreSQL: of several hosts, the one that takes writes is used",
  ignore: isPostgresMissing,
  fn: async () => {
    await using primary = await Postgres.start();
    await using standby = await primary.standby();
    const closedPort = freePort();
    const hosts = `127.0.0.1:${closedPort},127.0.0.1:${standby.port},127.0.0.1:${primary.port}`;
    await withPg(openPg(`postgres://app@${hosts}/oar`), async (db) => {
      assert.equal(await portOf(db), primary.port);
      await db.write((query) => query("CREATE TABLE numbers (n int)"));
      assert.equal(await portOf(db), primary.port);

      // A switch over: the old primary takes no writes any more, though its sessions stay.
      const [sent] = await db.read<{ lsn: string }>("SELECT pg_current_wal_lsn()::text AS lsn");
      await eventually(
        async () => await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${sent?.lsn}'`) === "t" || null,
        "the standby",
      );
      await primary.psql("ALTER SYSTEM SET default_transaction_read_only TO on");
      await primary.psql("SELECT pg_reload_conf()");
      await eventually(
        async () => await primary.psql("SHOW default_transaction_read_only") === "on" || null,
        "the setting",
      );
      await standby.promote();
      const error = await failure(db.write((query) => query("INSERT INTO numbers VALUES (1)")));
      assert.deepEqual([error.kind, error.code], ["retry", "25006"]);
      await db.write((query) => query("INSERT INTO numbers VALUES (2)"));
      // Those for reads follow, though nobody has ended them.
      assert.equal(await portOf(db), standby.port);
      assert.deepEqual(await db.read("SELECT n FROM numbers"), [{ n: 2 }]);
    });
    await withPg(
      openPg(`postgres://app@127.0.0.1:${closedPort},127.0.0.1:${primary.port}/oar`),
      async (db) => {
        const error = await failure(db.read("SELECT 1"));
        assert.equal(error.kind, "retry");
        assert.match(error.message, /ECONNREFUSED.*; .*takes no writes/);
      },
    );
  },
});

Deno.test({
  name: "PostgreSQL: PgBouncer in transaction mode",
  ignore: isPgBouncerMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    await using bouncer = await PgBouncer.start(postgres);
    await postgres.psql("ALTER ROLE app SET timezone TO 'Asia/Kathmandu'");
    await withPg(openPg(bouncer.url()), async (db) => {
      await db.write((query) => query("CREATE TABLE numbers (n int)"));
      // More sessions than the server gets.
      await withPg(openPg(bouncer.url()), async (other) => {
        const reads = [db, other].flatMap((each) =>
          Array.from(
            { length: 20 },
            (_, n) => each.read("SELECT $1::int AS n, '2026-01-02 03:04:05+00'::timestamptz AS at", [n]),
          )
        );
        const rows = (await Promise.all(reads)).flat();
        assert.equal(rows.length, 40);
        assert.ok(rows.every(({ at }) => at === Date.UTC(2026, 0, 2, 3, 4, 5)));
      });
      const error = await failure(db.read("SELECT pg_sleep(60)", [], { timeoutMs: 50 }));
      assert.equal(error.code, "57014");
      // The limit of one transaction is not that of the next client's.
      assert.deepEqual(await db.read("SHOW statement_timeout"), [{ statement_timeout: "2s" }]);
      const heard: string[] = [];
      db.listen("channel", (payload) => heard.push(payload));
      await eventually(() => heard.length === 1 ? true : null, "the start");

      await postgres.kill9();
      assert.equal(
        (await failure(db.write((query) => query("INSERT INTO numbers VALUES (1)")))).kind,
        "retry",
      );
      await postgres.start();
      await eventually(
        () => db.write((query) => query("INSERT INTO numbers VALUES (2)")).then(() => true, () => null),
        "the server behind PgBouncer",
      );
      assert.deepEqual(await db.read("SELECT n FROM numbers"), [{ n: 2 }]);
    });
  },
});
