/**
 * `store copy` between real files and a real PostgreSQL: what is in one is in the other, once, whatever happens in between.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runProgram } from "../../../src/cli/program.ts";
import type { RequestRecord } from "../../../src/core/types.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import { PgRecordQueries } from "../../../src/store/postgres/read/record_queries.ts";
import { Journal } from "../../../src/store/postgres/shipper/journal.ts";
import { freePort } from "../../support/server_process.ts";
import {
  isPgBouncerMissing,
  isPostgresMissing,
  openPg,
  PgBouncer,
  Postgres,
} from "../../support/postgres.ts";
import { putJournal, putRecords, putStatistics } from "../../support/postgres_records.ts";
import { eventually } from "../../support/router.ts";
import {
  byHand,
  indexAll,
  makeRecord,
  makeSession,
  rowsOf,
  withDirectory,
} from "../../unit/store/support.ts";

const MAIN = new URL("../../../main.ts", import.meta.url).pathname;
const KEY = "sk-0123456789abcdefHIDEMEwxyz";
const TOKEN = "sk-oar-HIDEME0123456789";
const COUNT = 2_000;

interface Result {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

interface Stage {
  readonly postgres: Postgres;
  readonly db: PgDatabase;
  /** Of a SQLite file that is not there yet, in a folder of its own. */
  readonly path: string;
  readonly folder: string;
  /** Runs `store copy`. */
  copy(from: string, to: string): Promise<Result>;
  /** Demands success. Returns what it says, standard output first. */
  copied(from: string, to: string): Promise<string>;
}

async function copy(from: string, to: string): Promise<Result> {
  const out: string[] = [];
  const err: string[] = [];
  const exitCode = await runProgram(["store", "copy", "--from", from, "--to", to], {
    terminal: {
      print: (line) => void out.push(line),
      note: (line) => void err.push(line),
      readInput: () => Promise.resolve(""),
      columns: null,
      isReaderGone: false,
    },
    env: { NO_COLOR: "1" },
  });
  const result = { exitCode, out: out.join("\n"), err: err.join("\n") };
  assert.doesNotMatch(result.out + result.err, /HIDEME|\n\s+at /);
  return result;
}

async function stage(postgres: Postgres, body: (stage: Stage) => Promise<void>): Promise<void> {
  await postgres.clear();
  const db = openPg(postgres.url());
  try {
    await withDirectory((path, folder) =>
      body({
        postgres,
        db,
        path,
        folder,
        copy,
        copied: async (from, to) => {
          const { exitCode, out, err } = await copy(from, to);
          assert.equal(exitCode, 0, err);
          return `${out}\n${err}`.trimEnd();
        },
      })
    );
  } finally {
    await db.close();
  }
}

/** A database with two upstreams, a token and these records. */
function makeSource(path: string, records: readonly RequestRecord[]): void {
  const { config, close } = openDatabase(path);
  config.addUpstream({ sk: KEY, endpoint: "https://one.example/v1", name: "one" });
  config.addUpstream({
    ...{ sk: KEY, endpoint: "https://two.example/v1", name: "two", weight: 3 },
    options: {
      key_policy: "fill",
      max_parallel: "auto",
      rpm: 60,
      set_headers: '{"X-Team":"a","User-Agent":null}',
      body_patch: '{"store":false}',
      only_paths: "/v1/chat/*",
      max_body: 1_000_000,
      error_text: "no credit\nquota exceeded",
      proxy: "socks5://me:secret@127.0.0.1:1080",
    },
  });
  config.setConfig("authorization", TOKEN);
  config.setConfig("policy", "random");
  close();
  write(path, records);
}

function write(path: string, records: readonly RequestRecord[]): void {
  const session = makeSession(path);
  for (let at = 0; at < records.length; at += 500) {
    assert.deepEqual(session.write(records.slice(at, at + 500)).invalid, []);
  }
  session.close();
}

/** Over some days up to now. */
function numbered(count: number, from = 1): RequestRecord[] {
  const now = Date.now() - 60_000;
  return Array.from({ length: count }, (_, n) =>
    makeRecord({
      requestId: `r${from + n}`,
      createdAtMs: now - (count - n) * 150_000,
      response: `Hello world number${from + n} 你好世界`,
      reasoning: n % 3 === 0 ? "because" : "",
      model: `m${n % 5}`,
      client: n % 7 === 0 ? null : "alice",
      outcome: n % 11 === 0 ? "error_event" : "complete",
    }));
}

const RECORDS = `SELECT request_id, created_at, ip, body, model, response, elapsed_time, status, upstream_id,
  "authorization", method, path, is_stream, outcome, attempts, first_byte_ms, first_token_ms, input_tokens, output_tokens,
  cached_tokens, reasoning_tokens, finish_reason, reasoning, tool_calls, response_model, request_bytes, response_bytes,
  user_agent, client, error, is_truncated, instance FROM records ORDER BY id`;
const ATTEMPTS =
  `SELECT request_id, n, a.upstream_id, started_at, duration_ms, a.status, error_class, a.error, partial
  FROM attempts a JOIN records r ON r.id = record_id ORDER BY record_id, n`;
const STATISTICS = [
  "SELECT * FROM request_stats ORDER BY step_seconds, at, upstream_id",
  "SELECT * FROM usage_stats ORDER BY step_seconds, at, dimension, is_rest, name",
  "SELECT * FROM client_totals ORDER BY client",
  "SELECT since_ms FROM usage_progress",
];
const CONFIG = [
  "SELECT * FROM openai_upstreams ORDER BY id",
  "SELECT * FROM config_kvs ORDER BY id",
  "SELECT * FROM sqlite_sequence WHERE name <> 'records' ORDER BY name",
];

async function counts(db: PgDatabase): Promise<Record<string, unknown>> {
  const [row] = await db.read(
    `SELECT (SELECT count(*) FROM oar.records) AS records, (SELECT count(DISTINCT request_id) FROM oar.records) AS ids,
      (SELECT count(*) FROM oar.record_texts) AS texts, (SELECT count(*) FROM oar.attempts) AS attempts,
      (SELECT count(*) FROM oar.record_search) AS words, (SELECT sum(requests)::float8 FROM oar.client_totals) AS requests`,
  );
  return { ...row };
}

function all(count: number): Record<string, unknown> {
  return { records: count, ids: count, texts: count, attempts: 2 * count, words: count };
}

async function bothWays({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(COUNT));
  const requests = Number(rowsOf(path, "SELECT sum(requests) AS n FROM client_totals")[0]?.["n"]);
  assert.ok(requests > 1_000);
  const first = await copied(path, postgres.url());
  assert.match(first, /: 2,000 records, 4,000 attempts, 2 upstreams, \d settings, and the statistics$/);
  assert.deepEqual(await counts(db), { ...all(COUNT), requests });
  const queries = new PgRecordQueries(db, { now: Date.now });
  for (const [text, found] of [["number77", 11], ["世界", 50], ["because", 50], ["nowhere", 0]] as const) {
    const { records } = await queries.summaries({ limit: 50, filter: { text } });
    assert.equal(records.length, found, text);
  }
  // Nothing is sent again.
  const before = await postgres.psql("SELECT max(xmin::text::bigint) FROM oar.records");
  const second = await copied(path, postgres.url());
  assert.match(
    second,
    /: 0 records, 0 attempts, 0 upstreams, 0 settings.*; 2,000 records were there already$/,
  );
  assert.equal(await postgres.psql("SELECT max(xmin::text::bigint) FROM oar.records"), before);
  assert.deepEqual(await counts(db), { ...all(COUNT), requests });
  write(path, numbered(3, COUNT + 1));
  assert.match(await copied(path, postgres.url()), /: 3 records, .*; 2,000 records were there already$/);

  const back = join(folder, "back.sqlite");
  assert.match(
    await copied(postgres.url(), back),
    /: 2,003 records, 4,006 attempts, 2 upstreams, \d settings, and the statistics$/,
  );
  for (const query of [RECORDS, ATTEMPTS, ...STATISTICS, ...CONFIG]) {
    assert.deepEqual(rowsOf(back, query), rowsOf(path, query), query);
  }
  assert.deepEqual(rowsOf(back, "SELECT min(id) AS a, max(id) AS b FROM records"), [{ a: 1, b: 2_003 }]);
  assert.deepEqual([...Deno.readDirSync(folder)].filter(({ name }) => name.includes("unfinished")), []);
  assert.equal((Deno.statSync(back).mode ?? 0) & 0o777, 0o600);
  // What came from there is known there.
  const returned = await copied(back, postgres.url());
  assert.match(returned, /: 0 records.*; 2,003 records were there already\nthe statistics were left out/);
  assert.deepEqual((await counts(db))["requests"], requests + 2);
  const session = makeSession(back);
  indexAll(session);
  session.close();
  const opened = openDatabase(back, { access: "read", maxScannedLength: 0 });
  assert.equal(opened.records.list({ limit: 50, filter: { text: "number77" } }).length, 11);
  const { corruptions, searchProblem } = opened.inspect();
  assert.deepEqual([corruptions, searchProblem], [[], null]);
  opened.close();
}

async function oddRows({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(2));
  byHand(
    path,
    `INSERT INTO records(id, created_at, body, response, elapsed_time, status) VALUES
      (7, '2023-11-08 12:34:56.789012345+08:00', '"{\\"a\\":1}"', 'x', 5, 200),
      (8, '0001-01-01 00:00:00+00:00', '"y"', NULL, NULL, NULL);
    INSERT INTO records(id, request_id, created_at, response) VALUES
      (-5, 'below', '2024-01-02', 'z'), (-4, 'below2', '2024-01-02 03:04:05', 'z'),
      (20, 'none', NULL, 'z'), (21, 'word', 'yesterday', 'z'), (22, 'early', '0001-01-01 00:00:00+08:00', 'z'),
      (23, 'late', '9999-12-31 23:00:00-08:00', 'z'), (24, 'year0', '0000-05-05 00:00:00+00:00', 'z'),
      (25, 'text', '2024-01-02 03:04:05+00:00', 'z'), (26, 'last', '9999-12-31 23:59:59+00:00', 'z'), (9223372036854775806, 'far', '2024-01-02 03:04:05+00:00', 'z');
    UPDATE records SET status = 'ok', elapsed_time = 1e300, response = 'a' || char(0) || 'b' WHERE id = 25;
    UPDATE records SET elapsed_time = 12.4 WHERE id = -4;
    UPDATE records SET response = CAST(x'61eda08062' AS TEXT) WHERE request_id = 'far';
    INSERT INTO openai_upstreams(id, sk, endpoint, name, timeout, weight) VALUES
      (9, NULL, NULL, 'a' || char(0), 'soon', 1.5)`,
  );
  const said = await copied(path, postgres.url());
  assert.match(said, /: 7 records, 4 attempts, 3 upstreams/);
  assert.match(
    said,
    /left out 3 records, because the time of the request cannot be read: number -5, 20, 21\n/,
  );
  assert.match(said, /left out 3 records, because .* outside of the years 1 to 9999: number 22, 23, 24\n/);
  assert.match(said, /left out 1 record, because .*out of range.*: number 25\n/);
  assert.match(said, /1 record with characters that PostgreSQL cannot store/);
  const source = String(rowsOf(path, "SELECT source FROM copy_self")[0]?.["source"]);
  const rows = await db.read(
    `SELECT request_id, to_char(r.created_at, 'YYYY-MM-DD HH24:MI:SS.US') AS at, body, response, elapsed_time, is_truncated
      FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id
      WHERE request_id NOT IN ('r1', 'r2') ORDER BY id`,
  );
  const plain = { body: null, elapsed_time: null, is_truncated: null };
  assert.deepEqual(rows.map((row) => ({ ...row })), [
    { ...plain, request_id: "below2", at: "2024-01-02 03:04:05.000000", response: "z", elapsed_time: 12 },
    {
      ...plain,
      request_id: `go-${source}-7`,
      at: "2023-11-08 04:34:56.789012",
      body: '{"a":1}',
      response: "x",
      elapsed_time: 5,
    },
    { ...plain, request_id: `go-${source}-8`, at: "0001-01-01 00:00:00.000000", body: "y", response: null },
    { ...plain, request_id: "last", at: "9999-12-31 23:59:59.000000", response: "z" },
    {
      ...plain,
      request_id: "far",
      at: "2024-01-02 03:04:05.000000",
      response: "a\ufffd\ufffd\ufffdb",
      is_truncated: 1,
    },
  ]);
  assert.deepEqual(
    await db.read("SELECT id, name, timeout, weight FROM oar.openai_upstreams WHERE id = 9"),
    [{ id: 9, name: "a\ufffd", timeout: null, weight: null }],
  );
  const again = await copied(path, postgres.url());
  assert.match(again, /: 0 records.*; 7 records were there already\n7 records left out by an earlier copy$/);

  // Another database of the Go program has rows of the same numbers and times.
  const other = join(folder, "other.sqlite");
  await Deno.copyFile(path, other);
  byHand(other, "DELETE FROM copy_self; DELETE FROM records WHERE request_id IS NOT NULL");
  assert.match(await copied(other, postgres.url()), /: 2 records, 0 attempts, 0 upstreams/);
  assert.equal((await db.read("SELECT 1 FROM oar.records WHERE request_id LIKE 'go-%'")).length, 4);
  // A file that was moved is the same database.
  const moved = join(folder, "moved.sqlite");
  await Deno.rename(other, moved);
  assert.match(await copied(moved, postgres.url()), /: 0 records/);

  const back = join(folder, "back.sqlite");
  await copied(postgres.url(), back);
  assert.equal(rowsOf(back, "SELECT 1 FROM records").length, 9);
}

/** As version 1 of the Go program made it. */
async function goDatabase({ db, path, postgres, copied }: Stage): Promise<void> {
  byHand(
    path,
    `CREATE TABLE openai_upstreams (id integer PRIMARY KEY AUTOINCREMENT, created_at datetime, updated_at datetime,
      deleted_at datetime, sk text, endpoint text, timeout integer);
    CREATE TABLE records (id integer PRIMARY KEY AUTOINCREMENT, created_at datetime, ip text, body text, model text,
      response text, elapsed_time integer, status integer, upstream_id integer, authorization text);
    INSERT INTO openai_upstreams(created_at, sk, endpoint) VALUES
      ('2023-11-08 12:34:56.789+08:00', '${KEY}', 'https://one.example/v1'), (NULL, '${KEY}', 'https://one.example/v1');
    INSERT INTO records(created_at, body, response, status, upstream_id, authorization) VALUES
      ('2023-11-08 12:34:56.789012345+08:00', '"{\\"model\\":\\"m\\"}"', 'hello', 200, 1, 'Bearer ${TOKEN}'),
      ('2023-11-09 12:34:56.789012345+08:00', '"y"', 'you', 500, 2, '')`,
  );
  const said = await copied(path, postgres.url());
  assert.match(said, /: 2 records, 0 attempts, 1 upstream, 0 settings/);
  assert.match(said, /upgraded \S+; as it was before: \S+/);
  assert.match(said, /1 upstream left out: another one has the same key and endpoint/);
  assert.match(said, /the statistics lack records that no server has counted yet/);
  assert.doesNotMatch(JSON.stringify(await db.read("SELECT * FROM oar.records")), /HIDEME/);
  assert.equal(
    await postgres.psql("SELECT body FROM oar.record_texts ORDER BY created_at LIMIT 1"),
    '{"model":"m"}',
  );
  assert.match(await copied(path, postgres.url()), /: 0 records.*; 2 records were there already/);
}

/** The program as a process of its own. */
function spawn(from: string, to: string): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, "store", "copy", "--from", from, "--to", to],
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

async function someCopied(db: PgDatabase): Promise<number> {
  return await eventually(async () => {
    try {
      const [row] = await db.read<{ count: number }>("SELECT count(*) AS count FROM oar.records");
      return row !== undefined && row.count > 0 ? row.count : null;
    } catch {
      return null;
    }
  }, "the first records");
}

async function killed({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(4_000));
  const child = spawn(path, postgres.url());
  await someCopied(db);
  child.kill("SIGKILL");
  await child.output();
  const { records } = await counts(db);
  assert.ok(Number(records) < 4_000, String(records));
  const said = await copied(path, postgres.url());
  const [, now = "", there = ""] = /: ([\d,]+) records.*; ([\d,]+) records were there/.exec(said) ?? [];
  assert.equal(Number(now.replace(",", "")) + Number(there.replace(",", "")), 4_000, said);
  const { requests: _, ...rest } = await counts(db);
  assert.deepEqual(rest, all(4_000));

  const back = join(folder, "back.sqlite");
  const second = spawn(postgres.url(), back);
  await eventually(() => {
    try {
      return rowsOf(`${back}.unfinished`, "SELECT 1 FROM records LIMIT 1").length > 0 ? true : null;
    } catch {
      return null;
    }
  }, "the first records of the file");
  second.kill("SIGKILL");
  await second.output();
  assert.throws(() => Deno.statSync(back));
  const text = await copied(postgres.url(), back);
  const [, fresh = "0", old = "0"] = /: ([\d,]+) records.*; ([\d,]+) records were there/.exec(text) ?? [];
  assert.ok(Number(old.replace(",", "")) > 0, text);
  assert.equal(Number(fresh.replace(",", "")) + Number(old.replace(",", "")), 4_000, text);
  for (const query of [RECORDS, ATTEMPTS, ...STATISTICS]) {
    assert.deepEqual(rowsOf(back, query), rowsOf(path, query), query);
  }
}

async function interrupted({ db, path, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(4_000));
  const child = spawn(path, postgres.url());
  await someCopied(db);
  child.kill("SIGINT");
  const { code, stderr } = await child.output();
  assert.equal(code, 1);
  assert.match(
    new TextDecoder().decode(stderr),
    /^stopping after this batch\.\.\.\nopenai-api-route: stopped: what has been copied stays, and the same command goes on from there\n$/,
  );
  await copied(path, postgres.url());
  const { requests: _, ...rest } = await counts(db);
  assert.deepEqual(rest, all(4_000));
}

async function otherConfig({ db, path, postgres, copy, copied }: Stage): Promise<void> {
  makeSource(path, numbered(1));
  await migrate(db);
  const nothing = async (): Promise<void> => {
    assert.deepEqual(await db.read("SELECT 1 FROM oar.records"), []);
    assert.deepEqual(await db.read("SELECT 1 FROM oar.copies"), []);
  };
  await postgres.psql(
    "INSERT INTO oar.openai_upstreams(id, sk, endpoint) VALUES (1, 'k', 'https://x.example')",
  );
  const refused = await copy(path, postgres.url());
  assert.equal(refused.exitCode, 1);
  assert.match(refused.err, /: cannot copy: the PostgreSQL database has other upstreams already \(1\)/);
  await nothing();
  await postgres.psql("DELETE FROM oar.openai_upstreams");
  await postgres.psql("INSERT INTO oar.config_kvs(key, value) VALUES ('authorization', 'another')");
  assert.match((await copy(path, postgres.url())).err, /has other client tokens already/);
  await nothing();
  // The same rows are no obstacle, and what differs in them stays.
  await postgres.psql(`UPDATE oar.config_kvs SET value = '${TOKEN}'`);
  await postgres.psql(
    `INSERT INTO oar.openai_upstreams(id, sk, endpoint, name) VALUES (1, '${KEY}', 'https://one.example/v1', 'mine')`,
  );
  await postgres.psql("INSERT INTO oar.config_kvs(key, value) VALUES ('policy', 'order')");
  const said = await copied(path, postgres.url());
  assert.match(said, /: 1 record, 2 attempts, 1 upstream, 0 settings/);
  assert.match(said, /2 rows of upstreams and settings differ/);
  assert.equal(await postgres.psql("SELECT name FROM oar.openai_upstreams ORDER BY id"), "mine\ntwo");
  assert.equal(await postgres.psql("SELECT value FROM oar.config_kvs WHERE key = 'policy'"), "order");
  // Once copied, PostgreSQL's own changes do not stop the next copy.
  await postgres.psql("INSERT INTO oar.openai_upstreams(sk, endpoint) VALUES ('k', 'https://x.example')");
  await postgres.psql("UPDATE oar.openai_upstreams SET sk = 'rotated' WHERE id = 1");
  assert.equal(await postgres.psql("SELECT max(id) FROM oar.openai_upstreams"), "3");
  write(path, numbered(1, 2));
  assert.match(await copied(path, postgres.url()), /: 1 record, 2 attempts, 0 upstreams, 0 settings/);
}

async function failures({ path, folder, postgres, copy }: Stage): Promise<void> {
  makeSource(path, numbered(1));
  const nowhere = `postgres://app:HIDEME@127.0.0.1:${freePort()}/oar`;
  for (const [from, to] of [[path, nowhere], [nowhere, join(folder, "new.sqlite")]] as const) {
    const { exitCode, err } = await copy(from, to);
    assert.equal(exitCode, 1);
    assert.match(err, /127\.0\.0\.1:\d+.*ECONNREFUSED/);
  }
  assert.deepEqual([...Deno.readDirSync(folder)].filter(({ name }) => name.startsWith("new")), []);
  const usage: readonly (readonly [string, string, RegExp])[] = [
    [path, "", /store copy needs --to/],
    [path, join(folder, "b"), /both files/],
    [postgres.url(), nowhere, /both PostgreSQL/],
    [path, "mysql://a:HIDEME@b/c", /--to must be the path of a SQLite file, or postgres:/],
    [path, "postgres://a:HID@EME@b/c", /URL/],
  ];
  for (const [from, to, message] of usage) {
    const { exitCode, err } = await copy(from, to);
    assert.equal(exitCode, 2, err);
    assert.match(err, message);
  }
  const missing = await copy(join(folder, "none.sqlite"), postgres.url());
  assert.equal(missing.exitCode, 1);
  assert.match(missing.err, /no database at .*none\.sqlite.*--from/);
  const empty = await copy(postgres.url(), join(folder, "new.sqlite"));
  assert.match(empty.err, /cannot copy: the PostgreSQL database has nothing of this program/);
  assert.throws(() => Deno.statSync(join(folder, "new.sqlite")));
}

async function journalAsSource({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  // A replica has shipped some records, and its statistics; then its machine died.
  makeSource(path, numbered(30));
  await migrate(db);
  await postgres.psql(
    `INSERT INTO oar.openai_upstreams(id, sk, endpoint) VALUES (1, '${KEY}', 'https://one.example/v1'), (4, 'n', 'new')`,
  );
  new Journal(path, { busyTimeoutMs: 5_000, newId: () => "j1", now: Date.now }).close();
  await putJournal(db, path);
  await putStatistics(db, path, "j1");
  byHand(path, "DELETE FROM records WHERE id <= 30");
  write(path, numbered(20, 31));
  const requests = Number(rowsOf(path, "SELECT sum(requests) AS n FROM client_totals")[0]?.["n"]);
  const said = await copied(path, postgres.url());
  assert.match(said, /: 20 records, 40 attempts, 0 upstreams, 0 settings/);
  assert.deepEqual(await counts(db), { ...all(50), requests });
  assert.match(await copied(path, postgres.url()), /: 0 records/);
  assert.deepEqual(await counts(db), { ...all(50), requests });
  // Its records at another database.
  assert.equal(await postgres.psql("SELECT count(*) FROM oar.openai_upstreams"), "2");
  await copied(postgres.url(), join(folder, "back.sqlite"));
  assert.equal(rowsOf(join(folder, "back.sqlite"), "SELECT 1 FROM records").length, 50);
  // Another replica has marked as crashed what it knew of a request; the journal has more of it.
  const open = makeRecord({ requestId: "last", outcome: "in_flight", response: "one " });
  await putRecords(db, [open]);
  await postgres.psql("UPDATE oar.records SET outcome = 'crashed' WHERE request_id = 'last'");
  write(path, [{ ...open, response: "one two" }]);
  byHand(path, "UPDATE records SET instance = 'gone' WHERE request_id = 'last'");
  assert.match(await copied(path, postgres.url()), /: 1 record, /);
  assert.equal(await postgres.psql(LAST_RESPONSE), "crashed|one two");
}

const LAST_RESPONSE =
  `SELECT outcome, response FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id
  WHERE request_id = 'last'`;

async function whileServing({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(5));
  const server = makeSession(path, undefined, "living");
  const dead = makeRecord({ requestId: "dead", outcome: "in_flight", response: "half" });
  const open = makeRecord({ requestId: "open", outcome: "in_flight", response: "one " });
  try {
    server.beat();
    server.write([open]);
    byHand(path, "UPDATE records SET instance = 'living' WHERE request_id = 'open'");
    server.write([dead]);
    byHand(path, "UPDATE records SET instance = 'gone' WHERE request_id = 'dead'");
    server.write(numbered(5, 6));
    const said = await copied(path, postgres.url());
    assert.match(said, /: 11 records/);
    assert.match(said, /1 request under way left out: copy again when they have ended/);
    assert.match(said, /1 record of servers that had stopped marked as crashed/);
    assert.deepEqual(
      await db.read(
        "SELECT request_id, outcome, error FROM oar.records WHERE request_id IN ('dead', 'open')",
      ),
      [{
        request_id: "dead",
        outcome: "crashed",
        error: "the router stopped while this request was in flight",
      }],
    );
    server.write([{ ...open, outcome: "complete", response: "one two" }]);
    assert.match(await copied(path, postgres.url()), /: 1 record, .*; 11 records were there already/);
  } finally {
    server.close();
  }
  // The same from the other side.
  await putRecords(db, [
    { ...open, requestId: "open2" },
    { ...open, requestId: "dead2" },
  ]);
  await postgres.psql("UPDATE oar.records SET instance = 'living' WHERE request_id = 'open2'");
  await postgres.psql("INSERT INTO oar.instances(id, heartbeat_at, waiting) VALUES ('living', now(), 3)");
  // SQLite has each request id once, PostgreSQL once for each time.
  await putRecords(db, [makeRecord({ requestId: "open", createdAtMs: 1_000 })]);
  const back = join(folder, "back.sqlite");
  const text = await copied(postgres.url(), back);
  assert.match(text, /: 14 records/);
  assert.match(text, /1 request under way left out/);
  assert.match(text, /1 record of servers that had stopped marked as crashed/);
  assert.match(text, /1 record got another request id/);
  assert.match(text, /3 records wait in the journals of replicas, and are not in the copy/);
  assert.deepEqual(
    rowsOf(back, "SELECT outcome, response FROM records WHERE request_id = 'dead2'"),
    [{ outcome: "crashed", response: "one " }],
  );
  assert.equal(rowsOf(back, "SELECT 1 FROM records WHERE request_id LIKE 'open%'").length, 2);
}

async function bothInUse({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(1_500));
  const server = makeSession(path, undefined, "living");
  server.beat();
  let isOver = false;
  let [here, there] = [0, 0];
  const copying = copied(path, postgres.url()).finally(() => isOver = true);
  await someCopied(db);
  while (!isOver) {
    server.write([makeRecord({ requestId: `here${here++}`, createdAtMs: Date.now() })]);
    await putRecords(db, [makeRecord({ requestId: `there${there++}`, createdAtMs: Date.now() })]);
  }
  assert.match(await copying, /: 1,500 records/);
  assert.ok(here > 0);
  server.close();
  assert.match(
    await copied(path, postgres.url()),
    new RegExp(`: ${here} records?, .*; 1,500 records were there already`),
  );
  const { requests, ...rest } = await counts(db);
  assert.deepEqual(rest, all(1_500 + here + there));
  assert.equal(requests, Number(rowsOf(path, "SELECT sum(requests) AS n FROM client_totals")[0]?.["n"]));

  isOver = false;
  const back = join(folder, "back.sqlite");
  const returning = copied(postgres.url(), back).finally(() => isOver = true);
  let late = 0;
  while (!isOver) await putRecords(db, [makeRecord({ requestId: `late${late++}`, createdAtMs: Date.now() })]);
  await returning;
  const ids = rowsOf(back, "SELECT request_id FROM records WHERE request_id NOT LIKE 'late%'");
  assert.equal(ids.length, 1_500 + here + there);
}

async function targets({ path, folder, postgres, copy, copied }: Stage): Promise<void> {
  makeSource(path, numbered(3));
  await copied(path, postgres.url());
  const before = await Deno.readFile(path);
  const there = await copy(postgres.url(), path);
  assert.equal(there.exitCode, 1);
  assert.match(there.err, /the file exists; name a new one/);
  assert.deepEqual(await Deno.readFile(path), before);
  const other = join(folder, "other.sqlite");
  await Deno.copyFile(path, `${other}.unfinished`);
  assert.match((await copy(postgres.url(), other)).err, /is no unfinished copy of this database/);
  await Deno.remove(`${other}.unfinished`);
  await Deno.writeTextFile(`${other}-wal`, "of another file");
  assert.match((await copy(postgres.url(), other)).err, /journal of another file/);
  await Deno.remove(`${other}-wal`);
  await copied(postgres.url(), other);
}

async function restarted({ db, path, postgres, copied }: Stage): Promise<void> {
  makeSource(path, numbered(4_000));
  const copying = copied(path, postgres.url());
  await someCopied(db);
  await postgres.kill9();
  await postgres.start();
  await copying;
  const { requests: _, ...rest } = await counts(db);
  assert.deepEqual(rest, all(4_000));
}

async function manyDays({ db, path, postgres, copied }: Stage): Promise<void> {
  makeSource(
    path,
    Array.from(
      { length: 60 },
      (_, n) => makeRecord({ requestId: `d${n}`, createdAtMs: Date.UTC(2001, 0, 1 + 17 * n, 12) }),
    ),
  );
  assert.match(await copied(path, postgres.url()), /: 60 records/);
  assert.equal((await counts(db))["records"], 60);
  assert.match(await copied(path, postgres.url()), /: 0 records.*; 60 records were there already/);
}

async function hostileTexts({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  const large = `${"\"\\'{},".repeat(3_500_000)}€`;
  makeSource(path, [
    makeRecord({ requestId: "nul", response: "a\0b", body: '{"x":"\\u0000"}', model: "m\0" }),
    makeRecord({ requestId: "large", response: large, body: "語".repeat(100_000) }),
    makeRecord({ requestId: "calls", toolCalls: [{ id: "1", name: "f\0", arguments: "{}" }] }),
  ]);
  byHand(path, "UPDATE records SET response = CAST(x'61eda08062' AS TEXT) WHERE request_id = 'calls'");
  const said = await copied(path, postgres.url());
  assert.match(said, /: 3 records/);
  assert.match(said, /2 records with characters that PostgreSQL cannot store .*: replaced by U\+FFFD/);
  const back = join(folder, "back.sqlite");
  await copied(postgres.url(), back);
  assert.deepEqual(
    rowsOf(back, "SELECT request_id, model, is_truncated, body, substr(response, 1, 5) AS r FROM records")
      .map((row) => ({ ...row, body: String(row["body"]).slice(0, 14) })),
    [
      { request_id: "nul", model: "m\ufffd", is_truncated: 1, body: '{"x":"\\u0000"}', r: "a\ufffdb" },
      { request_id: "large", model: "gpt-4o", is_truncated: 0, body: "語".repeat(14), r: large.slice(0, 5) },
      {
        request_id: "calls",
        model: "gpt-4o",
        is_truncated: 1,
        body: '{"model":"gpt-',
        r: "a\ufffd\ufffd\ufffdb",
      },
    ],
  );
  assert.equal(
    rowsOf(back, "SELECT response FROM records WHERE request_id = 'large'")[0]?.["response"],
    large,
  );
  assert.equal((await counts(db))["words"], 3);
}

async function throughPgBouncer({ db, path, folder, postgres, copied }: Stage): Promise<void> {
  if (isPgBouncerMissing) return;
  await using bouncer = await PgBouncer.start(postgres);
  makeSource(path, numbered(700));
  assert.match(await copied(path, bouncer.url()), /: 700 records/);
  const { requests: _, ...rest } = await counts(db);
  assert.deepEqual(rest, all(700));
  const back = join(folder, "back.sqlite");
  assert.match(await copied(bouncer.url(), back), /: 700 records, 1,400 attempts/);
  assert.deepEqual(rowsOf(back, RECORDS), rowsOf(path, RECORDS));
}

const TESTS: readonly (readonly [name: string, body: (stage: Stage) => Promise<void>])[] = [
  ["2,000 records, statistics, upstreams and tokens go there and back unchanged, once", bothWays],
  ["rows of the Go program and rows that people typed are copied, or named", oddRows],
  ["a database of the Go program is copied", goDatabase],
  ["a copy that was killed goes on, in both directions", killed],
  ["Ctrl-C ends a copy after the batch, and the same command goes on", interrupted],
  ["a database with other upstreams or tokens is refused, and nothing is overwritten", otherConfig],
  ["what cannot be copied is said, without secrets", failures],
  ["a journal is copied with the records that wait in it, and counts once", journalAsSource],
  ["requests under way are left out while their server lives, and crashed when it does not", whileServing],
  ["both databases may be in use while one is copied", bothInUse],
  ["only a new file, or an unfinished copy, is written to", targets],
  ["a restart of PostgreSQL does not end a copy", restarted],
  ["records of many days get their partitions", manyDays],
  ["U+0000, lone surrogates and 20 MB of text are copied", hostileTexts],
  ["copies go through PgBouncer", throughPgBouncer],
];

Deno.test({
  name: "store copy",
  ignore: isPostgresMissing,
  fn: async (t) => {
    await using postgres = await Postgres.start();
    for (const [name, body] of TESTS) await t.step(name, () => stage(postgres, body));
  },
});
