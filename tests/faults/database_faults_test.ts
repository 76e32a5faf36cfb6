/**
 * A database that cannot take records: traffic continues, the problem is reported, and writing resumes
 * automatically.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { FaultTable } from "../support/fault_table.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

/**
 * How long a client may wait for a record that cannot be written (250 ms), with a margin for a busy machine.
 */

/** The types of the alerts that arrived, each with its reason. */
function alertsAt(webhook: FakeUpstream): string[] {
  return webhook.requests.flatMap(({ text }) => {
    const { alert } = JSON.parse(text);
    return alert.type === "digest" ? [] : [[alert.type, alert.reason].filter(Boolean).join(" ")];
  });
}

async function alerted(webhook: FakeUpstream, alert: string): Promise<string> {
  return await eventually(() => alertsAt(webhook).find((each) => each === alert) ?? null, `alert ${alert}`);
}

/** Sends this many requests, some at a time; resolves with their ids and the longest wait. */
async function traffic(
  router: Router,
  options: { readonly count: number; readonly width?: number; readonly text?: string },
): Promise<{ answered: number; ids: string[]; slowestMs: number }> {
  const { count, width = 4, text = "hi" } = options;
  const ids: string[] = [];
  let sent = 0;
  let answered = 0;
  let slowestMs = 0;
  await Promise.all(Array.from({ length: width }, async () => {
    while (sent++ < count) {
      const startedMs = performance.now();
      const response = await router.chat({ messages: [{ role: "user", content: text }] });
      const body = await response.text();
      slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      if (response.status === 200 && body.includes('"ok"')) answered++;
      ids.push(response.headers.get("x-oar-request-id") ?? "");
    }
  }));
  return { answered, ids, slowestMs: Math.round(slowestMs) };
}

function recordedOf(router: Router, ids: readonly string[]): number {
  const known = new Set(router.query("SELECT request_id FROM records").map((row) => row.request_id));
  return ids.filter((id) => known.has(id)).length;
}

async function allRecorded(router: Router, ids: readonly string[]): Promise<number> {
  return await eventually(() => {
    const count = recordedOf(router, ids);
    return count === ids.length ? count : null;
  }, `${ids.length} records`);
}

/** The router keeps its database in this directory, and is stopped before the directory is removed. */
async function prepare(directory: string, endpoint: string): Promise<void> {
  await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
  await runProgram(["add", "--no-test", "--key", "sk-test-0123456789", "--endpoint", endpoint], {
    cwd: directory,
  });
}

Deno.test("a database in trouble under load", async (t) => {
  const table = new FaultTable("Database in trouble", t);
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using webhook = new FakeUpstream(reply(200, "{}"));
  const env = { ALERT_WEBHOOK: webhook.endpoint };
  const upstreams = [{ endpoint: upstream.endpoint, name: "only" }];

  const diskFull = {
    name: "disk full (a tmpfs of 8 MiB)",
    expected: "100 answered, alerted, resumed, 100 of 100 recorded, later ones too",
    isNeededInCi: true,
  };
  await using disk = await SmallDisk.mount(8192);
  if (disk === null) {
    await table.skip(diskFull, "this user may not mount a tmpfs");
  } else {
    await table.case(diskFull.name, diskFull.expected, async () => {
      const { directory } = disk;
      await prepare(directory, upstream.endpoint);
      await using router = await Router.start({ directory, env });
      await disk.fill("filler", 300 * 1024);
      const full = await traffic(router, { count: 100, width: 16, text: "x".repeat(20_000) });
      await alerted(webhook, "records_dropped full");
      const queuedBytes = await router.metric("record_queue_bytes");
      const before = recordedOf(router, full.ids);
      assert.ok(queuedBytes > 0 && before < 100);
      await Deno.remove(`${directory}/filler`);
      await alerted(webhook, "records_resumed");
      const recorded = await allRecorded(router, full.ids);
      const later = await traffic(router, { count: 5 });
      await allRecorded(router, later.ids);
      return `${full.answered} answered, alerted, resumed, ${recorded} of 100 recorded, later ones too: ` +
        `${before} recorded and ${queuedBytes} bytes queued when full, slowest answer ${full.slowestMs} ms`;
    });
  }

  await table.case(
    "locked by another process for 3 s",
    "60 answered meanwhile, 60 of 60 recorded",
    async () => {
      await using router = await Router.start({ upstreams, env });
      const other = new DatabaseSync(`${router.directory}/db.sqlite`);
      const ids: string[] = [];
      let answered = 0;
      let slowestMs = 0;
      try {
        other.exec("PRAGMA busy_timeout = 5000; BEGIN EXCLUSIVE");
        const untilMs = performance.now() + 3_000;
        while (performance.now() < untilMs || ids.length < 60) {
          const round = await traffic(router, { count: 5, width: 5 });
          ids.push(...round.ids);
          answered += round.answered;
          slowestMs = Math.max(slowestMs, round.slowestMs);
        }
        assert.equal(recordedOf(router, ids), 0);
      } finally {
        other.exec("ROLLBACK");
        other.close();
      }
      assert.equal(answered, ids.length);
      const recorded = await allRecorded(router, ids);
      return `60 answered meanwhile, ${
        recorded === ids.length ? "60 of 60" : recorded
      } recorded: ${answered} of ${ids.length}, slowest ${slowestMs} ms`;
    },
  );

  for (const isWhole of [true, false]) {
    await table.case(
      `database file deleted while running${isWhole ? ", with its journal" : ""}`,
      "all answered, alerted gone, recreated, later records found, upstreams kept",
      async () => {
        webhook.requests.length = 0;
        await using router = await Router.start({ upstreams, env });
        const early = await traffic(router, { count: 10 });
        await allRecorded(router, early.ids);
        for (const suffix of isWhole ? ["", "-wal", "-shm"] : [""]) {
          await Deno.remove(`${router.directory}/db.sqlite${suffix}`);
        }
        const during = await traffic(router, { count: 40 });
        assert.equal(early.answered + during.answered, 50);
        await alerted(webhook, "records_dropped gone");
        const later = await traffic(router, { count: 10 });
        assert.equal(later.answered, 10);
        await allRecorded(router, later.ids);
        assert.equal(router.query("PRAGMA integrity_check")[0]?.integrity_check, "ok");
        const [kept] = router.query("SELECT count(*) AS n FROM openai_upstreams");
        const lost = during.ids.length - recordedOf(router, during.ids);
        return `all answered, alerted gone, recreated, later records found, upstreams ${
          kept?.n === 1 ? "kept" : "lost"
        }: ${lost} of 40 records that were written meanwhile went with the file`;
      },
    );
  }
  table.print();
});
