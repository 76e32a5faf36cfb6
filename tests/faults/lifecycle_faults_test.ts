/**
 * Refused starts, stops without data loss, and clock jumps.
 */
import { OwnerMemory } from "../../src/core/owned_ids.ts";
import { Affinity } from "../../src/proxy/affinity/affinity.ts";
import { Hedging } from "../../src/proxy/attempt/hedging.ts";
import { Speeds } from "../../src/proxy/attempt/speeds.ts";
import { UpstreamCapacity } from "../../src/proxy/attempt/upstream_capacity.ts";
import { Waiting } from "../../src/proxy/attempt/waiting.ts";
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { createCapture } from "../../src/capture/create.ts";
import { systemClock } from "../../src/server/clock.ts";
import type { Clock } from "../../src/core/clock.ts";
import { NO_PRICES } from "../../src/core/prices.ts";
import type { RequestRecord } from "../../src/core/types.ts";
import { errorForms } from "../../src/http/error_answer.ts";
import { ModelCatalog } from "../../src/core/model_catalog.ts";
import { Metrics } from "../../src/observe/metrics.ts";
import { Proxy } from "../../src/proxy/handler.ts";
import { FetchClient } from "../../src/wire/fetch_client.ts";
import { UpstreamHealth } from "../../src/proxy/attempt/upstream_health.ts";
import { HeldBudget } from "../../src/proxy/assess/held_budget.ts";
import { ReceivingBudget } from "../../src/proxy/receiving_budget.ts";
import { InFlight } from "../../src/proxy/ledger/in_flight.ts";
import { ProgressRows } from "../../src/proxy/ledger/progress_rows.ts";
import { HttpServer } from "../../src/wire/server.ts";
import { FaultTable } from "../support/fault_table.ts";
import { eventually, Router, type RouterOptions, runProgram, TEST_TOKEN } from "../support/router.ts";
import { SmallDisk } from "../support/small_disk.ts";
import {
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  hang,
  LAST_CHUNK,
  silentAfter,
  STREAM_HEAD,
} from "../support/upstream.ts";
import { anUpstream } from "../support/upstream_value.ts";

function hashOf(path: string): string {
  return createHash("sha256").update(Deno.readFileSync(path)).digest("hex");
}

type Undo = void | (() => void | Promise<void>);

interface BadStart {
  readonly name: string;
  /** The expected error line. */
  readonly says: RegExp;
  /** Prepares the directory; returns the cleanup. */
  readonly prepare: (directory: string) => Undo | Promise<Undo>;
  readonly args?: readonly string[];
}

function withDatabase(directory: string, change: (db: DatabaseSync) => void): void {
  const db = new DatabaseSync(`${directory}/db.sqlite`);
  change(db);
  db.close();
}

const BAD_DATABASES: readonly BadStart[] = [
  {
    name: "corrupt: its second half is noise",
    says: /not an intact SQLite database/,
    prepare: (directory) => {
      const bytes = Deno.readFileSync(`${directory}/db.sqlite`);
      for (let at = 100; at < bytes.length; at++) bytes[at] = (at * 31) & 0xff;
      Deno.writeFileSync(`${directory}/db.sqlite`, bytes);
    },
  },
  {
    name: "corrupt: cut in half",
    says: /not an intact SQLite database/,
    prepare: (directory) => {
      const { size } = Deno.statSync(`${directory}/db.sqlite`);
      Deno.truncateSync(`${directory}/db.sqlite`, Math.floor(size / 2));
    },
  },
  {
    name: "no database at all",
    says: /not (an intact|a) SQLite database/,
    prepare: (directory) => Deno.writeTextFileSync(`${directory}/db.sqlite`, "Dear diary, ".repeat(100)),
  },
  {
    name: "foreign: another program's",
    says: /another program's database/,
    prepare: (directory) => {
      Deno.removeSync(`${directory}/db.sqlite`);
      withDatabase(directory, (db) => db.exec("CREATE TABLE albums(id INTEGER PRIMARY KEY, title TEXT)"));
    },
  },
  {
    name: "newer than this program",
    says: /newer version/,
    prepare: (directory) => withDatabase(directory, (db) => db.exec("PRAGMA user_version = 999")),
  },
  {
    name: "to be upgraded, and locked by another process",
    says: /locked/,
    prepare: (directory) => {
      const db = new DatabaseSync(`${directory}/db.sqlite`);
      db.exec("PRAGMA user_version = 1; BEGIN EXCLUSIVE");
      return () => {
        db.exec("ROLLBACK");
        db.close();
      };
    },
  },
];

/** Starts the server under conditions in which it must refuse. */
async function refusal(start: BadStart): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "oar-start-" });
  let undo: Undo = undefined;
  try {
    await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
    withDatabase(directory, (db) => db.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    undo = await start.prepare(directory);
    const database = start.args?.[0] === "--database" ? String(start.args[1]) : `${directory}/db.sqlite`;
    const before = hashOf(database);
    const { code, stdout, stderr } = await runProgram(
      ["serve", "--addr", "127.0.0.1:0", ...(start.args ?? [])],
      { cwd: directory },
    );
    const lines = (stdout + stderr).trim().split("\n");
    assert.match(stderr, start.says);
    const untouched = hashOf(database) === before ? "untouched" : "changed";
    return `exit ${code}, ${lines.length} line, ${untouched}`;
  } finally {
    await undo?.();
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("starts that are refused", async (t) => {
  const table = new FaultTable("Refused starts", t);
  using busy = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const starts: BadStart[] = [
    {
      name: "busy port",
      says: /address is in use/,
      prepare: () => {},
      args: ["--addr", `127.0.0.1:${busy.addr.port}`],
    },
    ...BAD_DATABASES,
  ];
  // All at once: some of them wait five seconds for a lock.
  const refusals = starts.map((start) => ({ start, seen: refusal(start) }));
  for (const { seen } of refusals) seen.catch(() => {});
  const expected = "exit 1, 1 line, untouched";
  for (const { start, seen } of refusals) await table.case(start.name, expected, () => seen);

  const readOnly = { name: "read-only directory", expected, isNeededInCi: true };
  await using disk = await SmallDisk.mount(2048);
  if (disk === null) await table.skip(readOnly, "this user may not mount a tmpfs");
  else {
    await table.case(readOnly.name, expected, () =>
      refusal({
        name: readOnly.name,
        says: /its directory is read-only; make it writable/,
        args: ["--database", `${disk.directory}/db.sqlite`],
        prepare: async (directory) => {
          await Deno.copyFile(`${directory}/db.sqlite`, `${disk.directory}/db.sqlite`);
          await disk.makeReadOnly();
        },
      }));
  }
  table.print();
});

/** Sends SIGTERM until it counts as a second signal: one soon after the first is the same. */
async function signalAgain(router: Router): Promise<void> {
  await eventually(() => {
    if (router.text.includes("stopping now")) return true;
    router.signal("SIGTERM");
    return null;
  }, "the second signal to count");
}

Deno.test("stops", async (t) => {
  const table = new FaultTable("Stops", t);
  await using upstream = new FakeUpstream(hang);
  const upstreams = [{ endpoint: upstream.endpoint, name: "only" }];

  // A process group, npx and the launcher of the npm package send a signal more than once.
  for (const sent of ["SIGTERM", "SIGTERM and SIGINT, twice each,"]) {
    await table.case(`${sent} in the middle of a stream`, "whole, exit 0, complete", async () => {
      const events = chatEvents(["before ", "after"]);
      const { promise: released, resolve: release } = Promise.withResolvers<void>();
      upstream.script = async (_request, wire) => {
        await wire.write(STREAM_HEAD);
        for (const event of events.slice(0, 2)) await wire.write(chunk(event));
        await released;
        for (const event of events.slice(2)) await wire.write(chunk(event));
        await wire.write(LAST_CHUNK);
      };
      await using router = await Router.start({ upstreams });
      const response = await router.chat({ stream: true });
      router.signal("SIGTERM");
      if (sent !== "SIGTERM") {
        for (const name of ["SIGINT", "SIGTERM", "SIGINT"] as const) router.signal(name);
      }
      await eventually(() => router.text.includes("stopping") ? true : null, "the stop");
      await assert.rejects(router.chat());
      release();
      const whole = await response.text() === events.join("") ? "whole" : "not whole";
      const code = await router.exited();
      return `${whole}, exit ${code}, ${router.records()[0]?.outcome}`;
    });
  }

  await table.case("SIGTERM and SIGINT while nothing is open", "exit 0, stopped", async () => {
    await using router = await Router.start({ upstreams });
    await (await fetch(`http://127.0.0.1:${router.port}/healthz`)).body?.cancel();
    for (const name of ["SIGTERM", "SIGINT", "SIGTERM"] as const) router.signal(name);
    const code = await router.exited();
    return `exit ${code}, ${router.text.includes("stopped") ? "stopped" : "killed"}`;
  });

  for (
    const [name, args, signals] of [
      ["a second SIGTERM", [], 2],
      ["--drain-timeout 1 passes", ["--drain-timeout", "1"], 1],
    ] as const
  ) {
    await table.case(
      `${name} in the middle of a stream`,
      "exit 0 long before the 30 s, 20 of 20 with what had arrived, settled",
      async () => {
        upstream.script = silentAfter([
          chatEvent({ role: "assistant", content: "" }),
          chatEvent({ content: "what had arrived" }),
        ]);
        await using router = await Router.start({ upstreams, args });
        const responses = await Promise.all(
          Array.from({ length: 20 }, () => router.chat({ stream: true })),
        );
        const readers = responses.map((response) => response.text().catch(() => "cut"));
        const startedMs = performance.now();
        router.signal("SIGTERM");
        await eventually(() => router.text.includes("stopping") ? true : null, "the stop");
        if (signals === 2) await signalAgain(router);
        const code = await router.exited();
        const stoppedMs = Math.round(performance.now() - startedMs);
        await Promise.all(readers);
        const records = router.query("SELECT response, outcome FROM records");
        const kept = records.filter(({ response }) => response === "what had arrived").length;
        const outcomes = [...new Set(records.map(({ outcome }) => outcome))].join(", ");
        return `exit ${code} ${
          stoppedMs < 20_000 ? "long before the 30 s" : `after ${stoppedMs} ms`
        }, ${kept} of 20 with what had arrived, ${
          outcomes.includes("in_flight") ? "not settled" : "settled"
        }: ${outcomes}, ${stoppedMs} ms`;
      },
    );
  }
  table.print();
});

const FAKETIME_LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

function faketimeLibrary(): string | null {
  const isThere = (path: string) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  };
  return FAKETIME_LIBRARIES.find(isThere) ?? null;
}

Deno.test("clocks that jump by an hour", async (t) => {
  const table = new FaultTable("Clock jumps", t);
  for (const hours of [1, -1]) {
    await table.case(
      `injected clock, ${hours} h in the middle of a request`,
      "200, durations right",
      async () => {
        let jumpMs = 0;
        const clock: Clock = { ...systemClock, now: () => Date.now() + jumpMs };
        const { status, record } = await exchange(clock, () => {
          jumpMs = hours * 3_600_000;
        });
        const durations = [record.elapsedMs, record.firstByteMs, record.attempts[0]?.durationMs];
        const areRight = durations.every((ms) => typeof ms === "number" && ms >= 0 && ms < 60_000);
        return `${status}, durations ${areRight ? "right" : `wrong: ${durations}`}`;
      },
    );
  }

  const system = {
    name: "the system's clock, +1 h and back in the middle of streams (libfaketime)",
    expected: "2 of 2 whole, complete, durations right, cooling kept",
    isNeededInCi: false,
  };
  const library = faketimeLibrary();
  if (library === null) {
    await table.skip(system, "libfaketime is not installed (package faketime)");
  } else {
    await table.case(system.name, system.expected, async () => {
      const directory = await Deno.makeTempDir({ prefix: "oar-clock-" });
      try {
        return await jumpingStreams(library, directory);
      } finally {
        await Deno.remove(directory, { recursive: true });
      }
    });
  }
  table.print();
});

/** Streams during which the system clock appears to jump forward and back. */
async function jumpingStreams(library: string, directory: string): Promise<string> {
  const offsets = ["+1h", "+0"];
  const setOffset = (offset: string) => Deno.writeTextFileSync(`${directory}/offset`, offset);
  setOffset("+0");
  const events = chatEvents(["before ", "after"]);
  let release = () => {};
  await using upstream = new FakeUpstream(async (_request, wire) => {
    const { promise: released, resolve } = Promise.withResolvers<void>();
    release = resolve;
    await wire.write(STREAM_HEAD);
    for (const event of events.slice(0, 2)) await wire.write(chunk(event));
    await released;
    for (const event of events.slice(2)) await wire.write(chunk(event));
    await wire.write(LAST_CHUNK);
  });
  await using cooling = new FakeUpstream(async (_request, wire) => {
    await wire.write("HTTP/1.1 429 Slow\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n");
  });
  const options: RouterOptions = {
    upstreams: [{ endpoint: cooling.endpoint, name: "cooling" }, {
      endpoint: upstream.endpoint,
      name: "good",
    }],
    args: ["--idle-timeout", "30"],
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: `${directory}/offset`,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
  };
  await using router = await Router.start(options);
  let whole = 0;
  const hoursApart: number[] = [];
  for (const offset of offsets) {
    const response = await router.chat({ stream: true });
    setOffset(offset);
    release();
    if (await response.text() === events.join("")) whole++;
    const record = await router.recordOf(response);
    assert.equal(record.outcome, "complete");
    const durations = [
      Number(record.elapsed_time) / 1e6,
      Number(record.first_byte_ms),
      ...router.attempts(record.id).map((attempt) => Number(attempt.duration_ms)),
    ];
    for (const ms of durations) assert.ok(ms >= 0 && ms < 60_000, `a duration of ${ms} ms`);
    hoursApart.push(Math.round(Math.abs(Date.parse(String(record.created_at)) - Date.now()) / 3_600_000));
  }
  // The second stream must begin while the clock is an hour ahead; otherwise there was no jump.
  assert.deepEqual(hoursApart, [0, 1]);
  const kept = cooling.requests.length === 1 ? "kept" : `broken by ${cooling.requests.length} tries`;
  return `${whole} of 2 whole, complete, durations right, cooling ${kept}`;
}

/** One request through the proxy code, with a fake clock; `onSent` runs in the middle of it. */
async function exchange(
  clock: Clock,
  onSent: () => void,
): Promise<{ status: number; record: RequestRecord }> {
  await using server = new FakeUpstream(chatReply("ok"));
  const records: RequestRecord[] = [];
  const sink = {
    write: (record: RequestRecord) => {
      records.push(record);
      return Promise.resolve("committed" as const);
    },
    close: () => Promise.resolve(),
    queuedBytes: 0,
    isStalled: false,
  };
  const upstream = anUpstream(1, { name: "only", endpoint: server.endpoint });
  const progressRows = new ProgressRows(sink, clock);
  const upstreams = new FetchClient(fetch);
  const metrics = new Metrics({ version: "0", deno: "0", databaseBytes: () => 0 });
  const proxy = new Proxy({
    client: {
      send: (request) => {
        onSent();
        return upstreams.send(request);
      },
    },
    clock,
    health: new UpstreamHealth(clock, () => {}),
    observer: metrics,
    sink,
    inFlight: new InFlight(),
    admission: null,
    progressRows,
    onSettled: [],
    errorForms,
    prices: NO_PRICES,
    createCapture: ({ headers, ...options }) =>
      createCapture({ ...options, contentType: headers.get("content-type") }),
    times: { gateMs: 5_000, firstTokenTimeoutMs: 120_000, idleTimeoutMs: 120_000 },
    budget: new HeldBudget(1024 * 1024),
    receiving: new ReceivingBudget(1024 * 1024),
    affinity: new Affinity({
      mode: "off",
      owners: new OwnerMemory(() => null),
      capacity: new UpstreamCapacity(clock),
      clock,
    }),
    hedging: new Hedging({ delay: null, budgetPercent: 5 }),
    waiting: new Waiting({ capacity: new UpstreamCapacity(clock), clock, observer: metrics.capacity }, {
      timeoutMs: 10_000,
      maxQueued: 1_000,
    }),
    speeds: new Speeds(clock),
    retry: { retryOn: "any", finalCodes: new Set(), retrySame: null, retryWaitMs: 5_000, maxAttempts: null },
    gate: "content",
    keepaliveMs: 15_000,
    onGateDegraded: () => {},
    models: { catalog: new ModelCatalog({ maxAgeMs: null }), endpoint: null },
    limits: {
      maxBodyBytes: 1024 * 1024,
      recordBodyLimitBytes: 1024,
      deadlineMs: null,
      clientTimeoutMs: 300_000,
      maxConcurrent: null,
    },
    policy: null,
    newId: () => "01J00000000000000000000000",
    random: Math.random,
  });
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const front = new HttpServer(listener, {
    clock: systemClock,
    handle: (client) =>
      proxy.handle(client, {
        path: "/v1/chat/completions",
        query: "",
        clientIp: "127.0.0.1",
        clientName: null,
        clientToken: null,
        snapshot: {
          version: 1,
          upstreams: [upstream],
          tokens: [],
          clientRules: [],
          adminToken: null,
          policy: null,
          problems: [],
        },
      }),
    refusal: (error) => ({ headers: [], body: new TextEncoder().encode(error.message) }),
    onUnexpected: (error) => assert.fail(String(error)),
  });
  const response = await fetch(`http://127.0.0.1:${listener.addr.port}/v1/chat/completions`, {
    method: "POST",
    body: '{"model":"m"}',
  });
  await response.text();
  front.stop();
  await front.finished;
  progressRows.stop();
  const [record] = records;
  assert.ok(record !== undefined);
  return { status: response.status, record };
}
