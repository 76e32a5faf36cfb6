/**
 * What every RecordReader must do. The suite runs over each backend that is listed at the end: an answer must
 * not depend on the progress of the full-text index.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Attempt, RequestRecord } from "../../src/core/types.ts";
import { openDatabase } from "../../src/store/database/open.ts";
import type { RecordFilter, RecordReader, StoredRecord } from "../../src/store/store.ts";
import { PgRecordReader } from "../../src/store/postgres/read/record_queries.ts";
import { isPostgresMissing } from "../support/postgres.ts";
import { overEveryWay, withPgRecords } from "../support/postgres_records.ts";
import { byHand, indexAll, makeRecord, makeSession } from "../unit/store/support.ts";

/** Answers at once, or later. */
type Reader = {
  [Name in keyof RecordReader]: (
    ...asked: Parameters<RecordReader[Name]>
  ) => ReturnType<RecordReader[Name]> | Promise<ReturnType<RecordReader[Name]>>;
};

interface Backend {
  readonly name: string;
  /** Creates a reader over exactly these records, in this order, numbered from 1. */
  readonly withRecords: (
    records: readonly RequestRecord[],
    body: (reader: Reader) => Promise<void>,
  ) => Promise<void>;
}

const T0 = Date.UTC(2024, 4, 1, 12);
const MINUTE = 60_000;

function attempt(index: number, upstreamId: number, errorClass: Attempt["errorClass"]): Attempt {
  return {
    index,
    upstreamId,
    upstreamName: `u${upstreamId}`,
    startedAtMs: T0,
    durationMs: 5,
    status: null,
    errorClass,
    message: null,
    partial: null,
    keyN: index === 1 ? null : index,
    isChanged: index === 2,
    usage: null,
    costNano: index === 1 ? null : index,
  };
}

const RECORDS: readonly RequestRecord[] = [
  makeRecord({
    createdAtMs: T0,
    model: "gpt-4o",
    body: JSON.stringify({ messages: [{ role: "user", content: "The quick brown Fox" }] }),
    response: "jumps over the lazy dog 👍🏽, error 643B0FF09D44C745DF4H 🇲🇳",
  }),
  makeRecord({
    createdAtMs: T0 + MINUTE,
    model: "gpt-4o-mini",
    status: 502,
    outcome: "upstream_error",
    upstreamId: null,
    client: "bob",
    body: '{"input":"\\u6df1\\u5733\\u673a\\u573a\\u5728\\u54ea\\u91cc"}',
    response: "机场在宝安区。",
  }),
  makeRecord({
    createdAtMs: T0 + 2 * MINUTE,
    model: "claude-3[beta]",
    status: 404,
    outcome: "upstream_error",
    upstreamId: 7,
    elapsedMs: 9_000,
    attempts: [attempt(1, 7, "http_status")],
    client: null,
    body: "Crème brûlée for 100% of gpt_4 users",
    response: "AND that's it",
  }),
  makeRecord({
    createdAtMs: T0 + 3 * MINUTE,
    model: null,
    status: 499,
    outcome: "client_gone",
    elapsedMs: 4_000,
    attempts: [
      attempt(1, 7, "timeout"),
      attempt(2, 7, "timeout"),
      attempt(3, 2, "client_gone"),
      attempt(4, 1, "hedge_lost"),
    ],
    body: "",
    affinity: "broken",
    queuedMs: 77,
    areTokensEstimated: true,
    costNano: 9_007_199_254_740_991,
    response: "",
    reasoning: "pondering deeply",
    toolCalls: [{ id: "c", name: "get_weather", arguments: '{"city":"Z\\u00fcrich"}' }],
  }),
  makeRecord({
    createdAtMs: T0 + 4 * MINUTE,
    model: "gpt-4o",
    outcome: "in_flight",
    body: "a foxglove in bloom",
    response: "half of the ans",
  }),
];

const FILTERS: readonly (readonly [RecordFilter, readonly number[]])[] = [
  [{}, [5, 4, 3, 2, 1]],
  [{ sinceMs: T0 + 3 * MINUTE }, [5, 4]],
  [{ sinceMs: T0 + 3 * MINUTE + 1 }, [5]],
  [{ untilMs: T0 + MINUTE }, [2, 1]],
  [{ untilMs: T0 + MINUTE - 1 }, [1]],
  [{ sinceMs: T0 + MINUTE, untilMs: T0 + 2 * MINUTE }, [3, 2]],
  [{ sinceMs: T0 + 365 * 24 * 60 * MINUTE }, []],
  [{ untilMs: T0 - 365 * 24 * 60 * MINUTE }, []],
  [{ sinceMs: -Infinity, untilMs: Infinity }, [5, 4, 3, 2, 1]],
  [{ model: "gpt-4o" }, [5, 1]],
  [{ model: "GPT-4o" }, []],
  [{ model: "gpt-4*" }, [5, 2, 1]],
  [{ model: "gpt-4?" }, [5, 1]],
  [{ model: "*[beta]" }, [3]],
  [{ model: "*[a-z]*" }, []],
  [{ model: "gpt%" }, []],
  [{ model: "gpt_4o" }, []],
  [{ model: "*" }, [5, 3, 2, 1]],
  [{ model: "' OR 1=1 --" }, []],
  [{ upstreamId: 7 }, [3]],
  [{ upstreamId: 2 }, [5, 4, 1]],
  [{ status: 404 }, [3]],
  [{ status: 4 }, [4, 3]],
  [{ status: 5 }, [2]],
  [{ status: 3 }, []],
  [{ outcome: "upstream_error" }, [3, 2]],
  [{ outcome: "in_flight" }, [5]],
  [{ client: "bob" }, [2]],
  [{ client: "b%" }, []],
  [{ status: 4, outcome: "upstream_error", sinceMs: T0 }, [3]],
  [{ triedUpstreamId: 1 }, [5, 4, 2, 1]],
  [{ triedUpstreamId: 2 }, [5, 4, 1]],
  [{ triedUpstreamId: 7 }, [4, 3]],
  [{ triedUpstreamId: 9 }, []],
  [{ failedUpstreamId: 1 }, [5, 2, 1]],
  [{ failedUpstreamId: 2 }, []],
  [{ failedUpstreamId: 7 }, [4, 3]],
  [{ failedUpstreamId: 7, status: 404 }, [3]],
  [{ failedUpstreamId: 7, triedUpstreamId: 2 }, [4]],
  [{ attempts: { min: 2, max: null } }, [4, 2, 1]],
  [{ attempts: { min: null, max: 1 } }, [3]],
  [{ attempts: { min: 4, max: 4 } }, [4]],
  [{ attempts: { min: null, max: null } }, [4, 3, 2, 1]],
  [{ attempts: { min: 2, max: null }, failedUpstreamId: 7 }, [4]],
  [{ slowerThanMs: 1_234 }, [4, 3, 2, 1]],
  [{ slowerThanMs: 4_000 }, [3]],
  [{ slowerThanMs: 4_000, model: "gpt*" }, []],
  [{ slowerThanMs: Infinity }, []],
  [{ isFailure: true }, [2]],
  [{ isFailure: true, text: "fox" }, []],
  [{ failedUpstreamId: 1, text: "fox" }, [5, 1]],
  [{ slowerThanMs: 1_000, text: "fox" }, [1]],
  [{ text: "fox", model: "gpt-4o" }, [5, 1]],
  [{ text: "fox", untilMs: T0 }, [1]],
  [{ text: "fox", status: 4 }, []],
  [{ text: "机场", client: "bob" }, [2]],
];

const SEARCHES: readonly (readonly [string, readonly number[]])[] = [
  ["", [5, 4, 3, 2, 1]],
  ["   ", [5, 4, 3, 2, 1]],
  ["fox", [5, 1]],
  ["FOX", [5, 1]],
  ["foxg", [5]],
  ["ox", []],
  ["quick fox", [1]],
  ["fox quick", [1]],
  ["fox dog", [1]],
  ["fox bloom quick", []],
  ['"quick brown"', [1]],
  ['"brown quick"', []],
  ['"quick bro"', []],
  ['"Fox jumps"', []],
  ['"fox"', [1]],
  ["creme brulee", [3]],
  ["CRÈME", [3]],
  ["bru\u0302le\u0301e", [3]],
  ["机场", [2]],
  ["机", [2]],
  ["深圳机场在哪里", [2]],
  ["场机", []],
  ["深圳 宝安", [2]],
  ['"宝安区"', [2]],
  ["zürich", [4]],
  ["zurich", [4]],
  ["get_weather", [4]],
  ["weath", [4]],
  ["ponder", [4]],
  ["user", [3]],
  ["messages", []],
  ["half", [5]],
  ["%", []],
  ["_", []],
  ["fox %", [5, 1]],
  ["f%x", []],
  ["100%", [3]],
  ["gpt_4", [3]],
  ["that's", [3]],
  ["AND", [3]],
  ["fox OR zurich", []],
  ["NOT fox", []],
  ["fox*", [5, 1]],
  ["^fox", [5, 1]],
  ["request:fox", []],
  ["NEAR(fox dog)", []],
  ['"', []],
  ['fox "', [5, 1]],
  ['""', []],
  ["fox;", [5, 1]],
  ["'; DROP TABLE records; --", []],
  ["(fox", [5, 1]],
  ["{fox} : + - dog", [1]],
  ["fox\0dog", [1]],
  ["\ud800", []],
  ["🦊", []],
  ["👍", [1]],
  ["dog 👍", [1]],
  ["🇲", [1]],
  ["643B0FF09D44C7", [1]],
  ["9D44C745", [1]],
  ["9d44c745df4h", [1]],
  ["643B0FF09D44C745DF4H", [1]],
  ["9D44C746", []],
  ['"9D44C745"', []],
  ["C745", [1]],
  [`${"fox ".repeat(1_000)}`, [5, 1]],
];

function ids(records: readonly StoredRecord[]): number[] {
  return records.map(({ id }) => id);
}

interface Case {
  readonly name: string;
  /** Default: {@link RECORDS}. */
  readonly records?: readonly RequestRecord[];
  readonly body: (reader: Reader) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: "list() and listAfter() give the records of a filter, newest or oldest first",
    body: async (reader) => {
      for (const [filter, expected] of FILTERS) {
        const what = JSON.stringify(filter);
        assert.deepEqual(ids(await reader.list({ limit: 9, filter })), expected, what);
        const after = await reader.listAfter({ limit: 9, afterId: 0, filter });
        assert.deepEqual(ids(after), expected.toReversed(), what);
        assert.equal(await reader.count(filter), expected.length, what);
      }
    },
  },
  {
    name: "list() finds words, beginnings and phrases, and takes nothing for syntax",
    body: async (reader) => {
      for (const [text, expected] of SEARCHES) {
        const what = JSON.stringify(text).slice(0, 100);
        assert.deepEqual(ids(await reader.list({ limit: 9, filter: { text } })), expected, what);
        const after = await reader.listAfter({ limit: 9, afterId: 0, filter: { text } });
        assert.deepEqual(ids(after), expected.toReversed(), what);
        assert.equal(await reader.count({ text }), expected.length, what);
      }
    },
  },
  {
    name: "pages follow each other without gap or repeat",
    records: Array.from({ length: 60 }, (_, index) => makeRecord({ body: `number ${index}` })),
    body: async (reader) => {
      for (const filter of [{}, { text: "number" }, { status: 2 }, { text: "number", model: "gpt*" }]) {
        const down: number[] = [];
        let beforeId: number | undefined;
        for (;;) {
          const page = await reader.list({
            limit: 7,
            filter,
            ...(beforeId === undefined ? {} : { beforeId }),
          });
          down.push(...ids(page));
          if (page.length < 7) break;
          beforeId = page.at(-1)?.id;
        }
        const up: number[] = [];
        for (;;) {
          const page = await reader.listAfter({ limit: 7, afterId: up.at(-1) ?? 0, filter });
          up.push(...ids(page));
          if (page.length < 7) break;
        }
        assert.deepEqual(up, Array.from({ length: 60 }, (_, index) => index + 1));
        assert.deepEqual(down, up.toReversed());
      }
    },
  },
  {
    name: "get() and attempts() give all of one record",
    body: async (reader) => {
      const record = await reader.get(4);
      const expected = RECORDS[3];
      assert.ok(record !== null && expected !== undefined);
      const { id, isTruncated, attemptCount, usage, instance, ...rest } = record;
      const { attempts, usage: expectedUsage, ...fields } = expected;
      assert.deepEqual({ id, isTruncated, attemptCount }, {
        id: 4,
        isTruncated: false,
        attemptCount: 4,
      });
      assert.ok(instance);
      assert.deepEqual(usage, expectedUsage);
      assert.deepEqual({ ...rest, isTruncated }, fields);
      assert.equal((await reader.get(expected.requestId))?.id, 4);
      assert.equal((await reader.get("4"))?.id, 4);
      for (const id of [99, -1, 0.5, NaN, "", "x\0y", "\ud800", "9".repeat(5_000)]) {
        assert.equal(await reader.get(id), null, String(id).slice(0, 20));
      }
      const stored = await reader.attempts(4);
      assert.deepEqual(
        stored,
        attempts.map((attempt) => ({ ...attempt, upstreamName: `#${attempt.upstreamId}` })),
      );
      assert.deepEqual(await reader.attempts(99), []);
    },
  },
  {
    name: "lastId() is the newest row's number",
    body: async (reader) => assert.equal(await reader.lastId(), 5),
  },
  {
    name: "a reader over nothing finds nothing",
    records: [],
    body: async (reader) => {
      assert.deepEqual(await reader.list({ limit: 9 }), []);
      assert.deepEqual(
        await reader.list({ limit: 9, filter: { text: "fox", sinceMs: 0, untilMs: T0 } }),
        [],
      );
      assert.deepEqual(await reader.listAfter({ limit: 9, afterId: 0 }), []);
      assert.equal(await reader.count({}), 0);
      assert.equal(await reader.lastId(), 0);
      assert.equal(await reader.get("x"), null);
    },
  },
];

function describeRecordReader(backend: Backend): void {
  for (const { name, records = RECORDS, body } of CASES) {
    Deno.test(`${backend.name}: ${name}`, () => backend.withRecords(records, body));
  }
}

type Session = ReturnType<typeof makeSession>;

function sqliteBackend(
  name: string,
  fill: (session: Session, records: readonly RequestRecord[], path: string) => void,
): Backend {
  return {
    name: `SqliteRecordReader, ${name}`,
    withRecords: async (records, body) => {
      const directory = await Deno.makeTempDir({ prefix: "oar-contract-" });
      try {
        const path = join(directory, "db.sqlite");
        const session = makeSession(path);
        const database = openDatabase(path);
        try {
          fill(session, records, path);
          await body(database.records);
        } finally {
          database.close();
          session.close();
        }
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    },
  };
}

describeRecordReader(sqliteBackend("nothing indexed", (session, records) => session.write(records)));

describeRecordReader(sqliteBackend("everything indexed", (session, records) => {
  session.write(records);
  indexAll(session);
}));

describeRecordReader(sqliteBackend("half of it indexed", (session, records) => {
  const half = Math.floor(records.length / 2);
  session.write(records.slice(0, half));
  indexAll(session);
  session.write(records.slice(half));
}));

describeRecordReader(sqliteBackend("every record rewritten", (session, records, path) => {
  for (const record of records) {
    session.write([{ ...record, outcome: "in_flight", response: "fox dog half zürich crème" }]);
  }
  indexAll(session);
  session.write(records.slice(0, 3));
  indexAll(session);
  session.write(records.slice(3));
  byHand(path, "INSERT INTO records(id, body) VALUES (1000, 'fox'); DELETE FROM records WHERE id = 1000");
}));

describeRecordReader(sqliteBackend("older than the index", (session, records, path) => {
  session.write(records);
  byHand(
    path,
    "UPDATE search_progress SET (low, high) = (SELECT ifnull(max(id), 0), ifnull(max(id), 0) FROM records)",
  );
}));

/** In the Go program's time format, at UTC+8. */
describeRecordReader(sqliteBackend("times with an offset", (session, records, path) => {
  session.write(records);
  byHand(
    path,
    "UPDATE records SET created_at = strftime('%Y-%m-%d %H:%M:%f', created_at, '+8 hours') || '123+08:00'",
  );
  byHand(path, "UPDATE records SET created_at = replace(created_at, '.000123', '')");
  indexAll(session);
}));

Deno.test({
  name: "PgRecordReader",
  ignore: isPostgresMissing,
  fn: (t) =>
    overEveryWay(async (postgres, [way, url]) => {
      for (const { name, records = RECORDS, body } of CASES) {
        await t.step(`${way}: ${name}`, () =>
          withPgRecords({ postgres, url }, records, async (db) => {
            const reader = new PgRecordReader(db);
            try {
              await body(reader);
            } finally {
              reader.close();
            }
          }));
      }
    }),
});
