import assert from "node:assert/strict";
import { isCheckOf } from "../../../../src/store/config/upstream_checks.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import type { UpstreamStateNote } from "../../../../src/store/store.ts";
import {
  brokenWorker,
  byHand,
  makeRecord,
  makeSession,
  makeWriter,
  rowsOf,
  spawnWriterWorker,
  until,
  withDirectory,
} from "../support.ts";

function makeNote(upstreamId: number, changes: Partial<UpstreamStateNote> = {}): UpstreamStateNote {
  return {
    upstreamId,
    state: "open",
    untilMs: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    reason: "HTTP 503",
    changedAtMs: Date.UTC(2026, 0, 2, 3, 3, 35, 678),
    ...changes,
  };
}

function rowCount(path: string): number {
  return rowsOf(path, "SELECT * FROM upstream_states").length;
}

Deno.test("what the writer was told of upstreams is seen by others until it is cleared or the writer closes", async () => {
  await withDirectory(async (path) => {
    const database = openDatabase(path);
    const { writer, upstreamStates } = makeWriter(path);
    upstreamStates.note(makeNote(1));
    upstreamStates.note(makeNote(2));
    upstreamStates.note(makeNote(1, { state: "half_open", untilMs: null }));
    upstreamStates.clear((id) => id === 2);
    const expected = [makeNote(1, { state: "half_open", untilMs: null })];
    await until(() => database.config.listUpstreamStates()[0]?.state === "half_open", "the state is seen");
    await until(() => rowCount(path) === 1, "the other is cleared");
    assert.deepEqual(database.config.listUpstreamStates(), expected);
    await writer.close();
    assert.equal(rowCount(path), 0);
    database.close();
  });
});

Deno.test("a note of failed attempts alone is seen, and a closed breaker without them is not", async () => {
  await withDirectory(async (path) => {
    const database = openDatabase(path);
    const { writer, upstreamStates } = makeWriter(path);
    const degraded = makeNote(1, {
      state: "closed",
      untilMs: null,
      reason: "",
      failures: { attempts: 20, failed: 9 },
    });
    upstreamStates.note(degraded);
    upstreamStates.note(makeNote(2, { failures: { attempts: 30, failed: 29 } }));
    upstreamStates.note(makeNote(3, { state: "closed" }));
    await until(() => rowCount(path) === 3, "the notes are written");
    assert.deepEqual(database.config.listUpstreamStates(), [
      degraded,
      makeNote(2, { failures: { attempts: 30, failed: 29 } }),
    ]);
    await writer.close();
    database.close();
  });
});

Deno.test("a check holds for one key and endpoint; what the statistics know holds for any, until there is a check", async () => {
  await withDirectory((path) => {
    makeSession(path).close();
    const database = openDatabase(path);
    const { config } = database;
    const [one, two, used] = [1, 2, 3].map((id) => ({
      id,
      sk: `sk-${id}`,
      endpoint: "https://a.example/v1",
    }));
    assert.ok(one !== undefined && two !== undefined && used !== undefined);
    config.noteUpstreamCheck(one);
    const stats = (id: number, latencies: string) =>
      byHand(
        path,
        `INSERT INTO request_stats(step_seconds, at, upstream_id, requests, errors, failures, input_tokens,
        output_tokens, latencies, first_tokens) VALUES (21600, 0, ${id}, 1, 0, 0, 0, 0, '${latencies}', '{}')`,
      );
    stats(2, "{}");
    stats(3, '{"40":1}');
    const isTested = (upstream: typeof one) => isCheckOf(config.listUpstreamChecks(), upstream);
    assert.deepEqual([one, two, used].map(isTested), [true, false, true]);
    assert.equal(isTested({ ...one, sk: "sk-new" }), false);
    assert.equal(isTested({ ...one, endpoint: "https://b.example/v1" }), false);
    config.noteUpstreamCheck(used);
    config.noteUpstreamCheck({ ...one, sk: "sk-new" });
    assert.deepEqual([isTested({ ...used, sk: "sk-new" }), isTested(one)], [false, false]);
    assert.equal(isTested({ ...one, sk: "sk-new" }), true);
    assert.doesNotMatch(JSON.stringify(rowsOf(path, "SELECT * FROM upstream_checks")), /sk-|example/);
    database.close();
  });
});

Deno.test("a thread that takes the place of one that died gets the notes", async () => {
  await withDirectory(async (path) => {
    let count = 0;
    const { writer, upstreamStates } = makeWriter(path, {
      spawnWorker: () => count++ === 0 ? brokenWorker() : spawnWriterWorker(),
    });
    upstreamStates.note(makeNote(1));
    await writer.write(makeRecord());
    await until(() => rowCount(path) === 1, "the note is written");
    await writer.close();
  });
});

Deno.test("the latest note counts when two servers have one", async () => {
  await withDirectory((path) => {
    const sessions = [makeSession(path), makeSession(path)] as const;
    for (const session of sessions) session.beat();
    sessions[0].noteUpstreamStates([makeNote(1, { changedAtMs: 2_000, reason: "later" })]);
    sessions[1].noteUpstreamStates([makeNote(1, { changedAtMs: 1_000, reason: "earlier" })]);
    const database = openDatabase(path);
    assert.deepEqual(database.config.listUpstreamStates().map(({ reason }) => reason), ["later"]);
    sessions[0].close();
    assert.deepEqual(database.config.listUpstreamStates().map(({ reason }) => reason), ["earlier"]);
    sessions[1].close();
    assert.equal(rowCount(path), 0);
    database.close();
  });
});

Deno.test("the notes of a dead server are not shown, and the next server deletes them", async () => {
  await withDirectory((path) => {
    const database = openDatabase(path);
    byHand(
      path,
      `INSERT INTO instances(id, heartbeat_at) VALUES ('dead', '2026-01-01 00:00:00.000000+00:00');
      INSERT INTO upstream_states(upstream_id, instance, state) VALUES (1, 'dead', 'open'), (2, 'never there', 'open')`,
    );
    assert.deepEqual(database.config.listUpstreamStates(), []);
    const session = makeSession(path);
    session.beat();
    assert.equal(rowCount(path), 0);
    session.close();
    database.close();
  });
});

Deno.test("a heartbeat brings back notes that were lost", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    session.beat();
    session.noteUpstreamStates([makeNote(1)]);
    byHand(path, "DELETE FROM instances; DELETE FROM upstream_states");
    session.beat();
    assert.equal(rowCount(path), 1);
    session.close();
  });
});
