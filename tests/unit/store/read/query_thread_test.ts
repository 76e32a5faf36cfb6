import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { firstIds, listIds } from "../../../../src/store/read/record_page.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { QueryThread } from "../../../../src/store/read/query_thread.ts";
import { StoreError } from "../../../../src/store/store.ts";
import { byHand, makeRecord, makeSession, withDirectory } from "../support.ts";

function readerOf(path: string, workers: Worker[] = []): QueryThread {
  return new QueryThread({
    path,
    spawnWorker: () => {
      const url = new URL("../../../../src/store/read/worker.ts", import.meta.url).href;
      const worker = new Worker(url, { type: "module" });
      workers.push(worker);
      return worker;
    },
  });
}

Deno.test("QueryThread begins its thread with the first question", async () => {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "one" })]);
    const workers: Worker[] = [];
    const reader = readerOf(path, workers);
    assert.equal(workers.length, 0);
    const { records, nextBeforeId } = await reader.ask("summaries", { limit: 10 });
    assert.deepEqual([records[0]?.requestId, records[0]?.reply, nextBeforeId], ["one", "Hello", null]);
    assert.equal((await reader.ask("record", "one"))?.attempts.length, 2);
    assert.equal(await reader.ask("record", 99), null);
    assert.equal(workers.length, 1);
    reader.close();
    session.close();
  });
});

Deno.test("QueryThread gives the last failure of each upstream that has one", async () => {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write([makeRecord(), makeRecord()]);
    const reader = readerOf(path);
    const [failure, ...more] = await reader.ask("lastFailures", [1, 2, 3]);
    assert.deepEqual([failure?.upstreamId, failure?.errorClass, failure?.message], [
      1,
      "connect_error",
      "connection refused",
    ]);
    assert.deepEqual(more, []);
    reader.close();
    session.close();
  });
});

Deno.test("QueryThread says what is wrong with a database, and reads it when it has come", async () => {
  await withDirectory(async (path) => {
    const reader = readerOf(path);
    await assert.rejects(reader.ask("stats", "15m"), (error) => error instanceof StoreError);
    openDatabase(path).close();
    assert.equal((await reader.ask("stats", "15m")).total.requests, 0);
    reader.close();
  });
});

Deno.test("QueryThread cannot write, not even by a question", async () => {
  await withDirectory(async (path) => {
    openDatabase(path).close();
    const reader = readerOf(path);
    await reader.ask("summaries", { limit: 1, filter: { text: "'; DROP TABLE records; --" } });
    byHand(path, "SELECT * FROM records");
    reader.close();
  });
});

Deno.test("QueryThread refuses questions once it is closed, those that wait included", async () => {
  await withDirectory(async (path) => {
    openDatabase(path).close();
    const reader = readerOf(path);
    const waiting = assert.rejects(reader.ask("stats", "30d"), StoreError);
    reader.close();
    await waiting;
    await assert.rejects(reader.ask("stats", "30d"), StoreError);
  });
});

Deno.test("QueryThread takes a number of questions at once, not any number", async () => {
  await withDirectory(async (path) => {
    openDatabase(path).close();
    const reader = readerOf(path);
    const asked = Array.from({ length: 70 }, () => reader.ask("stats", "15m"));
    const answers = await Promise.allSettled(asked);
    assert.equal(answers.filter(({ status }) => status === "rejected").length, 6);
    reader.close();
  });
});

Deno.test("a hit is shown with the words around it, of the reply before the request", async () => {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write([
      makeRecord({ response: `${"before ".repeat(50)}the Needle${" after".repeat(50)}` }),
      makeRecord({
        response: "",
        body: JSON.stringify({ messages: [{ role: "user", content: "请问深圳机场怎么走" }] }),
      }),
    ]);
    const reader = readerOf(path);
    const hitOf = async (text: string) =>
      (await reader.ask("summaries", { limit: 5, filter: { text } })).records[0]?.hit ?? [];
    const [before, hit, after] = await hitOf("needl");
    assert.deepEqual(hit, { text: "Needle", isHit: true });
    assert.match(before?.text ?? "", /^….*the $/);
    assert.match(after?.text ?? "", /^ after.*…$/);
    assert.ok((before?.text.length ?? 0) < 80 && (after?.text.length ?? 0) < 200);
    assert.ok((await hitOf("深圳")).some(({ text, isHit }) => isHit && text === "深圳"));
    reader.close();
    session.close();
  });
});

Deno.test("a filter that next to nothing meets is answered in parts, of which none loses a record", async () => {
  await withDirectory(async (path) => {
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "oldest", model: "rare" })]);
    byHand(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
        INSERT INTO records(id, created_at, model) SELECT i, '2024-01-02 03:04:05.000000+00:00', 'm' FROM n`,
    );
    const reader = readerOf(path);
    const found: (string | null)[] = [];
    const starts: number[] = [];
    for (let beforeId = Number.MAX_SAFE_INTEGER;;) {
      const page = await reader.ask("summaries", { limit: 10, beforeId, filter: { model: "rare" } });
      found.push(...page.records.map(({ requestId }) => requestId));
      if (page.nextBeforeId === null) break;
      beforeId = page.nextBeforeId;
      starts.push(beforeId);
    }
    assert.deepEqual(found, ["oldest"]);
    assert.deepEqual(starts, starts.toSorted((a, b) => b - a));
    reader.close();
    session.close();
  });
});

Deno.test("firstIds() cuts a page to its newest ids, and says where the next one begins", async () => {
  await withDirectory((path) => {
    openDatabase(path).close();
    byHand(path, "INSERT INTO records(id) VALUES (1), (50), (100)");
    const db = new DatabaseSync(path, { readOnly: true });
    const cut = (startId: number, maxIds: number, endId = Number.MIN_SAFE_INTEGER) => {
      const page = {
        order: "DESC",
        startId,
        endId,
        limit: 9,
        condition: { sql: "1", params: [] },
        narrow: null,
      } as const;
      const { page: first, nextStartId } = firstIds(db, page, maxIds);
      return { ids: listIds(db, first), nextStartId };
    };
    assert.deepEqual(cut(Number.MAX_SAFE_INTEGER, 10), { ids: [100], nextStartId: 91 });
    assert.deepEqual(cut(91, 41), { ids: [50], nextStartId: 50 });
    assert.deepEqual(cut(50, 1_000), { ids: [1], nextStartId: null });
    assert.deepEqual(cut(Number.MAX_SAFE_INTEGER, 10, 95), { ids: [100], nextStartId: null });
    db.close();
  });
});
