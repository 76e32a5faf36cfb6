/**
 * `/healthz`, `/readyz` and the command `health`, against a running server.
 */
import assert from "node:assert/strict";
import { eventually, Router, runProgram } from "../support/router.ts";
import { healthRoutes } from "../../src/http/health.ts";
import {
  chatEvents,
  chatReply,
  chunk,
  FakeUpstream,
  LAST_CHUNK,
  refusingEndpoint,
  reply,
  STREAM_HEAD,
} from "../support/upstream.ts";

/** Without any token. */
async function get(router: Router, path: string): Promise<{ status: number; body: unknown }> {
  const response = await fetch(`http://127.0.0.1:${router.port}${path}`);
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  return { status: response.status, body: await response.json() };
}

async function readyCodes(router: Router): Promise<string> {
  const { status, body } = await get(router, "/readyz");
  if (typeof body !== "object" || body === null || !("reasons" in body)) return `${status}`;
  assert.ok(Array.isArray(body.reasons));
  return `${status} ${body.reasons.map(({ code }) => code).join()}`;
}

Deno.test("/healthz and /readyz answer without a token, and are neither recorded nor logged", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--log-level", "debug"],
  });
  assert.deepEqual(await get(router, "/healthz"), { status: 200, body: { status: "ok" } });
  assert.deepEqual(await get(router, "/readyz"), {
    status: 200,
    body: { status: "ready", upstreams: { untested: 1 } },
  });
  const head = await fetch(`http://127.0.0.1:${router.port}/healthz`, { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  await (await router.chat()).text();
  await eventually(() => router.text.includes("/v1/chat/completions") || null, "the chat's log line");
  assert.equal((await router.recorded(1)).length, 1);
  assert.doesNotMatch(router.text, /healthz|readyz/);
  assert.equal(upstream.requests.length, 1);
  assert.deepEqual(await get(router, "/readyz"), { status: 200, body: { status: "ready" } });
});

Deno.test("/readyz answers 503 while no upstream is enabled, and /healthz 200", async () => {
  await using router = await Router.start({
    upstreams: [{ endpoint: refusingEndpoint(), name: "secretive" }],
  });
  router.execute("UPDATE openai_upstreams SET enabled = 0");
  await eventually(async () => await readyCodes(router) === "503 no_upstream" || null, "not ready");
  assert.equal((await get(router, "/healthz")).status, 200);
  router.execute("UPDATE openai_upstreams SET enabled = 1");
  await eventually(async () => await readyCodes(router) === "200" || null, "ready again");
});

Deno.test("/readyz answers 503 while records wait for an unreachable database, and recovers", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await (await router.chat()).text();
  await router.recorded(1);
  // Like an unmounted disk.
  const away = `${router.directory}.away`;
  await Deno.rename(router.directory, away);
  try {
    assert.equal((await (await router.chat()).json()).choices[0].message.content, "hi");
    await eventually(async () => await readyCodes(router) === "503 database" || null, "not ready");
    assert.equal((await get(router, "/healthz")).status, 200);
  } finally {
    await Deno.rename(away, router.directory);
  }
  await eventually(async () => await readyCodes(router) === "200" || null, "ready again");
  assert.equal((await router.recorded(2)).length, 2);
});

Deno.test("a stopping server is not ready, while a reply continues to its end", async () => {
  const release = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (_request, wire) => {
    const [first = "", ...rest] = chatEvents(["hello", " there"]);
    await wire.write(STREAM_HEAD + chunk(first) + rest.slice(0, 1).map(chunk).join(""));
    await release.promise;
    await wire.write(rest.slice(1).map(chunk).join("") + LAST_CHUNK);
  });
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await router.chat({ stream: true });
  router.signal("SIGTERM");
  await eventually(() => router.text.includes("stopping") || null, "the stop");
  await eventually(async () => {
    const status = await readyCodes(router).catch(() => "refused");
    return status === "refused" || status === "503 draining" || null;
  }, "not ready");
  release.resolve();
  assert.match(await response.text(), / there.*\[DONE\]/s);
  assert.equal(await router.exited(), 0);
});

Deno.test("/readyz gives every reason at once to a connection that outlasts the stop", async () => {
  const snapshot = {
    version: 1,
    upstreams: [],
    tokens: [],
    clientRules: [],
    adminToken: null,
    policy: null,
    problems: [],
  };
  const routes = healthRoutes({
    registry: { snapshot: () => snapshot, onChange: () => () => {} },
    readiness: { isDraining: () => true, isDatabaseStuck: () => true },
  });
  const response = await routes.request("/readyz");
  const { status, reasons } = await response.json();
  assert.deepEqual([response.status, status], [503, "not_ready"]);
  assert.deepEqual(reasons.map(({ code }: { code: string }) => code), [
    "draining",
    "database",
    "no_upstream",
  ]);
});

Deno.test("health exits with 0 only when the server answers, however the address is given", async () => {
  await using router = await Router.start();
  await using other = new FakeUpstream(reply(500, "{}"));
  const cwd = router.directory;
  const proxied = { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "" };
  const [byFlag, byVariable, closed, wrong, anyPort, mistyped] = await Promise.all([
    runProgram(["health", "--addr", `:${router.port}`], { cwd, env: proxied }),
    runProgram(["health"], { cwd, env: { OAR_ADDR: `0.0.0.0:${router.port}`, OAR_MAX_BODY: "nonsense" } }),
    runProgram(["health", "--addr", new URL(refusingEndpoint()).host], { cwd }),
    runProgram(["health", "--addr", `127.0.0.1:${other.port}`], { cwd }),
    runProgram(["health", "--addr", ":0"], { cwd }),
    runProgram(["health", "--addr", "nonsense"], { cwd }),
  ]);
  assert.deepEqual(
    [byFlag.code, byFlag.stdout],
    [0, `the server at 127.0.0.1:${router.port} answers\n`],
    byFlag.stderr,
  );
  assert.equal(byVariable.code, 0, byVariable.stderr);
  assert.equal(closed.code, 1);
  assert.match(closed.stderr, /is not healthy: nobody listens there\n$/);
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /is not healthy: it answered 500\n$/);
  assert.deepEqual([anyPort.code, mistyped.code], [2, 2]);
});
