import assert from "node:assert/strict";
import { OPTION_COLUMN_NAMES } from "../../../../src/store/config/upstream_options.ts";
import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { SCHEMA_VERSION } from "../../../../src/store/database/migrations.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { StoreError } from "../../../../src/store/store.ts";
import { makeDatabase, makeGoDatabase } from "../../../fixtures/go/fixture.ts";
import { SmallDisk } from "../../../support/small_disk.ts";
import { byHand, indexAll, makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";

function refusal(path: string, busyTimeoutMs = 50): StoreError {
  try {
    openDatabase(path, { busyTimeoutMs }).close();
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error;
  }
  throw new Error(`${path} was not refused`);
}

Deno.test("openDatabase() makes a new database in WAL mode that only its owner may read", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    try {
      assert.equal(database.isNew, true);
      assert.equal(database.isOwn, true);
      assert.equal(database.upgradedFrom, null);
      for (const suffix of ["", "-wal", "-shm"]) {
        assert.equal((Deno.statSync(path + suffix).mode ?? 0) & 0o777, 0o600, suffix);
      }
      assert.deepEqual(rowsOf(path, "PRAGMA journal_mode"), [{ journal_mode: "wal" }]);
      assert.deepEqual(rowsOf(path, "PRAGMA user_version"), [{ user_version: SCHEMA_VERSION }]);
    } finally {
      database.close();
    }
  });
});

Deno.test("openDatabase() opens its own database again, unchanged and without a copy", async () => {
  await withDirectory((path, directory) => {
    openDatabase(path).close();
    const again = openDatabase(path);
    assert.equal(again.isNew, false);
    assert.equal(again.isOwn, true);
    assert.equal(again.upgradedFrom, null);
    again.close();
    assert.deepEqual([...Deno.readDirSync(directory)].map((entry) => entry.name), ["db.sqlite"]);
  });
});

Deno.test("openDatabase() takes an empty file as a new database", async () => {
  await withDirectory((path) => {
    Deno.writeFileSync(path, new Uint8Array());
    const database = openDatabase(path);
    assert.equal(database.isNew, true);
    database.close();
  });
});

Deno.test("openDatabase() lets a row be typed by hand with nothing but sk and endpoint", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    byHand(path, "INSERT INTO openai_upstreams(sk, endpoint) VALUES ('k', 'https://a.example/v1')");
    assert.deepEqual(database.config.listUpstreams(), [{
      id: 1,
      sk: "k",
      endpoint: "https://a.example/v1",
      timeout: null,
      name: null,
      position: null,
      enabled: 1,
      allow: null,
      deny: null,
      modelMap: null,
      authStyle: null,
      weight: 1,
      options: Object.fromEntries(OPTION_COLUMN_NAMES.map((name) => [name, null])),
      updatedAt: null,
    }]);
    database.close();
  });
});

Deno.test("openDatabase() upgrades a Go database after copying it aside", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    const before = rowsOf(path, "SELECT * FROM records");
    const database = openDatabase(path);
    assert.equal(database.isNew, false);
    assert.equal(database.isOwn, false);
    assert.equal(database.upgradedFrom, `${path}.before-upgrade`);
    assert.deepEqual(database.config.listUpstreams().map(({ id, sk, timeout }) => ({ id, sk, timeout })), [
      { id: 1, sk: "sk-goFirstUpstream0001", timeout: 0 },
      { id: 3, sk: "asis", timeout: 30 },
      { id: 4, sk: "sk-goFourthUpstream004", timeout: 0 },
    ]);
    assert.deepEqual(database.config.listTokens(), [{ secret: "woshimima", name: "…" }]);
    assert.equal(database.config.getConfig("policy"), "main");
    database.close();

    const copy = `${path}.before-upgrade`;
    assert.equal((Deno.statSync(copy).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(rowsOf(copy, "SELECT * FROM records"), before);
    assert.deepEqual(rowsOf(copy, "PRAGMA user_version"), [{ user_version: 0 }]);
  });
});

Deno.test("openDatabase() reads the Go program's records", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    const database = openDatabase(path);
    const record = database.records.get(1);
    assert.ok(record !== null);
    assert.equal(record.requestId, null);
    assert.equal(record.body, '{"model":"gpt-4","messages":[{"role":"user","content":"你好\\n"}]}');
    assert.equal(record.response, "你好！");
    assert.equal(record.createdAtMs, Date.UTC(2023, 10, 8, 5, 0, 0, 123));
    assert.equal(record.elapsedMs, 1500);
    assert.equal(record.authorization, "wos…long");
    assert.equal(record.outcome, null);
    assert.deepEqual(database.records.list({ limit: 10 }).map(({ id, status }) => [id, status]), [
      [2, 502],
      [1, 200],
    ]);
    database.close();
  });
});

Deno.test("openDatabase() keeps earlier copies when it copies aside again", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    Deno.writeTextFileSync(`${path}.before-upgrade`, "precious");
    const database = openDatabase(path);
    database.close();
    assert.equal(database.upgradedFrom, `${path}.before-upgrade.2`);
    assert.equal(Deno.readTextFileSync(`${path}.before-upgrade`), "precious");
  });
});

Deno.test("openDatabase() copies what an unclean Go database still has in its WAL", async () => {
  await withDirectory((path, directory) => {
    makeGoDatabase(path);
    const live = new DatabaseSync(path);
    live.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0");
    live.exec("INSERT INTO records(model) VALUES ('in the wal')");
    const unclean = join(directory, "unclean.sqlite");
    Deno.copyFileSync(path, unclean);
    Deno.copyFileSync(`${path}-wal`, `${unclean}-wal`);
    live.close();
    const database = openDatabase(unclean);
    database.close();
    const models = "SELECT count(*) AS n FROM records WHERE model = 'in the wal'";
    assert.deepEqual(rowsOf(unclean, models), [{ n: 1 }]);
    assert.deepEqual(rowsOf(`${unclean}.before-upgrade`, models), [{ n: 1 }]);
  });
});

Deno.test("openDatabase() adds what older Go versions lack and keeps what it does not know", async () => {
  await withDirectory((path) => {
    makeDatabase(
      path,
      `CREATE TABLE openai_upstreams (id integer PRIMARY KEY AUTOINCREMENT, sk text, endpoint text,
         success_count integer, failed_count integer);
       CREATE TABLE records (id integer PRIMARY KEY AUTOINCREMENT, created_at datetime, body text, response text,
         response_time integer, upstream_endpoint text, upstream_sk text, user_agent text, request_id text);
       INSERT INTO openai_upstreams(sk, endpoint, success_count) VALUES
         ('k', 'https://a.example', 5), ('k', 'https://a.example', 6);
       INSERT INTO records(body, upstream_sk, user_agent, request_id) VALUES
         ('"hi"', 'old', 'curl', ''), ('"ho"', 'old', 'curl', ''), ('"hm"', 'old', 'curl', 'x');`,
    );
    const database = openDatabase(path);
    assert.equal(database.config.listUpstreams().length, 2);
    assert.deepEqual(database.records.list({ limit: 9 }).map(({ body, userAgent }) => [body, userAgent]), [
      ['"hm"', "curl"],
      ["ho", "curl"],
      ["hi", "curl"],
    ]);
    assert.equal(database.config.getConfig("authorization"), null);
    database.close();
    assert.deepEqual(rowsOf(path, "SELECT success_count FROM openai_upstreams"), [
      { success_count: 5 },
      { success_count: 6 },
    ]);
    assert.deepEqual(rowsOf(path, "SELECT DISTINCT upstream_sk FROM records"), [{ upstream_sk: "old" }]);
  });
});

Deno.test("openDatabase() refuses files that are not its own and leaves every byte", async () => {
  await withDirectory((_, directory) => {
    const table: readonly (readonly [string, StoreError["code"], RegExp, (path: string) => void])[] = [
      [
        "text",
        "foreign",
        /not an intact SQLite/,
        (path) => Deno.writeTextFileSync(path, "dear diary, ".repeat(500)),
      ],
      ["short", "foreign", /not a SQLite/, (path) => Deno.writeTextFileSync(path, "x")],
      ["corrupt", "foreign", /not an intact/, (path) => {
        makeGoDatabase(path);
        const bytes = Deno.readFileSync(path);
        bytes.fill(0xff, 16, 100);
        Deno.writeFileSync(path, bytes);
      }],
      [
        "other",
        "foreign",
        /another program's/,
        (path) => makeDatabase(path, "CREATE TABLE songs(title text); INSERT INTO songs VALUES ('x')"),
      ],
      [
        "other-in-wal",
        "foreign",
        /another program's/,
        (path) => makeDatabase(path, "PRAGMA journal_mode = WAL; CREATE TABLE songs(title text)"),
      ],
      [
        "other-records",
        "foreign",
        /another program's/,
        (path) => makeDatabase(path, "CREATE TABLE records(artist text, year integer)"),
      ],
      ["newer", "newer", /newer version/, (path) => {
        makeGoDatabase(path);
        byHand(path, "PRAGMA user_version = 999");
      }],
    ];
    for (const [name, code, message, make] of table) {
      const path = join(directory, name);
      make(path);
      const before = Deno.readFileSync(path);
      const error = refusal(path);
      assert.equal(error.code, code, name);
      assert.match(error.message, message);
      assert.ok(error.message.includes(path));
      assert.ok(Deno.readFileSync(path).every((byte, index) => byte === before[index]), name);
      assert.equal(Deno.statSync(path).size, before.length);
      const copies = [...Deno.readDirSync(directory)].filter((entry) =>
        entry.name.includes("before-upgrade")
      );
      assert.deepEqual(copies, [], name);
    }
  });
});

Deno.test("openDatabase() refuses directories and paths that do not exist", async () => {
  await withDirectory((_, directory) => {
    mkdirSync(join(directory, "folder"));
    assert.equal(refusal(join(directory, "folder")).code, "unreadable");
    assert.match(refusal(join(directory, "folder")).message, /not a file/);
    assert.equal(refusal(join(directory, "absent", "db.sqlite")).code, "unreadable");
    assert.match(refusal(join(directory, "absent", "db.sqlite")).message, /directory does not exist/);
    assert.match(refusal("/dev/null").message, /not a file/);
  });
});

Deno.test("openDatabase() refuses a locked Go database and leaves every byte", async () => {
  await withDirectory((path) => {
    makeGoDatabase(path);
    const before = Deno.readFileSync(path);
    const other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    const error = refusal(path);
    assert.equal(error.code, "locked");
    assert.match(error.message, /try again/);
    other.exec("ROLLBACK");
    other.close();
    assert.deepEqual(Deno.readFileSync(path), before);
  });
});

Deno.test("openDatabase() opens its own database while another program keeps the write lock", async () => {
  await withDirectory((path) => {
    openDatabase(path).close();
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    for (const access of ["change", "read", "serve"] as const) {
      const database = openDatabase(path, { access, busyTimeoutMs: 1 });
      assert.deepEqual(database.config.listTokens(), [], access);
      assert.throws(() => database.config.setConfig("policy", "random"), StoreError);
      database.close();
    }
    other.exec("ROLLBACK");
    other.close();
  });
});

Deno.test({
  name: "openDatabase() says what to do about a file that it may not read or write",
  ignore: Deno.uid() === 0,
  fn: async () => {
    await withDirectory((path) => {
      makeGoDatabase(path);
      Deno.chmodSync(path, 0o400);
      assert.equal(refusal(path).code, "readonly");
      Deno.chmodSync(path, 0);
      assert.equal(refusal(path).code, "unreadable");
    });
  },
});

Deno.test("openDatabase() follows a symbolic link to the database", async () => {
  await withDirectory((path, directory) => {
    makeGoDatabase(path);
    const link = join(directory, "link.sqlite");
    symlinkSync(path, link);
    const database = openDatabase(link);
    assert.equal(database.config.listUpstreams().length, 3);
    database.close();
    assert.equal(database.upgradedFrom, `${path}.before-upgrade`);
  });
});

// Closing any descriptor of the file dropped the process's locks; the sqlite3 program then took itself for the
// last user, and deleted the -wal that the open connections went on writing to.
Deno.test({
  name: "openDatabase() leaves the locks of the connections that are open in this process",
  ignore: spawnSync("sqlite3", ["--version"]).status !== 0,
  fn: async () => {
    await withDirectory((path) => {
      const first = openDatabase(path);
      openDatabase(path).close();
      assert.equal(spawnSync("sqlite3", [path, "insert into records(model) values('m')"]).status, 0);
      assert.ok(Deno.statSync(`${path}-wal`).isFile);
      first.config.setConfig("policy", "random");
      const second = openDatabase(path);
      assert.equal(second.config.getConfig("policy"), "random");
      second.close();
      first.close();
    });
  },
});

Deno.test("openDatabase() takes a database whose version was lost, as by .dump, and keeps its index", async () => {
  await withDirectory((path, directory) => {
    const session = makeSession(path);
    session.write([makeRecord({ response: "the needle" })]);
    indexAll(session);
    session.close();
    const schema = rowsOf(path, "SELECT name, sql FROM sqlite_schema ORDER BY name");
    for (let version = 0; version < SCHEMA_VERSION; version++) {
      byHand(path, `PRAGMA user_version = ${version}; PRAGMA application_id = 0`);
      const database = openDatabase(path, { access: version % 2 === 0 ? "read" : "change" });
      assert.equal(database.records.list({ limit: 9, filter: { text: "needle" } }).length, 1, `${version}`);
      database.close();
      assert.deepEqual(rowsOf(path, "PRAGMA user_version"), [{ user_version: SCHEMA_VERSION }]);
    }
    assert.deepEqual(rowsOf(path, "SELECT name, sql FROM sqlite_schema ORDER BY name"), schema);
    assert.equal(copiesIn(directory).length, SCHEMA_VERSION);
  });
});

Deno.test({
  name: "openDatabase() opens what the sqlite3 program has dumped and read again, once with a copy",
  ignore: spawnSync("sqlite3", ["--version"]).status !== 0,
  fn: async () => {
    await withDirectory((path, directory) => {
      const session = makeSession(path);
      session.write([makeRecord({ response: "the needle" }), makeRecord({ response: "hay" })]);
      indexAll(session);
      session.close();
      byHand(path, "ANALYZE");
      const { stdout: dump } = spawnSync("sqlite3", [path, ".dump"], { encoding: "utf8" });
      for (const name of ["restored", "incomplete"]) {
        const restored = join(directory, name);
        // Older versions of the program do not know the index's options, and say so.
        spawnSync("sqlite3", [restored], { input: dump });
        if (name === "incomplete") withoutIndex(restored);
        for (let time = 1; time <= 3; time++) {
          const database = openDatabase(restored, { access: "read" });
          assert.equal(database.records.list({ limit: 9, filter: { text: "needle" } }).length, 1, name);
          assert.equal(database.inspect().searchProblem, null, name);
          database.close();
        }
        assert.equal(copiesIn(directory).filter((copy) => copy.startsWith(name)).length, 1);
      }
    });
  },
});

Deno.test("openDatabase() removes its copy when an upgrade fails, and says why in one short line", async () => {
  await withDirectory((path, directory) => {
    makeGoDatabase(path);
    // The name of a table of the schema is taken.
    byHand(path, "CREATE VIEW attempts AS SELECT 1 AS other");
    const before = rowsOf(path, "SELECT * FROM records");
    for (let time = 1; time <= 3; time++) {
      const { code, message } = refusal(path);
      assert.equal(code, "unreadable");
      assert.ok(message.length < 300 && !message.includes("\n"), message);
      assert.match(message, /views may not be indexed/);
    }
    assert.deepEqual(copiesIn(directory), []);
    assert.deepEqual(rowsOf(path, "SELECT * FROM records"), before);
  });
});

/** As a program leaves it that does not copy virtual tables. */
function withoutIndex(path: string): void {
  const db = new DatabaseSync(path, { defensive: false } as object);
  db.exec("PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'records_search'");
  db.close();
}

function copiesIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).filter((name) =>
    name.includes("before-upgrade")
  );
}

Deno.test("openDatabase() leaves nothing behind when a new database cannot be made", async (t) => {
  await using disk = await SmallDisk.mount(64);
  if (disk === null) return void await t.step({ name: "no mount", ignore: true, fn: () => {} });
  await disk.fill("filler", 0);
  const error = refusal(`${disk.directory}/db.sqlite`);
  assert.equal(error.code, "full");
  assert.match(error.message, /the disk is full; free some space/);
  assert.deepEqual([...Deno.readDirSync(disk.directory)].map(({ name }) => name), ["filler"]);
});
