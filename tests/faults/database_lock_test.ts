/**
 * Another program holds the database's write lock: requests, event streams and health checks go on, a change is refused
 * after a while, reading goes on, a server starts, and nothing is lost afterwards.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { askApi, callApi, posted } from "../support/admin.ts";
import { rawChat, RawClient } from "../support/raw_client.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { chatReply, chunk, FakeUpstream, LAST_CHUNK, STREAM_HEAD, type Wire } from "../support/upstream.ts";

/** Holds the write lock until it is disposed of. */
class Lock implements Disposable {
  readonly #db: DatabaseSync;

  constructor(router: Pick<Router, "directory">) {
    this.#db = new DatabaseSync(`${router.directory}/db.sqlite`);
    this.#db.exec("PRAGMA busy_timeout = 5000; BEGIN IMMEDIATE");
  }

  [Symbol.dispose](): void {
    this.#db.exec("ROLLBACK");
    this.#db.close();
  }
}

function event(text: string): string {
  return `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text } }] })}\n\n`;
}

Deno.test("a change that waits for a lock is refused, and holds up neither streams nor health checks", async () => {
  const { promise: streaming, resolve: begin } = Promise.withResolvers<Wire>();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (_request, wire) => {
    await wire.write(STREAM_HEAD);
    begin(wire);
    await ended;
    await wire.write(chunk("data: [DONE]\n\n") + LAST_CHUNK);
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await askApi(router, "/upstreams");
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(TEST_TOKEN, { stream: true }));
  const wire = await streaming;
  await wire.write(chunk(event("word-0")));
  await client.readUntil("word-0");

  const changes: readonly (readonly [path: string, init: RequestInit])[] = [
    ["/tokens", posted({ name: "colleague" })],
    ["/tokens/colleague", { method: "DELETE" }],
    ["/upstreams", posted({ endpoint: "https://a.example/v1", key: "sk-test-0123456789" })],
    ["/upstreams/1", posted({ timeoutSeconds: 5 }, "PATCH")],
    ["/upstreams/1/move", posted({ place: 1 })],
  ];
  let events = 0;
  {
    using _lock = new Lock(router);
    let answered = 0;
    const answers = changes.map(async ([path, init]) => {
      const response = await callApi(router, path, init);
      answered++;
      return [response.status, response.headers.get("retry-after"), (await response.json()).error.code];
    });
    while (answered < changes.length) {
      await wire.write(chunk(event(`word-${++events}.`)));
      await client.readUntil(`word-${events}.`);
      assert.equal((await fetch(`http://127.0.0.1:${router.port}/healthz`)).status, 200);
    }
    for (const [at, answer] of (await Promise.all(answers)).entries()) {
      assert.deepEqual(answer, [503, "2", "database_busy"], changes[at]?.[0]);
    }
  }
  // While the thread of changes waited, the server went on.
  assert.ok(events > changes.length, `${events} events`);
  end();
  await client.readUntil("[DONE]");
  const [record] = await router.recorded(1);
  assert.equal(record?.["outcome"], "complete");
  assert.ok(String(record?.["response"]).endsWith(`word-${events}.`));
  const tokens = await askApi<{ name: string }[]>(router, "/tokens");
  assert.deepEqual(tokens.map(({ name }) => name), ["token-1"]);
  await askApi(router, "/tokens", { ...posted({ name: "colleague" }), status: 201 });
});

Deno.test("changes at the same time are all made", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const names = Array.from({ length: 10 }, (_, at) => `colleague-${at}`);
  const byCommand = runProgram(["token", "add", "--name", "by-command"], { cwd: router.directory });
  await Promise.all(
    names.map((name) => askApi(router, "/tokens", { ...posted({ name }), status: 201 })),
  );
  assert.equal((await byCommand).code, 0);
  const tokens = await askApi<{ name: string }[]>(router, "/tokens");
  assert.deepEqual(tokens.map(({ name }) => name).sort(), ["by-command", ...names, "token-1"]);
});

Deno.test("a server starts, serves and is looked at while another program holds the write lock", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using first = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "only" }] });
  await first.chat().then((response) => response.text());
  await first.recorded(1);
  first.signal("SIGTERM");
  await first.exited();
  const { directory } = first;
  // As older versions left it.
  first.execute("DELETE FROM config_kvs WHERE key = 'admin'");
  await using second = await (async () => {
    using _lock = new Lock(first);
    const router = await Router.start({ directory });
    const response = await router.chat();
    assert.equal(response.status, 200);
    await response.text();
    for (
      const args of [["list"], ["token", "show"], ["records", "list"], [
        "records",
        "export",
        "--format",
        "csv",
      ], ["doctor"]]
    ) {
      const { code, stderr, stdout } = await runProgram(args, { cwd: directory });
      assert.equal(code, 0, `${args.join(" ")}: ${stderr}`);
      if (args[0] === "doctor") {
        assert.match(stdout, /warn +database +another program holds its write lock now/);
      }
    }
    return router;
  })();
  assert.equal((await second.recorded(2)).length, 2);
  await eventually(
    () => second.query("SELECT value FROM config_kvs WHERE key = 'admin'")[0] ?? null,
    "the admin token",
  );
});

Deno.test("commands that change something wait for the lock, and leave nothing half done", async () => {
  await using router = await Router.start();
  using _lock = new Lock(router);
  const { code, stderr } = await runProgram(["add", "--no-test", "--key", "sk-test-0123456789"], {
    cwd: router.directory,
  });
  assert.equal(code, 1);
  assert.match(stderr, /another program keeps it locked/);
  assert.deepEqual(router.query("SELECT id FROM openai_upstreams"), []);
});
