/**
 * What follows from a request's path: aliases in it, a repeated /v1, and which rules hold for requests without a model.
 */
import assert from "node:assert/strict";
import { Router } from "../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

const JSON_HEAD = { "content-type": "application/json" };
const DOCUMENT = '{"id":"claude-sonnet-5", "object":"model"}';

Deno.test("a model in the path has another name at an upstream with an alias", async (t) => {
  await using broken = new FakeUpstream(reply(503, "{}", JSON_HEAD));
  await using upstream = new FakeUpstream(reply(200, DOCUMENT, JSON_HEAD));
  await using plain = new FakeUpstream(reply(200, DOCUMENT, JSON_HEAD));
  const modelMap = JSON.stringify({ "best": "claude-sonnet-5", "org/x": "meta/y z" });
  await using router = await Router.start({
    upstreams: [
      { endpoint: broken.endpoint, modelMap: '{"best":"other"}' },
      { endpoint: upstream.endpoint, modelMap, deny: "constructor" },
      { endpoint: plain.endpoint, allow: "constructor" },
    ],
  });
  const cases: [method: string, path: string, target: string][] = [
    ["GET", "/models/best", "/v1/models/claude-sonnet-5"],
    ["HEAD", "/models/best", "/v1/models/claude-sonnet-5"],
    ["DELETE", "/models/best", "/v1/models/claude-sonnet-5"],
    ["GET", "/models/best?x=1", "/v1/models/claude-sonnet-5?x=1"],
    ["GET", "/v1/models/best", "/v1/models/claude-sonnet-5"],
    ["GET", "/models/org%2Fx", "/v1/models/meta%2Fy%20z"],
    ["GET", "/models/org/x", "/v1/models/meta/y%20z"],
    ["GET", "/models/best/more", "/v1/models/best/more"],
    ["GET", "/models/gpt-4o", "/v1/models/gpt-4o"],
    ["GET", "/models", "/v1/models"],
    ["GET", "/files/models/best", "/v1/files/models/best"],
  ];
  for (const [method, path, target] of cases) {
    await t.step(`${method} ${path}`, async () => {
      const response = await router.fetch(path, { method });
      assert.equal(response.status, 200);
      assert.equal(await response.text(), method === "HEAD" ? "" : DOCUMENT);
      assert.equal(upstream.requests.at(-1)?.target, target);
    });
  }
  await t.step("each upstream has its own", () => {
    assert.equal(broken.requests[0]?.target, "/v1/models/other");
  });
  await t.step("the record has the client's name for it", async () => {
    const record = await router.recordOf(await router.fetch("/models/best"));
    assert.deepEqual([record.model, record.path], ["best", "/v1/models/best"]);
  });
  await t.step("names of an object's own properties are no aliases", async () => {
    plain.script = chatReply("ok");
    const response = await router.fetch("/chat/completions", {
      method: "POST",
      body: '{"model":"constructor"}',
    });
    await response.body?.cancel();
    assert.equal(response.status, 200);
    assert.equal(plain.requests.at(-1)?.text, '{"model":"constructor"}');
  });
  await t.step("in the path and in the body", async () => {
    const body = (model: string) => `{"model":"${model}"}`;
    const path = (model: string) => `/openai/deployments/${model}/chat/completions`;
    const response = await router.fetch(path("best"), {
      method: "POST",
      headers: JSON_HEAD,
      body: body("best"),
    });
    await response.body?.cancel();
    assert.equal(upstream.requests.at(-1)?.target, `/v1${path("claude-sonnet-5")}`);
    assert.equal(upstream.requests.at(-1)?.text, body("claude-sonnet-5"));
    const other = await router.fetch(path("dear"), {
      method: "POST",
      headers: JSON_HEAD,
      body: body("best"),
    });
    assert.equal(other.status, 400);
    assert.match((await other.json()).error.message, /path names/);
  });
});

Deno.test("/v1/v1 means /v1, for rules, the upstream and the record", async () => {
  await using upstream = new FakeUpstream(reply(200, DOCUMENT, JSON_HEAD));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, deny: "/v1/files*,dear" }],
  });
  const message = (model: string) => ({ method: "POST", headers: JSON_HEAD, body: `{"model":"${model}"}` });
  const served = await router.fetch("/v1/messages", message("m"));
  await served.body?.cancel();
  assert.equal(served.status, 200);
  assert.equal(upstream.requests.at(-1)?.target, "/v1/messages");
  assert.equal((await router.recordOf(served)).path, "/v1/messages");
  for (
    const [path, init] of [["/v1/messages", message("dear")], ["/v1/files", {}], [
      "/v1/v1/files",
      {},
    ]] as const
  ) {
    const refused = await router.fetch(path, init);
    await refused.body?.cancel();
    assert.equal(refused.status, 404, path);
  }
  const stranger = await fetch(`${router.url}/v1/messages`, message("m"));
  await stranger.body?.cancel();
  assert.equal(stranger.status, 403);
});

Deno.test("patterns of models let requests through that need no model, and no others", async (t) => {
  await using gpt = new FakeUpstream(reply(200, DOCUMENT, JSON_HEAD));
  await using paths = new FakeUpstream(reply(200, DOCUMENT, JSON_HEAD));
  await using router = await Router.start({
    upstreams: [
      { endpoint: gpt.endpoint, name: "gpt", allow: "gpt*", deny: "gpt-5*" },
      { endpoint: paths.endpoint, name: "paths", allow: "/v1/batches*" },
    ],
  });
  const cases: [method: string, path: string, body: string | null, upstream: string | null][] = [
    ["GET", "/responses/resp_1", null, "gpt"],
    ["DELETE", "/responses/resp_1", null, "gpt"],
    ["POST", "/responses/resp_1/cancel", "", "gpt"],
    ["GET", "/chat/completions", null, "gpt"],
    ["POST", "/chat/completions/c", '{"metadata":{}}', "gpt"],
    ["GET", "/models", null, "gpt"],
    ["GET", "/files/f/content", null, "gpt"],
    ["POST", "/messages/batches", '{"requests":[{"params":{"model":"claude"}}]}', "gpt"],
    ["POST", "/threads/t/messages", '{"role":"user","content":"x"}', "gpt"],
    ["GET", "/models/gpt-4", null, "gpt"],
    ["GET", "/models/gpt-5", null, null],
    ["DELETE", "/models/claude", null, null],
    ["POST", "/chat/completions", '{"messages":[]}', null],
    ["POST", "/chat/completion%73", '{"messages":[]}', null],
    ["POST", "/chat%2Fcompletions", '{"messages":[]}', null],
    ["POST", "/Chat/Completions", '{"messages":[]}', null],
    ["POST", "/responses", '{"previous_response_id":"resp_1","input":"x"}', null],
    ["POST", "/responses", '{"prompt":{"id":"pmpt_1"}}', null],
    ["POST", "/embeddings", '{"model":null}', null],
    ["POST", "/messages", "", null],
  ];
  for (const [method, path, body, name] of cases) {
    await t.step(`${method} ${path} ${body ?? ""}`, async () => {
      const response = await router.fetch(path, { method, headers: JSON_HEAD, body });
      assert.equal(response.headers.get("x-oar-upstream"), name);
      assert.equal(response.status, name === null ? 404 : 200);
      const text = await response.text();
      if (name !== null) return;
      const { error } = JSON.parse(text);
      // Below /messages, errors have Anthropic's form.
      assert.equal(error.code ?? error.type, path === "/messages" ? "not_found_error" : "model_not_found");
    });
  }
  await t.step("a pattern of paths limits them", async () => {
    router.execute("UPDATE openai_upstreams SET enabled = 0 WHERE name = 'gpt'");
    for (;;) {
      const refused = await router.fetch("/files");
      await refused.body?.cancel();
      if (refused.status === 404) break;
    }
    const response = await router.fetch("/batches/b");
    await response.body?.cancel();
    assert.equal(response.headers.get("x-oar-upstream"), "paths");
  });
});
