/**
 * `records tail`: each record once, when it has settled.
 */
import assert from "node:assert/strict";
import { follow, Tail } from "../../../src/cli/records/tail.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import type { RecordFilter } from "../../../src/store/store.ts";
import { makeRecord, makeWriter } from "../store/support.ts";
import { assertHarmless, HOSTILE, jsonLines, test } from "./records_support.ts";

test("tail prints the newest settled records, oldest first, and stops", [
  { response: "one" },
  { response: "two" },
  { response: "thr", outcome: "in_flight", status: 0 },
  { response: "four" },
], async ({ do: succeed, run }) => {
  const lines = (await succeed(["tail"])).split("\n");
  assert.deepEqual(lines.map((line) => line.split("  ").at(-1)), ["one", "two", "four"]);
  assert.match(
    lines[0] ?? "",
    /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}#1 {2}200 complete {2}gpt-4o {2}#2 {2}1\.23 s {2}3 > 5 tokens {2}one$/,
  );
  assert.deepEqual(jsonLines(await succeed(["tail", "-n", "2", "--json"])).map(({ id }) => id), [2, 4]);
  assert.deepEqual(
    jsonLines(await succeed(["tail", "--json", "-n", "1", "--text", "two"])).map(({ id }) => id),
    [2],
  );
  assert.equal((await run(["tail", "--client", "nobody"])).err, "no records match");
});

test("a line of tail fits the screen and is harmless", [
  { model: HOSTILE, response: HOSTILE.repeat(20) },
], async ({ do: succeed }) => {
  const line = await succeed(["tail"], { columns: 60 });
  assertHarmless(line);
  assert.ok(line.length <= 60 && !line.includes("\n"), line);
});

const PATIENT: RecordFilter = { text: "pelican", outcome: "complete", status: 2, upstreamId: 2 };

for (const [name, filter] of [["every record", {}], ["only what matches in the end", PATIENT]] as const) {
  test(`following prints ${name} once, when it has settled`, [], async ({ path }) => {
    const { writer } = makeWriter(path);
    const base = makeRecord({ response: "a pelican" });
    const inFlight = (requestId: string) =>
      makeRecord({ requestId, response: "", outcome: "in_flight", status: 0, upstreamId: null });
    await writer.write(inFlight("early"));
    const database = openDatabase(path);
    try {
      const printed: unknown[] = [];
      const tail = new Tail({
        records: database.records,
        filter,
        print: ({ requestId, outcome }) => printed.push(`${requestId} ${outcome}`),
      });
      await tail.begin(10);
      await tail.advance();
      assert.deepEqual(printed, []);
      await writer.write({ ...base, requestId: "settled" });
      await writer.write(inFlight("late"));
      await writer.write({
        ...base,
        requestId: "other",
        response: "a heron",
        status: 500,
        outcome: "upstream_error",
      });
      await tail.advance();
      const isFiltered = filter !== PATIENT ? ["other upstream_error"] : [];
      assert.deepEqual(printed.splice(0), ["settled complete", ...isFiltered]);
      await writer.write({ ...base, requestId: "late" });
      await writer.write({ ...base, requestId: "early" });
      await tail.advance();
      await tail.advance();
      assert.deepEqual(printed, ["early complete", "late complete"]);
    } finally {
      database.close();
      await writer.close();
    }
  });
}

test("following goes on with many records at once", [], async ({ path, write }) => {
  const database = openDatabase(path);
  try {
    let count = 0;
    const tail = new Tail({ records: database.records, filter: {}, print: () => count++ });
    await tail.begin(10);
    await write(...Array.from({ length: 200 }, () => ({})));
    await tail.advance();
    assert.equal(count, 200);
  } finally {
    database.close();
  }
});

Deno.test("follow() looks only after a change, says trouble once, and catches up", async () => {
  const script: (number | Error)[] = [1, 1, 2, new Error("gone"), new Error("gone"), 2, 3];
  const notes: string[] = [];
  const advanced: number[] = [];
  let turn = 0;
  await follow({
    tail: { advance: () => void advanced.push(turn) },
    version: () => {
      const step = script[turn];
      if (typeof step === "number") return step;
      throw step;
    },
    terminal: { note: (line) => void notes.push(line) },
    wait: () => Promise.resolve(++turn < script.length),
  });
  assert.deepEqual(advanced, [0, 2, 6]);
  assert.deepEqual(notes, ["gone; trying on", "the records can be read again"]);
});

Deno.test("follow() looks again at what it could not read", async () => {
  let turn = 0;
  let advanced = 0;
  await follow({
    tail: {
      advance: () => {
        if (turn === 1) throw new Error("locked");
        advanced++;
      },
    },
    version: () => turn === 0 ? 1 : 2,
    terminal: { note: () => {} },
    wait: () => Promise.resolve(++turn < 4),
  });
  assert.equal(advanced, 2);
});
