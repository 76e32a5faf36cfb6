/**
 * Reading out of PostgreSQL: what SQLite does not have. Answers that both must give: tests/contract.
 */
import assert from "node:assert/strict";
import type { RequestRecord } from "../../../src/core/types.ts";
import { DAY_MS, dayOf, makePartitions } from "../../../src/store/postgres/partitions.ts";
import { PgError } from "../../../src/store/postgres/errors.ts";
import type { PgDatabase } from "../../../src/store/postgres/pool.ts";
import type { PgStore } from "../../../src/store/postgres/query.ts";
import { PgRecordQueries, PgRecordReader } from "../../../src/store/postgres/read/record_queries.ts";
import { type RecordFilter, StoreError } from "../../../src/store/store.ts";
import { isPostgresMissing, Postgres } from "../../support/postgres.ts";
import { putRecords, putStatistics, withPgRecords } from "../../support/postgres_records.ts";
import { pagesOf } from "../../support/record_pages.ts";
import { makeRecord, makeSession, withDirectory } from "../../unit/store/support.ts";

interface Stage {
  readonly postgres: Postgres;
  readonly db: PgDatabase;
  readonly queries: PgRecordQueries;
  readonly reader: PgRecordReader;
}

type Step = readonly [
  name: string,
  body: (stage: Stage) => Promise<void>,
  records?: readonly RequestRecord[],
];

const T0 = Date.UTC(2026, 10, 20, 12);
const MINUTE = 60_000;

async function listed(queries: PgRecordQueries, filter: RecordFilter): Promise<number[]> {
  return (await queries.summaries({ limit: 50, filter })).records.map(({ id }) => id);
}

/** The answers of a database that records its statements. */
function watched(db: Pick<PgStore, "read">): {
  readonly db: Pick<PgStore, "read">;
  readonly statements: (readonly [text: string, values: readonly unknown[]])[];
} {
  const statements: (readonly [string, readonly unknown[]])[] = [];
  return {
    statements,
    db: {
      read: (text, values, options) => {
        statements.push([text, values ?? []]);
        return db.read(text, values, options);
      },
    },
  };
}

async function failure(work: Promise<unknown>): Promise<StoreError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error;
  }
  throw new Error("it did not fail");
}

const STEPS: readonly Step[] = [
  [
    "a record that arrived late is where its time belongs, and is followed as new",
    async ({ queries, reader }) => {
      const order = [2, 4, 1, 3];
      assert.deepEqual(await listed(queries, {}), order);
      assert.deepEqual(await listed(queries, { text: "hello" }), order);
      const pages = await pagesOf((from) => queries.summaries({ limit: 1, ...from }));
      const paged = pages.flatMap(({ records }) => records.map(({ id }) => id));
      assert.deepEqual(paged, order);
      assert.deepEqual(await queries.neighbours({ id: 4 }), { newerId: 2, olderId: 1 });
      for (const filter of [{}, { text: "hello" }]) {
        const after = await reader.listAfter({ limit: 9, afterId: 1, filter });
        assert.deepEqual(after.map(({ id }) => id), [2, 3, 4]);
        const two = await reader.listAfter({ limit: 2, afterId: 0, filter });
        assert.deepEqual(two.map(({ id }) => id), [1, 2]);
      }
    },
    [T0, T0 + 2 * DAY_MS, T0 - DAY_MS, T0 + DAY_MS].map((createdAtMs) => makeRecord({ createdAtMs })),
  ],

  ["a page goes on where a record has gone", async ({ postgres, queries }) => {
    await postgres.psql("DELETE FROM oar.records WHERE id = 3");
    const page = await queries.summaries({ limit: 9, beforeId: 3 });
    assert.deepEqual(page.records.map(({ id }) => id), [2, 1]);
    assert.deepEqual(await queries.neighbours({ id: 3 }), { newerId: 4, olderId: 2 });
  }, Array.from({ length: 5 }, (_, n) => makeRecord({ createdAtMs: T0 + n * MINUTE }))],

  ["records of one moment have an order, to the microsecond", async ({ postgres, queries }) => {
    await postgres.psql(
      "UPDATE oar.records SET created_at = created_at + interval '7 microseconds' WHERE id = 1",
    );
    const pages = await pagesOf((from) => queries.summaries({ limit: 1, filter: { status: 200 }, ...from }));
    const seen = pages.flatMap(({ records }) => records.map(({ id }) => id));
    assert.deepEqual(seen, [1, 3, 2]);
    assert.deepEqual(await listed(queries, { sinceMs: T0, untilMs: T0 }), [1, 3, 2]);
    assert.deepEqual(await listed(queries, { untilMs: T0 - 1 }), []);
  }, Array.from({ length: 3 }, () => makeRecord({ createdAtMs: T0 }))],

  ["words and phrases beyond what PostgreSQL stores are found", async ({ queries }) => {
    assert.deepEqual(await listed(queries, { text: '"quick brown"' }), [1]);
    assert.deepEqual(await listed(queries, { text: '"brown quick"' }), []);
    assert.deepEqual(await listed(queries, { text: "quick brown" }), [3, 1]);
    assert.deepEqual(await listed(queries, { text: "verylast" }), [2]);
    assert.deepEqual(await listed(queries, { text: "verylast quick" }), []);
    assert.deepEqual(await queries.count({ text: "verylast" }), { count: 1, isComplete: true });
  }, [
    makeRecord({ body: `${"far ".repeat(17_000)} quick brown` }),
    makeRecord({ body: distinctWords(1), response: `${distinctWords(2).slice(0, 500_000)} verylast` }),
    makeRecord({ body: "quick and brown" }),
  ]],

  ["a short beginning that very many words share is taken as a whole word", async ({ queries }) => {
    assert.deepEqual(await listed(queries, { text: "zq" }), [2]);
    assert.deepEqual(await listed(queries, { text: "zr" }), [3]);
    assert.deepEqual(await listed(queries, { text: "zq1" }), [1]);
  }, [
    makeRecord({ body: Array.from({ length: 300 }, (_, index) => `zq${index}`).join(" ") }),
    makeRecord({ body: "zq" }),
    makeRecord({ body: "zr1 zr2" }),
  ]],

  ["hostile filters find nothing, and are no error", async ({ queries, reader }) => {
    const filters: readonly RecordFilter[] = [
      { model: "a\0b" },
      { model: "*\ud800*" },
      { model: `${"*a".repeat(499)}` },
      { model: "x".repeat(100_000) },
      { model: "\\%" },
      { client: "'; DROP TABLE oar.records; --" },
      { upstreamId: 1.5 },
      { upstreamId: Number.NaN },
      { triedUpstreamId: 2 ** 60 },
      { failedUpstreamId: -1 },
      { status: 99_999 },
      { attempts: { min: Infinity, max: null } },
      { slowerThanMs: Number.MAX_VALUE },
      { sinceMs: Number.MAX_VALUE },
      { untilMs: -Number.MAX_VALUE },
      { text: "' | 'a" },
      { text: String.raw`\' & !` },
      { text: `"${"long".repeat(1_000)}"` },
    ];
    for (const filter of filters) {
      const what = JSON.stringify(filter).slice(0, 80);
      assert.deepEqual(await listed(queries, filter), [], what);
      assert.equal(await reader.count(filter), 0, what);
      assert.deepEqual(await reader.listAfter({ limit: 9, afterId: 0, filter }), [], what);
    }
    assert.deepEqual(await listed(queries, {}), [1]);
  }, [makeRecord({ attempts: [] })]],

  ["rows that people have edited can be read", async ({ postgres, queries, reader }) => {
    await postgres.psql(
      `UPDATE oar.records SET input_tokens = 9223372036854775807, model = NULL, outcome = 'odd',
      "authorization" = NULL, is_stream = NULL, status = NULL;
      UPDATE oar.attempts SET started_at = 'infinity', error_class = 'odd', upstream_id = 9223372036854775807;
      DELETE FROM oar.record_texts`,
    );
    const [summary] = (await queries.summaries({ limit: 9 })).records;
    assert.deepEqual([summary?.id, summary?.prompt, summary?.outcome], [1, "", "odd"]);
    assert.equal(summary?.usage.inputTokens, 2 ** 63);
    assert.equal((await reader.get(1))?.body, null);
    assert.deepEqual((await reader.attempts(1)).map(({ startedAtMs }) => startedAtMs), [0, 0]);
    assert.deepEqual(await queries.lastFailures([1]), []);
  }, [makeRecord()]],

  ["statistics are those of all journals together", bothJournals],
  ["only the days of a filter are read, and of a page only its records' days", pruned, daily(9)],
  ["a page of the newest does not look at older days", async ({ db }) => {
    const { db: spy, statements } = watched(db);
    const queries = new PgRecordQueries(spy, { now: Date.now });
    try {
      const { records } = await queries.summaries({ limit: 2 });
      assert.deepEqual(records.map(({ id }) => id), [27, 26]);
      const [[text, values] = ["", []]] = statements;
      const plan = (await db.read<Record<string, string>>(`EXPLAIN (ANALYZE, TIMING off) ${text}`, values))
        .map((row) => Object.values(row)[0] ?? "");
      const executed = plan.filter((line) => line.includes("records_20") && !line.includes("never executed"));
      assert.equal(executed.length, 1, plan.join("\n"));
    } finally {
      queries.close();
    }
  }, daily(9)],
  ["what takes too long is answered like SQLite answers it", timeIsUp, daily(3)],
  ["time that is up in a later part leaves what was found before", laterPart],
  ["queries are not compiled, which cannot be interrupted", async ({ db }) => {
    assert.deepEqual(await db.read("SHOW jit"), [{ jit: "off" }]);
  }],
  ["a database without the schema says what to do", async ({ postgres, queries }) => {
    await postgres.clear();
    const error = await failure(queries.summaries({ limit: 9 }));
    assert.equal(error.code, "missing");
    assert.match(error.message, /^Cannot read the records: .*start the server/);
  }],
  ["200,000 records", many],
];

function distinctWords(seed: number): string {
  return Array.from({ length: 90_000 }, (_, n) => `w${seed}${n.toString(36)}`).join(" ");
}

/** Three records on each of so many days. */
function daily(days: number): RequestRecord[] {
  return Array.from({ length: 3 * days }, (_, index) =>
    makeRecord({
      createdAtMs: T0 + Math.floor(index / 3) * DAY_MS + (index % 3) * MINUTE,
      body: "some words",
    }));
}

async function bothJournals({ db, queries }: Stage): Promise<void> {
  const nowMs = Date.now();
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write([
      makeRecord({ createdAtMs: nowMs, costNano: 31_500_000 }),
      makeRecord({ createdAtMs: nowMs - MINUTE, client: "bob", model: "o3", areTokensEstimated: true }),
      makeRecord({ createdAtMs: nowMs - 300 * DAY_MS, client: "carol", costNano: 7 }),
    ]);
    while (session.count());
    session.close();
    await putStatistics(db, path, "one");
  });
  // As if another replica had counted the same.
  await db.write(async (query) => {
    for (const table of ["request_stats", "usage_stats", "client_totals"]) {
      await query(`CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT * FROM oar.${table}`);
      await query("UPDATE copy SET journal = 'two'");
      await query(`INSERT INTO oar.${table} SELECT * FROM copy; DROP TABLE copy`);
    }
    await query("INSERT INTO oar.usage_progress VALUES ('two', $1)", [nowMs - 2 * MINUTE]);
  });
  const stats = await queries.stats("15m");
  assert.equal(stats.total.requests, 4);
  assert.deepEqual(stats.upstreams.map(({ id, requests, attempts }) => [id, requests, attempts]), [
    [2, 4, 4],
    [1, 0, 4],
  ]);
  const usage = await queries.usage("15m");
  assert.deepEqual(usage.clients.rows.map(({ name, requests }) => [name, requests]), [["alice", 2], [
    "bob",
    2,
  ]]);
  assert.deepEqual(usage.models.rows.map(({ name, requests }) => [name, requests]), [["gpt-4o", 2], [
    "o3",
    2,
  ]]);
  assert.deepEqual(usage.upstreams.rows.map(({ name, requests }) => [name, requests]), [["2", 4], ["1", 0]]);
  assert.equal(usage.sinceMs, nowMs - 2 * MINUTE);
  assert.deepEqual([stats.total.costNano, stats.total.unpriced, stats.total.estimatedTokens], [
    63_001_400,
    2,
    16,
  ]);
  const costs = await queries.costs({ sinceMs: nowMs - 365 * DAY_MS, untilMs: nowMs });
  assert.equal(costs.steps.length, 366);
  assert.deepEqual(
    costs.clients.rows.map((
      { name, costNano, unpriced, estimatedTokens },
    ) => [name, costNano, unpriced, estimatedTokens]),
    [["alice", 63_000_000, 0, 0], ["bob", 1_400, 2, 16], ["carol", 14, 0, 0]],
  );
  assert.deepEqual(costs.upstreams.rows.map(({ name, costNano }) => [name, costNano]), [["2", 62_998_600], [
    "1",
    2_814,
  ]]);
  const totals = await queries.clientTotals(null);
  assert.deepEqual(
    totals.clients.map((
      { client, requests, costNano, lastUsedMs },
    ) => [client, requests, costNano, lastUsedMs])
      .sort(),
    [
      ["alice", 2, 63_000_000, nowMs],
      ["bob", 2, 1_400, nowMs - MINUTE],
      ["carol", 2, 14, nowMs - 300 * DAY_MS],
    ],
  );
  // As if the other one were of a version that knows no costs: what it counts has no known price, and is not free.
  await db.write(async (query) => {
    for (const table of ["request_stats", "usage_stats", "client_totals"]) {
      await query(`UPDATE oar.${table} SET cost_nano = DEFAULT, unpriced = DEFAULT, estimated_tokens = DEFAULT
        WHERE journal = 'two'`);
    }
  });
  const { total } = await queries.stats("15m");
  assert.deepEqual([total.costNano, total.unpriced], [31_500_700, 3]);
  const mixed = await queries.costs({ sinceMs: nowMs - 365 * DAY_MS, untilMs: nowMs });
  assert.deepEqual(
    mixed.clients.rows.map(({ name, costNano, unpriced }) => [name, costNano, unpriced]),
    [["alice", 31_500_000, 1], ["bob", 700, 2], ["carol", 7, 1]],
  );
  assert.deepEqual((await queries.clientTotals(null)).clients.map(({ unpriced }) => unpriced).sort(), [
    1,
    1,
    2,
  ]);
}

async function pruned({ db }: Stage): Promise<void> {
  const { db: spy, statements } = watched(db);
  const queries = new PgRecordQueries(spy, { now: Date.now });
  const day = dayOf(T0) + 4 * DAY_MS;
  const times = { sinceMs: day, untilMs: day + DAY_MS - 1 };
  const ids = [15, 14, 13];
  try {
    const filters: readonly RecordFilter[] = [
      {},
      { model: "gpt*" },
      { triedUpstreamId: 1 },
      { failedUpstreamId: 1, attempts: { min: 1, max: null } },
      { text: "words" },
      { text: '"some words"', failedUpstreamId: 1 },
    ];
    for (const filter of filters) {
      assert.deepEqual(await listed(queries, { ...filter, ...times }), ids);
      await queries.count({ ...filter, ...times });
      assert.deepEqual(
        (await queries.whole({ limit: 9, filter: { ...filter, ...times } })).records.length,
        3,
      );
    }
    assert.ok(statements.length > 12);
    for (const [text, values] of statements) {
      const plan = (await db.read<Record<string, string>>(`EXPLAIN ${text}`, values))
        .map((row) => Object.values(row)[0] ?? "").join("\n");
      const days = [...plan.matchAll(/_(20\d{6})\b/g)].map((match) => match[1]);
      assert.ok(days.length > 0, plan);
      assert.deepEqual([...new Set(days)], ["20261124"], `${text}\n${plan}`);
    }
  } finally {
    queries.close();
  }
}

/** Somebody holds a lock. */
async function timeIsUp({ db, queries, reader }: Stage): Promise<void> {
  const locked = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  const holding = db.write(async (query) => {
    await query("LOCK TABLE oar.records IN ACCESS EXCLUSIVE MODE");
    locked.resolve();
    await done.promise;
  });
  await locked.promise;
  try {
    const [first, next, count, neighbours, error] = await Promise.all([
      queries.summaries({ limit: 9, filter: { text: "words" } }),
      queries.whole({ limit: 9, beforeId: 7 }),
      queries.count({ status: 2 }),
      queries.neighbours({ id: 5 }),
      failure(reader.get(5)),
    ]);
    assert.deepEqual(first, { records: [], nextBeforeId: Number.MAX_SAFE_INTEGER });
    assert.deepEqual(next, { records: [], nextBeforeId: 7 });
    assert.deepEqual(count, { count: 0, isComplete: false });
    assert.deepEqual(neighbours, { newerId: null, olderId: null });
    assert.equal(error.code, "locked");
    assert.match(error.message, /^Cannot read the records: PostgreSQL took too long; /);
  } finally {
    done.resolve();
    await holding;
  }
  assert.deepEqual(await listed(queries, { text: "words" }), [9, 8, 7, 6, 5, 4, 3, 2, 1]);
}

async function laterPart({ db }: Stage): Promise<void> {
  await putRecords(db, [makeRecord({ createdAtMs: dayOf(T0) - MINUTE, model: "rare" })]);
  await generate(db, { days: 1, perDay: 5_000 });
  await putRecords(db, [makeRecord({ createdAtMs: T0 + DAY_MS / 2 - 1, model: "rare" })]);
  let lists = 0;
  const slow: Pick<PgStore, "read"> = {
    read: (text, values, options) => {
      if (text.includes("r.model") && text.includes("ORDER BY") && ++lists === 2) {
        const details = { kind: "retry", code: "57014", isConnectionLost: false } as const;
        return Promise.reject(new PgError("too slow", details));
      }
      return db.read(text, values, options);
    },
  };
  const queries = new PgRecordQueries(slow, { now: Date.now });
  try {
    const first = await queries.summaries({ limit: 9, filter: { model: "rare" } });
    assert.deepEqual(first.records.map(({ id }) => id), [5_002]);
    assert.ok(first.nextBeforeId !== null && first.nextBeforeId !== 5_002);
    const second = await queries.summaries({
      limit: 9,
      beforeId: first.nextBeforeId,
      filter: { model: "rare" },
    });
    assert.deepEqual(second, { records: second.records, nextBeforeId: null });
    assert.deepEqual(second.records.map(({ id }) => id), [1]);
  } finally {
    queries.close();
  }
}

/** Records by SQL, evenly over days from {@link T0} on. */
async function generate(db: PgDatabase, { days, perDay }: { days: number; perDay: number }): Promise<void> {
  const first = dayOf(T0);
  await makePartitions(db, {
    days: Array.from({ length: days }, (_, day) => first + day * DAY_MS),
    shouldWait: true,
  });
  for (let day = 0; day < days; day++) {
    await db.write(async (query) => {
      await query(
        `WITH added AS (
          INSERT INTO oar.records (request_id, created_at, model, elapsed_time, status, upstream_id, outcome, attempts, client)
            SELECT 'g' || $1::text || '-' || n, $2::timestamptz + n * $3::float8 * interval '1 ms',
              'model-' || n % 7, n * 1000000::bigint, CASE WHEN n % 1000 = 0 THEN 500 ELSE 200 END, n % 5,
              CASE WHEN n % 1000 = 0 THEN 'upstream_error' ELSE 'complete' END, 1 + n % 3, 'client-' || n % 11
            FROM generate_series(0, $4::int - 1) n RETURNING id, created_at
        ), texts AS (
          INSERT INTO oar.record_texts (created_at, record_id, body, response)
            SELECT created_at, id, '{"messages":[{"role":"user","content":"question ' || id || '"}]}', 'answer ' || id
            FROM added
        ), failed AS (
          INSERT INTO oar.attempts (created_at, record_id, n, upstream_id, error_class)
            SELECT created_at, id, 1, id % 50, 'timeout' FROM added WHERE id % 100 = 0
        )
        INSERT INTO oar.record_search
          SELECT created_at, id, ('''question'':1 ''answer'':12 ''' || id || ''':2,13 ''word' || id % 1000 || ''':3 ' ||
            (SELECT string_agg('''filler' || (id * f) % 5000 || ''':' || 20 + f, ' ') FROM generate_series(1, 10) f))::tsvector
          FROM added`,
        [day, new Date(first + day * DAY_MS).toISOString(), DAY_MS / perDay / 2, perDay],
      );
    }, { timeoutMs: 60_000 });
  }
  for (const table of ["records", "record_texts", "attempts", "record_search"]) {
    await db.execute(`VACUUM ANALYZE oar.${table}`);
  }
}

async function many({ db, queries, reader }: Stage): Promise<void> {
  const generatedMs = performance.now();
  await generate(db, { days: 10, perDay: 20_000 });
  console.log(`generated: ${Math.round(performance.now() - generatedMs)} ms`);
  const timed = async <Answer>(name: string, ask: () => Promise<Answer>): Promise<Answer> => {
    const times: number[] = [];
    for (let n = 0;; n++) {
      const startMs = performance.now();
      const answer = await ask();
      times.push(Math.round(performance.now() - startMs));
      if (n === 2) {
        console.log(`${name}: ${times.join(", ")} ms`);
        return answer;
      }
    }
  };
  // A page may be short when time was up: then the next one is asked for.
  const page = (filter: RecordFilter) => async () => {
    const ids: number[] = [];
    for (let from: { beforeId?: number } = {};;) {
      const { records, nextBeforeId } = await queries.summaries({ limit: 50 - ids.length, filter, ...from });
      ids.push(...records.map(({ id }) => id));
      if (ids.length === 50 || nextBeforeId === null) return { ids };
      from = { beforeId: nextBeforeId };
    }
  };
  const newest = await timed("newest page", page({}));
  assert.deepEqual(newest.ids, Array.from({ length: 50 }, (_, n) => 200_000 - n));
  assert.equal((await timed("model", page({ model: "model-3" }))).ids.length, 50);
  assert.equal((await timed("model glob", page({ model: "*-3" }))).ids.length, 50);
  assert.equal((await timed("failures", page({ isFailure: true }))).ids.length, 50);
  await timed("nothing", page({ client: "nobody" }));
  assert.equal((await timed("failed upstream", page({ failedUpstreamId: 0 }))).ids.length, 50);
  assert.equal((await timed("common word", page({ text: "question" }))).ids.length, 50);
  assert.equal((await timed("1 word of 1,000", page({ text: "word77" }))).ids.length, 50);
  assert.deepEqual((await timed("1 word of 200,000", page({ text: "123456" }))).ids, [123_456]);
  await timed("no such word", page({ text: "nothingofthiskind" }));
  assert.equal((await timed("beginning", page({ text: "word7" }))).ids.length, 50);
  assert.equal((await timed("short beginning", page({ text: "wo" }))).ids.length, 0);
  await timed("phrase", page({ text: '"question 123456"' }));
  await timed("word and filter", page({ text: "word77", client: "client-1", status: 5 }));
  assert.equal((await timed("day", page({ sinceMs: T0, untilMs: T0 + DAY_MS }))).ids.length, 50);
  assert.equal((await timed("record", () => queries.record(100_000)))?.record.id, 100_000);
  assert.equal((await timed("neighbours", () => queries.neighbours({ id: 100_000 }))).newerId, 100_001);
  await timed("count", () => queries.count({}));
  await timed("count of a model", () => queries.count({ model: "model-3" }));
  await timed("count of a word", () => queries.count({ text: "word77" }));
  await timed("last failures", () => queries.lastFailures([0, 1, 2, 3, 999]));
  assert.equal(await timed("whole count", () => reader.count({ status: 5 })), 200);
  assert.equal((await timed("after", () => reader.listAfter({ limit: 500, afterId: 100_000 }))).length, 500);
  const after = () => reader.listAfter({ limit: 50, afterId: 0, filter: { text: "word77" } });
  assert.equal((await timed("search after", after))[0]?.id, 77);
}

Deno.test({
  name: "PostgreSQL: reading records",
  ignore: isPostgresMissing,
  fn: async (t) => {
    await using postgres = await Postgres.start();
    for (const [name, body, records = []] of STEPS) {
      await t.step(name, () =>
        withPgRecords({ postgres }, records, async (db) => {
          const queries = new PgRecordQueries(db, { now: Date.now });
          const reader = new PgRecordReader(db);
          try {
            await body({ postgres, db, queries, reader });
          } finally {
            queries.close();
            reader.close();
          }
        }));
    }
  },
});
