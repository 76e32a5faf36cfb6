/** The models of all upstreams: one list, and the order that follows from it. */
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { askApi } from "../support/admin.ts";
import { eventually, Router, type RouterOptions, runProgram, TEST_TOKEN } from "../support/router.ts";
import {
  chatReply,
  FakeUpstream,
  type ReceivedRequest,
  refusingEndpoint,
  reply,
  type Script,
} from "../support/upstream.ts";

const OTHER = "other-token-0123456789";
const UNION = { OAR_MODELS: "union" };
const MISSING = '{"error":{"message":"The model does not exist","code":"model_not_found"}}';

const isModels = ({ target }: ReceivedRequest) => target.split("?")[0] === "/v1/models";
const objectOf = (id: string, more = "") => `{ "id": "${id}", "object": "model"${more} }`;
const listOf = (ids: readonly string[]) =>
  `{"object":"list","data":[${ids.map((id) => objectOf(id)).join(",")}]}`;

/** Lists these models, and serves them: others get a 404. */
function provider(ids: readonly string[], list: Script = reply(200, listOf(ids))): Script {
  return (request, wire) => {
    if (isModels(request)) return list(request, wire);
    const { model } = JSON.parse(request.text || "{}");
    return (ids.includes(model) ? chatReply(model) : reply(404, MISSING))(request, wire);
  };
}

class Stage implements AsyncDisposable {
  readonly #parts: AsyncDisposable[] = [];
  router!: Router;

  upstream(script: Script): FakeUpstream {
    const upstream = new FakeUpstream(script);
    this.#parts.unshift(upstream);
    return upstream;
  }

  async start(options: RouterOptions): Promise<Router> {
    this.router = await Router.start({ ...options, env: { ...UNION, ...options.env } });
    this.#parts.unshift(this.router);
    return this.router;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const part of this.#parts) await part[Symbol.asyncDispose]();
  }
}

async function idsOf(response: Response): Promise<string[]> {
  const { data } = await response.json();
  return data.map(({ id }: { id: string }) => id);
}

/** Waits until the upstreams have answered. */
async function listed(router: Router, count: number): Promise<void> {
  await eventually(
    async () =>
      (await router.metrics()).match(/^openai_api_route_upstream_models\{/gm)?.length === count || null,
    `${count} lists`,
  );
}

Deno.test("GET /v1/models is the union of what the upstreams list, in order, objects as they came", async (t) => {
  await using stage = new Stage();
  const many = Array.from({ length: 400 }, (_, n) => `m-${n}`);
  const first = stage.upstream(
    provider(
      ["a", "shared"],
      reply(
        200,
        `[${objectOf("a", ',"x":1.0')},${objectOf("shared", ',"of":"first"')},${
          objectOf("a")
        },{"no":"id"},7]`,
      ),
    ),
  );
  const second = stage.upstream(provider(["shared", ...many]));
  const without = stage.upstream((request, wire) =>
    (isModels(request) ? reply(404, '{"error":{}}') : chatReply("here"))(request, wire)
  );
  const own = stage.upstream(provider(["own"]));
  const router = await stage.start({
    upstreams: [
      { endpoint: first.endpoint, name: "first", sk: "sk-first", modelMap: '{"alias":"a","gone":"nothing"}' },
      { endpoint: second.endpoint, name: "second", sk: "sk-second", deny: "m-399" },
      {
        endpoint: without.endpoint,
        name: "without",
        sk: "sk-3",
        allow: "deployment,open-*",
        modelMap: '{"open-x":"y"}',
      },
      { endpoint: own.endpoint, name: "own", sk: "asis" },
    ],
  });

  await t.step("first wins an id; aliases, denied models and literal patterns count", async () => {
    const response = await router.fetch("/models");
    const text = await response.text();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("content-type"), "application/json");
    assert.equal(response.headers.get("x-oar-upstreams"), "first, second, without");
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.match(response.headers.get("x-oar-request-id") ?? "", /^[0-9A-Z]{26}$/);
    const { object, data } = JSON.parse(text);
    assert.equal(object, "list");
    assert.deepEqual(data.map(({ id }: { id: string }) => id), [
      ...["a", "shared", "alias", ...many.slice(0, -1), "deployment", "open-x"],
    ]);
    assert.ok(text.includes('{ "id": "a", "object": "model","x":1.0 }'), "the bytes are the upstream's");
    assert.ok(text.includes('{ "id": "alias", "object": "model","x":1.0 }'), "only the id is another");
    assert.deepEqual(data[1], { id: "shared", object: "model", of: "first" });
    assert.deepEqual(data.at(-2), { id: "deployment", object: "model", created: 0, owned_by: "without" });
  });

  await t.step("it is answered with 304 while it is the same, and to HEAD without a body", async () => {
    const response = await router.fetch("/models");
    const length = (await response.text()).length;
    const etag = response.headers.get("etag") ?? "";
    assert.match(etag, /^W\/"[\w-]+"$/);
    for (const condition of [etag, etag.slice(2), `"x", ${etag}`, "*"]) {
      const same = await router.fetch("/models", { headers: { "if-none-match": condition } });
      assert.deepEqual([same.status, await same.text(), same.headers.get("etag")], [304, "", etag]);
    }
    const other = await router.fetch("/models", { headers: { "if-none-match": 'W/"x"' } });
    assert.equal(other.status, 200);
    await other.body?.cancel();
    const head = await router.fetch("/models", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-length")], [200, String(length)]);
    assert.equal(head.headers.get("etag"), etag);
  });

  await t.step(
    "one model is answered by its name, also an alias, and one that nobody has with 404",
    async () => {
      for (const path of ["/models/alias", "/models/alias/", "/models/%61lias", "/v1/models/alias"]) {
        const response = await router.fetch(path);
        assert.equal(await response.text(), '{ "id": "alias", "object": "model","x":1.0 }', path);
      }
      const missing = await router.fetch("/models/gone");
      assert.equal(missing.status, 404);
      assert.equal((await missing.json()).error.code, "model_not_found");
      // Nobody was asked.
      await eventually(
        () => /GET \/v1\/models\/gone - 404 .* no_upstream /.test(router.text) || null,
        "the log",
      );
      assert.equal((await router.fetch("/models/m-399", { method: "HEAD" })).status, 404);
    },
  );

  await t.step("an asis upstream is asked with the client's own key, which no other one gets", async () => {
    const headers = { "x-api-key": TEST_TOKEN, authorization: "Bearer sk-client" };
    const response = await router.fetch("/models", { headers });
    assert.equal(response.headers.get("x-oar-upstreams"), "first, second, without, own");
    assert.equal((await idsOf(response)).at(-1), "own");
    assert.deepEqual(own.requests.map((each) => each.headers.get("authorization")), ["Bearer sk-client"]);
    assert.equal(own.requests[0]?.headers.get("x-api-key"), null);
    assert.deepEqual(first.requests.map((each) => each.headers.get("authorization")), ["Bearer sk-first"]);
  });

  await t.step("nothing of it is recorded, but it is counted and logged", async () => {
    assert.equal(router.records().length, 0);
    assert.ok(await router.metric('model_answers_total{status="200"}') > 5);
    assert.equal(await router.metric('upstream_models{upstream="second"}'), 401);
    assert.match(router.text, /request: GET \/v1\/models - 200 - attempts=0/);
  });

  await t.step("the openai SDK and Open WebUI see them all; other methods are relayed", async () => {
    const client = new OpenAI({ baseURL: router.url, apiKey: TEST_TOKEN, maxRetries: 0 });
    const names: string[] = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.equal(names.length, 404);
    assert.equal((await client.models.retrieve("m-17")).id, "m-17");
    await assert.rejects(
      client.models.retrieve("nobody"),
      (error: unknown) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
    );
    const webUi = await router.fetch("/models", { headers: { accept: "application/json" } });
    assert.equal((await idsOf(webUi)).length, 404);
    const before = first.requests.length;
    await (await router.fetch("/models/a", { method: "DELETE" })).body?.cancel();
    assert.deepEqual(first.requests.slice(before).map(({ method }) => method), ["DELETE"]);
  });
});

Deno.test("the operator sees who has which model: list, doctor, the API and the page", async (t) => {
  await using stage = new Stage();
  const first = stage.upstream(provider(["a", "shared"]));
  const second = stage.upstream(provider(["shared"]));
  const without = stage.upstream(reply(404, "{}"));
  const router = await stage.start({
    upstreams: [
      { endpoint: first.endpoint, name: "first", modelMap: '{"alias":"gone"}' },
      { endpoint: second.endpoint, name: "second", allow: "shared,nobody" },
      { endpoint: without.endpoint, name: "without" },
    ],
  });
  await listed(router, 2);
  const run = async (...args: string[]) => (await runProgram(args, { cwd: router.directory })).stdout;

  await t.step("list --models, also as JSON", async () => {
    await eventually(() => router.query("SELECT 1 FROM upstream_models").length === 3 || null, "the tables");
    await eventually(
      () => router.query("SELECT 1 FROM upstream_model_lists").length === 3 || null,
      "the rest",
    );
    assert.match(
      await run("list", "--models"),
      /^first: 2 models\n {2}a\n {2}shared\nsecond: 1 model\n {2}shared\nwithout: not known: it has no list of models$/m,
    );
    const listedAs = JSON.parse(await run("list", "--models", "--json"));
    assert.deepEqual(listedAs.map(({ models }: { models: unknown }) => models), [
      ["a", "shared"],
      ["shared"],
      null,
    ]);
    assert.deepEqual(
      JSON.parse(await run("list", "--json")).map((
        each: Record<string, unknown>,
      ) => [each.modelCount, each.models]),
      [[2, undefined], [1, undefined], [null, undefined]],
    );
    assert.match(await run("list"), /MODELS/);
    router.execute("UPDATE upstream_model_lists SET problem = 'HTTP 500' WHERE upstream_id = 3");
    assert.match(await run("list", "--models"), /^without: not known: HTTP 500$/m);
  });
  await t.step("doctor names what leads nowhere", async () => {
    const text = await run("doctor");
    assert.match(text, /first.*does not list gone, which it gets for alias/);
    assert.match(text, /second.*no upstream lists nobody/);
    assert.doesNotMatch(text, /lists shared/);
  });
  await t.step("the API finds models by a part of their name", async () => {
    assert.deepEqual(await askApi(router, "/models"), {
      models: [{ model: "a", upstreams: ["first"] }, { model: "shared", upstreams: ["first", "second"] }],
      count: 2,
    });
    assert.deepEqual(await askApi(router, "/models?search=HARE"), {
      models: [{ model: "shared", upstreams: ["first", "second"] }],
      count: 1,
    });
    const upstreams = await askApi<{ modelCount: number | null }[]>(router, "/upstreams");
    assert.deepEqual(upstreams.map(({ modelCount }) => modelCount), [2, 1, null]);
  });
});

Deno.test("with anthropic-version, the list has Anthropic's form and its upstreams only", async (t) => {
  await using stage = new Stage();
  const claude = (n: number) =>
    `{"type":"model","id":"claude-${n}","display_name":"C${n}","created_at":"2026-01-01T00:00:00Z"}`;
  const anthropic = stage.upstream((request, wire) => {
    const query = new URLSearchParams(request.target.split("?")[1]);
    const after = Number(query.get("after_id")?.slice(7) ?? 0);
    const page = [1, 2].map((n) => after + n).filter((n) => n <= 5);
    const body = `{"data":[${page.map(claude).join(",")}],"has_more":${after + 2 < 5},"first_id":"claude-${
      page[0]
    }","last_id":"claude-${page.at(-1)}"}`;
    return reply(200, body)(request, wire);
  });
  const openai = stage.upstream(provider(["gpt"]));
  const router = await stage.start({
    upstreams: [
      { endpoint: openai.endpoint, name: "openai" },
      { endpoint: anthropic.endpoint, name: "anthropic", authStyle: "x-api-key" },
    ],
  });
  await listed(router, 2);

  await t.step("its own pages were followed", async () => {
    assert.deepEqual(
      anthropic.requests.map(({ target }) => target.split("?")[1]),
      ["limit=1000", "limit=1000&after_id=claude-2", "limit=1000&after_id=claude-4"],
    );
    assert.equal((await idsOf(await router.fetch("/models"))).length, 6);
  });

  await t.step("@anthropic-ai/sdk lists and pages", async () => {
    const client = new Anthropic({ baseURL: router.url, apiKey: TEST_TOKEN, maxRetries: 0 });
    const names: string[] = [];
    for await (const model of client.models.list()) names.push(model.id);
    assert.deepEqual(names, [1, 2, 3, 4, 5].map((n) => `claude-${n}`));
    const paged: string[] = [];
    for await (const model of client.models.list({ limit: 2 })) paged.push(model.id);
    assert.deepEqual(paged, names);
    assert.equal((await client.models.retrieve("claude-3")).display_name, "C3");
    await assert.rejects(client.models.retrieve("gpt"), Anthropic.NotFoundError);
  });

  await t.step("cursors and limits are Anthropic's", async () => {
    const headers = { "anthropic-version": "2023-06-01" };
    const ask = async (query: string) => (await router.fetch(`/models?${query}`, { headers })).json();
    const { data: _data, ...whole } = await ask("");
    assert.deepEqual(whole, { has_more: false, first_id: "claude-1", last_id: "claude-5" });
    const ids = ({ data }: { data: { id: string }[] }) => data.map(({ id }) => id);
    assert.deepEqual(ids(await ask("limit=2&before_id=claude-4")), ["claude-2", "claude-3"]);
    assert.equal((await ask("limit=2&before_id=claude-4")).has_more, true);
    assert.equal((await ask("limit=2&after_id=claude-3")).has_more, false);
    const wrong = await router.fetch("/models?limit=0", { headers });
    assert.deepEqual([wrong.status, (await wrong.json()).error.type], [400, "invalid_request_error"]);
  });
});

Deno.test("a model that only the third upstream has costs no failed attempt once its list is known", async (t) => {
  await using stage = new Stage();
  const first = stage.upstream(provider(["common"]));
  const second = stage.upstream(provider(["other"], reply(404, "{}")));
  const third = stage.upstream(provider(["common", "rare", "models/gemini"]));
  const router = await stage.start({
    upstreams: [first, second, third].map(({ endpoint }, n) => ({
      endpoint,
      name: ["first", "second", "third"][n] ?? "",
      modelMap: n === 2 ? '{"alias":"rare"}' : "{}",
    })),
  });
  await listed(router, 2);
  const asked = async (model: string) => {
    const response = await router.chat({ model });
    await response.body?.cancel();
    return [response.status, response.headers.get("x-oar-upstream"), response.headers.get("x-oar-attempts")];
  };
  await t.step("by name and by alias", async () => {
    assert.deepEqual(await asked("rare"), [200, "third", "1"]);
    assert.deepEqual(await asked("alias"), [200, "third", "1"]);
    assert.deepEqual(await asked("common"), [200, "first", "1"]);
  });
  await t.step(
    "one that is listed nowhere is tried where nothing is known, then everywhere else",
    async () => {
      assert.deepEqual(await asked("other"), [200, "second", "1"]);
      const response = await router.chat({ model: "nobody" });
      await response.body?.cancel();
      assert.equal(response.status, 404);
      assert.equal(response.headers.get("x-oar-attempts"), "3");
    },
  );
});

Deno.test("what one client makes an upstream say of a model that serves others changes no order", async () => {
  await using stage = new Stage();
  const list = reply(200, listOf(["m"]));
  const upstreams = ["first", "second"].map((name) =>
    stage.upstream((request, wire) => {
      if (isModels(request)) return list(request, wire);
      const isRefused = name === "first" && request.headers.has("x-odd");
      return (isRefused ? reply(404, MISSING) : chatReply(name))(request, wire);
    })
  );
  const router = await stage.start({
    upstreams: upstreams.map(({ endpoint }, n) => ({ endpoint, name: `${n}` })),
    authorization: `${TEST_TOKEN},${OTHER}`,
  });
  await listed(router, 2);
  const ask = async (token: string, odd: HeadersInit = {}) => {
    const headers = { authorization: `Bearer ${token}`, ...odd };
    const response = await router.chat({ model: "m" }, { headers });
    await response.body?.cancel();
    return response.headers.get("x-oar-upstream");
  };
  assert.equal(await ask(TEST_TOKEN), "0");
  assert.equal(await ask(OTHER, { "x-odd": "1" }), "1");
  assert.equal(await ask(TEST_TOKEN), "0");
  assert.equal(await ask(OTHER), "0");
});

Deno.test("an upstream that lists a model and then says that it does not have it is asked last", async () => {
  await using stage = new Stage();
  const liar = stage.upstream(provider([], reply(200, listOf(["m"]))));
  const honest = stage.upstream(provider(["m"]));
  const router = await stage.start({
    upstreams: [{ endpoint: liar.endpoint, name: "liar" }, { endpoint: honest.endpoint, name: "honest" }],
  });
  await listed(router, 2);
  const attempts: (string | null)[] = [];
  for (let count = 0; count < 3; count++) {
    const response = await router.chat({ model: "m" });
    await response.body?.cancel();
    attempts.push(response.headers.get("x-oar-attempts"));
  }
  assert.deepEqual(attempts, ["2", "1", "1"]);
});

const LISTS: [string, Script, string[] | null][] = [
  [
    "a list of 5 MB",
    reply(
      200,
      `{"data":[${
        Array.from({ length: 500 }, (_, n) => objectOf(`m${n}`, `,"d":"${"é".repeat(5_000)}"`)).join(",")
      }]}`,
    ),
    Array.from({ length: 500 }, (_, n) => `m${n}`),
  ],
  ["data that is null", reply(200, '{"object":"list","data":null}'), null],
  ["Ollama's form", reply(200, '{"models":[{"name":"llama3:8b","size":1}]}'), ["llama3:8b"]],
  ["no list", reply(200, '{"message":"hello"}'), null],
  ["HTML", reply(200, "<html>"), null],
  ["a list that breaks off", reply(200, '{"data":[{"id":"m"}'), null],
  ["a redirect", reply(302, ""), null],
  ["an empty list", reply(200, '{"data":[]}'), null],
  ["names that are no texts", reply(200, '{"data":[{"id":1},{"id":""},{"id":null},{},[],"x",{"id":"ok"}]}'), [
    "ok",
  ]],
  [
    "a page that names itself as the next one",
    reply(200, '{"data":[{"id":"m"}],"has_more":true,"last_id":"m"}'),
    ["m"],
  ],
];

for (const [name, script, expected] of LISTS) {
  Deno.test(`lists of models: ${name}`, async () => {
    await using stage = new Stage();
    const odd = stage.upstream((request, wire) =>
      (isModels(request) ? script : chatReply("x"))(request, wire)
    );
    const plain = stage.upstream(provider(["plain"]));
    const router = await stage.start({
      upstreams: [{ endpoint: odd.endpoint, name: "odd" }, { endpoint: plain.endpoint, name: "plain" }],
    });
    const response = await router.fetch("/models");
    assert.deepEqual(await idsOf(response), [...expected ?? [], "plain"]);
    // Where nothing is known, the order stays as it is.
    const chat = await router.chat({ model: "plain" });
    await chat.body?.cancel();
    assert.equal(chat.headers.get("x-oar-upstream"), "plain");
  });
}

Deno.test("an upstream's key that its list quotes is shown to nobody, and not stored", async () => {
  await using stage = new Stage();
  const key = "sk-secret-0123456789abcdef";
  const escaped = key.replaceAll("-", "\\u002d");
  const upstream = stage.upstream(
    reply(
      200,
      `{"data":[{"id":"a","note":"your key ${key}"},{"id":"${key}"},{"id":"b"},{"id":"c","note":"${escaped}"}]}`,
    ),
  );
  const router = await stage.start({ upstreams: [{ endpoint: upstream.endpoint, name: "only", sk: key }] });
  const text = await (await router.fetch("/models")).text();
  assert.deepEqual(JSON.parse(text).data.map(({ id }: { id: string }) => id), ["a", "b", "c"]);
  assert.ok(!text.includes("secret"));
  const rows = await eventually(() => {
    const found = router.query("SELECT * FROM upstream_models");
    return found.length === 3 ? found : null;
  }, "the table");
  assert.ok(!JSON.stringify(rows).includes("secret"));
});

Deno.test("without any list, the request is relayed as any other; with --models first always", async () => {
  await using stage = new Stage();
  let asked = 0;
  const upstream = stage.upstream((request, wire) => {
    asked++;
    return reply(asked === 1 ? 500 : 200, asked === 1 ? "{}" : '{"relayed":true}')(request, wire);
  });
  const router = await stage.start({ upstreams: [{ endpoint: upstream.endpoint, name: "only" }] });
  const response = await router.fetch("/models");
  assert.deepEqual(await response.json(), { relayed: true });
  assert.equal(response.headers.get("x-oar-upstream"), "only");
  assert.equal((await router.recorded(1)).length, 1);

  const other = stage.upstream(reply(200, '{"data":[]}'));
  await using first = await Router.start({
    upstreams: [{ endpoint: other.endpoint }],
    args: ["--models", "first"],
  });
  assert.deepEqual(await (await first.fetch("/models")).json(), { data: [] });
  assert.equal(other.requests.length, 1, "the server asks nothing by itself");
});

Deno.test("lists are kept: a server that starts again knows them while its upstreams are silent", async (t) => {
  await using stage = new Stage();
  const first = stage.upstream(provider(["one"]));
  const second = stage.upstream(provider(["two"]));
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  const upstreams = [{ endpoint: first.endpoint, name: "first" }, {
    endpoint: second.endpoint,
    name: "second",
  }];
  {
    await using before = await Router.start({ upstreams, env: UNION });
    await listed(before, 2);
    await eventually(() => before.query("SELECT 1 FROM upstream_models").length === 2 || null, "the tables");
    for (const name of ["db.sqlite", "db.sqlite-wal"]) {
      await Deno.copyFile(`${before.directory}/${name}`, `${directory}/${name}`).catch(() => {});
    }
  }
  first.script = (request, wire) => isModels(request) ? request.closed : provider(["one"])(request, wire);
  second.script = (request, wire) => isModels(request) ? request.closed : provider(["two"])(request, wire);
  const router = await stage.start({ directory });
  await t.step("the list and the order", async () => {
    assert.deepEqual(await idsOf(await router.fetch("/models")), ["one", "two"]);
    const response = await router.chat({ model: "two" });
    await response.body?.cancel();
    assert.deepEqual(
      [response.headers.get("x-oar-upstream"), response.headers.get("x-oar-attempts")],
      ["second", "1"],
    );
  });
  await t.step("another key is another account: its list is not known", async () => {
    router.execute("UPDATE openai_upstreams SET sk = 'sk-other' WHERE name = 'first'");
    await eventually(
      () => router.query("SELECT DISTINCT upstream_id FROM upstream_models").length === 1 || null,
      "the deletion",
    );
  });
});

Deno.test("of several keys, the first one alone neither hides the list nor closes the upstream to checks", async () => {
  await using stage = new Stage();
  let status = 401;
  const upstream = stage.upstream((request, wire) => {
    if (!isModels(request)) return chatReply("m")(request, wire);
    const isFirst = request.headers.get("authorization") === "Bearer sk-first";
    return reply(isFirst ? status : 200, listOf(["m"]))(request, wire);
  });
  const router = await stage.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "pool", sk: "sk-first\nsk-second" }],
    args: ["--check", "1"],
  });
  await listed(router, 1);
  assert.deepEqual(await idsOf(await router.fetch("/models")), ["m"]);
  for (status of [401, 402]) {
    const before = upstream.requests.length;
    await upstream.received(before + 4);
  }
  assert.equal(await router.metric('upstream_state{upstream="pool",state="closed"}'), 1);
});

Deno.test("--check closes what an outage opened, and nothing else", async (t) => {
  await using stage = new Stage();
  let isUp = true;
  const upstream = stage.upstream((request, wire) => {
    if (isModels(request) && isUp) return reply(200, listOf(["m"]))(request, wire);
    return reply(isUp ? 402 : 503, "{}")(request, wire);
  });
  const router = await stage.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "up" }, { endpoint: refusingEndpoint(), name: "down" }],
    env: { OAR_MODELS: "first", OAR_BREAKER_MAX: "3600" },
    args: ["--check", "1"],
  });
  const state = (name: string, word: string) =>
    router.metric(`upstream_state{upstream="${name}",state="${word}"}`);
  const becomes = (name: string, word: string) =>
    eventually(async () => await state(name, word) === 1 || null, `${name} ${word}`);
  await t.step("what cannot be reached opens without any request", async () => {
    await becomes("down", "open");
    assert.equal(await state("up", "closed"), 1);
    assert.ok(await router.metric('upstream_checks_total{upstream="down",result="outage"}') >= 3);
  });
  await t.step("an outage ends with the first check that is answered", async () => {
    isUp = false;
    await becomes("up", "open");
    isUp = true;
    await becomes("up", "closed");
  });
  await t.step("a lack of credit does not", async () => {
    await (await router.chat()).body?.cancel();
    await becomes("up", "no_credit");
    const before = upstream.requests.length;
    await upstream.received(before + 2);
    assert.equal(await state("up", "no_credit"), 1);
  });
});
