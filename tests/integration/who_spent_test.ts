/** Who spent what: API, CSV, page, metrics and command line, all after the same traffic of two tokens over two upstreams. */
import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, askApi, callApi } from "../support/admin.ts";
import { eventually, Router, runProgram } from "../support/router.ts";
import { chatCompletion, FakeUpstream, reply, type Script } from "../support/upstream.ts";

interface Row {
  readonly name: string | null;
  readonly requests: number;
  readonly costNano: number;
  readonly unpriced: number;
  readonly inputTokens: number;
  readonly estimatedTokens: number;
  readonly series: { readonly costNano: readonly number[] };
}
interface CostAnswer {
  readonly range: string;
  readonly steps: readonly number[];
  readonly models: { readonly rows: readonly Row[] };
  readonly clients: { readonly rows: readonly Row[] };
  readonly upstreams: { readonly rows: readonly (Row & { readonly upstreamId: number | null })[] };
}

/** Says itself what each request cost, unless the model has no price. */
function charging(usd: number): Script {
  return (request, wire) => {
    const { model = "none" } = JSON.parse(new TextDecoder().decode(request.body) || "{}");
    const { usage, ...rest } = chatCompletion("hello", model);
    const cost = model === "made-up-model" ? {} : { cost: usd };
    const body = { ...rest, usage: { ...Object(usage), ...cost } };
    return reply(200, JSON.stringify(request.method === "GET" ? { object: "list", data: [] } : body))(
      request,
      wire,
    );
  };
}

async function ask(router: Router, token: string, model: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${router.port}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
  });
  assert.equal(response.status, 200);
  await response.text();
}

async function makeToken(router: Router, name: string): Promise<string> {
  const init = { method: "POST", body: JSON.stringify({ name }), status: 201 };
  return (await askApi<{ readonly secret: string }>(router, "/tokens", init)).secret;
}

const figures = (rows: readonly Row[]) =>
  rows.map(({ name, requests, costNano, unpriced }) => [name, requests, costNano, unpriced]);

Deno.test("who spent what is the same in the API, as CSV, on the page, in metrics and for the command line", async (t) => {
  await using cheap = new FakeUpstream(charging(0.0005));
  await using dear = new FakeUpstream(charging(0.25));
  await using router = await Router.start({
    upstreams: [
      { endpoint: dear.endpoint, name: "dear", allow: "o3" },
      { endpoint: cheap.endpoint, name: "cheap", deny: "o3" },
    ],
  });
  const [ann, bob] = [await makeToken(router, "ann"), await makeToken(router, "@bob")];
  await ask(router, ann, "gpt-4o");
  await ask(router, ann, "o3");
  await ask(router, bob, "o3");
  await ask(router, bob, "made-up-model");
  const costs = await eventually(async () => {
    const answer = await askApi<CostAnswer>(router, "/costs?range=today");
    return answer.clients.rows.reduce((sum, { requests }) => sum + requests, 0) >= 4 ? answer : null;
  }, "four requests");

  await t.step("API", async () => {
    assert.equal(costs.steps.length, 1);
    assert.deepEqual(figures(costs.clients.rows), [["ann", 2, 250_500_000, 0], ["@bob", 2, 250_000_000, 1]]);
    assert.deepEqual(figures(costs.models.rows), [
      ["o3", 2, 500_000_000, 0],
      ["gpt-4o", 1, 500_000, 0],
      ["made-up-model", 1, 0, 1],
    ]);
    assert.deepEqual(figures(costs.upstreams.rows), [["dear", 2, 500_000_000, 0], ["cheap", 2, 500_000, 1]]);
    assert.deepEqual(costs.upstreams.rows.map(({ upstreamId }) => upstreamId), [1, 2]);
    const year = await askApi<CostAnswer>(router, "/costs?range=365d");
    assert.equal(year.steps.length, 365);
    assert.deepEqual(figures(year.clients.rows), figures(costs.clients.rows));
    const none = await askApi<CostAnswer>(
      router,
      "/costs?since=2026-01-01T00:00:00Z&until=2026-01-31T00:00:00Z",
    );
    assert.deepEqual([none.range, none.clients.rows], ["custom", []]);
    assert.equal((await callApi(router, "/costs?range=2y")).status, 400);
    const usage = await askApi<CostAnswer>(router, "/usage?range=1h");
    assert.deepEqual(figures(usage.upstreams.rows).toSorted(), figures(costs.upstreams.rows).toSorted());
  });

  await t.step("CSV", async () => {
    for (
      const [by, lines] of [
        ["client", ["ann,0.2505,2,0,0,", "'@bob,0.25,2,1,0,"]],
        ["model", ["o3,0.5,2,0,0,", "gpt-4o,0.0005,1,0,0,", "made-up-model,,1,1,0,"]],
        ["upstream", ["dear,0.5,2,0,0,", "cheap,0.0005,2,1,0,"]],
        ["day", [`${new Date(costs.steps[0] ?? 0).toISOString().slice(0, 10)},0.5005,4,1,`]],
      ] as const
    ) {
      const answer = await callApi(router, `/costs/export?by=${by}&range=today`);
      assert.match(answer.headers.get("content-type") ?? "", /^text\/csv/);
      assert.match(answer.headers.get("content-disposition") ?? "", new RegExp(`costs-by-${by}\\.csv`));
      const [head, ...rows] = (await answer.text()).trimEnd().split("\r\n");
      assert.match(head ?? "", new RegExp(`^\ufeff?${by},costUsd,requests,unpriced,`));
      assert.equal(rows.length, lines.length, by);
      rows.forEach((row, index) => assert.ok(row.startsWith(lines[index] ?? "?"), row));
    }
  });

  await t.step("page", async () => {
    const get = async (path: string) =>
      await (await fetch(adminUrl(router, path), {
        headers: { authorization: `Bearer ${adminTokenOf(router)}` },
      })).text();
    const html = await get("/costs?range=today");
    for (const text of ["$0.5005".slice(0, 5), "$0.251", "$0.0005", "1 without a price", "made-up-model"]) {
      assert.ok(html.includes(text), text);
    }
    assert.match(await get(""), /id="usage-upstream"/);
  });

  await t.step("metrics", async () => {
    const metrics = [
      ['cost_usd_total{upstream="dear",model="o3"}', 0.5],
      ['cost_usd_total{upstream="cheap",model="gpt-4o"}', 0.0005],
      ['unpriced_requests_total{upstream="cheap",model="made-up-model"}', 1],
      ['client_cost_usd_total{client="ann"}', 0.2505],
    ] as const;
    for (const [name, value] of metrics) assert.equal(await router.metric(name), value, name);
  });

  await t.step("command line", async () => {
    const run = async (...flags: string[]) =>
      (await runProgram(["costs", ...flags], { cwd: router.directory })).stdout;
    const out = await run();
    const lines = out.trimEnd().split("\n").map((line) => line.trim().split(/\s+/));
    assert.deepEqual(lines.map((cells) => cells.slice(0, 4)), [
      ["CLIENT", "COST", "REQUESTS", "UNPRICED"],
      ["ann", "$0.251", "2", "0"],
      ["@bob", "$0.25", "2", "1"],
    ]);
    const json = JSON.parse(
      await run("--by", "day", "--json"),
    );
    assert.deepEqual([json.by, json.total.costNano, json.total.unpriced, json.rows.length], [
      "day",
      500_500_000,
      1,
      30,
    ]);
    const csv = await run("--by", "upstream", "--csv", "--since", "1d");
    assert.match(csv, /^\ufeff?upstream,costUsd,.*\r\ndear,0\.5,2,0,/);
  });
});

Deno.test("what a token has spent of its budget is in the API and on its page, in the period of its budget", async () => {
  await using upstream = new FakeUpstream(charging(0.25));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "one" }] });
  const init = { method: "POST", status: 201 };
  const body = JSON.stringify({ name: "ann", budgetUsd: 2, budgetPeriod: "week" });
  const { secret } = await askApi<{ readonly secret: string }>(router, "/tokens", { ...init, body });
  await ask(router, secret, "gpt-4o");
  await ask(router, secret, "gpt-4o");
  const spending = await eventually(async () => {
    const answer = await askApi<
      { readonly spentNano: number; readonly budgetNano: number; readonly period: string }
    >(
      router,
      "/tokens/ann/spending",
    );
    return answer.spentNano === 500_000_000 ? answer : null;
  }, "the spending to be noted");
  assert.deepEqual([spending.budgetNano, spending.period], [2_000_000_000, "week"]);
  const headers = { authorization: `Bearer ${adminTokenOf(router)}` };
  const html = await (await fetch(adminUrl(router, "/tokens/show?which=ann"), { headers })).text();
  assert.match(html, /\$0\.50 of \$2\.00/);
  assert.match(html, /width="25\.00%"/);
  assert.equal((await callApi(router, "/tokens/nobody/spending")).status, 404);
});
