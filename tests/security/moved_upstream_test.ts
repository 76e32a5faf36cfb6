/**
 * An admin may change an upstream's endpoint but not see its key: a key is not carried over to another host.
 */
import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, askApi, Browser, callApi, posted, SAME_ORIGIN } from "../support/admin.ts";
import { eventually, Router } from "../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

const KEY = "sk-upstream-0123456789abcdef";

function storedOf(router: Router): Record<string, unknown> {
  return { ...router.query("SELECT sk, endpoint FROM openai_upstreams WHERE id = 1")[0] };
}

Deno.test("a change of scheme, host or port requires the key again, one of the path does not", async (t) => {
  await using router = await Router.start({ upstreams: [{ endpoint: "https://x.example/v1", sk: KEY }] });
  const cases: readonly [from: string, to: string, isAllowed: boolean][] = [
    ["https://api.example.com/v1", "https://api.example.com/other/v1", true],
    ["https://api.example.com/v1", "https://API.Example.com:443/v1?a=b", true],
    ["https://api.example.com:443/v1", "  https://api.example.com/v2  ", true],
    ["http://[::1]:8080/v1", "http://[0:0:0:0:0:0:0:1]:8080/v2", true],
    ["http://127.0.0.1:8080/v1", "http://127.1:8080/v2", true],
    ["https://api.example.com/v1", "https://thief.example/v1", false],
    ["https://api.example.com/v1", "http://api.example.com/v1", false],
    ["https://api.example.com/v1", "https://api.example.com:8443/v1", false],
    ["https://api.example.com/v1", "http://api.example.com:443/v1", false],
    ["https://api.example.com/v1", "https://api.example.com./v1", false],
    ["https://api.example.com/v1", "https://api.example.com.thief.example/v1", false],
    ["https://api.example.com/v1", "https://api.example.com@thief.example/v1", false],
    ["https://api.example.com/v1", "https://thief.example\\@api.example.com/v1", false],
    ["https://api.example.com/v1", "https:thief.example/v1", false],
    ["https://api.example.com/v1", "https://thief.example#@api.example.com/v1", false],
    ["https://api.example.com/v1?key=sk-query-0123456789", "https://thief.example/v1?key=sk-…6789", false],
    ["https://api.example.com/v1?key=sk-query-0123456789", "https://api.example.com/v2?key=sk-…6789", false],
    ["http://[::1]:8080/v1", "http://[::2]:8080/v1", false],
    ["http://127.0.0.1:8080/v1", "http://localhost:8080/v1", false],
    ["http://127.0.0.1:8080/v1", "http://[::ffff:127.0.0.1]:8080/v1", false],
    ["not a url", "https://thief.example/v1", false],
  ];
  for (const [from, to, isAllowed] of cases) {
    await t.step(`${from} to ${to}`, async () => {
      router.execute(`UPDATE openai_upstreams SET sk = '${KEY}', endpoint = '${from}'`);
      const response = await callApi(router, "/upstreams/1", posted({ endpoint: to }, "PATCH"));
      const text = await response.text();
      assert.equal(response.status, isAllowed ? 200 : 400, text);
      assert.deepEqual(storedOf(router), { sk: KEY, endpoint: isAllowed ? to.trim() : from });
      assert.ok(!text.includes(KEY) && !text.includes("sk-query-0123456789"), text);
    });
  }
});

Deno.test("the refusal names the key, a masked key is not accepted, and a typed one is used", async () => {
  await using good = new FakeUpstream(reply(200, '{"data":[]}'));
  await using thief = new FakeUpstream(reply(200, '{"data":[]}'));
  await using router = await Router.start({
    upstreams: [{ endpoint: good.endpoint, sk: KEY, name: "moved" }],
  });
  const [{ key: shown }] = await askApi<[{ key: string }]>(router, "/upstreams");
  for (const changes of [{}, { key: shown }, { name: "other" }, { authStyle: "x-api-key" }]) {
    const input = { ...changes, endpoint: thief.endpoint };
    const response = await callApi(router, "/upstreams/1", posted(input, "PATCH"));
    const { error } = await response.json();
    assert.deepEqual([response.status, error.code], [400, "key_required"]);
    assert.match(error.message, /\bkey\b.*type the key again/);
    await askApi(router, "/upstreams/1/test", { method: "POST" });
  }
  assert.equal(thief.requests.length, 0);
  const moved = { endpoint: `${thief.endpoint}?code=sk-query-0123456789`, key: "sk-another-0123456789" };
  await askApi(router, "/upstreams/1", posted(moved, "PATCH"));
  await askApi(router, "/upstreams/1/test", { method: "POST" });
  assert.equal(thief.requests[0]?.headers.get("authorization"), "Bearer sk-another-0123456789");
  const line = await eventually(() => /^.*now goes to.*$/m.exec(router.text)?.[0] ?? null, "the log line");
  assert.match(line, /INFO|INF/i);
  assert.ok(line.includes(`moved (id 1) now goes to http://127.0.0.1:${thief.port}`), line);
  for (const secret of [KEY, "sk-another", "sk-query"]) assert.ok(!router.text.includes(secret));
});

Deno.test("an upstream that has no key of its own moves freely", async () => {
  await using router = await Router.start({ upstreams: [{ endpoint: "https://a.example/v1", sk: "asis" }] });
  await askApi(router, "/upstreams/1", posted({ endpoint: "http://b.example/v1" }, "PATCH"));
  assert.equal(storedOf(router)["endpoint"], "http://b.example/v1");
  await askApi(router, "/upstreams/1", posted({ endpoint: "https://c.example/v1", key: KEY }, "PATCH"));
  await askApi(router, "/upstreams/1", posted({ endpoint: "https://d.example/v1", key: "asis" }, "PATCH"));
  assert.deepEqual(storedOf(router), { endpoint: "https://d.example/v1", sk: "asis" });
});

Deno.test("the page's form requires the key, and so does the Go program's API", async () => {
  await using router = await Router.start({ upstreams: [{ endpoint: "https://a.example/v1", sk: KEY }] });
  const browser = await Browser.login(router);
  const edit = async (fields: Record<string, string>): Promise<[number, string]> => {
    const body = new URLSearchParams({ csrf: browser.csrfToken, ...fields });
    const response = await browser.fetch("/upstreams/1", { method: "POST", headers: SAME_ORIGIN, body });
    return [response.status, await response.text()];
  };
  const [status, page] = await edit({ endpoint: "https://thief.example/v1" });
  assert.equal(status, 400);
  const field = /<textarea id="field-key"[^>]*>/.exec(page)?.[0] ?? "";
  assert.match(field, /\brequired\b/);
  assert.match(field, /aria-invalid="true"/);
  assert.match(page, /type the key again/);
  assert.deepEqual(storedOf(router), { sk: KEY, endpoint: "https://a.example/v1" });
  assert.equal((await edit({ endpoint: "https://a.example/other" }))[0], 303);
  assert.equal((await edit({ endpoint: "https://b.example/v1", key: "sk-typed-0123456789" }))[0], 303);
  assert.deepEqual(storedOf(router), { sk: "sk-typed-0123456789", endpoint: "https://b.example/v1" });

  const response = await fetch(adminUrl(router, "/upstreams"), {
    method: "POST",
    headers: { "authorization": `Bearer ${adminTokenOf(router)}`, "content-type": "application/json" },
    body: JSON.stringify({ Endpoint: "https://thief.example/v1" }),
  });
  assert.equal(response.status, 400);
  await response.body?.cancel();
});

Deno.test("no answer of the admin API or page shows a key, of a header or of an endpoint's query", async () => {
  const query = "qry-secret-0123456789";
  await using upstream = new FakeUpstream(chatReply("unused"));
  await using router = await Router.start({
    upstreams: [{ endpoint: `${upstream.endpoint}?api-version=1&api-key=${query}`, sk: KEY }],
  });
  upstream.script = reply(200, JSON.stringify({ data: [{ id: `${KEY}/${query}` }] }));
  const browser = await Browser.login(router);
  const texts: string[] = [];
  for (
    const path of [
      "",
      "/upstreams",
      "/upstreams/1",
      "/settings",
      "/tokens",
      "/api/upstreams",
      "/api/settings",
    ]
  ) {
    const response = await browser.fetch(path, { headers: { accept: "text/html" } });
    assert.equal(response.status, 200, path);
    texts.push(await response.text());
  }
  texts.push(JSON.stringify(await askApi(router, "/upstreams/1/test", { method: "POST" })));
  upstream.script = reply(302, "", { location: `http://${KEY}.example/${query}` });
  texts.push(JSON.stringify(await askApi(router, "/upstreams/1/test", { method: "POST" })));
  for (const text of texts) assert.ok(!text.includes(KEY) && !text.includes(query), text);
});

Deno.test("a redirect of an upstream that is tested is not followed", async () => {
  await using thief = new FakeUpstream(reply(200, '{"data":[]}'));
  await using upstream = new FakeUpstream(reply(307, "", { location: `${thief.endpoint}/models` }));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk: KEY }] });
  const { isOk, status } = await askApi<{ isOk: boolean; status: number }>(router, "/upstreams/1/test", {
    method: "POST",
  });
  assert.deepEqual([isOk, status], [false, 307]);
  assert.equal(thief.requests.length, 0);
});

Deno.test("secrets among the options do not follow an upstream to another host, nor to another proxy", async () => {
  const secret = "sk-helicone-0123456789";
  await using router = await Router.start({ upstreams: [{ endpoint: "https://a.example/v1", sk: KEY }] });
  const change = async (input: Record<string, unknown>) => {
    const response = await callApi(router, "/upstreams/1", posted(input, "PATCH"));
    const text = await response.text();
    assert.ok(!text.includes(secret) && !text.includes("hunter2hunter2"), text);
    return [response.status, response.status === 200 ? "" : JSON.parse(text).error.message];
  };
  const set = { setHeaders: { "Helicone-Auth": secret, "X-Team": "a" } };
  assert.deepEqual(await change(set), [200, ""]);
  const moved = { endpoint: "https://b.example/v1", key: "sk-typed-0123456789" };
  const masked = { setHeaders: { "helicone-auth": "sk-…6789", "x-team": "b" } };
  for (const more of [{}, masked]) {
    const [status, message] = await change({ ...moved, ...more });
    assert.equal(status, 400);
    assert.match(String(message), /^setHeaders must be given again/);
  }
  assert.deepEqual(await change(masked), [200, ""], "what comes back masked stays as it is");
  const [row] = router.query("SELECT set_headers FROM openai_upstreams");
  assert.deepEqual(JSON.parse(String(row?.["set_headers"])), { "helicone-auth": secret, "x-team": "b" });
  assert.deepEqual(await change({ ...moved, ...set }), [200, ""]);
  assert.deepEqual(await change({ ...moved, endpoint: "https://c.example/v1", setHeaders: null }), [200, ""]);

  const proxy = "http://me:hunter2hunter2@p.example:3128";
  assert.deepEqual(await change({ proxy }), [200, ""], "the proxy of an https endpoint cannot read the key");
  const [status, message] = await change({ ...moved, proxy: "http://…@p.example:3128" });
  assert.equal(status, 400);
  assert.match(String(message), /^proxy must be given again/);
  assert.deepEqual(await change({ ...moved, proxy }), [200, ""]);
  assert.equal((await change({ proxy: "http://…@other.example:3128" }))[0], 400);

  assert.deepEqual(await change({ ...moved, endpoint: "http://d.example/v1", proxy }), [200, ""]);
  const [refused, reason] = await change({ proxy: "http://thief.example:3128" });
  assert.equal(refused, 400);
  assert.match(String(reason), /^key must be given again: .*proxy.*can read the key/);
  assert.deepEqual(await change({ proxy: null }), [200, ""]);
});
