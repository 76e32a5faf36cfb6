/**
 * The command line over PostgreSQL, as a process of its own.
 */
import assert from "node:assert/strict";
import { Tail } from "../../../src/cli/records/tail.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import { PgRecordReader } from "../../../src/store/postgres/read/record_queries.ts";
import { Replicas } from "../../../src/store/postgres/replicas.ts";
import { Journal } from "../../../src/store/postgres/shipper/journal.ts";
import { isPostgresMissing, openPg, Postgres, SECRET_PASSWORD } from "../../support/postgres.ts";
import { putRecords, withPgRecords } from "../../support/postgres_records.ts";
import { runProgram } from "../../support/router.ts";
import { runAsServer } from "../../support/server_process.ts";
import { chatReply, FakeUpstream, reply } from "../../support/upstream.ts";
import { makeRecord, makeSession } from "../../unit/store/support.ts";

const KEY = "sk-0123456789abcdefHIDEMEwxyz";
const ADD = ["add", "--no-test", "--key", KEY, "--endpoint"];
/** Nobody listens there. */
const DEAD = "postgres://app@127.0.0.1:1/oar";
const NOTE = { version: "1.2.3", listen: ":8888", waiting: 0, lagMs: null };

interface Bench {
  readonly postgres: Postgres;
  readonly cwd: string;
  run(args: readonly string[], options?: RunOptions): Promise<Output>;
  /** Demands success. Returns standard output. */
  do(args: readonly string[], options?: RunOptions): Promise<string>;
}

interface RunOptions {
  readonly url?: string;
  readonly env?: Record<string, string>;
}

interface Output {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Commands in a folder of their own, which must stay empty: nothing makes a SQLite file. */
async function withBench(body: (bench: Bench) => Promise<void>): Promise<void> {
  await using postgres = await Postgres.start();
  const cwd = await Deno.makeTempDir({ prefix: "oar-pgcli-" });
  const run = async (
    args: readonly string[],
    { url = postgres.url({ query: "sslmode=disable" }), env = {} }: RunOptions = {},
  ) => {
    const result = await runProgram(args, {
      cwd,
      env: { OAR_DATABASE: url, PGPASSFILE: "/dev/null", ...env },
    });
    assert.doesNotMatch(result.stdout + result.stderr, /HIDEME|se:cr|se%3Acr|^\s+at |Uncaught/m);
    return result;
  };
  try {
    await body({
      postgres,
      cwd,
      run,
      do: async (args, options) => {
        const { code, stdout, stderr } = await run(args, options);
        assert.equal(code, 0, stderr);
        return stdout;
      },
    });
    assert.deepEqual([...Deno.readDirSync(cwd)].map(({ name }) => name), []);
  } finally {
    await Deno.remove(cwd, { recursive: true });
  }
}

Deno.test("the command line over PostgreSQL", { ignore: isPostgresMissing }, async (t) => {
  await withBench(async (bench) => {
    const step = (name: string, body: (bench: Bench) => Promise<void>) =>
      t.step(name, async () => {
        await bench.postgres.clear();
        await body(bench);
      });
    await step("what cannot be used ends with one line that says why, without the password", failures);
    await step("an empty database has nothing to show, and is made by add alone", emptyDatabase);
    await step("two that add at once make one schema and one token", addsAtOnce);
    await step("upstreams and tokens are changed as in a file", changes);
    await step("list shows what living replicas say of upstreams", states);
    await step("an upstream that answered the test is no longer untested", testedUpstream);
    await step("records of two replicas are listed, shown, counted and exported", records);
    await step("tail misses no record that another replica commits late, and shows none twice", lateRecords);
    await step("the doctor checks servers, schema, replicas and journal", doctor);
    await step("the doctor tells a standby from the server that takes writes", doctorOfStandby);
    await step("backup and restore name PostgreSQL's own tools; completion never connects", otherTools);
    await step("the commands that backup and restore name do it", backupAndRestore);
    await step("the doctor says whether TLS is used", doctorOfTls);
  });
});

async function failures({ postgres, run }: Bench): Promise<void> {
  const wrong = postgres.url({ user: "secret:HIDEME" });
  const cases: readonly (readonly [args: string[], url: string, code: number, expected: RegExp])[] = [
    [
      ["list"],
      DEAD,
      1,
      /Cannot use postgres:\/\/app@127\.0\.0\.1:1\/oar: .*ECONNREFUSED.*nothing listens there/,
    ],
    [["token", "show"], wrong, 1, /password authentication failed.*PGPASSWORD or ~\/\.pgpass/],
    [["records", "list"], postgres.url({ user: "secret" }), 1, /asks for a password; put it into PGPASSWORD/],
    [[...ADD, "https://a.example/v1"], wrong, 1, /password authentication failed/],
    [["list"], "postgres://a@b:HIDEME@h/oar", 2, /--database: .*must be escaped: @ is %40/],
    [["list"], "postgres://app@h/oar?colour=HIDEME", 2, /the parameter colour is not known; known are host/],
    [["records", "show", "1"], postgres.url({ user: "nobody" }), 1, /role "nobody" does not exist/],
  ];
  const results = await Promise.all(cases.map(([args, url]) => run(args, { url })));
  for (const [at, [args, , code, expected]] of cases.entries()) {
    const result = results[at];
    assert.match(result?.stderr ?? "", expected, args.join(" "));
    assert.match(result?.stderr ?? "", /^openai-api-route: [^\n]+\n$/);
    assert.deepEqual([result?.code, result?.stdout], [code, ""]);
  }
}

async function emptyDatabase(bench: Bench): Promise<void> {
  const needy = [
    "list",
    "token show",
    "token add ann",
    "edit 1 --name x",
    "records list",
    "records show 1",
    "remove 1",
  ];
  const results = await Promise.all(needy.map((line) => bench.run(line.split(" "))));
  for (const { code, stderr } of results) {
    assert.match(
      stderr,
      /^openai-api-route: postgres:\S+ has no schema oar yet: start a server with it, .*\n$/,
    );
    assert.equal(code, 1);
  }
  assert.equal(await bench.postgres.psql("SELECT to_regnamespace('oar')"), "");
  const added = await bench.run([...ADD, "https://a.example/v1"]);
  assert.equal(added.stdout, 'added upstream 1 "a.example" https://a.example/v1 (key sk-…wxyz)\n');
  assert.match(
    added.stderr,
    /^created schema oar in postgres:\S+\nclients must send this token, .*sk-oar-\S+\n$/,
  );
  assert.match((await bench.run(["records", "list"])).stderr, /^no records match\n$/);
  assert.equal(await bench.do(["records", "list", "--count"]), "0\n");
  assert.match((await bench.run(["records", "show", "1"])).stderr, /no record has that number or request id/);
}

async function addsAtOnce(bench: Bench): Promise<void> {
  const names = ["a", "b", "c"];
  const results = await Promise.all(names.map((name) => bench.run([...ADD, `https://${name}.example/v1`])));
  assert.deepEqual(results.map(({ code }) => code), [0, 0, 0], results.map(({ stderr }) => stderr).join());
  const said = results.flatMap(({ stderr }) => stderr.match(/sk-oar-\S+/g) ?? []);
  const shown = (await bench.do(["token", "show"])).trim().split("\n");
  assert.deepEqual(shown, said);
  assert.equal(shown.length, 1);
  const listed = JSON.parse(await bench.do(["list", "--json"]));
  assert.deepEqual(listed.map(({ place }: { place: number }) => place), [1, 2, 3]);
  assert.deepEqual(
    listed.map(({ name }: { name: string }) => name).sort(),
    names.map((name) => `${name}.example`),
  );
}

async function changes(bench: Bench): Promise<void> {
  await bench.do([...ADD, "https://a.example/v1"]);
  await bench.do([...ADD, "https://b.example/v1"]);
  assert.match(
    await bench.do(["edit", "a.example", "--name", "first", "--weight", "2"]),
    /changed upstream 1 "first"/,
  );
  await bench.do([
    ...["edit", "first", "--max-parallel", "auto", "--body-patch", '{"store":false}', "--max-body", "1MB"],
    ...["--set-header", "Helicone-Auth: sk-0123456789HIDEMEabcd", "--error-text", "no credit"],
    ...["--proxy", "http://me:HIDEMEHIDEME@127.0.0.1:3128"],
  ]);
  const [{ maxParallel, bodyPatch, maxBody, setHeaders, errorText, proxy }] = JSON.parse(
    await bench.do(["list", "--json"]),
  );
  assert.deepEqual([maxParallel, bodyPatch, maxBody, setHeaders, errorText, proxy], [
    "auto",
    { store: false },
    1_000_000,
    { "helicone-auth": "sk-…abcd" },
    ["no credit"],
    "http://…@127.0.0.1:3128",
  ]);
  const cleared = ["--max-parallel", "--body-patch", "--max-body", "--set-header", "--error-text", "--proxy"];
  await bench.do(["edit", "first", ...cleared.flatMap((flag) => [flag, ""])]);
  assert.match(await bench.do(["move", "2", "1"]), /moved upstream 2 .* to place 1/);
  assert.match(await bench.do(["disable", "first"]), /disabled upstream 1/);
  assert.match(
    await bench.do(["list"]),
    /^PLACE .*\n1 +2 +b\.example +untested .*\n2 +1 +first +disabled .* 2\n$/,
  );
  assert.match(await bench.do(["enable", "first"]), /enabled upstream 1/);
  assert.match(await bench.do(["remove", "2"]), /removed upstream 2/);
  const twice = await bench.run([...ADD, "https://a.example/v1"]);
  assert.match(twice.stderr, /Upstream 1 has this key and endpoint already/);
  assert.deepEqual([twice.code, twice.stdout], [1, ""]);

  assert.match(await bench.do(["token", "add", "ann"]), /^added token ann sk-oar-\S+\n$/);
  assert.match((await bench.run(["token", "set"])).stderr, /this would remove default .*, ann/);
  assert.match(await bench.do(["token", "remove", "ann"]), /removed token ann/);
  assert.match(await bench.do(["token", "set", "--yes", "--name", "only"]), /^set token only sk-oar-/);
  await bench.postgres.psql(`INSERT INTO oar.client_totals VALUES
    ('j1', 'only', 3, 1, 10, 20, 0, 1000), ('j2', 'only', 4, 0, 1, 2, 0, 2000)`);
  const tokens: Record<string, unknown>[] = JSON.parse(await bench.do(["token", "show", "--json"]));
  assert.deepEqual(
    tokens.map(({ name, requests, outputTokens, lastUsedAt }) => [name, requests, outputTokens, lastUsedAt]),
    [["only", 7, 22, "1970-01-01T00:00:02.000Z"]],
  );
  assert.match((await bench.run(["token", "show", "--admin"])).stderr, /no admin token yet/);
  await bench.do(["token", "set", "--admin"]);
  assert.match(await bench.do(["token", "show", "--admin"]), /^admin-oar-\S+\n$/);
}

async function states({ postgres, ...bench }: Bench): Promise<void> {
  await bench.do([...ADD, "https://a.example/v1"]);
  await bench.do([...ADD, "https://b.example/v1"]);
  const db = openPg(postgres.url());
  try {
    await new Replicas({ database: db, id: "alive", journal: "j1" }).beat(NOTE);
    await new Replicas({ database: db, id: "dead", journal: "j2" }).beat(NOTE);
    await postgres.psql(`
      INSERT INTO oar.upstream_states VALUES
        (1, 'alive', 'open', '2020-01-01T00:00:00Z', 'HTTP 503', now() - interval '1 min', NULL, NULL),
        (1, 'dead', 'no_credit', NULL, 'HTTP 402', now(), NULL, NULL),
        (2, 'alive', 'closed', 'infinity', '', now(), 10, 4), (2, 'other', 'open', NULL, '', now(), NULL, NULL);
      UPDATE oar.instances SET heartbeat_at = now() - interval '60 s' WHERE id = 'dead'`);
  } finally {
    await db.close();
  }
  const [first, second] = JSON.parse(await bench.do(["list", "--json"]));
  assert.deepEqual([first.condition, first.reason, first.until], [
    "failing",
    "HTTP 503",
    "2020-01-01T00:00:00.000Z",
  ]);
  assert.deepEqual([second.condition, second.until, second.attempts, second.failed], [
    "untested",
    null,
    10,
    4,
  ]);
}

async function testedUpstream(bench: Bench): Promise<void> {
  await using upstream = new FakeUpstream(reply(200, '{"object":"list","data":[{"id":"a"}]}'));
  await bench.do(["add", "--key", KEY, "--endpoint", upstream.endpoint]);
  assert.equal(upstream.requests.length, 1);
  const [listed] = JSON.parse(await bench.do(["list", "--json"]));
  assert.equal(listed.condition, "ok");
}

async function records({ postgres, ...bench }: Bench): Promise<void> {
  const made = (requestId: string, response: string, minute: number) =>
    makeRecord({ requestId, response, requestBytes: 32, createdAtMs: Date.UTC(2026, 10, 1, 12, minute) });
  await withPgRecords({ postgres }, [made("r1", "one heron", 1), made("r3", "three 水鳥", 3)], async (db) => {
    await putRecords(db, [made("r2", "two\u0000", 2), made("r4", "four heron", 4)]);
  });
  const ids = (out: string) => out.trim().split("\n").map((line) => JSON.parse(line).requestId);
  const listed = JSON.parse(await bench.do(["records", "list", "--json"]));
  assert.deepEqual(listed.map(({ requestId }: { requestId: string }) => requestId), ["r4", "r3", "r2", "r1"]);
  const rest = JSON.parse(await bench.do(["records", "list", "--json", "--before", String(listed[1].id)]));
  assert.deepEqual(rest.map(({ requestId }: { requestId: string }) => requestId), ["r2", "r1"]);
  assert.match(await bench.do(["records", "list", "--limit", "1"]), /^ID .*\n\d+ .*four heron\n$/);
  assert.equal(await bench.do(["records", "list", "--count", "--text", "heron"]), "2\n");
  assert.equal(await bench.do(["records", "list", "--count", "--text", "水鳥"]), "1\n");
  assert.match(await bench.do(["records", "show", "r3"]), /── reply ──\n {2}three 水鳥\n/);
  const shown = JSON.parse(await bench.do(["records", "show", String(listed[0].id), "--json"]));
  assert.deepEqual([shown.requestId, shown.attempts.length], ["r4", 2]);
  assert.match((await bench.run(["records", "show", "r9"])).stderr, /records list/);
  assert.deepEqual(ids(await bench.do(["records", "export", "--format", "jsonl"])).sort(), [
    "r1",
    "r2",
    "r3",
    "r4",
  ]);
  assert.equal((await bench.do(["records", "export", "--format", "csv"])).trim().split("\r\n").length, 5);
  assert.deepEqual(ids(await bench.do(["records", "tail", "--json", "-n", "2"])), ["r3", "r4"]);
  await using upstream = new FakeUpstream(chatReply("one stork"));
  await bench.do([...ADD, upstream.endpoint]);
  const replayed = JSON.parse(await bench.do(["records", "replay", "r1", "--json"]));
  assert.deepEqual([replayed.record.response, replayed.replay.response], ["one heron", "one stork"]);
}

async function lateRecords({ postgres }: Bench): Promise<void> {
  await withPgRecords({ postgres }, [makeRecord({ requestId: "old" })], async (db) => {
    const other = openPg(postgres.url());
    const reader = new PgRecordReader(db);
    try {
      const printed: (string | null)[] = [];
      const tail = new Tail({
        records: reader,
        filter: {},
        print: ({ requestId }) => printed.push(requestId),
      });
      const committed = Promise.withResolvers<void>();
      const inserted = Promise.withResolvers<void>();
      const insert = (requestId: string) =>
        `INSERT INTO oar.records(request_id, created_at, outcome) SELECT '${requestId}', created_at, 'complete'
          FROM oar.records WHERE request_id = 'old'`;
      const late = other.write(async (query) => {
        await query(insert("late"));
        inserted.resolve();
        await committed.promise;
      });
      await inserted.promise;
      await tail.begin(10);
      await db.write((query) => query(insert("early")));
      await tail.advance();
      assert.deepEqual(printed.splice(0), ["old", "early"]);
      committed.resolve();
      await late;
      await tail.advance();
      await tail.advance();
      assert.deepEqual(printed, ["late"]);
    } finally {
      reader.close();
      await other.close();
    }
  });
}

async function doctor({ postgres, cwd, ...bench }: Bench): Promise<void> {
  const [, none] = [await bench.run(["doctor"], { url: DEAD }), await bench.run(["doctor"])];
  assert.equal(none.code, 0, none.stdout);
  assert.match(none.stdout, /^warn {2}database {2}it has no schema oar yet: the first server makes it/m);
  await bench.do([...ADD, "https://a.example/v1", "--allow", "x"]);
  await bench.do(["disable", "1"]);
  const db = openPg(postgres.url());
  try {
    await migrate(db);
    await new Replicas({ database: db, id: "one", journal: "j1" }).beat({
      ...NOTE,
      waiting: 7,
      lagMs: 90_000,
    });
    await new Replicas({ database: db, id: "two", journal: "j2" }).beat({ ...NOTE, listen: ":9999" });
    await postgres.psql("UPDATE oar.instances SET heartbeat_at = now() - interval '20 s' WHERE id = 'two'");
  } finally {
    await db.close();
  }
  const several = `postgres://app@127.0.0.1:1,127.0.0.1:${postgres.port}/oar?sslmode=disable`;
  const { stdout } = await bench.run(["doctor"], { url: several });
  for (
    const line of [
      /^warn {2}database {2}.*127\.0\.0\.1:1: connect ECONNREFUSED/m,
      /^ok {4}database {2}.*takes writes at 127\.0\.0\.1:\d+: PostgreSQL \d+.*, UTF8, without TLS$/m,
      /^ok {4}database {2}schema \d+; \d+ days of records/m,
      /^warn {2}replicas {2}one \(:8888\) runs version 1\.2\.3; 7 in its journal wait, the oldest for 1 min 30 s: /m,
      /^warn {2}replicas {2}two \(:9999\) has been silent for 2\d\.\d+ s; .*: it has died, or cannot reach/m,
      /^ok {4}journal {3}there is none at \.\/journal\.sqlite/m,
      /^ok {4}tokens {4}clients may use 1$/m,
      /^fail {2}upstream {2}none is enabled/m,
    ]
  ) assert.match(stdout, line);
  // `secret` is let in by its password, and owns nothing.
  await postgres.psql(
    `GRANT USAGE ON SCHEMA oar TO secret; GRANT SELECT ON ALL TABLES IN SCHEMA oar TO secret;
      GRANT SELECT ON ALL SEQUENCES IN SCHEMA oar TO secret`,
  );
  const other = await bench.run(["doctor"], {
    url: postgres.url({ user: "secret" }),
    env: { PGPASSWORD: SECRET_PASSWORD },
  });
  assert.match(
    other.stdout,
    /the user secret does not own the schema oar, .*: connect as app, or .*GRANT app TO secret/,
  );
  const broken = await bench.run(["doctor", "--json"], { url: "postgres://a@b@c/d" });
  assert.equal(JSON.parse(broken.stdout).ok, false);
  assert.match(
    (await bench.run(["doctor", "--repair-index"])).stderr,
    /REINDEX INDEX oar\.idx_record_search_words/,
  );
  await doctorOfJournals({ postgres, cwd, ...bench });
}

/** Files in the folder of the commands, which are removed at the end. */
async function doctorOfJournals({ cwd, run }: Bench): Promise<void> {
  const path = `${cwd}/journal.sqlite`;
  const clear = async () => {
    for (const { name } of [...Deno.readDirSync(cwd)]) await Deno.remove(`${cwd}/${name}`);
  };
  try {
    await run([...ADD, "https://a.example/v1", "--database", path]);
    const own = await run(["doctor"]);
    assert.match(
      own.stdout,
      /^fail {2}journal {3}\.\/journal\.sqlite is a database of its own, and no journal/m,
    );
    await clear();
    const session = makeSession(path);
    session.write([makeRecord(), makeRecord(), makeRecord({ outcome: "in_flight", status: 0 })]);
    session.close();
    const journal = new Journal(path, { busyTimeoutMs: 1_000, newId: () => "j", now: Date.now });
    const [first] = journal.settled(0, { maxRows: 1, maxBytes: 1 }).records;
    assert.ok(first);
    journal.reject(first, "a value is too long for its column (22001)");
    journal.close();
    const { stdout } = await run(["doctor"]);
    assert.match(stdout, /^ok {4}journal {3}\.\/journal\.sqlite is intact and writable/m);
    assert.match(
      stdout,
      /^warn {2}journal {3}1 record waits for PostgreSQL, the oldest for \d+ min .*: nothing is lost/m,
    );
    assert.match(
      stdout,
      /^warn {2}journal {3}PostgreSQL has refused 1 record which stays in it: .* \(22001\): .*restart the server/m,
    );
  } finally {
    await clear();
  }
}

async function doctorOfStandby({ postgres, run }: Bench): Promise<void> {
  await using standby = await postgres.standby();
  const alone = await run(["doctor"], { url: standby.url() });
  assert.match(alone.stdout, /^fail {2}database {2}.*: it takes no writes \(a standby, .*: promote it/m);
  const hosts = [standby, postgres].map(({ port }) => `127.0.0.1:${port}`).join(",");
  const { stdout } = await run(["doctor"], { url: `postgres://app@${hosts}/oar?sslmode=disable` });
  assert.match(stdout, /^ok {4}database {2}.*: it takes no writes \(a standby/m);
  assert.match(
    stdout,
    new RegExp(`^ok {4}database {2}.*takes writes at 127\\.0\\.0\\.1:${postgres.port}: `, "m"),
  );
}

async function otherTools({ run, postgres }: Bench): Promise<void> {
  const backup = await run(["backup", "it's"]);
  assert.equal(backup.code, 1);
  assert.ok(
    backup.stderr.includes(
      `run: pg_dump --format=custom --schema=oar --file='it'\\''s' '${
        postgres.url({ query: "sslmode=disable" })
      }'`,
    ),
    backup.stderr,
  );
  const restore = await run(["restore", "x"], {
    url: postgres.url({ user: `secret:${encodeURIComponent(SECRET_PASSWORD)}` }),
  });
  assert.match(
    restore.stderr,
    /run: .*pg_restore .*--dbname='postgres:\/\/secret@127\.0\.0\.1:\d+\/oar' 'x'/,
  );
  const names = await run(["complete-names", "upstreams", "--", "--database", DEAD]);
  assert.deepEqual([names.code, names.stdout, names.stderr], [0, "", ""]);
}

async function backupAndRestore(bench: Bench): Promise<void> {
  const { postgres } = bench;
  const url = postgres.url({ query: `sslmode=verify-ca&sslrootcert=${postgres.authority.root}` });
  const named = async (command: string): Promise<string> => {
    const { stderr } = await bench.run([command, `${postgres.folder}/it's.dump`], { url });
    return /run: (.*) \(with the password/.exec(stderr)?.[1] ?? assert.fail(stderr);
  };
  await bench.do([...ADD, "https://a.example/v1"]);
  await runAsServer(["sh", "-c", await named("backup")]);
  await bench.do([...ADD, "https://b.example/v1"]);
  await runAsServer(["sh", "-c", await named("restore")]);
  const list = await bench.do(["list"]);
  assert.match(list, /a\.example/);
  assert.doesNotMatch(list, /b\.example/);
  assert.equal(await postgres.psql("SELECT count(*) FROM oar_before_restore.openai_upstreams"), "2");
}

async function doctorOfTls({ run, postgres }: Bench): Promise<void> {
  for (const [query, expected] of [["sslmode=require", "with"], ["sslmode=disable", "without"]] as const) {
    const { stdout } = await run(["doctor"], { url: postgres.url({ query }) });
    assert.match(stdout, new RegExp(`takes writes at .*, ${expected} TLS$`, "m"));
  }
}
