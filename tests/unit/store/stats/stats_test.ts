import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { RequestRecord } from "../../../../src/core/types.ts";
import { toGoTime } from "../../../../src/store/database/go_time.ts";
import { KEEP_EVERYTHING } from "../../../../src/store/write/retention.ts";
import { readStats, type RequestStats, type StatsSpan } from "../../../../src/store/stats/reader.ts";
import { WriterSession } from "../../../../src/store/write/session.ts";
import { byHand, makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";

function recent(changes: Partial<RequestRecord> = {}): RequestRecord {
  return makeRecord({ createdAtMs: Date.now(), attempts: [], ...changes });
}

/** Commits the records and does what the thread does when it is idle. */
function write(session: WriterSession, records: readonly RequestRecord[]): void {
  session.write(records);
  while (session.count());
}

function statsOf(path: string, span: StatsSpan = "15m"): RequestStats {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return readStats(db, span, Date.now());
  } finally {
    db.close();
  }
}

Deno.test("a committed record is in the statistics of every span, in its own step", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [
      recent({ elapsedMs: 100, firstTokenMs: 40 }),
      recent({ elapsedMs: 900, firstTokenMs: null }),
    ]);
    const custom = { sinceMs: Date.now() - 3 * 86_400_000, untilMs: Date.now() };
    for (const span of ["15m", "1h", "24h", "7d", "30d", custom] as const) {
      const { total, points, stepMs } = statsOf(path, span);
      assert.equal(total.requests, 2, String(span));
      assert.equal(total.errors, 0);
      assert.deepEqual([total.inputTokens, total.outputTokens], [6, 10]);
      assert.ok(total.p50Ms !== null && Math.abs(total.p50Ms - 100) < 5);
      assert.ok(total.p95Ms !== null && Math.abs(total.p95Ms - 900) < 45);
      assert.ok(total.firstTokenP95Ms !== null && Math.abs(total.firstTokenP95Ms - 40) < 2);
      assert.equal(points.reduce((sum, { requests }) => sum + requests, 0), 2);
      assert.ok(
        points.every(({ atMs }, index) => index === 0 || atMs - (points[index - 1]?.atMs ?? 0) === stepMs),
      );
    }
    session.close();
  });
});

Deno.test("any time of the last month has steps that are kept for it, and at most some two hundred", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const now = Date.now();
    const day = 86_400_000;
    const ages = [0, 0.02, 0.5, 3, 6.5, 20];
    write(session, ages.map((days) => recent({ createdAtMs: now - days * day - 1_000 })));
    const spans: readonly (readonly [StatsSpan, stepMinutes: number, requests: number])[] = [
      ["1h", 1, 2],
      ["24h", 10, 3],
      ["7d", 60, 5],
      ["30d", 360, 6],
      [{ sinceMs: now - 25 * 60_000, untilMs: now }, 1 / 6, 1],
      [{ sinceMs: now - 4 * day, untilMs: now - 2 * day }, 60, 1],
      [{ sinceMs: now - 25 * day, untilMs: now - 10 * day }, 360, 1],
      [{ sinceMs: 0, untilMs: now + day }, 360, 6],
      [{ sinceMs: now - 365 * day, untilMs: now - 364 * day }, 360, 0],
    ];
    for (const [span, stepMinutes, requests] of spans) {
      const { points, stepMs, total, fromMs, toMs } = statsOf(path, span);
      const what = JSON.stringify(span);
      assert.equal(stepMs, stepMinutes * 60_000, what);
      assert.equal(total.requests, requests, what);
      assert.ok(points.length > 0 && points.length <= 200 && fromMs < toMs + 1, what);
    }
    session.close();
  });
});

Deno.test("what an older version kept for a shorter time is shown in the coarser steps that it has", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [recent({ createdAtMs: Date.now() - 3 * 86_400_000 })]);
    session.close();
    byHand(path, `DELETE FROM request_stats WHERE step_seconds = 600 AND at < unixepoch() - ${25 * 3600}`);
    const { total, stepMs } = statsOf(path, "7d");
    assert.deepEqual([total.requests, stepMs], [1, 6 * 3_600_000]);
  });
});

Deno.test("a request counts once: not while it is in flight, and not again when it is settled again", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const record = recent();
    write(session, [{ ...record, outcome: "in_flight", status: 0 }]);
    assert.equal(statsOf(path).total.requests, 0);
    write(session, [record]);
    write(session, [{ ...record, response: "Hello again" }]);
    write(session, [{ ...record, outcome: "in_flight", status: 0 }]);
    assert.equal(statsOf(path).total.requests, 1);
    session.close();
  });
});

Deno.test("errors are failures of the service: neither the client's mistakes nor its departure", async () => {
  const outcomes: [RequestRecord["outcome"], number, number][] = [
    ["complete", 200, 0],
    ["empty", 200, 0],
    ["client_gone", 499, 0],
    ["upstream_error", 400, 0],
    ["upstream_error", 422, 0],
    ["no_upstream", 404, 0],
    ["upstream_error", 502, 1],
    ["upstream_error", 401, 1],
    ["upstream_error", 429, 1],
    ["no_upstream", 503, 1],
    ["upstream_cut", 200, 1],
    ["idle_timeout", 200, 1],
    ["error_event", 200, 1],
    ["crashed", 499, 1],
  ];
  for (const [outcome, status, errors] of outcomes) {
    await withDirectory((path) => {
      const session = makeSession(path);
      write(session, [recent({ outcome, status })]);
      const { total } = statsOf(path);
      assert.deepEqual([total.requests, total.errors], [1, errors], `${outcome} ${status}`);
      session.close();
    });
  }
});

Deno.test("latencies are of requests that were answered: failing fast does not make the service look fast", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [
      recent({ elapsedMs: 1_000 }),
      ...Array.from({ length: 9 }, () => recent({ outcome: "upstream_error", status: 502, elapsedMs: 1 })),
    ]);
    const { p50Ms } = statsOf(path).total;
    assert.ok(p50Ms !== null && Math.abs(p50Ms - 1_000) < 50, String(p50Ms));
    session.close();
  });
});

Deno.test("failed attempts count for their upstream, answers for the one that gave them", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [makeRecord({ createdAtMs: Date.now() }), makeRecord({ createdAtMs: Date.now() })]);
    const { upstreams } = statsOf(path);
    assert.deepEqual(upstreams.map(({ p95Ms: _p95Ms, ...rest }) => rest), [
      { id: 2, requests: 2, failures: 0, attempts: 2, costNano: 0 },
      { id: 1, requests: 0, failures: 2, attempts: 2, costNano: 1_400 },
    ]);
    const [answered, failed] = upstreams.map(({ p95Ms }) => p95Ms ?? 0);
    assert.ok(Math.abs((answered ?? 0) - 1_234) < 1_234 * 0.05, `${answered}`);
    assert.equal(failed, 0);
    session.close();
  });
});

Deno.test("rows that were there before the statistics are counted, newest first, and only once", async () => {
  await withDirectory((path) => {
    makeSession(path).close();
    const nowMs = Date.now();
    const insert = (id: number, ageMs: number, rest: string) =>
      byHand(
        path,
        `INSERT INTO records(id, created_at, status, upstream_id, elapsed_time, outcome, request_id)
          VALUES (${id}, '${toGoTime(nowMs - ageMs)}', ${rest})`,
      );
    insert(1, 40 * 86_400_000, "200, 1, 5000000, NULL, NULL");
    // The Go program's: no outcome, a local time.
    byHand(
      path,
      `INSERT INTO records(id, created_at, status, upstream_id, elapsed_time) VALUES
        (2, '${toGoTime(nowMs + 8 * 3_600_000 - 60_000).replace("+00:00", "+08:00")}', 502, 1, 5000000)`,
    );
    insert(3, 30_000, "200, 1, 250000000, 'complete', 'old-3'");
    insert(4, 20_000, "0, NULL, 250000000, 'in_flight', 'old-4'");
    byHand(path, "UPDATE request_stats_progress SET low = 4; DELETE FROM request_stats");

    const session = makeSession(path);
    write(session, [
      recent({ requestId: "old-3", createdAtMs: nowMs - 30_000 }),
      recent({ requestId: "new" }),
    ]);
    assert.deepEqual(rowsOf(path, "SELECT low FROM request_stats_progress"), [{ low: 0 }]);
    const { total } = statsOf(path, "30d");
    assert.deepEqual([total.requests, total.errors], [3, 1]);
    write(session, [recent({ requestId: "old-4", createdAtMs: nowMs - 20_000 })]);
    assert.equal(statsOf(path, "30d").total.requests, 4);
    session.close();
  });
});

Deno.test("what a dead process left in flight counts when it is marked as crashed", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [recent({ outcome: "in_flight", status: 0 })]);
    byHand(path, "UPDATE records SET instance = 'dead'");
    session.beat();
    const { total } = statsOf(path);
    assert.deepEqual([total.requests, total.errors], [1, 1]);
    session.beat();
    assert.equal(statsOf(path).total.requests, 1);
    session.close();
  });
});

Deno.test("steps that no view shows any more are deleted", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const oldSeconds = Math.floor(Date.now() / 1000) - 3 * 3_600;
    for (const stepSeconds of [10, 600, 21_600]) {
      byHand(
        path,
        `INSERT INTO request_stats(step_seconds, at, upstream_id, requests, errors, failures, input_tokens,
            output_tokens, latencies, first_tokens)
          VALUES (${stepSeconds}, ${oldSeconds}, 1, 1, 0, 0, 0, 0, '{}', '{}')`,
      );
    }
    while (session.count());
    assert.deepEqual(
      rowsOf(path, "SELECT step_seconds FROM request_stats ORDER BY 1").map((row) => row["step_seconds"]),
      [600, 21_600],
    );
    session.close();
  });
});

Deno.test("token counts that no provider can mean do not spoil the sums", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const usage = { inputTokens: -5, outputTokens: 1e300, cachedTokens: null, reasoningTokens: null };
    write(session, [recent({ usage }), recent()]);
    const { total } = statsOf(path);
    assert.equal(total.inputTokens, 3);
    assert.equal(total.outputTokens, 1_000_000_005);
    session.close();
  });
});

Deno.test("what was counted while another program held the lock is in the table when the writer closes", async () => {
  await withDirectory((path) => {
    const session = new WriterSession({
      timeZone: "UTC",
      path,
      durability: "normal",
      instance: "counting",
      pid: Deno.pid,
      busyTimeoutMs: 1,
      retention: KEEP_EVERYTHING,
    });
    session.write([recent()]);
    const lock = new DatabaseSync(path);
    lock.exec("BEGIN IMMEDIATE");
    assert.throws(() => session.count(), /locked/);
    lock.exec("COMMIT");
    lock.close();
    assert.equal(statsOf(path).total.requests, 0);
    session.write([recent()]);
    session.close();
    assert.equal(statsOf(path).total.requests, 2);
  });
});
