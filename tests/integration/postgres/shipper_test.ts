/**
 * The shipper between a real journal and a real PostgreSQL: what is committed here arrives there, once, whatever happens in
 * between.
 */
import assert from "node:assert/strict";
import type { RequestRecord } from "../../../src/core/types.ts";
import { systemClock } from "../../../src/server/clock.ts";
import { Journal } from "../../../src/store/postgres/shipper/journal.ts";
import { PgRemote } from "../../../src/store/postgres/shipper/pg_remote.ts";
import { Shipper } from "../../../src/store/postgres/shipper/shipper.ts";
import { migrate } from "../../../src/store/postgres/migration.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import type { PgStore } from "../../../src/store/postgres/query.ts";
import { Tokenizer } from "../../../src/store/search/tokenizer.ts";
import {
  isPgBouncerMissing,
  isPostgresMissing,
  openPg,
  PgBouncer,
  Postgres,
} from "../../support/postgres.ts";
import { eventually } from "../../support/router.ts";
import { ShipperLog } from "../../unit/store/postgres/shipper/support.ts";
import { byHand, makeRecord, makeSession, rowsOf, until, withDirectory } from "../../unit/store/support.ts";

const ignore = isPostgresMissing;

interface Stage {
  readonly path: string;
  readonly postgres: Postgres;
  readonly db: PgDatabase;
  readonly log: ShipperLog;
  readonly tokenizer: Tokenizer;
  /** A shipper over the journal; closed at the end. */
  ship(store?: Pick<PgStore, "read" | "write">, keepSentMs?: number): Shipper;
  write(...records: RequestRecord[]): void;
  left(): unknown[];
  emptied(): Promise<void>;
}

async function stage(postgres: Postgres, body: (stage: Stage) => Promise<void>): Promise<void> {
  await postgres.clear();
  const db = openPg(postgres.url());
  const tokenizer = new Tokenizer();
  const shippers: Shipper[] = [];
  try {
    await migrate(db);
    await withDirectory(async (path) => {
      const session = makeSession(path);
      const log = new ShipperLog();
      const left = (): unknown[] =>
        rowsOf(path, "SELECT request_id FROM records ORDER BY id").map(({ request_id }) => request_id);
      try {
        await body({
          path,
          postgres,
          db,
          log,
          tokenizer,
          ship: (store = db, keepSentMs = 0) => {
            const shipper = new Shipper({
              journal: new Journal(path, { busyTimeoutMs: 5_000, newId: () => "j1", now: Date.now }),
              remote: new PgRemote(store, { tokenizer, clock: systemClock }),
              clock: systemClock,
              observer: log,
              gatherMs: 0,
              keepSentMs,
            });
            shipper.start();
            shippers.push(shipper);
            return shipper;
          },
          write: (...records) => {
            assert.deepEqual(session.write(records).invalid, []);
          },
          left,
          emptied: () => until(() => left().length === 0, "the journal is empty"),
        });
      } finally {
        for (const shipper of shippers) await shipper.close(0);
        session.close();
      }
    });
  } finally {
    await db.close();
    tokenizer.close();
  }
}

function numbered(count: number, changes: Partial<RequestRecord> = {}): RequestRecord[] {
  return Array.from({ length: count }, (_, n) => makeRecord({ requestId: `r${n + 1}`, ...changes }));
}

Deno.test({
  name: "a standby that takes over without what was committed last gets it again",
  ignore,
  fn: async () => {
    await using primary = await Postgres.start();
    await stage(primary, async ({ write, ship, db, postgres }) => {
      await using standby = await postgres.standby();
      const both = openPg(`postgres://app@127.0.0.1:${postgres.port},127.0.0.1:${standby.port}/oar`);
      try {
        write(...numbered(50));
        const shipper = ship(both, 3_600_000);
        await eventually(async () => (await countsOf(db))["records"] === 50 ? true : null, "50 records");
        await eventually(
          async () => await standby.psql("SELECT count(*) FROM oar.records") === "50" ? true : null,
          "50 records at the standby",
        );
        // From here on it lags behind.
        await standby.psql("ALTER SYSTEM SET primary_conninfo = ''", { database: "postgres" });
        await standby.psql("SELECT pg_reload_conf()", { database: "postgres" });
        await eventually(
          async () => await postgres.psql("SELECT count(*) FROM pg_stat_replication") === "0" ? true : null,
          "the end of the replication",
        );
        write(...Array.from({ length: 50 }, (_, n) => makeRecord({ requestId: `late${n}` })));
        shipper.wake();
        await eventually(async () => (await countsOf(db))["records"] === 100 ? true : null, "100 records");
        await postgres.kill9();
        await standby.promote();
        const there = openPg(standby.url());
        await eventually(
          async () => (await countsOf(there))["records"] === 100 ? true : null,
          "all at the standby",
        );
        assert.deepEqual(await countsOf(there), {
          records: 100,
          ids: 100,
          texts: 100,
          attempts: 200,
          words: 100,
        });
        await there.close();
      } finally {
        await both.close();
      }
    });
  },
});

type Test = readonly [name: string, body: (stage: Stage) => Promise<void>];

const TESTS: readonly Test[] = [
  ["every column of a record arrives, with its texts, attempts and words", everything],
  ["U+0000, lone surrogates and 20 MB of text arrive", hostileTexts],
  ["a lost acknowledgement: sent again, and there once", lostAcknowledgement],
  ["killed between commit and deletion: there once after the next start", killedBeforeDeletion],
  ["values that PostgreSQL refuses stay in the journal; the rest of the batch arrives", poison],
  ["under way, then its progress, then its end", underWay],
  ["what comes late from a connection that was given up replaces no newer version", lateVersions],
  ["settled again after it was shipped: the newer version stays, with its attempts and words", settledAgain],
  ["a server that is frozen, killed and started again loses nothing", serverTrouble],
  ["a partition that somebody has dropped is made again", droppedPartition],
  ["a schema that is not there is said, nothing is rejected, and it goes on when it is", noSchema],
  ["statistics arrive per journal, follow the journal's, and are never counted twice", statistics],
  ["two processes that ship one journal at the same time: once there", twoShippers],
  ["through PgBouncer in transaction mode", throughPgBouncer],
  ["rows of the Go program arrive, once", goRows],
  ["close() ships what waits", closing],
  ["20,000 records", manyRecords],
];

Deno.test({
  name: "the shipper",
  ignore,
  fn: async (t) => {
    await using postgres = await Postgres.start();
    for (const [name, body] of TESTS) await t.step(name, () => stage(postgres, body));
  },
});

async function everything({ write, ship, emptied, db, path, postgres }: Stage): Promise<void> {
  const record = makeRecord({
    requestId: "r1",
    reasoning: "hm",
    toolCalls: [{ id: "t", name: "look", arguments: '{"place":"café"}' }],
    error: `"quoted", {braces}, back\\slash, ' and NULL`,
    body: '{"model":"m","messages":[{"role":"user","content":"你好世界 \\"x\\" {a,b}"}]}',
  });
  write(
    record,
    makeRecord({ requestId: "empty", response: "", attempts: [], model: null, usage: null, body: "" }),
  );
  const columns =
    'request_id, ip, model, elapsed_time, status, upstream_id, "authorization", method, path, is_stream, ' +
    "outcome, attempts, first_byte_ms, first_token_ms, input_tokens, output_tokens, cached_tokens, reasoning_tokens, " +
    "finish_reason, response_model, request_bytes, response_bytes, user_agent, client, error, is_truncated, instance";
  const here = rowsOf(
    path,
    `SELECT ${columns}, body, response, reasoning, tool_calls FROM records ORDER BY id`,
  );
  ship();
  await emptied();
  const there = await db.read(
    `SELECT ${columns}, body, response, reasoning, tool_calls FROM oar.records r
      JOIN oar.record_texts t ON t.record_id = r.id AND t.created_at = r.created_at ORDER BY r.id`,
  );
  assert.deepEqual(there, here);
  assert.deepEqual(await db.read("SELECT DISTINCT created_at FROM oar.records"), [{
    created_at: record.createdAtMs,
  }]);
  assert.deepEqual(
    await db.read(
      "SELECT n, upstream_id, started_at, duration_ms, status, error_class, error, partial FROM oar.attempts ORDER BY n",
    ),
    record.attempts.map((attempt) => ({
      n: attempt.index,
      upstream_id: attempt.upstreamId,
      started_at: attempt.startedAtMs,
      duration_ms: attempt.durationMs,
      status: attempt.status,
      error_class: attempt.errorClass,
      error: attempt.message,
      partial: attempt.partial,
    })),
  );
  for (
    const [query, found] of [["'世' <-> '界'", 1], ["'界' <-> '世'", 0], ["'cafe'", 1], ["'hel':*", 2], [
      "'role'",
      0,
    ]]
  ) {
    const count = await postgres.psql(
      `SELECT count(*) FROM oar.record_search WHERE words @@ $q$${query}$q$::tsquery`,
    );
    // "Hello" is the reply of the first only.
    assert.equal(Number(count), query === "'hel':*" ? 1 : found, String(query));
  }
}

async function hostileTexts({ write, ship, emptied, db, path, log }: Stage): Promise<void> {
  write(
    makeRecord({ requestId: "nul", response: "a\0b", body: '{"x":"\\u0000"}', model: "m\0" }),
    makeRecord({ requestId: "lone", response: "a\ud800b" }),
    makeRecord({ requestId: "bytes", response: "x" }),
    makeRecord({
      requestId: "large",
      response: `${"\"\\'{},".repeat(3_500_000)}€`,
      body: "語".repeat(100_000),
    }),
    makeRecord({
      requestId: "words",
      response: "ж".repeat(100_000),
      body: Array.from({ length: 90_000 }, (_, n) => `wörd${n}`).join(" "),
    }),
  );
  byHand(path, "UPDATE records SET response = CAST(x'41eda080ff42' AS TEXT) WHERE request_id = 'bytes'");
  ship();
  await emptied();
  assert.deepEqual(log.rejections, []);
  const rows = await db.read<{ request_id: string }>(
    `SELECT request_id, model, is_truncated, body, left(response, 10) AS start, octet_length(response) AS bytes
      FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id ORDER BY request_id`,
  );
  const of = (id: string): Record<string, unknown> => ({
    ...rows.find(({ request_id }) => request_id === id),
  });
  assert.deepEqual(
    [of("nul")["start"], of("nul")["body"], of("nul")["model"], of("nul")["is_truncated"]],
    ["a\ufffdb", '{"x":"\\u0000"}', "m\ufffd", 1],
  );
  assert.equal(of("lone")["start"], "a\ufffdb");
  assert.deepEqual([of("bytes")["start"], of("bytes")["is_truncated"]], ["A\ufffd\ufffd\ufffd\ufffdB", 1]);
  assert.deepEqual([of("large")["bytes"], of("large")["is_truncated"]], [21_000_003, 0]);
}

async function lostAcknowledgement({ write, ship, emptied, db, log }: Stage): Promise<void> {
  write(...numbered(300));
  let losses = 3;
  ship({
    read: (text, values, options) => db.read(text, values, options),
    write: async (body, options) => {
      const result = await db.write(body, options);
      if (losses-- > 0) throw Object.assign(new Error("the connection was lost"), { code: "ECONNRESET" });
      return result;
    },
  });
  await emptied();
  assert.equal(log.troubles.length, 3);
  assert.deepEqual(await countsOf(db), { records: 300, ids: 300, texts: 300, attempts: 600, words: 300 });
}

async function killedBeforeDeletion({ write, ship, emptied, db, path, tokenizer }: Stage): Promise<void> {
  write(...numbered(3));
  const journal = new Journal(path, { busyTimeoutMs: 5_000, newId: () => "j1", now: Date.now });
  const { records } = journal.settled(0, { maxRows: 500, maxBytes: 1e6 });
  await new PgRemote(db, { tokenizer, clock: systemClock }).putRecords(records);
  journal.close();
  ship();
  await emptied();
  assert.deepEqual(await countsOf(db), { records: 3, ids: 3, texts: 3, attempts: 6, words: 3 });
}

async function poison({ write, ship, db, path, left, log }: Stage): Promise<void> {
  write(...numbered(40));
  // No index takes such a key.
  const id = crypto.getRandomValues(new Uint8Array(8_000)).toHex();
  byHand(path, `UPDATE records SET request_id = '${id}' WHERE request_id = 'r20'`);
  ship();
  await until(() => left().length === 1, "the rest has gone");
  assert.deepEqual(left(), [id]);
  await until(() => log.rejections.length === 1, "it is reported");
  assert.doesNotMatch(log.rejections[0]?.reason ?? "", new RegExp(id.slice(0, 16)));
  assert.equal((await countsOf(db))["records"], 39);
}

async function underWay({ write, ship, emptied, db }: Stage): Promise<void> {
  const first = makeRecord({
    requestId: "open",
    outcome: "in_flight",
    status: 0,
    response: "one ",
    attempts: makeRecord().attempts.slice(0, 1),
  });
  write(first);
  const shipper = ship();
  const shown = async (outcome: string, response: string): Promise<Record<string, unknown>> => {
    for (let tries = 0; tries < 500; tries++) {
      const [row] = await db.read(
        `SELECT outcome, response, body, (SELECT count(*) FROM oar.attempts) AS attempts,
          (SELECT count(*) FROM oar.record_search) AS words
          FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id`,
      );
      if (row?.["outcome"] === outcome && row["response"] === response) return { ...row };
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error(`${response} did not arrive`);
  };
  assert.deepEqual(await shown("in_flight", "one "), {
    outcome: "in_flight",
    response: "one ",
    body: first.body,
    attempts: 1,
    words: 0,
  });
  write({ ...first, part: 1, body: "", response: "two ", elapsedMs: 5_000 });
  assert.equal((await shown("in_flight", "one two "))["body"], first.body);
  write(makeRecord({ requestId: "open", response: "one two three" }));
  shipper.wake();
  assert.deepEqual(await shown("complete", "one two three"), {
    outcome: "complete",
    response: "one two three",
    body: first.body,
    attempts: 2,
    words: 1,
  });
  await emptied();
}

async function lateVersions({ write, db, path, tokenizer }: Stage): Promise<void> {
  const journal = new Journal(path, { busyTimeoutMs: 5_000, newId: () => "j1", now: Date.now });
  const remote = new PgRemote(db, { tokenizer, clock: systemClock });
  const limits = { maxRows: 10, maxBytes: 1e6 };
  const outcome = async (): Promise<unknown> =>
    (await db.read(
      "SELECT outcome, response FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id",
    ))[0];
  write(makeRecord({ requestId: "r", outcome: "in_flight", response: "a" }));
  const open = journal.open(0, { ...limits, known: new Map() }).records;
  byHand(path, "UPDATE records SET outcome = 'crashed'");
  const crashed = journal.settled(0, limits).records;
  write(makeRecord({ requestId: "r", response: "abc" }));
  const settled = journal.settled(0, limits).records;
  await remote.putRecords(crashed);
  assert.deepEqual(await outcome(), { outcome: "crashed", response: "a" });
  // Another replica took this one for dead.
  await remote.putRecords(open);
  assert.deepEqual(await outcome(), { outcome: "in_flight", response: "a" });
  await remote.putRecords(settled);
  for (const late of [open, crashed, settled]) {
    await remote.putRecords(late);
    assert.deepEqual(await outcome(), { outcome: "complete", response: "abc" });
  }
  journal.close();
}

async function settledAgain({ write, ship, emptied, db, postgres }: Stage): Promise<void> {
  write(makeRecord({ requestId: "r", response: "before" }));
  const shipper = ship();
  await emptied();
  write(makeRecord({
    requestId: "r",
    outcome: "error_event",
    response: "before after",
    attempts: makeRecord().attempts.slice(0, 1),
  }));
  shipper.wake();
  await emptied();
  assert.deepEqual(
    await db.read(
      "SELECT outcome, response FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id",
    ),
    [{ outcome: "error_event", response: "before after" }],
  );
  assert.deepEqual(await countsOf(db), { records: 1, ids: 1, texts: 1, attempts: 1, words: 1 });
  assert.equal(await postgres.psql("SELECT count(*) FROM oar.record_search WHERE words @@ 'after'"), "1");
}

async function serverTrouble({ write, ship, emptied, db, log, postgres }: Stage): Promise<void> {
  write(...numbered(50));
  const shipper = ship();
  await emptied();
  const more = (from: number): void => {
    write(...Array.from({ length: 50 }, (_, n) => makeRecord({ requestId: `r${from + n}` })));
    shipper.wake();
  };
  await postgres.kill9();
  more(51);
  await until(() => log.troubles.length > 0, "the trouble is reported");
  more(101);
  await postgres.start();
  await emptied();
  const troubles = log.troubles.length;
  await postgres.freeze();
  more(151);
  await until(() => log.troubles.length > troubles, "the frozen server is given up");
  await postgres.thaw();
  await emptied();
  await postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'");
  more(201);
  await emptied();
  assert.deepEqual(await countsOf(db), { records: 250, ids: 250, texts: 250, attempts: 500, words: 250 });
  assert.deepEqual(log.rejections, []);
  assert.ok(log.resumes >= 2);
}

async function droppedPartition({ write, ship, emptied, db, postgres }: Stage): Promise<void> {
  write(makeRecord({ requestId: "r1" }));
  const shipper = ship();
  await emptied();
  await postgres.psql("DROP TABLE oar.records_20240102, oar.attempts_20240102");
  write(makeRecord({ requestId: "r2" }));
  shipper.wake();
  await emptied();
  assert.deepEqual(await db.read("SELECT request_id FROM oar.records"), [{ request_id: "r2" }]);
}

async function noSchema({ write, ship, emptied, db, postgres, log }: Stage): Promise<void> {
  await postgres.clear();
  write(...numbered(2));
  ship();
  await until(() => log.troubles.length > 0, "it is said");
  assert.match(log.troubles[0] ?? "", /^setup: /);
  await migrate(db);
  await emptied();
  assert.deepEqual([log.rejections, (await countsOf(db))["records"]], [[], 2]);
}

async function statistics({ write, ship, db, path, emptied }: Stage): Promise<void> {
  const table = "SELECT step_seconds, at, dimension, is_rest, name, requests, latencies FROM";
  const order = "ORDER BY step_seconds, at, dimension, is_rest, name";
  const session = makeSession(path);
  session.write(numbered(5, { createdAtMs: Date.now() }));
  session.close();
  await ship().close(20_000);
  assert.deepEqual(
    await db.read(`${table} oar.usage_stats WHERE journal = 'j1' ${order}`),
    rowsOf(path, `${table} usage_stats ${order}`),
  );
  assert.deepEqual(await db.read("SELECT journal, client, requests FROM oar.client_totals"), [
    { journal: "j1", client: "alice", requests: 5 },
  ]);
  byHand(path, "DELETE FROM usage_stats WHERE dimension = 'client'; UPDATE client_totals SET requests = 7");
  write(makeRecord({ requestId: "x", client: null }));
  await ship().close(20_000);
  await emptied();
  assert.deepEqual(
    await db.read(`${table} oar.usage_stats WHERE journal = 'j1' ${order}`),
    rowsOf(path, `${table} usage_stats ${order}`),
  );
  assert.deepEqual(await db.read("SELECT requests FROM oar.client_totals"), [{ requests: 7 }]);
  assert.ok((await db.read("SELECT 1 FROM oar.request_stats")).length > 0);
}

async function twoShippers({ write, ship, emptied, db, postgres, log }: Stage): Promise<void> {
  write(...numbered(2_000));
  const other = openPg(postgres.url());
  ship();
  ship(other);
  await emptied();
  await other.close();
  assert.deepEqual(await countsOf(db), {
    records: 2_000,
    ids: 2_000,
    texts: 2_000,
    attempts: 4_000,
    words: 2_000,
  });
  assert.deepEqual(log.rejections, []);
}

async function throughPgBouncer({ write, ship, emptied, db, postgres }: Stage): Promise<void> {
  if (isPgBouncerMissing) return;
  await using bouncer = await PgBouncer.start(postgres);
  const through = openPg(bouncer.url());
  write(...numbered(300));
  await ship(through).close(20_000);
  await through.close();
  await emptied();
  assert.deepEqual(await countsOf(db), { records: 300, ids: 300, texts: 300, attempts: 600, words: 300 });
}

async function goRows({ ship, emptied, db, path, log }: Stage): Promise<void> {
  byHand(
    path,
    `INSERT INTO records(id, created_at, body, response, elapsed_time, status) VALUES
      (7, '2023-11-08 12:34:56.789012345+08:00', '"{\\"a\\":1}"', 'x', 5, 200),
      (8, '0001-01-01 00:00:00+00:00', '"y"', NULL, NULL, NULL)`,
  );
  ship();
  await emptied();
  assert.deepEqual(log.rejections, []);
  assert.deepEqual(
    await db.read(
      `SELECT request_id, to_char(r.created_at, 'YYYY-MM-DD HH24:MI:SS.US') AS at, body, outcome
        FROM oar.records r JOIN oar.record_texts t ON t.record_id = r.id ORDER BY request_id`,
    ),
    [
      { request_id: "go-7", at: "2023-11-08 04:34:56.789012", body: '{"a":1}', outcome: null },
      { request_id: "go-8", at: "0001-01-01 00:00:00.000000", body: "y", outcome: null },
    ],
  );
}

async function closing({ write, ship, left, db }: Stage): Promise<void> {
  write(...numbered(1_200));
  await ship().close(20_000);
  assert.deepEqual([left().length, (await countsOf(db))["records"]], [0, 1_200]);
}

/** Bodies and replies as in a small chat, 1.4 KB a record. */
async function manyRecords({ write, ship, emptied, db, log }: Stage): Promise<void> {
  const words = Array.from(
    { length: 3_000 },
    (_, n) =>
      ((n * 7_919) % 3_001 + 3_000).toString(26).replace(
        /[0-9]/g,
        (digit) => "qrstuvwxyz"[Number(digit)] ?? "",
      ),
  );
  for (let batch = 0; batch < 20; batch++) {
    write(...Array.from({ length: 1_000 }, (_, n) => {
      const text = (shift: number): string =>
        Array.from({ length: 90 }, (_, k) => words[(n * 31 + k * 17 + shift) % 3_000]).join(" ");
      return makeRecord({
        requestId: `b${batch}-${n}`,
        body: JSON.stringify({ model: "m", messages: [{ role: "user", content: text(0) }] }),
        response: text(1_000 + batch),
        attempts: makeRecord().attempts.slice(1),
      });
    }));
  }
  const isShipped = Promise.withResolvers<void>();
  log.onEvent = () => {
    if (log.shippedIds.length >= 20_000) isShipped.resolve();
  };
  const startedAtMs = performance.now();
  ship();
  await isShipped.promise;
  const seconds = (performance.now() - startedAtMs) / 1_000;
  console.log(`20,000 records shipped in ${seconds.toFixed(1)} s, ${Math.round(20_000 / seconds)} a second`);
  await emptied();
  assert.deepEqual(await countsOf(db), {
    records: 20_000,
    ids: 20_000,
    texts: 20_000,
    attempts: 20_000,
    words: 20_000,
  });
}

async function countsOf(db: Pick<PgStore, "read">): Promise<Record<string, unknown>> {
  const [row] = await db.read(
    `SELECT (SELECT count(*) FROM oar.records) AS records, (SELECT count(DISTINCT request_id) FROM oar.records) AS ids,
      (SELECT count(*) FROM oar.record_texts) AS texts, (SELECT count(*) FROM oar.attempts) AS attempts,
      (SELECT count(*) FROM oar.record_search) AS words`,
  );
  return { ...row };
}
