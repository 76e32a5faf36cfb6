/**
 * Changes made while the router runs, and the breaker: docs/architecture.md, "Live changes" and "Breaker".
 */
import assert from "node:assert/strict";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import {
  chatReply,
  FakeUpstream,
  hang,
  inTurn,
  raw,
  refusingEndpoint,
  reply,
  type Script,
} from "../support/upstream.ts";

/** The name of the upstream that answers. */
async function answering(router: Router): Promise<string | null> {
  const response = await router.chat();
  await response.body?.cancel();
  return response.headers.get("x-oar-upstream");
}

/** Runs SQL with the sqlite3 command line, as an operator would. */
async function sqlite3(router: Router, sql: string): Promise<void> {
  const { code, stderr } = await new Deno.Command("sqlite3", {
    args: ["-cmd", ".timeout 5000", `${router.directory}/db.sqlite`, sql],
    stderr: "piped",
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}

async function hasSqlite3(): Promise<boolean> {
  try {
    return (await new Deno.Command("sqlite3", { args: ["--version"], stdout: "null" }).output()).success;
  } catch {
    return false;
  }
}

Deno.test("a row added by hand is used soon, without a restart", async (t) => {
  await using first = new FakeUpstream(chatReply("first"));
  await using second = new FakeUpstream(chatReply("second"));
  await using router = await Router.start();
  const isSqlite3There = await hasSqlite3();
  const execute = (sql: string) =>
    isSqlite3There ? sqlite3(router, sql) : Promise.resolve(router.execute(sql));
  /**
   * Waits until the change takes effect. The polling interval is tested with a fake clock (registry_test).
   */
  const soonAfter = async (change: string, isSeen: (response: Response) => boolean) => {
    await execute(change);
    await eventually(async () => {
      const response = await router.chat();
      await response.body?.cancel();
      return isSeen(response) ? response.status : null;
    }, change);
  };

  await t.step("added", async () => {
    assert.equal((await router.chat()).status, 503);
    await soonAfter(
      `INSERT INTO openai_upstreams(sk, endpoint) VALUES('sk-by-hand', '${first.endpoint}')`,
      (response) => response.status === 200,
    );
    assert.equal(first.requests[0]?.headers.get("authorization"), "Bearer sk-by-hand");
  });

  await t.step("changed", async () => {
    await soonAfter(
      `UPDATE openai_upstreams SET sk = 'sk-rotated', name = 'renamed', endpoint = '${second.endpoint}'`,
      (response) => response.headers.get("x-oar-upstream") === "renamed",
    );
    assert.equal(second.requests[0]?.headers.get("authorization"), "Bearer sk-rotated");
  });

  await t.step("disabled and enabled", async () => {
    await soonAfter("UPDATE openai_upstreams SET enabled = 0", (response) => response.status === 503);
    await soonAfter("UPDATE openai_upstreams SET enabled = 1", (response) => response.status === 200);
  });

  await t.step("reordered", async () => {
    await soonAfter(
      `INSERT INTO openai_upstreams(sk, endpoint, name, position) VALUES('sk-2', '${first.endpoint}', 'before', -1)`,
      (response) => response.headers.get("x-oar-upstream") === "before",
    );
  });

  await t.step("deleted as by the Go program", async () => {
    await soonAfter(
      "UPDATE openai_upstreams SET deleted_at = '2026-01-02 03:04:05.678901+08:00' WHERE name = 'before'",
      (response) => response.headers.get("x-oar-upstream") === "renamed",
    );
  });

  await t.step("deleted permanently", async () => {
    await soonAfter("DELETE FROM openai_upstreams", (response) => response.status === 503);
  });
});

Deno.test("a bad row is reported and skipped, and the others keep working", async () => {
  await using upstream = new FakeUpstream(chatReply("good"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "good" }] });
  router.execute("INSERT INTO openai_upstreams(sk, endpoint, position) VALUES('sk-bad', 'not a url', -1)");
  await eventually(() => /Upstream 2 is skipped/.test(router.text) ? true : null, "the report");
  assert.equal(await answering(router), "good");
  assert.equal(router.text.includes("sk-bad"), false);
});

Deno.test("a request in flight keeps the upstreams that it started with", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using first = new FakeUpstream(async (request, wire) => {
    await released;
    await reply(500, "{}")(request, wire);
  });
  await using second = new FakeUpstream(chatReply("from the snapshot"));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint, name: "second" }],
  });
  const pending = router.chat();
  await first.received(1);
  router.execute("DELETE FROM openai_upstreams");
  await eventually(
    async () => (await router.metrics()).includes('upstream="second"') ? null : true,
    "the change",
  );
  release();
  const response = await pending;
  assert.equal(response.headers.get("x-oar-upstream"), "second");
  assert.equal((await response.json()).choices[0].message.content, "from the snapshot");
});

Deno.test("the policy is read from the database: round_robin takes turns", async () => {
  await using first = new FakeUpstream(chatReply("first"));
  await using second = new FakeUpstream(chatReply("second"));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, name: "first" }, { endpoint: second.endpoint, name: "second" }],
  });
  for (let at = 0; at < 3; at++) assert.equal(await answering(router), "first");
  router.execute("INSERT INTO config_kvs(key, value) VALUES('policy', 'round_robin')");
  await eventually(async () => await answering(router) === "second" ? true : null, "the policy");
  const turns = [];
  for (let at = 0; at < 4; at++) turns.push(await answering(router));
  assert.deepEqual(turns, ["first", "second", "first", "second"]);
});

const FAILURES: Record<string, Script> = {
  "500": reply(500, "{}"),
  "429": reply(429, "{}"),
  "401": reply(401, "{}"),
  "an answer that is no HTTP": raw("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
  "an error in a success": reply(200, '{"error":{"message":"quota"}}'),
};

Deno.test("an upstream that failed three times in a row is tried last", async (t) => {
  await using primary = new FakeUpstream(hang);
  await using backup = new FakeUpstream(chatReply("backup"));
  await using router = await Router.start({
    upstreams: Object.keys(FAILURES).flatMap((_name, at) => [
      { endpoint: primary.endpoint, name: `primary-${at}`, allow: `model-${at}` },
      { endpoint: backup.endpoint, name: `backup-${at}`, allow: `model-${at}` },
    ]),
  });
  for (const [at, [name, script]] of Object.entries(FAILURES).entries()) {
    await t.step(name, async () => {
      primary.script = script;
      const before = primary.requests.length;
      for (let turn = 0; turn < 6; turn++) {
        const response = await router.chat({ model: `model-${at}` });
        assert.equal(response.headers.get("x-oar-upstream"), `backup-${at}`);
        assert.equal(response.headers.get("x-oar-attempts"), turn < 3 ? "2" : "1");
        await response.body?.cancel();
      }
      assert.equal(primary.requests.length, before + 3);
      assert.equal(await router.metric(`upstream_state{upstream="primary-${at}",state="open"}`), 1);
      assert.equal(await router.metric(`upstream_state{upstream="backup-${at}",state="closed"}`), 1);
    });
  }

  await t.step("and it is still tried when the others fail", async () => {
    backup.script = reply(500, "{}");
    primary.script = chatReply("primary after all");
    const response = await router.chat({ model: "model-0" });
    assert.equal((await response.json()).choices[0].message.content, "primary after all");
    assert.equal(response.headers.get("x-oar-attempts"), "2");
  });
});

Deno.test("list shows the open breaker of a running server, until the server stops", async () => {
  await using primary = new FakeUpstream(reply(503, "{}", { "retry-after": "60" }));
  await using backup = new FakeUpstream(chatReply("backup"));
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  const list = async (...flags: string[]) =>
    (await runProgram(["list", ...flags], { cwd: directory })).stdout.trim();
  try {
    await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
    for (const [name, { endpoint }] of Object.entries({ primary, backup })) {
      await runProgram(["add", "--no-test", "--key", "sk-1", "--name", name, "--endpoint", endpoint], {
        cwd: directory,
      });
    }
    {
      await using router = await Router.start({ directory });
      const beforeMs = Date.now();
      assert.equal(await answering(router), "backup");
      await eventually(
        async () => /primary +failing[^]*backup +ok/.test(await list()) ? true : null,
        "the states",
      );
      assert.match(await list(), /primary +failing \(next try \d\d:\d\d:\d\d\): .*503/);
      const [first, second] = JSON.parse(await list("--json"));
      assert.deepEqual([first.condition, second.condition, second.until], ["failing", "ok", null]);
      const untilMs = Date.parse(first.until) - beforeMs;
      assert.ok(untilMs > 55_000 && untilMs < 70_000, first.until);
    }
    assert.match(await list(), /primary +untested/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("client errors do not open the breaker", async () => {
  await using primary = new FakeUpstream(reply(400, '{"error":{"message":"bad"}}'));
  await using backup = new FakeUpstream(chatReply("backup"));
  await using router = await Router.start({
    upstreams: [{ endpoint: primary.endpoint, name: "primary" }, { endpoint: backup.endpoint }],
  });
  for (let at = 0; at < 5; at++) await answering(router);
  assert.equal(primary.requests.length, 5);
  assert.equal(await router.metric('upstream_state{upstream="primary",state="closed"}'), 1);
});

Deno.test("a 429 with retry-after-ms opens at once for that long; a success restores the order", async () => {
  await using primary = new FakeUpstream(
    inTurn(reply(429, "{}", { "retry-after-ms": "400" }), chatReply("primary is back")),
  );
  await using backup = new FakeUpstream(chatReply("backup"));
  await using router = await Router.start({
    upstreams: [{ endpoint: primary.endpoint, name: "primary" }, {
      endpoint: backup.endpoint,
      name: "backup",
    }],
  });
  assert.equal(await answering(router), "backup");
  assert.equal(await router.metric('upstream_state{upstream="primary",state="open"}'), 1);
  assert.equal(await answering(router), "backup");
  assert.equal(primary.requests.length, 1);
  await eventually(async () => await answering(router) === "primary" ? true : null, "the recovery");
  assert.equal(await router.metric('upstream_state{upstream="primary",state="closed"}'), 1);
  assert.equal(await answering(router), "primary");
});

Deno.test("a half-open breaker admits one request; the others go elsewhere", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using primary = new FakeUpstream(
    inTurn(reply(503, "{}", { "retry-after-ms": "1" }), async (request, wire) => {
      await released;
      await chatReply("trial")(request, wire);
    }),
  );
  await using backup = new FakeUpstream(chatReply("backup"));
  await using router = await Router.start({
    upstreams: [{ endpoint: primary.endpoint, name: "primary" }, {
      endpoint: backup.endpoint,
      name: "backup",
    }],
  });
  await answering(router);
  const trial = answering(router);
  await primary.received(2);
  assert.equal(await router.metric('upstream_state{upstream="primary",state="half_open"}'), 1);
  assert.deepEqual(await Promise.all([answering(router), answering(router)]), ["backup", "backup"]);
  assert.equal(primary.requests.length, 2);
  release();
  assert.equal(await trial, "primary");
});

Deno.test("a client error of one upstream is relayed, although a dead one was tried after it", async () => {
  await using good = new FakeUpstream(reply(400, '{"error":{"message":"max_tokens is too large"}}'));
  await using router = await Router.start({
    upstreams: [{ endpoint: refusingEndpoint(), name: "dead" }, { endpoint: good.endpoint, name: "good" }],
  });

  const statuses: number[] = [];
  for (let count = 0; count < 6; count++) {
    const response = await router.chat();
    statuses.push(response.status);
    assert.equal((await response.json()).error.message, "max_tokens is too large");
    assert.equal(response.headers.get("x-oar-upstream"), "good");
  }

  assert.deepEqual(statuses, Array(6).fill(400));
  const records = await router.recorded(6);
  assert.deepEqual([...new Set(records.map((record) => record.outcome))], ["upstream_error"]);
  assert.deepEqual(
    router.attempts(records.at(-1)?.id).map((attempt) => attempt.error_class),
    ["http_status", "connect_error"],
  );
});
