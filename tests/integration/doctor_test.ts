/**
 * `doctor` as a process: a folder with a database, and healthy and broken upstreams.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { runProgram } from "../support/router.ts";
import { SELF_SIGNED } from "../support/self_signed.ts";
import { FakeUpstream, hang, refusingEndpoint, reply, type Script } from "../support/upstream.ts";

const KEY = "sk-0123456789abcdefHIDEMEwxyz";
const MODELS = JSON.stringify({ object: "list", data: [{ id: "a" }, { id: "b" }] });

interface Bench {
  readonly cwd: string;
  /** Adds an upstream. */
  add(name: string, endpoint: string): Promise<void>;
  sql(statement: string): void;
  /** Runs the doctor; no output may hold a secret. */
  doctor(
    args?: readonly string[],
    env?: Record<string, string>,
  ): Promise<{ code: number; stdout: string; stderr: string }>;
}

/** Defines a test in a folder with a new database. */
function test(name: string, body: (bench: Bench) => Promise<void>): void {
  Deno.test(name, async () => {
    const cwd = await Deno.makeTempDir();
    const bench: Bench = {
      cwd,
      add: async (name, endpoint) => {
        const args = ["add", "--no-test", "--key", KEY, "--name", name, "--endpoint", endpoint];
        const { code, stderr } = await runProgram(args, { cwd });
        assert.equal(code, 0, stderr);
      },
      sql: (statement) => {
        const db = new DatabaseSync(`${cwd}/db.sqlite`);
        try {
          db.exec(statement);
        } finally {
          db.close();
        }
      },
      doctor: async (args = [], env = {}) => {
        const result = await runProgram(["doctor", ...args], { cwd, env });
        assert.doesNotMatch(result.stdout + result.stderr, /HIDEME|sk-oar-|^\s+at /m);
        return result;
      },
    };
    try {
      await bench.add("first", refusingEndpoint());
      await body(bench);
    } finally {
      await Deno.remove(cwd, { recursive: true });
    }
  });
}

/** A list of models from an upstream whose clock differs by this many seconds. */
function models(clockSeconds = 0): Script {
  return (request, wire) =>
    reply(200, MODELS, { date: new Date(Date.now() + clockSeconds * 1000).toUTCString() })(request, wire);
}

test("doctor finds a healthy installation healthy, and asks each upstream with its own key", async (bench) => {
  await using upstream = new FakeUpstream(models());
  bench.sql(`UPDATE openai_upstreams SET endpoint = '${upstream.endpoint}'`);
  const { code, stdout, stderr } = await bench.doctor();
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /^ok {4}settings {2}/m);
  assert.match(
    stdout,
    /^ok {4}database {2}\.\/db\.sqlite is intact and writable: .*journal \(wal\).*schema \d+$/m,
  );
  assert.match(stdout, /^(ok|warn) {2,4}disk {6}.*free/m);
  assert.match(stdout, /^ok {4}tokens {4}clients may use 1$/m);
  assert.match(stdout, /^ok {4}upstream {2}first answered 200 in \d+ ms, with 2 models$/m);
  assert.match(stdout, /^ok {4}clock {5}it agrees with the upstreams'/m);
  assert.match(stdout, /^ok {4}alerts {4}no channel is configured/m);
  assert.doesNotMatch(stdout, /^fail/m);
  assert.deepEqual(upstream.requests.map(({ method, target }) => [method, target]), [["GET", "/v1/models"]]);
  assert.equal(upstream.requests[0]?.headers.get("authorization"), `Bearer ${KEY}`);
});

test("doctor names tokens that cannot be used, end soon, or allow nothing", async (bench) => {
  await using upstream = new FakeUpstream(models());
  bench.sql(`UPDATE openai_upstreams SET endpoint = '${upstream.endpoint}'`);
  const soon = new Date(Date.now() + 5 * 86_400_000).toISOString().slice(0, 10);
  const rows: readonly (readonly [name: string, columns: string, values: string])[] = [
    ["good", "allow, upstreams", "'*', 'first'"],
    ["over", "expires_at", "'2026-01-31 00:00:00+00:00'"],
    ["soon", "expires_at", `'${soon} 00:00:00+00:00'`],
    ["off", "enabled", "0"],
    ["lost", "upstreams", "'gone,first'"],
    ["none", "allow", "'no-such-model*'"],
    ["bad", "gate", "'half'"],
  ];
  rows.forEach(([name, columns, values], at) => {
    const digest = String(at).repeat(64);
    bench.sql(
      `INSERT INTO client_tokens(name, sha256, ${columns}) VALUES ('${name}', '${digest}', ${values})`,
    );
  });
  const { code, stdout } = await bench.doctor();
  assert.equal(code, 1);
  const expected = [
    /^ok {4}tokens {4}clients may use 5$/m,
    /^warn {2}tokens {4}over it expired at .*: another date: token edit over --expires 90d$/m,
    /^warn {2}tokens {4}soon it expires at /m,
    /^warn {2}tokens {4}off it is disabled: token enable off/m,
    /^warn {2}tokens {4}lost it names upstreams that are not there, which allow nothing: gone/m,
    /^warn {2}tokens {4}none no upstream that it may use lists a model that it allows \(no-such-model\*\)/m,
    /^fail {2}tokens {4}Client token 7 is refused: its gate is none of/m,
  ];
  for (const line of expected) assert.match(stdout, line);
  assert.equal(stdout.match(/ tokens /g)?.length, expected.length);
  bench.sql("UPDATE client_tokens SET enabled = 0; DELETE FROM config_kvs WHERE key = 'authorization'");
  assert.match((await bench.doctor()).stdout, /^fail {2}tokens {4}every token is disabled or has expired/m);
});

test("doctor tells a refused key, a wrong path, a redirect, an outage and silence apart", async (bench) => {
  await using wrongKey = new FakeUpstream(reply(401, `{"error":{"message":"bad ${KEY}"}}`));
  await using wrongPath = new FakeUpstream(reply(404, "{}"));
  await using page = new FakeUpstream(reply(200, "<html>", { "content-type": "text/html" }));
  await using moved = new FakeUpstream(reply(302, "", { location: "https://else.example/?key=HIDEME" }));
  await using broken = new FakeUpstream(reply(503, "{}"));
  await using silent = new FakeUpstream(hang);
  await using disabled = new FakeUpstream(models());
  await using tls = new FakeUpstream((_, wire) => wire.write(Uint8Array.from([0x15, 3, 1, 0, 2, 2, 0x46])));
  const named = { wrongKey, wrongPath, page, moved, broken, silent, disabled, tls };
  for (const [name, { endpoint }] of Object.entries(named)) await bench.add(name, endpoint);
  bench.sql("UPDATE openai_upstreams SET enabled = 0 WHERE name = 'disabled'");
  const { code, stdout, stderr } = await bench.doctor(["--timeout", "0.5"]);
  assert.equal(code, 1);
  const expected = [
    /^fail {2}upstream {2}first cannot be reached: .*refused.*: check its host and port \(127\.0\.0\.1:\d+\)/m,
    /^fail {2}upstream {2}wrongKey answered 401 in \d+ ms: it refuses the key: .*edit 2 --key KEY/m,
    /^warn {2}upstream {2}wrongPath answered 404 in \d+ ms: it has no such path: .*edit 3 --endpoint URL/m,
    /^warn {2}upstream {2}page answered 200 in \d+ ms, but not with a list of models: .*edit 4 --endpoint/m,
    /^fail {2}upstream {2}moved answered 302 in \d+ ms: it redirects to else\.example, .*edit 5 --endpoint/m,
    /^fail {2}upstream {2}tls cannot be used: .*begin with https: check its scheme, host and port/m,
    /^fail {2}upstream {2}broken answered 503 in \d+ ms: /m,
    /^fail {2}upstream {2}silent did not answer within 0\.5 s: .*--timeout$/m,
    /^ok {4}upstream {2}disabled is disabled, so it was not asked$/m,
  ];
  for (const line of expected) assert.match(stdout, line);
  assert.equal(disabled.requests.length, 0);
  assert.match(stderr, /^openai-api-route: 6 of \d+ checks failed\n$/);
});

test("doctor reads the certificate of an upstream that nobody vouches for", async (bench) => {
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, ...SELF_SIGNED });
  const accepting = (async () => {
    try {
      for await (const connection of listener) {
        // The peer leaves as soon as it has seen the certificate.
        await connection.handshake().catch(() => {});
        connection.close();
      }
    } catch {
      // A failed handshake ends the accept loop, as does closing the listener.
    }
  })();
  bench.sql(`UPDATE openai_upstreams SET endpoint = 'https://127.0.0.1:${listener.addr.port}/v1'`);
  const { code, stdout } = await bench.doctor();
  listener.close();
  await accepting;
  assert.equal(code, 1);
  assert.match(stdout, /^fail {2}upstream {2}first cannot be reached: .*certificate/m);
  assert.match(stdout, /its certificate is valid until 2126-10-30 \(\d+ days\)/);
});

test("doctor warns when the clocks of all upstreams differ by more than a minute", async (bench) => {
  await using upstream = new FakeUpstream(models(3600));
  bench.sql(`UPDATE openai_upstreams SET endpoint = '${upstream.endpoint}'`);
  const { code, stdout } = await bench.doctor();
  assert.match(stdout, /^warn {2}clock {5}it is 3\d{3} s behind that of every upstream: set the clock/m);
  assert.equal(code, 0);
  await using right = new FakeUpstream(models());
  await bench.add("right", right.endpoint);
  assert.match((await bench.doctor()).stdout, /^ok {4}clock/m);
});

test("doctor sees a damaged, an exposed and a missing database, and makes none", async (bench) => {
  await Deno.chmod(`${bench.cwd}/db.sqlite`, 0o644);
  const exposed = await bench.doctor(["--timeout", "1"]);
  assert.match(exposed.stdout, /^warn {2}database {2}its mode 0644 .*: chmod 600 \.\/db\.sqlite$/m);
  bench.sql("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE");
  const file = await Deno.open(`${bench.cwd}/db.sqlite`, { read: true, write: true });
  const { size } = await file.stat();
  await file.seek(4096 * 2, Deno.SeekMode.Start);
  await file.write(new Uint8Array(Math.max(0, size - 4096 * 2)).fill(0xa5));
  file.close();
  const damaged = await bench.doctor();
  assert.equal(damaged.code, 1);
  assert.match(damaged.stdout, /^fail {2}database {2}/m);
  const missing = await bench.doctor(["--database", "none.sqlite"]);
  assert.equal(missing.code, 1);
  assert.match(
    missing.stdout,
    /^fail {2}database {2}no database at none\.sqlite; name one with --database$/m,
  );
  await assert.rejects(Deno.stat(`${bench.cwd}/none.sqlite`), Deno.errors.NotFound);
});

test("doctor names missing and published tokens, skipped rows, and settings that stop the server", async (bench) => {
  bench.sql("UPDATE config_kvs SET value = 'woshimima' WHERE key = 'authorization'");
  assert.match(
    (await bench.doctor()).stdout,
    /^warn {2}tokens {4}the published default token .*: token set NEW$/m,
  );
  bench.sql(`UPDATE config_kvs SET value = ' , ' WHERE key = 'authorization';
    UPDATE openai_upstreams SET endpoint = 'HIDEME'`);
  const { code, stdout } = await bench.doctor([], { OAR_MAX_BODY: "lots" });
  assert.equal(code, 1);
  assert.match(stdout, /^fail {2}settings {2}OAR_MAX_BODY cannot be "lots": expected a size/m);
  assert.match(
    stdout,
    /^fail {2}tokens {4}none is set, so the server does not start without --noauth: .*token add$/m,
  );
  assert.match(stdout, /^fail {2}upstream {2}Upstream 1 is skipped: endpoint is not .*edit 1/m);
  assert.match(stdout, /^fail {2}upstream {2}none is enabled, .*: add one: add --key KEY --endpoint URL/m);
});

test("doctor --send sends a test message to each alert channel, and shows no channel's URL", async (bench) => {
  await using upstream = new FakeUpstream(models());
  await using webhook = new FakeUpstream(reply(200, "{}"));
  await using feishu = new FakeUpstream(reply(200, '{"code":19021,"msg":"sign match fail"}'));
  bench.sql(`UPDATE openai_upstreams SET endpoint = '${upstream.endpoint}'`);
  const env = {
    ALERT_WEBHOOK: `http://127.0.0.1:${webhook.port}/HIDEME`,
    FEISHU_WEBHOOK: `http://127.0.0.1:${feishu.port}/HIDEME`,
  };
  const idle = await bench.doctor([], env);
  assert.equal(idle.code, 0, idle.stdout);
  assert.match(idle.stdout, /^ok {4}alerts {4}webhook is configured; --send sends a test message$/m);
  assert.deepEqual([webhook.requests.length, feishu.requests.length], [0, 0]);
  const sent = await bench.doctor(["--send"], env);
  assert.equal(sent.code, 1);
  assert.match(sent.stdout, /^ok {4}alerts {4}webhook took the test message$/m);
  assert.match(sent.stdout, /^fail {2}alerts {4}feishu .*it answered code 19021: check its variables/m);
  assert.doesNotMatch(idle.stdout + sent.stdout, new RegExp(`${webhook.port}|${feishu.port}`));
  const message = JSON.parse(webhook.requests[0]?.text ?? "");
  assert.deepEqual(message.alert, { type: "test" });
  assert.match(message.text, /^Test of openai-api-route/);
});

test("doctor --json has the same findings for programs", async (bench) => {
  const { code, stdout } = await bench.doctor(["--json"], { ALERT_WEBHOOK: "hooks.example/HIDEME" });
  const { ok, checks } = JSON.parse(stdout);
  assert.deepEqual([code, ok], [1, false]);
  const upstream = checks.find(({ check }: { check: string }) => check === "upstream");
  assert.equal(upstream.subject, "first");
  assert.equal(upstream.level, "fail");
  assert.match(upstream.message, /^cannot be reached/);
  assert.match(upstream.advice, /^check its host/);
  const alerts = checks.find(({ check }: { check: string }) => check === "alerts");
  assert.match(alerts.message, /^ALERT_WEBHOOK is not a URL/);
  assert.equal((await bench.doctor(["--timeout", "soon"])).code, 2);
});
