/** Sums of money: what is counted as spent, where, and for how long it can be read. */
import assert from "node:assert/strict";
import type { Attempt, RequestRecord } from "../../../../src/core/types.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { readStats } from "../../../../src/store/stats/reader.ts";
import {
  readCosts,
  readUsage,
  type UsageStats,
  type UsageTable,
} from "../../../../src/store/stats/usage_reader.ts";
import { byHand, makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";
import { reading, recent, write } from "./support.ts";

const DAY = 86_400_000;

function costsOf(path: string, days = 1): UsageStats {
  const nowMs = Date.now();
  const span = { sinceMs: nowMs - (days - 1) * DAY, untilMs: nowMs };
  return reading(path, (db) => readCosts(db, span, nowMs));
}

const spent = ({ rows }: UsageTable) => rows.map(({ name, costNano }) => [name, costNano]);
const sumOf = ({ rows, others }: UsageTable) =>
  [...rows, ...(others === null ? [] : [others])].reduce((sum, { costNano }) => sum + costNano, 0);

function attempt(changes: Partial<Attempt>): Attempt {
  const [first] = makeRecord().attempts;
  assert.ok(first !== undefined);
  return { ...first, ...changes };
}

Deno.test("costs add up by model, client, upstream and day, and are the same in every table", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const nowMs = Date.now();
    write(session, [
      recent({ createdAtMs: nowMs, model: "m1", client: "ann", upstreamId: 1, costNano: 31_500_000 }),
      recent({ createdAtMs: nowMs, model: "m1", client: "bob", upstreamId: 2, costNano: 1 }),
      recent({ createdAtMs: nowMs, model: "m2", client: "ann", upstreamId: 2, costNano: 500 }),
      recent({ createdAtMs: nowMs, model: "m2", client: null, upstreamId: 2, costNano: 0 }),
    ]);
    const { models, clients, upstreams } = costsOf(path);
    assert.deepEqual(spent(clients), [["ann", 31_500_500], ["bob", 1], [null, 0]]);
    assert.deepEqual(spent(models), [["m1", 31_500_001], ["m2", 500]]);
    assert.deepEqual(spent(upstreams), [["1", 31_500_000], ["2", 501]]);
    assert.deepEqual(clients.rows[0]?.series.costNano, [31_500_500]);
    const stats = reading(path, (db) => readStats(db, "15m", nowMs));
    assert.deepEqual([stats.total.costNano, stats.total.unpriced], [31_500_501, 0]);
    assert.deepEqual(stats.upstreams.map(({ id, costNano }) => [id, costNano]), [[2, 501], [1, 31_500_000]]);
    for (const span of ["15m", "1h", "24h", "7d", "30d"] as const) {
      const usage = reading(path, (db) => readUsage(db, span, nowMs));
      for (const table of [usage.models, usage.clients, usage.upstreams]) {
        assert.equal(sumOf(table), 31_500_501);
      }
    }
    session.close();
  });
});

Deno.test("what a failed attempt cost is its upstream's, and the rest that of the one that answered", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [recent({
      upstreamId: 2,
      costNano: 1_000,
      attempts: [
        attempt({ index: 1, upstreamId: 1, errorClass: "bad_stream", costNano: 300 }),
        attempt({ index: 2, upstreamId: 3, errorClass: "hedge_lost", costNano: null }),
        attempt({ index: 3, upstreamId: 2, errorClass: null, costNano: 700 }),
      ],
    })]);
    assert.deepEqual(spent(costsOf(path).upstreams), [["2", 700], ["1", 300]]);
    const stats = reading(path, (db) => readStats(db, "15m", Date.now()));
    assert.deepEqual(stats.upstreams.map(({ id, costNano }) => [id, costNano]), [[2, 700], [1, 300]]);
    // No upstream answered: all of it is that of the attempts.
    write(session, [recent({
      upstreamId: null,
      status: 502,
      outcome: "upstream_error",
      costNano: 50,
      attempts: [attempt({ upstreamId: 1, costNano: 50 })],
    })]);
    assert.deepEqual(spent(costsOf(path).upstreams), [["2", 700], ["1", 350], [null, 0]]);
    session.close();
  });
});

Deno.test("attempts that claim more than their request cost do not make a sum negative", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [
      recent({ upstreamId: 2, costNano: 10, attempts: [attempt({ upstreamId: 1, costNano: 900 })] }),
      recent({ upstreamId: 2, costNano: -5 }),
      recent({ upstreamId: 2, costNano: Number.MAX_SAFE_INTEGER }),
    ]);
    const { upstreams, clients } = costsOf(path);
    assert.deepEqual(spent(upstreams), [["2", 1e15], ["1", 10]]);
    assert.equal(sumOf(clients), sumOf(upstreams));
    session.close();
  });
});

Deno.test("a request without a known cost is counted as one, but look-ups and refusals are not", async () => {
  const cases: readonly (readonly [Partial<RequestRecord>, unpriced: number])[] = [
    [{}, 1],
    [{ costNano: 0 }, 0],
    [{ outcome: "client_gone", status: 499 }, 1],
    [{ outcome: "upstream_cut", status: 200 }, 1],
    [{ path: "/v1/embeddings", isStream: false }, 1],
    [{ path: "/openai/deployments/d/chat/completions" }, 1],
    [{ outcome: "client_gone", status: 499, upstreamId: null }, 0],
    [{ outcome: "no_upstream", status: 503, upstreamId: null }, 0],
    [{ outcome: "upstream_error", status: 429 }, 0],
    [{ method: "GET", path: "/v1/models", model: null }, 0],
    [{ method: "GET", path: "/v1/responses/resp_1" }, 0],
    [{ path: "/v1/files", model: null }, 0],
    [{ path: "/v1/messages/count_tokens" }, 0],
    [{ path: "/v1/moderations" }, 0],
  ];
  for (const [changes, unpriced] of cases) {
    await withDirectory((path) => {
      const session = makeSession(path);
      write(session, [recent({ costNano: null, ...changes })]);
      assert.equal(costsOf(path).clients.rows[0]?.unpriced, unpriced, JSON.stringify(changes));
      assert.deepEqual(costsOf(path).clients.rows[0]?.series.unpriced, [unpriced]);
      session.close();
    });
  }
});

Deno.test("of a request whose cost is not known as a whole, what its failed attempts cost is counted", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    write(session, [recent({ costNano: null, attempts: [attempt({ upstreamId: 1, costNano: 40 })] })]);
    const { clients, upstreams } = costsOf(path);
    assert.deepEqual(clients.rows.map(({ costNano, unpriced }) => [costNano, unpriced]), [[40, 1]]);
    assert.deepEqual(spent(upstreams), [["1", 40], ["2", 0]]);
    session.close();
  });
});

Deno.test("estimated tokens are apart from reported ones, in every table", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const usage = { inputTokens: 10, outputTokens: 4, cachedTokens: 2, reasoningTokens: null };
    write(session, [recent({ usage }), recent({ usage, areTokensEstimated: true })]);
    const { clients } = costsOf(path);
    const [row] = clients.rows;
    assert.deepEqual(
      [row?.inputTokens, row?.outputTokens, row?.cachedTokens, row?.estimatedTokens],
      [10, 4, 2, 14],
    );
    assert.deepEqual(row?.series.tokens, [14]);
    const { total } = reading(path, (db) => readStats(db, "15m", Date.now()));
    assert.deepEqual([total.inputTokens, total.outputTokens, total.estimatedTokens], [10, 4, 14]);
    assert.deepEqual(rowsOf(path, "SELECT input_tokens, estimated_tokens FROM client_totals"), [
      { input_tokens: 10, estimated_tokens: 14 },
    ]);
    session.close();
  });
});

Deno.test("days are kept for more than a year, long after the records and the finer steps", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const nowMs = Date.now();
    write(
      session,
      [0, 1, 40, 364, 399].map((days) => recent({ createdAtMs: nowMs - days * DAY, costNano: 5 })),
    );
    byHand(path, "DELETE FROM records; DELETE FROM attempts");
    const year = costsOf(path, 365);
    assert.equal(year.steps.length, 365);
    assert.equal(year.steps.at(-1), nowMs - nowMs % DAY);
    assert.equal(sumOf(year.clients), 20);
    assert.equal(year.clients.rows[0]?.series.costNano[0], 5);
    assert.equal(sumOf(costsOf(path, 400).clients), 25);
    assert.equal(sumOf(costsOf(path, 2).clients), 10);
    const all = reading(path, (db) => readCosts(db, { sinceMs: 0, untilMs: nowMs + 10 * DAY }, nowMs));
    assert.ok(all.steps.length <= 402, `${all.steps.length}`);
    assert.equal(sumOf(all.upstreams), 25);
    session.close();
  });
});

Deno.test("those that cost most are shown by themselves, the others together", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const nowMs = Date.now();
    // A day holds 100 clients: over two days there are more.
    const clients = Array.from(
      { length: 150 },
      (_, index) => recent({ createdAtMs: nowMs - (index % 2) * DAY, client: `c${index}`, costNano: index }),
    );
    write(session, clients);
    const { clients: table } = costsOf(path, 2);
    assert.equal(table.rows.length, 100);
    assert.deepEqual(spent(table)[0], ["c149", 149]);
    assert.equal(sumOf(table), 149 * 150 / 2);
    session.close();
  });
});

Deno.test("what was counted before there were costs is without a price, and its days are there", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const nowMs = Date.now();
    write(session, [
      recent({ createdAtMs: nowMs, upstreamId: 7 }),
      recent({ createdAtMs: nowMs - 20 * DAY, status: 502, outcome: "upstream_error", upstreamId: null }),
    ]);
    session.close();
    const drop = ["request_stats", "usage_stats", "client_totals"].flatMap((table) =>
      ["cost_nano", "unpriced", "estimated_tokens"].map((name) => `ALTER TABLE ${table} DROP COLUMN ${name}`)
    );
    byHand(
      path,
      `${drop.join("; ")}; DELETE FROM usage_stats WHERE step_seconds = 86400 OR dimension = 'upstream';
        PRAGMA user_version = 0`,
    );
    openDatabase(path).close();
    const before = costsOf(path, 30);
    assert.deepEqual(before.clients.rows.map(({ name, requests, unpriced }) => [name, requests, unpriced]), [
      ["alice", 2, 1],
    ]);
    assert.deepEqual(
      before.upstreams.rows.map(({ name, requests, unpriced }) => [name, requests, unpriced]),
      [
        ["7", 1, 1],
        [null, 1, 0],
      ],
    );
    for (const span of ["15m", "1h", "24h", "7d", "30d"] as const) {
      const { upstreams } = reading(path, (db) => readUsage(db, span, nowMs));
      assert.deepEqual(upstreams.rows.map(({ name, requests }) => [name, requests])[0], ["7", 1], span);
    }
    // Once more by hand, as after a `.dump`: nothing is counted twice.
    byHand(path, "PRAGMA user_version = 0");
    openDatabase(path).close();
    assert.deepEqual({ ...costsOf(path, 30), toMs: before.toMs }, before);
  });
});
