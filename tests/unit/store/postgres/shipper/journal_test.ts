/**
 * The journal as the shipper reads and empties it.
 */
import assert from "node:assert/strict";
import { valueOf } from "./support.ts";
import { byHand, makeRecord, makeSession, rowsOf, withDirectory } from "../../support.ts";
import { openJournal, writeRecords } from "./support.ts";

const ALL = { maxRows: 500, maxBytes: 4 * 1024 * 1024 };

Deno.test("settled() gives every column of a record as it is, and its attempts", async () => {
  await withDirectory((path) => {
    writeRecords(path, 1, () => ({
      response: "\ufeffHello 世界",
      toolCalls: [{ id: "t", name: "f", arguments: "{}" }],
      createdAtMs: Date.UTC(2026, 0, 31, 23, 59, 59, 7),
    }));
    byHand(path, "UPDATE records SET elapsed_time = 9223372036854775807, input_tokens = 9007199254740993");
    const journal = openJournal(path);
    const { records: [record], unfit } = journal.settled(0, ALL);
    journal.close();
    assert.ok(record !== undefined);
    assert.deepEqual(unfit, []);
    assert.equal(record.requestId, "r1");
    assert.equal(record.createdAt, "2026-01-31T23:59:59.007000Z");
    assert.equal(record.isSettled, true);
    assert.deepEqual(
      [valueOf(record, "elapsed_time"), valueOf(record, "input_tokens"), valueOf(record, "cached_tokens")],
      ["9223372036854775807", "9007199254740993", null],
    );
    assert.deepEqual(record.texts, {
      body: '{"model":"gpt-4o","messages":[]}',
      response: "\ufeffHello 世界",
      reasoning: "",
      tool_calls: '[{"id":"t","name":"f","arguments":"{}"}]',
    });
    assert.deepEqual(record.attempts.map(({ values }) => values), [
      [
        "1",
        "1",
        "2024-01-02T03:04:05.678000Z",
        "10",
        null,
        "connect_error",
        "connection refused",
        "Hel",
        null,
        "0",
        '{"inputTokens":3,"outputTokens":1,"cachedTokens":null,"reasoningTokens":null}',
        "700",
      ],
      ["2", "2", "2024-01-02T03:04:05.690000Z", "1200", "200", null, null, null, "2", "1", null, null],
    ]);
  });
});

Deno.test("a NUL or invalid UTF-8 in any text becomes U+FFFD, and the record says that it was changed", async () => {
  const cases: [name: string, sql: string, read: string][] = [
    ["response", "x'4100' || x'42'", "A\ufffdB"],
    ["body", "x'41eda080'", "A\ufffd\ufffd\ufffd"],
    ["model", "x'ff'", "\ufffd"],
    ["error", "x'00'", "\ufffd"],
    ["user_agent", "x'c328'", "\ufffd("],
  ];
  for (const [name, sql, read] of cases) {
    await withDirectory((path) => {
      writeRecords(path, 1);
      byHand(path, `UPDATE records SET ${name} = CAST(${sql} AS TEXT)`);
      const journal = openJournal(path);
      const [record] = journal.settled(0, ALL).records;
      journal.close();
      assert.ok(record !== undefined);
      const text = name === "response" || name === "body"
        ? record.texts[name]
        : valueOf(record, name as "model");
      assert.deepEqual([text, valueOf(record, "is_truncated")], [read, "1"], name);
    });
  }
});

Deno.test("a NUL in what an attempt said counts, too", async () => {
  await withDirectory((path) => {
    writeRecords(path, 1);
    byHand(path, "UPDATE attempts SET partial = CAST(x'410042' AS TEXT) WHERE n = 1");
    const journal = openJournal(path);
    const [record] = journal.settled(0, ALL).records;
    journal.close();
    assert.equal(record?.attempts[0]?.values.at(-5), "A\ufffdB");
    assert.equal(record === undefined ? "" : valueOf(record, "is_truncated"), "1");
  });
});

Deno.test("rows of the Go program get a stable id, their text, and no secret", async () => {
  await withDirectory((path) => {
    makeSession(path).close();
    byHand(
      path,
      `INSERT INTO records(id, created_at, body, authorization) VALUES
        (7, '2023-11-08 12:34:56.789012345+08:00', '"{\\"a\\":1}"', 'Bearer sk-0123456789abcdef0123'),
        (8, 'yesterday', 'x', NULL), (9, NULL, 'x', NULL), (10, '0001-01-01 00:00:00+00:00', 'x', NULL)`,
    );
    const journal = openJournal(path);
    const { records, unfit } = journal.settled(0, ALL);
    journal.close();
    assert.deepEqual(
      records.map(({ requestId, createdAt, texts: { body } }) => [requestId, createdAt, body]),
      [
        ["go-7", "2023-11-08T04:34:56.789012Z", '{"a":1}'],
        ["go-10", "0001-01-01T00:00:00.000000Z", "x"],
      ],
    );
    assert.doesNotMatch(JSON.stringify(records), /0123456789abcdef/);
    assert.deepEqual(unfit.map(({ id, reason }) => [id, reason]), [[8, "the record has no time"], [
      9,
      "the record has no time",
    ]]);
  });
});

Deno.test("a value of the wrong type is no reason to refuse a record", async () => {
  await withDirectory((path) => {
    writeRecords(path, 1);
    byHand(path, "UPDATE records SET status = 'many', first_byte_ms = 1.5, attempts = x'00', model = 5");
    const journal = openJournal(path);
    const [record] = journal.settled(0, ALL).records;
    journal.close();
    assert.ok(record !== undefined);
    assert.deepEqual(
      (["status", "first_byte_ms", "attempts", "model"] as const).map((name) => valueOf(record, name)),
      [null, "2", null, "5"],
    );
  });
});

Deno.test("a batch is bounded by rows, by bytes, and by days; one large record is a batch", async () => {
  await withDirectory((path) => {
    const large = "x".repeat(3_000);
    writeRecords(path, 5, (n) => ({ response: n === 3 ? "x".repeat(100_000) : large }));
    const journal = openJournal(path);
    const ids = (afterId: number, maxRows: number, maxBytes: number): number[] =>
      journal.settled(afterId, { maxRows, maxBytes }).records.map(({ id }) => id);
    assert.deepEqual(ids(0, 2, 1e6), [1, 2]);
    assert.deepEqual(ids(0, 500, 10_000), [1, 2]);
    assert.deepEqual(ids(2, 500, 10_000), [3]);
    assert.deepEqual(ids(3, 500, 10_000), [4, 5]);
    assert.deepEqual(journal.settled(5, ALL), { records: [], unfit: [], lastId: 5, isFull: false });
    journal.close();
  });
  await withDirectory((path) => {
    writeRecords(path, 20, (n) => ({ createdAtMs: Date.UTC(2026, 0, n) }));
    const journal = openJournal(path);
    assert.equal(journal.settled(0, ALL).lastId, 8);
    journal.close();
  });
});

Deno.test("remove() deletes exactly what was sent: a row that was settled again meanwhile stays", async () => {
  await withDirectory((path) => {
    writeRecords(path, 3);
    const journal = openJournal(path);
    const { records } = journal.settled(0, ALL);
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "r2", response: "Hello again", responseBytes: 510 })]);
    assert.equal(journal.remove(records), 3);
    assert.deepEqual(rowsOf(path, "SELECT request_id, response FROM records"), [
      { request_id: "r2", response: "Hello again" },
    ]);
    assert.deepEqual(rowsOf(path, "SELECT DISTINCT record_id FROM attempts"), [{ record_id: 2 }]);
    assert.equal(journal.remove(journal.settled(0, ALL).records), 1);
    assert.deepEqual(rowsOf(path, "SELECT 1 FROM records UNION ALL SELECT 1 FROM attempts"), []);
    session.close();
    journal.close();
  });
});

Deno.test("any change of a row counts as another version", async () => {
  const changes = [
    "outcome = 'client_gone'",
    "status = 499",
    "elapsed_time = elapsed_time + 1",
    "response = response || '!'",
    "reasoning = 'x'",
    "body = NULL",
    "tool_calls = '[]'",
    "error = 'x'",
    "is_truncated = 1",
    "output_tokens = 6",
    "finish_reason = NULL",
  ];
  for (const change of changes) {
    await withDirectory((path) => {
      writeRecords(path, 1);
      const journal = openJournal(path);
      const { records } = journal.settled(0, ALL);
      byHand(path, `UPDATE records SET ${change}`);
      journal.remove(records);
      journal.close();
      assert.equal(rowsOf(path, "SELECT 1 FROM records").length, 1, change);
    });
  }
});

Deno.test("a rejected row stays, is counted and not read again, until it has changed", async () => {
  await withDirectory((path) => {
    writeRecords(path, 3);
    const journal = openJournal(path);
    const [, second] = journal.settled(0, ALL).records;
    assert.ok(second !== undefined);
    journal.reject(second, "a number is out of range");
    assert.deepEqual(journal.settled(0, ALL).records.map(({ id }) => id), [1, 3]);
    assert.deepEqual(journal.backlog(), { waiting: 2, oldestMs: makeRecord().createdAtMs, rejected: 1 });
    journal.forgetOutdated();
    assert.equal(journal.backlog().rejected, 1);
    byHand(path, "UPDATE records SET error = 'mended' WHERE id = 2");
    journal.forgetOutdated();
    assert.deepEqual(journal.backlog(), { waiting: 3, oldestMs: makeRecord().createdAtMs, rejected: 0 });
    journal.reject(second, "again");
    journal.retryRejected();
    assert.equal(journal.settled(0, ALL).records.length, 3);
    journal.close();
  });
});

Deno.test("what is under way neither waits nor goes", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "open", outcome: "in_flight" })]);
    const journal = openJournal(path);
    assert.deepEqual(journal.settled(0, ALL).records, []);
    assert.deepEqual(journal.backlog(), { waiting: 0, oldestMs: null, rejected: 0 });
    const [record] = journal.open(0, { ...ALL, known: new Map() }).records;
    assert.ok(record !== undefined);
    assert.equal(record.isSettled, false);
    journal.remove([record]);
    assert.equal(rowsOf(path, "SELECT 1 FROM records").length, 1);
    session.close();
    journal.close();
  });
});

Deno.test("open() gives what has changed, with the parts of the reply, and the body only once", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const first = makeRecord({ requestId: "open", outcome: "in_flight", response: "one " });
    session.write([first, makeRecord({ requestId: "still", outcome: "in_flight" })]);
    const journal = openJournal(path);
    const { records, lastId, ids } = journal.open(0, { ...ALL, known: new Map() });
    assert.deepEqual(records.map(({ texts: { body, response } }) => [body, response]), [
      [first.body, "one "],
      [first.body, "Hello"],
    ]);
    assert.deepEqual([lastId, ids], [2, [1, 2]]);
    const known = new Map(records.map(({ id, version }) => [id, version]));
    assert.deepEqual(journal.open(0, { ...ALL, known }).records, []);
    assert.equal(journal.open(0, { ...ALL, known }).lastId, 2);
    session.write([{ ...first, part: 1, body: "", response: "two", elapsedMs: 9_000, responseBytes: 77 }]);
    const next = journal.open(0, { ...ALL, known }).records;
    assert.deepEqual(
      next.map((record) => [valueOf(record, "elapsed_time"), valueOf(record, "response_bytes")]),
      [["9000000000", "77"]],
    );
    for (const { id, version } of next) known.set(id, version);
    assert.deepEqual(journal.open(0, { ...ALL, known }).records, []);
    session.write([{ ...first, part: 2, body: "", response: "", reasoning: "", elapsedMs: 9_500 }]);
    assert.equal(journal.open(0, { ...ALL, known }).records.length, 1);
    assert.deepEqual(next.map(({ texts: { body, response } }) => [body, response]), [[null, "one two"]]);
    session.close();
    journal.close();
  });
});

Deno.test("the journal's id stays with its file", async () => {
  await withDirectory((path) => {
    const first = openJournal(path, "a");
    const second = openJournal(path, "b");
    assert.deepEqual([first.id, second.id], ["a", "a"]);
    first.close();
    second.close();
  });
});

Deno.test("rows that the statistics have not counted yet are not shipped", async () => {
  await withDirectory((path) => {
    writeRecords(path, 3);
    byHand(path, "UPDATE usage_progress SET low = 2");
    const journal = openJournal(path);
    assert.deepEqual(journal.settled(0, ALL).records.map(({ id }) => id), [3]);
    byHand(path, "UPDATE usage_progress SET low = 0");
    assert.equal(journal.settled(0, ALL).records.length, 3);
    journal.close();
  });
});

Deno.test("a journal that was let go of says so, and is read again afterwards", async () => {
  await withDirectory((path) => {
    writeRecords(path, 1);
    const journal = openJournal(path);
    journal.release();
    assert.throws(() => journal.refresh(), { code: "locked" });
    journal.resume();
    journal.refresh();
    assert.equal(journal.settled(0, ALL).records.length, 1);
    journal.close();
  });
});
