/** Requests by model and by client, as the writer counts them and the page reads them. */
import assert from "node:assert/strict";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { toGoTime } from "../../../../src/store/database/go_time.ts";
import type { StatsSpan } from "../../../../src/store/stats/reader.ts";
import {
  type ClientTotals,
  readClientTotals,
  readUsage,
  type UsageStats,
} from "../../../../src/store/stats/usage_reader.ts";
import { MAX_STEP_NAMES } from "../../../../src/store/stats/usage_tally.ts";
import { byHand, makeSession, rowsOf, withDirectory } from "../support.ts";
import { reading, recent, write } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const usageOf = (path: string, span: StatsSpan = "15m"): UsageStats =>
  reading(path, (db) => readUsage(db, span, Date.now()));
const totalsOf = (path: string): ClientTotals => reading(path, readClientTotals);

const namesOf = ({ rows }: UsageStats["models"]) => rows.map(({ name, requests }) => [name, requests]);

Deno.test("requests, errors, tokens and latencies are added up by model and by client, for every span", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const usage = { inputTokens: 10, outputTokens: 4, cachedTokens: 6, reasoningTokens: null };
    write(session, [
      recent({ model: "m1", client: "ann", usage, elapsedMs: 100 }),
      recent({ model: "m1", client: "bob", usage: null, elapsedMs: 900 }),
      recent({ model: "m2", client: "ann", usage, status: 502, outcome: "upstream_error" }),
      recent({ model: null, client: null, usage: null, elapsedMs: 20 }),
    ]);
    const custom = { sinceMs: Date.now() - 3 * DAY, untilMs: Date.now() };
    for (const span of ["15m", "1h", "24h", "7d", "30d", custom] as const) {
      const { models, clients, steps, stepMs, sinceMs } = usageOf(path, span);
      assert.equal(sinceMs, null);
      assert.deepEqual(namesOf(models), [["m1", 2], ["m2", 1], [null, 1]], String(span));
      assert.deepEqual(namesOf(clients), [["ann", 2], ["bob", 1], [null, 1]]);
      const [m1, m2] = models.rows;
      assert.deepEqual([m1?.errors, m1?.inputTokens, m1?.outputTokens, m1?.cachedTokens], [0, 10, 4, 6]);
      assert.ok(Math.abs((m1?.p95Ms ?? 0) - 900) < 45);
      assert.deepEqual([m2?.errors, m2?.p95Ms], [1, null]);
      assert.equal(m1?.series.requests.length, steps.length);
      assert.equal(m1.series.requests.reduce((sum, count) => sum + count, 0), 2);
      assert.equal(m1.series.tokens.at(-1), 14);
      assert.ok(steps.every((atMs, index) => index === 0 || atMs - (steps[index - 1] ?? 0) === stepMs));
      assert.ok(steps.length <= 181);
    }
    session.close();
  });
});

Deno.test("names that clients make up fill neither the table nor the page", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const now = Date.now();
    const madeUp = Array.from(
      { length: 500 },
      (_, index) => recent({ createdAtMs: now, model: `made-up-${index}` }),
    );
    write(session, [...madeUp.slice(0, 250)]);
    write(session, [
      ...Array.from({ length: 3 }, () => recent({ createdAtMs: now, model: "real" })),
      ...madeUp.slice(250),
    ]);
    for (const hostile of ["x".repeat(201), "a*", "?", " padded ", "lone\ud800"]) {
      write(session, [recent({ createdAtMs: now, model: hostile })]);
    }
    const { models, clients } = usageOf(path, "30d");
    assert.equal(models.rows.length, 20);
    // The one that is used most has a row although the step was full.
    assert.deepEqual(namesOf(models)[0], ["real", 3]);
    assert.equal(
      models.rows.reduce((sum, { requests }) => sum + requests, models.others?.requests ?? 0),
      508,
    );
    assert.deepEqual(namesOf(clients), [["alice", 508]]);
    assert.equal(clients.others, null);
    const [most] = rowsOf(
      path,
      "SELECT count(*) AS n FROM usage_stats GROUP BY step_seconds, at, dimension ORDER BY 1 DESC",
    );
    assert.ok(Number(most?.["n"]) <= MAX_STEP_NAMES.model + 1);
    session.close();
  });
});

Deno.test("hostile names of models come back as they were", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const names = ["a\0b", "\u202Egpt", "'; DROP TABLE records; --", "模型", "a\nb"];
    write(session, names.map((model) => recent({ model })));
    assert.deepEqual(new Set(usageOf(path).models.rows.map(({ name }) => name)), new Set(names));
    session.close();
  });
});

Deno.test("a client's figures outlast its records, and grow with each request", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const now = Date.now();
    write(session, [recent({ createdAtMs: now - 40 * DAY }), recent({ createdAtMs: now - HOUR })]);
    write(session, [recent({ createdAtMs: now - 2 * HOUR, status: 502, outcome: "upstream_error" })]);
    byHand(path, "DELETE FROM records; DELETE FROM attempts");
    const { clients, sinceMs } = totalsOf(path);
    assert.equal(sinceMs, null);
    assert.deepEqual(clients, [{
      client: "alice",
      requests: 3,
      errors: 1,
      inputTokens: 9,
      outputTokens: 15,
      cachedTokens: 0,
      costNano: 0,
      unpriced: 2,
      estimatedTokens: 0,
      lastUsedMs: now - HOUR,
    }]);
    session.close();
  });
});

Deno.test("records that were there before the upgrade are counted, and until then it says since when", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const now = Date.now();
    write(session, [
      recent({ createdAtMs: now - 2 * HOUR }),
      recent({ createdAtMs: now - HOUR, client: "bob" }),
    ]);
    session.close();
    byHand(
      path,
      `DROP TABLE usage_stats; DROP TABLE client_totals; DROP TABLE usage_progress; PRAGMA user_version = 7;
        INSERT INTO records(created_at, model, status, client) VALUES ('${
        toGoTime(now - 40 * DAY)
      }', 'old', 200, 'eve')`,
    );
    openDatabase(path).close();
    assert.deepEqual(usageOf(path, "24h").models.rows, []);
    assert.ok(Math.abs((usageOf(path, "24h").sinceMs ?? 0) - now) < 60_000);

    const again = makeSession(path);
    // A new request counts before the others have been.
    again.write([recent({ client: "carol" })]);
    while (again.count());
    const { sinceMs, clients } = usageOf(path, "24h");
    assert.equal(sinceMs, null);
    assert.deepEqual(new Set(clients.rows.map(({ name }) => name)), new Set(["alice", "bob", "carol"]));
    const totals = totalsOf(path);
    assert.equal(totals.sinceMs, null);
    assert.equal(totals.clients.find(({ client }) => client === "alice")?.requests, 1);
    again.close();
    // Once more by hand, as after a `.dump`: nothing is counted twice.
    byHand(path, "PRAGMA user_version = 0");
    openDatabase(path).close();
    const last = makeSession(path);
    while (last.count());
    assert.equal(totalsOf(path).clients.find(({ client }) => client === "alice")?.requests, 1);
    last.close();
  });
});

Deno.test("a request that was under way during the upgrade counts once", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const request = recent({ outcome: "in_flight" });
    write(session, [request, recent({ client: "bob" })]);
    byHand(
      path,
      "DELETE FROM usage_stats; DELETE FROM client_totals; UPDATE usage_progress SET low = 2, since_ms = 1",
    );
    session.close();
    const again = makeSession(path);
    write(again, [{ ...request, outcome: "complete" }]);
    assert.deepEqual(namesOf(usageOf(path).clients).toSorted(), [["alice", 1], ["bob", 1]]);
    again.close();
  });
});

Deno.test("steps that are too old are deleted, and so are the clients that were not seen for longest", async () => {
  await withDirectory((path) => {
    const session = makeSession(path);
    const nowSeconds = Math.floor(Date.now() / 1000);
    for (
      const [stepSeconds, ageSeconds] of [[10, 5_000], [600, 30 * 3_600], [3_600, 9 * 86_400], [
        21_600,
        32 * 86_400,
      ], [86_400, 402 * 86_400]] as const
    ) {
      byHand(
        path,
        `INSERT INTO usage_stats(step_seconds, at, dimension, is_rest, name,
            requests, errors, input_tokens, output_tokens, cached_tokens, latencies)
          VALUES (${stepSeconds}, ${nowSeconds - ageSeconds}, 'model', 0, 'm', 1, 0, 0, 0, 0, '{}')`,
      );
    }
    byHand(
      path,
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1010)
        INSERT INTO client_totals(client, requests, errors, input_tokens, output_tokens, cached_tokens,
            last_used_ms)
          SELECT 'c' || i, 1, 0, 0, 0, 0, i FROM n`,
    );
    while (session.count());
    assert.deepEqual(rowsOf(path, "SELECT * FROM usage_stats"), []);
    assert.deepEqual(rowsOf(path, "SELECT count(*) AS n, min(last_used_ms) AS oldest FROM client_totals"), [
      { n: 1_000, oldest: 11 },
    ]);
    session.close();
  });
});
