/**
 * What the admin page's questions must be answered with, whatever database is asked.
 */
import assert from "node:assert/strict";
import type { RequestRecord } from "../../src/core/types.ts";
import { PgRecordQueries } from "../../src/store/postgres/read/record_queries.ts";
import type { RecordQueries } from "../../src/store/read/messages.ts";
import { ReaderSession } from "../../src/store/read/session.ts";
import { isPostgresMissing } from "../support/postgres.ts";
import { overEveryWay, putJournal, putStatistics, withPgRecords } from "../support/postgres_records.ts";
import { pagesOf } from "../support/record_pages.ts";
import { indexAll, makeRecord, makeSession, withDirectory } from "../unit/store/support.ts";

/** Answers at once, or later. */
type Queries = {
  [Name in keyof RecordQueries]: (
    ...asked: Parameters<RecordQueries[Name]>
  ) => ReturnType<RecordQueries[Name]> | Promise<ReturnType<RecordQueries[Name]>>;
};

interface Case {
  readonly name: string;
  /** In this order, numbered from 1. */
  readonly records: readonly RequestRecord[];
  readonly body: (queries: Queries) => Promise<void>;
}

const NOW = Date.now();
const MINUTE = 60_000;

function numbered(count: number, changes: (n: number) => Partial<RequestRecord>): RequestRecord[] {
  return Array.from(
    { length: count },
    (_, index) => makeRecord({ requestId: `r${index + 1}`, ...changes(index + 1) }),
  );
}

const failedAt = (
  upstreamId: number,
  startedAtMs: number,
  message: string | null,
): RequestRecord["attempts"] => [
  {
    index: 1,
    upstreamId,
    upstreamName: `#${upstreamId}`,
    startedAtMs,
    durationMs: 7,
    status: 503,
    errorClass: "http_status",
    message,
    partial: null,
    keyN: null,
    isChanged: false,
  },
];

const CASES: readonly Case[] = [
  {
    name: "summaries() shows the beginnings of prompt and reply",
    records: [
      makeRecord({
        body: JSON.stringify({ messages: [{ role: "user", content: "What  is\nnew?" }] }),
        response: "Nothing\nmuch",
      }),
      makeRecord({ body: "", response: "", toolCalls: [{ id: "c", name: "look", arguments: "{}" }] }),
      makeRecord({
        body: JSON.stringify({ input: "深".repeat(300) }),
        response: '{"error":{"message":"too much"}}',
        status: 429,
        outcome: "upstream_error",
      }),
      makeRecord({
        body: `{"messages":[${"1,".repeat(40_000)}{"role":"user","content":"at the end"}]}`,
        response: "",
        reasoning: "only thoughts",
        model: "m".repeat(2_000),
        usage: null,
        elapsedMs: 0.5,
      }),
    ],
    body: async (queries) => {
      const { records, nextBeforeId } = await queries.summaries({ limit: 9 });
      assert.equal(nextBeforeId, null);
      assert.deepEqual(
        records.map(({ id, prompt, reply }) => [id, prompt, reply.replace(/^too much.*/, "too much")]),
        [
          [4, "at the end", "only thoughts"],
          [3, "深".repeat(200), "too much"],
          [2, "", "look({})"],
          [1, "What is new?", "Nothing much"],
        ],
      );
      const [fourth, third] = records;
      assert.ok((fourth?.model ?? "").length < 2_000);
      assert.deepEqual(fourth?.usage, {
        inputTokens: null,
        outputTokens: null,
        cachedTokens: null,
        reasoningTokens: null,
      });
      const { hit: _hit, hitIn: _hitIn, prompt: _prompt, reply: _reply, requestId, ...rest } = third ?? {};
      assert.ok(requestId);
      assert.deepEqual(rest, {
        id: 3,
        createdAtMs: Date.UTC(2024, 0, 2, 3, 4, 5, 678),
        model: "gpt-4o",
        status: 429,
        outcome: "upstream_error",
        upstreamId: 2,
        attemptCount: 2,
        isStream: true,
        elapsedMs: 1234.5,
        firstTokenMs: 120,
        usage: { inputTokens: 3, outputTokens: 5, cachedTokens: null, reasoningTokens: 0 },
        areTokensEstimated: false,
        client: "alice",
      });
    },
  },
  {
    name: "summaries() shows the passage that was found",
    records: [
      makeRecord({ body: "the quick brown fox", response: "a lazy dog" }),
      makeRecord({ body: "nothing", response: "a fox again" }),
      makeRecord({ body: "nothing", response: "nothing" }),
    ],
    body: async (queries) => {
      const { records } = await queries.summaries({ limit: 9, filter: { text: "fox" } });
      assert.deepEqual(
        records.map((
          { id, hitIn, hit },
        ) => [id, hitIn, hit.map(({ text, isHit }) => isHit ? `<${text}>` : text)]),
        [[2, "reply", ["a ", "<fox>", " again"]], [1, "request", ["the quick brown ", "<fox>"]]],
      );
    },
  },
  {
    name: "pages go on where the last one ended",
    records: numbered(25, (n) => ({ createdAtMs: NOW - n % 3, client: n % 2 === 0 ? "even" : "odd" })),
    body: async (queries) => {
      for (const filter of [{}, { client: "even" }, { text: "hello" }]) {
        const pages = await pagesOf((from) => queries.summaries({ limit: 4, filter, ...from }));
        const ids = pages.flatMap(({ records }) => records.map(({ id }) => id));
        const { count } = await queries.count(filter);
        assert.equal(count, filter.client === undefined ? 25 : 12);
        assert.deepEqual([new Set(ids).size, ids.length], [count, count]);
      }
    },
  },
  {
    name: "whole() keeps within 4 MiB, and gives a larger record alone",
    records: numbered(4, (n) => ({ body: "x".repeat(n === 2 ? 6 << 20 : 1_500_000) })),
    body: async (queries) => {
      const pages = await pagesOf((from) => queries.whole({ limit: 9, ...from }));
      const ids = pages.map(({ records }) => records.map(({ id }) => id));
      assert.deepEqual(ids, [[4, 3], [2], [1]]);
    },
  },
  {
    name: "count() and neighbours() follow the filter",
    records: numbered(
      7,
      (n) => ({ createdAtMs: NOW + n, status: n % 3 === 0 ? 500 : 200, body: `word${n % 2}` }),
    ),
    body: async (queries) => {
      assert.deepEqual(await queries.count({}), { count: 7, isComplete: true });
      assert.deepEqual(await queries.count({ status: 5 }), { count: 2, isComplete: true });
      assert.deepEqual(await queries.count({ text: "word1" }), { count: 4, isComplete: true });
      assert.deepEqual(await queries.count({ text: "%" }), { count: 0, isComplete: true });
      assert.deepEqual(await queries.neighbours({ id: 4 }), { newerId: 5, olderId: 3 });
      assert.deepEqual(await queries.neighbours({ id: 7 }), { newerId: null, olderId: 6 });
      assert.deepEqual(await queries.neighbours({ id: 4, filter: { status: 5 } }), {
        newerId: 6,
        olderId: 3,
      });
      assert.deepEqual(await queries.neighbours({ id: 4, filter: { text: "word0" } }), {
        newerId: 6,
        olderId: 2,
      });
      assert.deepEqual(await queries.neighbours({ id: 4, filter: { text: "!" } }), {
        newerId: null,
        olderId: null,
      });
    },
  },
  {
    name: "record() gives a record with its attempts, by number or request_id",
    records: numbered(2, () => ({})),
    body: async (queries) => {
      const found = await queries.record("r2");
      assert.equal(found?.record.id, 2);
      assert.deepEqual(found.attempts.map(({ index, errorClass }) => [index, errorClass]), [
        [1, "connect_error"],
        [2, null],
      ]);
      assert.deepEqual(await queries.record(2), found);
      assert.equal(await queries.record("nobody"), null);
    },
  },
  {
    name: "lastFailures() gives the last failure that the upstream is to blame for",
    records: [
      makeRecord({ createdAtMs: NOW, attempts: failedAt(7, NOW, "first") }),
      makeRecord({ createdAtMs: NOW + 1_000, attempts: failedAt(7, NOW + 1_000, null) }),
      makeRecord({ createdAtMs: NOW + 2_000, attempts: failedAt(8, NOW + 2_000, "eighth") }),
      makeRecord({
        createdAtMs: NOW + 3_000,
        attempts: failedAt(7, NOW, "").map((attempt) => ({ ...attempt, errorClass: "client_gone" })),
      }),
    ],
    body: async (queries) => {
      assert.deepEqual(await queries.lastFailures([8, 9, 7]), [
        { upstreamId: 8, atMs: NOW + 2_000, errorClass: "http_status", message: "eighth" },
        { upstreamId: 7, atMs: NOW + 1_000, errorClass: "http_status", message: "HTTP 503" },
      ]);
      assert.deepEqual(await queries.lastFailures([]), []);
    },
  },
  {
    name: "stats(), usage() and clientTotals() add up what was counted",
    records: [
      makeRecord({ createdAtMs: NOW, client: "alice" }),
      makeRecord({ createdAtMs: NOW, client: "bob", model: "o3", status: 500, outcome: "upstream_error" }),
      makeRecord({ createdAtMs: NOW - 20 * MINUTE, client: "bob" }),
    ],
    body: async (queries) => {
      const stats = await queries.stats("1h");
      assert.deepEqual([stats.stepMs, stats.points.length], [MINUTE, 60]);
      const { requests, errors, inputTokens, outputTokens } = stats.total;
      assert.deepEqual({ requests, errors, inputTokens, outputTokens }, {
        requests: 3,
        errors: 1,
        inputTokens: 9,
        outputTokens: 15,
      });
      assert.ok(Math.abs((stats.total.p95Ms ?? 0) - 1234.5) < 100);
      assert.equal(stats.points.reduce((sum, point) => sum + point.requests, 0), 3);
      assert.deepEqual(
        stats.upstreams.map(({ id, requests, failures, attempts }) => [id, requests, failures, attempts]),
        [[2, 3, 0, 2], [1, 0, 3, 3]],
      );
      const usage = await queries.usage({ sinceMs: NOW - 40 * MINUTE, untilMs: NOW + MINUTE });
      assert.deepEqual(usage.models.rows.map(({ name, requests }) => [name, requests]), [["gpt-4o", 2], [
        "o3",
        1,
      ]]);
      assert.deepEqual(usage.clients.rows.map(({ name, requests, errors }) => [name, requests, errors]), [
        ["bob", 2, 1],
        ["alice", 1, 0],
      ]);
      assert.equal(usage.models.others, null);
      assert.equal(usage.sinceMs, null);
      const totals = await queries.clientTotals(null);
      assert.deepEqual(
        totals.clients.map(({ client, requests, lastUsedMs }) => [client, requests, lastUsedMs]).sort(),
        [["alice", 1, NOW], ["bob", 2, NOW]],
      );
      assert.equal(totals.sinceMs, null);
    },
  },
];

async function withJournal(
  records: readonly RequestRecord[],
  body: (path: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    try {
      session.write(records);
      indexAll(session);
      while (session.count());
    } finally {
      session.close();
    }
    await body(path);
  });
}

for (const { name, records, body } of CASES) {
  Deno.test(`ReaderSession: ${name}`, () =>
    withJournal(records, async (path) => {
      const queries = new ReaderSession(path);
      try {
        await body(queries);
      } finally {
        queries.close();
      }
    }));
}

Deno.test({
  name: "PgRecordQueries",
  ignore: isPostgresMissing,
  fn: (t) =>
    overEveryWay(async (postgres, [way, url]) => {
      for (const { name, records, body } of CASES) {
        await t.step(`${way}: ${name}`, () =>
          withPgRecords({ postgres, url }, [], (db) =>
            withJournal(records, async (path) => {
              await putJournal(db, path);
              await putStatistics(db, path, "j1");
              const queries = new PgRecordQueries(db, { now: Date.now });
              try {
                await body(queries);
              } finally {
                queries.close();
              }
            })));
      }
    }),
});
