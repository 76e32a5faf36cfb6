/**
 * Rows of replies under way that are written in parts.
 */
import assert from "node:assert/strict";
import type { RequestRecord } from "../../../../src/core/types.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { ReaderSession } from "../../../../src/store/read/session.ts";
import type { WriterSession } from "../../../../src/store/write/session.ts";
import { byHand, makeRecord, makeSession, makeWriter, rowsOf, withDirectory } from "../support.ts";

const ID = "01UNDERWAY";

const FIRST: RequestRecord = makeRecord({
  requestId: ID,
  outcome: "in_flight",
  status: 0,
  response: "one ",
  reasoning: "a",
  finishReason: null,
});

function part(number: number, changes: Partial<RequestRecord> = {}): RequestRecord {
  return { ...FIRST, body: "", toolCalls: [], part: number, reasoning: "", ...changes };
}

/** A session with a row and two parts: with a NUL, and with characters beyond ASCII. */
function writeParts(session: WriterSession): void {
  for (
    const record of [
      FIRST,
      part(1, { response: "two\0 ", reasoning: "b" }),
      part(2, { response: "三 ", elapsedMs: 5_000, responseBytes: 900, finishReason: "length" }),
    ]
  ) {
    const { invalid, unplaced } = session.write([record]);
    assert.deepEqual([invalid, unplaced], [[], []]);
  }
}

const WHOLE = "one two\0 三 ";

function partCount(path: string): number {
  return Number(rowsOf(path, "SELECT count(*) AS count FROM record_parts")[0]?.["count"]);
}

Deno.test("a reply under way is read with its parts, whole, in lists, and by a search", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    writeParts(session);
    assert.equal(partCount(path), 2);
    const reader = new ReaderSession(path);
    const stored = reader.record(ID)?.record;
    assert.deepEqual(
      [stored?.response, stored?.reasoning, stored?.body, stored?.outcome],
      [WHOLE, "ab", FIRST.body, "in_flight"],
    );
    assert.deepEqual(
      [stored?.elapsedMs, stored?.responseBytes, stored?.finishReason],
      [5_000, 900, "length"],
    );
    assert.equal(reader.whole({ limit: 5 }).records[0]?.response, WHOLE);
    const [summary] = reader.summaries({ limit: 5 }).records;
    assert.match(summary?.reply ?? "", /^one two.*三$/);
    assert.equal(summary?.elapsedMs, 5_000);
    assert.equal(reader.summaries({ limit: 5, filter: { text: "三" } }).records.length, 1);
    reader.close();
    const database = openDatabase(path);
    assert.equal(database.records.get(ID)?.response, WHOLE);
    database.close();
    session.close();
  });
});

Deno.test("a part that is written again, because nobody knows whether it was committed, is there once", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    writeParts(session);
    session.write([part(2, { response: "三 " })]);
    const reader = new ReaderSession(path);
    assert.equal(reader.record(ID)?.record.response, WHOLE);
    reader.close();
    session.close();
  });
});

const CALLS = [{ id: "c", name: "f", arguments: '{"zebra":1}' }];

Deno.test("calls of tools are read with the part that has the newest of them, and joined when the process has died", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([FIRST]);
    session.write([part(1, { response: "two", toolCalls: [{ id: "c", name: "f", arguments: "{" }] })]);
    session.write([part(2, { response: " three", toolCalls: CALLS })]);
    session.write([part(3, { response: " four" })]);
    const read = () => {
      const reader = new ReaderSession(path);
      const stored = reader.record(ID)?.record;
      const found = reader.summaries({ limit: 5, filter: { text: "zebra" } }).records.length;
      reader.close();
      return [stored?.outcome, stored?.toolCalls, stored?.response, found];
    };
    const response = "one two three four";
    assert.deepEqual(read(), ["in_flight", CALLS, response, 1]);
    byHand(path, "UPDATE records SET instance = 'dead'");
    session.beat();
    assert.equal(partCount(path), 0);
    assert.deepEqual(read(), ["crashed", CALLS, response, 1]);
    session.close();
  });
});

Deno.test("a part writes little, however large the request is", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.write([{ ...FIRST, body: "x".repeat(1_000_000) }]);
    const walBytes = () => Deno.statSync(`${path}-wal`).size;
    const before = walBytes();
    session.write([part(1, { response: "two" })]);
    assert.ok(walBytes() - before < 64 * 1024, `${walBytes() - before} bytes`);
    assert.equal(partCount(path), 1);
    session.close();
  });
});

for (
  const { what, record } of [
    { what: "settled", record: makeRecord({ requestId: ID, response: "all of it" }) },
    { what: "written whole", record: { ...FIRST, response: "all of it" } },
    {
      what: "written whole with another attempt",
      record: { ...FIRST, response: "all of it", attempts: FIRST.attempts.slice(1) },
    },
  ]
) {
  Deno.test(`a reply that is ${what} has no parts any more`, async () => {
    await withDirectory((path) => {
      const session = makeSession(path);
      writeParts(session);
      session.write([record]);
      assert.equal(partCount(path), 0);
      assert.deepEqual(rowsOf(path, "SELECT response FROM records"), [{ response: "all of it" }]);
      session.close();
    });
  });
}

Deno.test("the parts of a reply whose process died are joined in its row, as text", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    writeParts(session);
    byHand(path, "UPDATE records SET instance = 'dead'");
    session.beat();
    assert.equal(partCount(path), 0);
    const reader = new ReaderSession(path);
    const stored = reader.record(ID)?.record;
    assert.deepEqual([stored?.outcome, stored?.response, stored?.reasoning], ["crashed", WHOLE, "ab"]);
    assert.deepEqual([stored?.elapsedMs, stored?.responseBytes, stored?.finishReason], [
      5_000,
      900,
      "length",
    ]);
    reader.close();
    assert.deepEqual(rowsOf(path, "SELECT typeof(response) AS type FROM records"), [{ type: "text" }]);
    // It was alive after all: what it writes next is told to be no part of anything, and then replaces the row.
    assert.deepEqual(session.write([part(3, { response: "four" })]).unplaced, [0]);
    session.write([{ ...FIRST, response: "one two three four" }]);
    assert.deepEqual(rowsOf(path, "SELECT outcome, response FROM records"), [
      { outcome: "in_flight", response: "one two three four" },
    ]);
    session.close();
  });
});

Deno.test("a part of a reply that has no row, has been settled, or is another attempt's, is left out", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    assert.deepEqual(session.write([part(1)]).unplaced, [0]);
    session.write([FIRST]);
    const batch = [makeRecord(), part(1, { attempts: [] }), part(1, { upstreamId: 1 })];
    assert.deepEqual(session.write(batch).unplaced, [1, 2]);
    session.write([makeRecord({ requestId: ID })]);
    assert.deepEqual(session.write([part(1)]).unplaced, [0]);
    assert.equal(partCount(path), 0);
    session.close();
  });
});

Deno.test("RecordQueue says of a part that found no row that it was dropped, and counts no lost record", async () => {
  await withDirectory(async (path) => {
    const { writer, meter } = makeWriter(path);
    assert.equal(await writer.write(part(1)), "dropped");
    assert.equal(await writer.write(FIRST), "committed");
    assert.equal(await writer.write(part(1, { response: "two" })), "committed");
    assert.deepEqual([meter.dropped, meter.troubles], [{}, []]);
    await writer.close();
    assert.deepEqual(rowsOf(path, "SELECT n, response FROM record_parts"), [{ n: 1, response: "two" }]);
  });
});
