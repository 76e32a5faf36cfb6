import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { askApi } from "../support/admin.ts";
import { makeGoDatabase } from "../fixtures/go/fixture.ts";
import { eventually, Router } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  FakeUpstream,
  inTurn,
  refusingEndpoint,
  reply,
  stream,
} from "../support/upstream.ts";

interface Sums {
  readonly requests: number;
  readonly errors: number;
  readonly p50Ms: number | null;
  readonly firstTokenP50Ms: number | null;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

interface Stats {
  readonly stepMs: number;
  readonly points: readonly Sums[];
  readonly total: Sums;
  readonly upstreams: readonly {
    readonly id: number;
    readonly name: string;
    readonly requests: number;
    readonly failures: number;
  }[];
}

function statsOf(router: Router, range = "15m"): Promise<Stats> {
  return askApi<Stats>(router, `/stats?range=${range}`);
}

Deno.test("statistics are correct shortly after traffic, and after a restart", async () => {
  await using upstream = new FakeUpstream(
    inTurn(chatReply("one"), stream(chatEvents(["a", "b"])), reply(500, '{"error":{"message":"no"}}')),
  );
  await using first = await Router.start({
    upstreams: [
      { endpoint: refusingEndpoint(), name: "gone" },
      { endpoint: upstream.endpoint, name: "good" },
    ],
  });
  await (await first.chat()).text();
  await (await first.chat({ stream: true })).text();
  await (await first.chat()).text();

  const check = async (router: Router) => {
    await eventually(
      async () => (await statsOf(router)).total.requests === 3 ? true : null,
      "three requests",
    );
    for (const range of ["15m", "24h", "30d"]) {
      const { total, points, upstreams } = await statsOf(router, range);
      assert.deepEqual([total.requests, total.errors], [3, 1], range);
      assert.deepEqual([total.inputTokens, total.outputTokens], [10, 9]);
      assert.ok(total.p50Ms !== null && total.firstTokenP50Ms !== null);
      assert.equal(points.reduce((sum, { requests }) => sum + requests, 0), 3);
      assert.deepEqual(upstreams.map(({ name, requests, failures }) => [name, requests, failures]), [
        ["good", 3, 1],
        ["gone", 0, 3],
      ]);
    }
  };
  assert.equal((await statsOf(first)).points.length, 90);
  assert.equal((await statsOf(first, "24h")).points.length, 144);
  assert.equal((await statsOf(first, "30d")).points.length, 120);
  await check(first);
  first.signal("SIGTERM");
  assert.equal(await first.exited(), 0);
  await using second = await Router.start({ directory: first.directory });
  await check(second);
});

Deno.test("an old database's records are counted in the background, and stay counted when they are deleted", async () => {
  const directory = await Deno.makeTempDir({ prefix: "oar-go-stats-" });
  try {
    const path = `${directory}/db.sqlite`;
    makeGoDatabase(path);
    const db = new DatabaseSync(path);
    const insert = db.prepare(
      `INSERT INTO records(created_at, model, status, upstream_id, elapsed_time, body, response)
        VALUES (?, 'gpt-4', ?, 1, 2000000000, '"{}"', 'hi')`,
    );
    const DAY_MS = 86_400_000;
    for (let day = 40; day >= 1; day--) {
      const iso = new Date(Date.now() - day * DAY_MS).toISOString();
      insert.run(`${iso.slice(0, 10)} ${iso.slice(11, 23)}000+00:00`, day === 2 ? 502 : 200);
    }
    db.close();
    await using router = await Router.start({ directory, args: ["--keep-days", "5"] });
    await eventually(() => {
      const [row] = router.query("SELECT low FROM request_stats_progress");
      const [left] = router.query("SELECT count(*) AS n FROM records WHERE created_at > '2025'");
      return row?.["low"] === 0 && Number(left?.["n"]) <= 5 ? true : null;
    }, "counting and retention");
    const { total } = await statsOf(router, "30d");
    assert.ok(total.requests >= 4, `${total.requests} requests`);
    assert.equal(total.errors, 1);
    assert.ok(total.p50Ms !== null && Math.abs(total.p50Ms - 2_000) < 100);
    assert.equal((await statsOf(router, "15m")).total.requests, 0);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a request interrupted by a crash counts as an error after the restart", async () => {
  await using upstream = new FakeUpstream(async (request) => await request.closed);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const asked = router.chat().catch(() => null);
  await eventually(
    () => router.query("SELECT 1 FROM records WHERE outcome = 'in_flight'").length > 0 ? true : null,
    "the row in flight",
  );
  assert.equal((await statsOf(router)).total.requests, 0);
  router.signal("SIGKILL");
  await router.exited();
  await asked;
  await using again = await Router.start({ directory: router.directory });
  await eventually(
    async () => (await statsOf(again)).total.errors === 1 ? true : null,
    "the crash to be counted",
  );
  assert.equal((await statsOf(again)).total.requests, 1);
});
