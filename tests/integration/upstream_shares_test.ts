/**
 * An upstream that fails too many of its attempts, and one that nobody has tested: on the page, in the API, in `list`, in
 * `/readyz`, in the metrics and by alert.
 */
import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, askApi } from "../support/admin.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import { chatReply, FakeUpstream, reply, type Script } from "../support/upstream.ts";

const GOOD = chatReply("hi");
const BUSY = reply(503, '{"error":{"message":"busy"}}');

/** Fails every other chat; lists models. */
function everyOther(): Script {
  let n = 0;
  return (request, wire) => (n++ % 2 === 0 ? BUSY : GOOD)(request, wire);
}

interface Listed {
  readonly name: string;
  readonly condition: string;
  readonly state: string;
  readonly breaker: string;
  readonly degraded?: boolean;
  readonly attempts?: number | null;
  readonly failed?: number | null;
  readonly recent?: { readonly attempts: number; readonly failed: number; readonly isDegraded: boolean };
}

async function listJson(router: Router): Promise<Listed[]> {
  return JSON.parse((await runProgram(["list", "--json"], { cwd: router.directory })).stdout);
}

async function ready(router: Router): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${router.port}/readyz`);
  return { status: response.status, body: await response.json() };
}

/** The overview. */
async function openPage(router: Router, query = ""): Promise<string> {
  const headers = { authorization: `Bearer ${adminTokenOf(router)}`, accept: "text/html" };
  return await (await fetch(adminUrl(router, query), { headers })).text();
}

async function ask(router: Router, count: number, model = "test-model"): Promise<void> {
  for (let n = 0; n < count; n++) await (await router.chat({ model })).text();
}

/** Receives alerts. */
class AlertSink implements AsyncDisposable {
  readonly alerts: { type: string; upstream?: string; failed?: number; attempts?: number }[] = [];
  readonly texts: string[] = [];
  readonly #server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { alert, text } = await request.json();
    this.alerts.push(alert);
    this.texts.push(text);
    return new Response("{}");
  });

  get env(): Record<string, string> {
    return { ALERT_WEBHOOK: `http://127.0.0.1:${this.#server.addr.port}/` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

Deno.test("an upstream that fails half is degraded everywhere, one that fails all is failing, one is ok", async () => {
  await using sink = new AlertSink();
  await using half = new FakeUpstream(everyOther());
  await using dead = new FakeUpstream(BUSY);
  await using good = new FakeUpstream(GOOD);
  await using router = await Router.start({
    upstreams: [
      { endpoint: half.endpoint, name: "half", allow: "a" },
      { endpoint: dead.endpoint, name: "dead", allow: "b" },
      { endpoint: good.endpoint, name: "good" },
      { endpoint: good.endpoint, name: "spare", allow: "nothing" },
    ],
    env: sink.env,
  });
  await ask(router, 9, "a");
  assert.deepEqual(await ready(router), {
    status: 200,
    body: { status: "ready", upstreams: { untested: 2 } },
  });
  await ask(router, 11, "a");
  await ask(router, 3, "b");
  await router.recorded(23);

  const { status, body } = await ready(router);
  assert.deepEqual([status, body["status"], body["upstreams"]], [200, "degraded", {
    degraded: 1,
    failing: 1,
    untested: 1,
  }]);
  assert.doesNotMatch(JSON.stringify(body), /half|dead|good|spare/);
  for (const [name, value] of [["half", 1], ["dead", 0], ["good", 0]] as const) {
    assert.equal(await router.metric(`upstream_degraded{upstream="${name}"}`), value, name);
  }

  const listed = await eventually(async () => {
    const all = await listJson(router);
    return all.map(({ condition }) => condition).join() === "ok,failing,ok,untested" && all[0]?.degraded
      ? all
      : null;
  }, "the states in the list");
  assert.deepEqual(listed.map(({ state, degraded }) => [state, degraded]), [
    ["enabled", true],
    ["open", false],
    ["enabled", false],
    ["enabled", false],
  ]);
  const table = (await runProgram(["list"], { cwd: router.directory })).stdout;
  assert.match(table, /half +ok, 50 % failed/);
  assert.match(table, /dead +failing \(next try (\d\d:\d\d:\d\d|now)\): .*HTTP 503/);
  assert.match(table, /spare +untested/);

  const views = await askApi<Listed[]>(router, "/upstreams");
  assert.deepEqual(views.map(({ condition, state }) => [condition, state]), [
    ["ok", "closed"],
    ["failing", "open"],
    ["ok", "closed"],
    ["untested", "closed"],
  ]);
  assert.deepEqual(views[0]?.recent, { attempts: 20, failed: 10, isDegraded: true });

  const page = await eventually(async () => {
    const html = await openPage(router, "?range=15m");
    return /50\u00a0% failed \(10\)/.test(html) ? html : null;
  }, "the statistics");
  assert.match(page, /verdict-warn/);
  assert.match(page, /half<\/bdi> failed 50\u00a0% of 20 attempts\./);
  assert.match(page, /dead<\/bdi> failing/);
  assert.match(page, /The other upstream answers\./);
  assert.match(page, /href="[^"]*records\?since=[^"]*&amp;failedOn=1"/);
  assert.match(page, /href="[^"]*records\?since=[^"]*&amp;tried=1"[^>]*>20 attempts/);
  assert.match(page, /ok, 50\u00a0% failed/);

  await eventually(() => sink.alerts.some(({ type }) => type === "upstream_down") || null, "the alerts");
  const degraded = sink.alerts.filter(({ type }) => type === "upstream_degraded");
  assert.deepEqual(degraded, [{ type: "upstream_degraded", upstream: "half", attempts: 10, failed: 5 }]);
  assert.match(
    sink.texts.join("\n"),
    /Upstream half is degraded: 50 % of its 10 attempts in the last 10 minutes failed/,
  );
});

Deno.test("what a client does wrong does not degrade an upstream, unless another one answers the same", async () => {
  await using picky = new FakeUpstream(
    (request, wire) =>
      request.text.includes("wrong")
        ? reply(400, '{"error":{"message":"bad value"}}')(request, wire)
        : GOOD(request, wire),
  );
  await using router = await Router.start({ upstreams: [{ endpoint: picky.endpoint, name: "picky" }] });
  await ask(router, 10);
  await ask(router, 15, "wrong");
  assert.deepEqual(await ready(router), { status: 200, body: { status: "ready" } });
  const [view] = await askApi<Listed[]>(router, "/upstreams");
  assert.deepEqual(view?.recent, { attempts: 10, failed: 0, isDegraded: false });
});

Deno.test("one upstream that fails too often, with nobody in its place, makes the banner red", async () => {
  await using half = new FakeUpstream(everyOther());
  await using router = await Router.start({
    upstreams: [{ endpoint: half.endpoint, name: "half" }, { endpoint: half.endpoint, name: "spare" }],
  });
  router.execute("UPDATE openai_upstreams SET enabled = 0 WHERE name = 'spare'");
  await eventually(
    async () => (await askApi<Listed[]>(router, "/upstreams"))[1]?.condition === "disabled" || null,
    "the server to see it",
  );
  await ask(router, 20);
  const page = await openPage(router);
  assert.match(page, /verdict-bad/);
  assert.match(page, /half<\/bdi> failed 50\u00a0% of/);
  assert.match(page, /No other upstream is in order/);
});

Deno.test("an upstream is untested until a test or a request was answered, and again with another key", async () => {
  await using upstream = new FakeUpstream((request, wire) =>
    request.target.endsWith("/models")
      ? reply(200, '{"data":[{"id":"m"}]}')(request, wire)
      : GOOD(request, wire)
  );
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "u" }] });
  const state = async () => (await listJson(router))[0]?.condition;
  assert.equal(await state(), "untested");
  assert.match(await openPage(router), /verdict-info.*Not tested yet/s);
  await askApi(router, "/upstreams/1/test", { method: "POST" });
  assert.deepEqual((await ready(router)).body, { status: "ready" });
  await eventually(async () => await state() === "ok" || null, "the test to be noted");
  assert.equal((await askApi<Listed[]>(router, "/upstreams"))[0]?.condition, "ok");

  await runProgram(["edit", "1", "--sk", "sk-another-0123456789"], { cwd: router.directory });
  assert.equal(await state(), "untested");
  await eventually(
    async () => (await askApi<Listed[]>(router, "/upstreams"))[0]?.condition === "untested" || null,
    "the server to see it",
  );
  await ask(router, 1);
  await eventually(async () => await state() === "ok" || null, "the answer to be noted");
  router.signal("SIGTERM");
  await router.exited();
  // It is known without the server, and to the next one.
  assert.equal(await state(), "ok");
  await using next = await Router.start({ directory: router.directory });
  assert.deepEqual((await ready(next)).body, { status: "ready" });
});
