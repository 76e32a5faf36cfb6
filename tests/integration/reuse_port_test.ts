/** Several servers behind one port (`--reuse-port`), over one SQLite file. */
import assert from "node:assert/strict";
import { freePort } from "../support/server_process.ts";
import { rawChat, RawClient } from "../support/raw_client.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import {
  chatEvent,
  chatReply,
  chunk,
  FakeUpstream,
  hang,
  LAST_CHUNK,
  STREAM_HEAD,
} from "../support/upstream.ts";

const isLinux = Deno.build.os === "linux";

/** A client of its own for each request: the port is shared by connection. */
async function ask(router: Router): Promise<Response> {
  using client = Deno.createHttpClient({ poolMaxIdlePerHost: 0 });
  const response = await router.chat({}, { client } as RequestInit);
  assert.equal(response.status, 200, await response.text());
  return response;
}

function sharing(port: number): string[] {
  return ["--addr", `127.0.0.1:${port}`, "--reuse-port"];
}

/** Asks until as many processes have answered; returns how many requests that took. */
async function askUntil(router: Router, instances: number): Promise<number> {
  for (let sent = 1; sent <= 200; sent++) {
    await ask(router);
    const [row] = router.query("SELECT count(DISTINCT instance) AS n FROM records");
    if (row?.["n"] === instances) return sent;
  }
  assert.fail(`fewer than ${instances} servers have answered 200 requests`);
}

Deno.test({
  name: "two servers answer on one port, and each records in the one database what it answered",
  ignore: !isLinux,
  fn: async () => {
    await using upstream = new FakeUpstream(chatReply("hello"));
    const args = sharing(freePort());
    await using first = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }], args });
    const alone = await askUntil(first, 1);
    const second = await Router.start({ directory: first.directory, args });
    assert.equal(second.port, first.port);
    const together = await askUntil(first, 2);
    second.signal("SIGTERM");
    assert.equal(await second.exited(), 0);
    for (let n = 0; n < 20; n++) await ask(first);
    const rows = first.query("SELECT count(*) AS n, count(DISTINCT request_id) AS ids FROM records");
    const sent = alone + together + 20;
    assert.deepEqual(rows.map((row) => ({ ...row })), [{ n: sent, ids: sent }]);
  },
});

Deno.test({
  name: "a server that is told to stop finishes its stream, while the other one takes what comes",
  ignore: !isLinux,
  fn: async () => {
    await using upstream = new FakeUpstream(hang);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    upstream.script = async (_, wire) => {
      await wire.write(STREAM_HEAD + chunk(chatEvent({ content: "begun" })));
      await released;
      await wire.write(chunk(chatEvent({ content: "ended" }, "stop") + "data: [DONE]\n\n") + LAST_CHUNK);
    };
    const args = sharing(freePort());
    const first = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }], args });
    using client = await RawClient.connect(first.port);
    await client.send(rawChat(first.token, { stream: true }));
    await client.readUntil("begun");
    upstream.script = chatReply("hello");
    await using second = await Router.start({ directory: first.directory, args });
    first.signal("SIGTERM");
    await eventually(() => first.text.includes("stopping") ? true : null, "the stop");
    for (let n = 0; n < 20; n++) await ask(second);
    release();
    assert.match(await client.readToEnd(), /ended/);
    assert.equal(await first.exited(), 0);
    const cut = second.query("SELECT outcome FROM records WHERE outcome <> 'complete'");
    assert.deepEqual(cut, []);
    await Deno.remove(first.directory, { recursive: true });
  },
});

Deno.test({
  name: "a port whose server does not share it is in use, and says why",
  ignore: !isLinux,
  fn: async () => {
    await using alone = await Router.start();
    const { code, stderr } = await runProgram(["serve", ...sharing(alone.port)], { cwd: alone.directory });
    assert.equal(code, 1);
    assert.match(stderr, /the address is in use, by a program without --reuse-port or of another user/);
    const args = sharing(freePort());
    await using shared = await Router.start({ args });
    const other = await runProgram(["serve", "--addr", `127.0.0.1:${shared.port}`], {
      cwd: shared.directory,
    });
    assert.equal(other.code, 1);
    assert.match(other.stderr, /the address is in use; choose another/);
  },
});

Deno.test({
  name: "where the system cannot share a port, the start says so",
  ignore: isLinux,
  fn: async () => {
    const folder = await Deno.makeTempDir({ prefix: "oar-test-" });
    const { code, stderr } = await runProgram(["serve", "--addr", "127.0.0.1:0", "--reuse-port"], {
      cwd: folder,
    });
    assert.equal(code, 1);
    assert.match(stderr, /--reuse-port works on Linux only/);
    await Deno.remove(folder, { recursive: true });
  },
});
