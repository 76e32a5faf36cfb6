import assert from "node:assert/strict";
import type { Attempt, ErrorClass } from "../../../src/core/types.ts";
import { Metrics, type MetricsOptions } from "../../../src/observe/metrics.ts";
import { record } from "./fixtures.ts";

const USAGE = { inputTokens: 10, outputTokens: 5, cachedTokens: 4, reasoningTokens: null };

function newMetrics(options: Partial<MetricsOptions> = {}): Metrics {
  return new Metrics({ version: "1.0.0", deno: "2.9.6", databaseBytes: () => 4096, ...options });
}

function attempt(upstreamName: string, errorClass: ErrorClass | null): Attempt {
  return {
    index: 1,
    upstreamId: 1,
    upstreamName,
    startedAtMs: 0,
    durationMs: 1,
    status: null,
    errorClass,
    message: null,
    partial: null,
    keyN: null,
    isChanged: false,
  };
}

/** Sample lines without the program's prefix. */
async function lines(metrics: Metrics): Promise<string[]> {
  const { body } = await metrics.render();
  return body.split("\n").map((line) => line.replace(/^openai_api_route_/, ""));
}

async function assertLine(metrics: Metrics, expected: string): Promise<void> {
  const all = await lines(metrics);
  const name = expected.split(/[{ ]/)[0] ?? "";
  assert.ok(
    all.includes(expected),
    `${expected}\nnot in\n${all.filter((line) => line.startsWith(name)).join("\n")}`,
  );
}

function mixedTraffic(metrics: Metrics): void {
  metrics.upstreamsChanged(["a", 'odd "name"\\\n']);
  metrics.requestStarted();
  metrics.requestSettled("chat", record({ usage: USAGE }), "a");
  metrics.requestStarted();
  metrics.requestSettled(
    "models",
    record({ model: null, isStream: false, firstTokenMs: null }),
    'odd "name"\\\n',
  );
  metrics.requestRefused(403, "invalid_authorization");
  metrics.attemptEnded(attempt("a", null));
  metrics.attemptEnded(attempt("a", "timeout"));
  metrics.failedOver("a", "timeout");
  metrics.upstreamState("a", "open");
  metrics.recordWritten(2);
  metrics.recordDropped("disk_full", 1);
  metrics.recordCommitted(0.2);
  metrics.recordQueue(77);
  metrics.recordAckLate();
  metrics.recordsDeleted("keep_days", 3);
  metrics.bodiesDeleted(4);
  metrics.alertSent("feishu", "ok");
}

Deno.test("render() has every metric, with its labels", async () => {
  const metrics = newMetrics();
  mixedTraffic(metrics);
  metrics.requestStarted();
  const { contentType } = await metrics.render();
  assert.equal(contentType, "text/plain; version=0.0.4; charset=utf-8");
  for (
    const line of [
      'requests_total{kind="chat",model="gpt-4o",status="200",outcome="complete"} 1',
      'requests_total{kind="models",model="none",status="200",outcome="complete"} 1',
      'request_duration_seconds_bucket{le="1",kind="chat",is_stream="true"} 0',
      'request_duration_seconds_bucket{le="2.5",kind="chat",is_stream="true"} 1',
      'request_duration_seconds_bucket{le="600",kind="chat",is_stream="true"} 1',
      'request_duration_seconds_sum{kind="chat",is_stream="true"} 1.2344000000000002',
      'first_token_seconds_sum{upstream="a"} 0.2',
      'first_token_seconds_bucket{le="600",upstream="a"} 1',
      'tokens_total{upstream="a",model="gpt-4o",type="input"} 10',
      'tokens_total{upstream="a",model="gpt-4o",type="output"} 5',
      'tokens_total{upstream="a",model="gpt-4o",type="cached"} 4',
      'attempts_total{upstream="a",result="ok"} 1',
      'attempts_total{upstream="a",result="timeout"} 1',
      'failovers_total{upstream="a",reason="timeout"} 1',
      'upstream_state{upstream="a",state="open"} 1',
      'upstream_state{upstream="a",state="closed"} 0',
      'upstream_state{upstream="a",state="half_open"} 0',
      "in_flight_requests 1",
      "records_written_total 2",
      'records_deleted_total{reason="keep_days"} 3',
      "bodies_deleted_total 4",
      'records_dropped_total{reason="disk_full"} 1',
      "record_queue_bytes 77",
      'record_commit_seconds_bucket{le="0.0001"} 0',
      'record_commit_seconds_bucket{le="0.00025"} 1',
      "record_ack_late_total 1",
      'requests_refused_total{status="403",reason="invalid_authorization"} 1',
      "db_bytes 4096",
      'alerts_total{channel="feishu",result="ok"} 1',
      'build_info{version="1.0.0",deno="2.9.6"} 1',
    ]
  ) {
    await assertLine(metrics, line);
  }
  assert.ok(!(await lines(metrics)).some((line) => line.includes("reasoning")));
});

Deno.test("the process metrics have their conventional names and plausible values", async () => {
  const { body } = await newMetrics().render();
  const value = (name: string) => Number(new RegExp(`^${name} (.+)$`, "m").exec(body)?.[1]);
  assert.ok(value("process_cpu_seconds_total") > 0);
  assert.ok(value("process_resident_memory_bytes") > 1e6);
  assert.ok(Math.abs(value("process_start_time_seconds") - performance.timeOrigin / 1000) < 1);
  if (Deno.build.os === "linux") {
    assert.ok(value("process_open_fds") > 2);
    assert.ok(value("process_max_fds") > 2);
  }
});

Deno.test("a value that cannot be read has no sample, and the scrape still works", async () => {
  const fail = (): never => {
    throw new Error("not here");
  };
  const metrics = newMetrics({
    databaseBytes: fail,
    process: {
      cpuSeconds: fail,
      residentMemoryBytes: () => NaN,
      startTimeSeconds: 1,
      openFds: () => null,
      maxFds: fail,
    },
  });
  const { body } = await metrics.render();
  assert.doesNotMatch(body, /^(openai_api_route_db_bytes|process_(cpu|resident|open|max)\w*) /m);
  assert.match(body, /^process_start_time_seconds 1$/m);
});

Deno.test("a sample comes back when its value can be read again", async () => {
  let isBroken = true;
  const metrics = newMetrics({
    databaseBytes: () => {
      if (isBroken) throw new Error("locked");
      return 7;
    },
  });
  await metrics.render();
  isBroken = false;
  await assertLine(metrics, "db_bytes 7");
});

Deno.test("two instances share nothing", async () => {
  const [a, b] = [newMetrics(), newMetrics()];
  a.recordWritten(1);
  await assertLine(a, "records_written_total 1");
  await assertLine(b, "records_written_total 0");
});

Deno.test("the model label holds 100 distinct models, then `other`, in all metrics together", async () => {
  const metrics = newMetrics();
  for (let i = 0; i < 250; i++) {
    metrics.requestSettled("chat", record({ model: `m${i}`, usage: USAGE }), "a");
  }
  metrics.requestSettled("chat", record({ model: "m3" }), "a");
  const all = await lines(metrics);
  const models = new Set(all.flatMap((line) => /model="([^"]*)"/.exec(line)?.[1] ?? []));
  assert.equal(models.size, 101);
  await assertLine(metrics, 'requests_total{kind="chat",model="other",status="200",outcome="complete"} 150');
  await assertLine(metrics, 'requests_total{kind="chat",model="m3",status="200",outcome="complete"} 2');
  await assertLine(metrics, 'tokens_total{upstream="a",model="other",type="input"} 1500');
});

for (
  const [name, model] of [
    ["longer than 100 characters", "m".repeat(101)],
    ["with a line break", "a\nb"],
    ["with a terminal escape", "\u001b[31mred"],
    ["that is not Unicode", "\ud800"],
  ] as const
) {
  Deno.test(`a model ${name} is counted as \`other\``, async () => {
    const metrics = newMetrics();
    metrics.requestSettled("chat", record({ model }), "a");
    await assertLine(metrics, 'requests_total{kind="chat",model="other",status="200",outcome="complete"} 1');
  });
}

Deno.test("a removed upstream's series are removed, and a request that ends later does not bring them back", async () => {
  const metrics = newMetrics();
  mixedTraffic(metrics);
  metrics.upstreamsChanged(["b"]);
  metrics.requestSettled("chat", record({ usage: USAGE }), "a");
  metrics.attemptEnded(attempt("a", null));
  metrics.failedOver("a", "timeout");
  metrics.upstreamState("a", "open");
  const all = await lines(metrics);
  assert.deepEqual(all.filter((line) => line.includes('upstream="a"')), []);
  assert.deepEqual(all.filter((line) => line.includes('upstream="odd')), []);
  await assertLine(metrics, 'upstream_state{upstream="b",state="closed"} 1');
});

Deno.test("whether an upstream is degraded is shown until it is removed", async () => {
  const metrics = newMetrics();
  metrics.upstreamsChanged(["a"]);
  metrics.upstreamDegraded("a", true);
  metrics.upstreamDegraded("b", true);
  await assertLine(metrics, 'upstream_degraded{upstream="a"} 1');
  metrics.upstreamDegraded("a", false);
  await assertLine(metrics, 'upstream_degraded{upstream="a"} 0');
  metrics.upstreamsChanged([]);
  metrics.upstreamDegraded("a", true);
  const all = await lines(metrics);
  assert.deepEqual(all.filter((line) => /upstream_degraded\{/.test(line)), []);
});

Deno.test("an upstream measured before the first list of upstreams keeps its state", async () => {
  const metrics = newMetrics();
  metrics.upstreamState("a", "open");
  metrics.upstreamsChanged(["a", "b"]);
  await assertLine(metrics, 'upstream_state{upstream="a",state="open"} 1');
  await assertLine(metrics, 'upstream_state{upstream="b",state="closed"} 1');
});

Deno.test("a reason that is not a plain word becomes `other`, so that no text can become a label", async () => {
  const metrics = newMetrics();
  metrics.requestRefused(403, "Bearer sk-secret was wrong");
  metrics.recordDropped("SQLITE_FULL: /home/me/db", 1);
  metrics.failedOver("a", "HTTP 500 from https://x");
  await assertLine(metrics, 'requests_refused_total{status="403",reason="other"} 1');
  await assertLine(metrics, 'records_dropped_total{reason="other"} 1');
  await assertLine(metrics, 'failovers_total{upstream="a",reason="other"} 1');
});

Deno.test("values that are not numbers are ignored and never throw", async () => {
  const metrics = newMetrics();
  for (const bad of [NaN, Infinity, -1, 0.5, 1e300]) {
    const usage = { inputTokens: bad, outputTokens: bad, cachedTokens: bad, reasoningTokens: bad };
    metrics.requestSettled("chat", record({ usage, elapsedMs: bad, firstTokenMs: bad }), "a");
    metrics.recordWritten(bad);
    metrics.recordCommitted(bad);
    metrics.recordQueue(bad);
  }
  const all = await lines(metrics);
  assert.deepEqual(all.filter((line) => line.startsWith("tokens_total")), []);
  await assertLine(metrics, "records_written_total 0");
});

Deno.test("promtool accepts the exposition", async (t) => {
  const metrics = newMetrics();
  mixedTraffic(metrics);
  for (
    const [name, subject] of [["before any request", newMetrics()], ["after mixed traffic", metrics]] as const
  ) {
    await t.step(name, async () => {
      const { body } = await subject.render();
      const result = await promtool(body);
      if (result === null) {
        assert.notEqual(
          Deno.env.get("CI"),
          "true",
          "promtool is missing: install Debian's prometheus package",
        );
        return;
      }
      assert.deepEqual(result, { code: 0, output: "" });
    });
  }
});

/** null when promtool is not installed. */
async function promtool(body: string): Promise<{ code: number; output: string } | null> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("promtool", {
      args: ["check", "metrics"],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(body));
  await writer.close();
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

Deno.test("requests and tokens are counted by client, for tokens that have a name", async () => {
  const metrics = newMetrics();
  const named = (name: string) => ({ name, secret: `sk-secret-of-${name.slice(0, 8)}-0123456789` });
  metrics.tokensChanged([
    named("ann"),
    named("bob"),
    { name: "sk-…6789", secret: "sk-unnamed-0123456789" },
    named("x".repeat(101)),
    named("a\nb"),
  ]);
  const settle = (client: string | null, fields = {}) => {
    metrics.requestStarted();
    metrics.requestSettled("chat", record({ client, usage: USAGE, ...fields }), "a");
  };
  settle("ann");
  settle("ann", { status: 502, outcome: "upstream_error", usage: null });
  for (const other of [null, "sk-…6789", "made-up", "x".repeat(101), "a\nb"]) settle(other);
  await assertLine(metrics, 'client_requests_total{client="ann",result="ok"} 1');
  await assertLine(metrics, 'client_requests_total{client="ann",result="error"} 1');
  await assertLine(metrics, 'client_requests_total{client="bob",result="ok"} 0');
  await assertLine(metrics, 'client_requests_total{client="other",result="ok"} 5');
  await assertLine(metrics, 'client_tokens_total{client="ann",type="input"} 10');
  await assertLine(metrics, 'client_tokens_total{client="ann",type="cached"} 4');
  await assertLine(metrics, 'client_tokens_total{client="other",type="output"} 25');
  metrics.tokensChanged([named("bob")]);
  const all = (await lines(metrics)).filter((line) => /^client_\w+{/.test(line));
  assert.ok(all.every((line) => /client="(?:bob|other)"/.test(line)), all.join("\n"));
  // A request that ends after its token was removed does not bring the series back.
  settle("ann");
  await assertLine(metrics, 'client_requests_total{client="other",result="ok"} 6');
});

Deno.test("a thousand tokens make a limited number of series", async () => {
  const metrics = newMetrics();
  const names = Array.from({ length: 1_000 }, (_, index) => `client-${index}`);
  metrics.tokensChanged(names.map((name) => ({ name, secret: `sk-secret-of-${name}` })));
  for (const client of names) {
    metrics.requestStarted();
    metrics.requestSettled("chat", record({ client, model: client, usage: USAGE }), "a");
  }
  const series = (await lines(metrics)).filter((line) => /^client_\w+{/.test(line));
  // Two results and three kinds of tokens, for a hundred clients and the others; the last have no error.
  assert.equal(series.length, 101 * 5 - 1);
});
