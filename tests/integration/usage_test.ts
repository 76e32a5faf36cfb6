/** Requests by model and by client: API, page, metrics, command line, all after the same traffic of two tokens. */
import assert from "node:assert/strict";
import { adminTokenOf, adminUrl, askApi, callApi } from "../support/admin.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, reply, type Script } from "../support/upstream.ts";

interface Row {
  readonly name: string | null;
  readonly requests: number;
  readonly errors: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cachedTokens: number;
  readonly p95Ms: number | null;
}
interface UsageAnswer {
  readonly models: { readonly rows: readonly Row[]; readonly others: Row | null };
  readonly clients: { readonly rows: readonly Row[]; readonly others: Row | null };
}
interface Token {
  readonly name: string;
  readonly createdAtMs: number | null;
  readonly lastUsedMs: number | null;
  readonly requests: number;
  readonly errors: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

const script: Script = (request, wire) =>
  request.target.endsWith("/models")
    ? reply(200, '{"object":"list","data":[]}')(request, wire)
    : new TextDecoder().decode(request.body).includes("broken")
    ? reply(500, '{"error":{"message":"no"}}')(request, wire)
    : chatReply("hello")(request, wire);

/** A new token of that name. */
async function makeToken(router: Router, name: string): Promise<string> {
  const init = { method: "POST", body: JSON.stringify({ name }), status: 201 };
  const { secret } = await askApi<{ readonly secret: string }>(router, "/tokens", init);
  return secret;
}

/** Two requests of ann's, one of which failed, one of bob's, and one of his without a model. */
async function sendTraffic(router: Router): Promise<void> {
  const [ann, bob] = [await makeToken(router, "ann"), await makeToken(router, "bob")];
  const ask = async (token: string, model: string) => {
    const response = await fetch(`http://127.0.0.1:${router.port}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ model, messages: [{ role: "user", content: "hi" }] }),
    });
    await response.text();
  };
  await ask(ann, "gpt-4o");
  await ask(ann, "broken");
  await ask(bob, "gpt-4o");
  const models = await fetch(`http://127.0.0.1:${router.port}/v1/models`, {
    headers: { authorization: `Bearer ${bob}` },
  });
  await models.text();
}

async function pageText(router: Router, path: string): Promise<string> {
  const response = await fetch(adminUrl(router, path), {
    headers: {
      authorization: `Bearer ${adminTokenOf(router)}`,
      accept: "text/html",
      "accept-language": "en",
    },
  });
  assert.equal(response.status, 200, path);
  return await response.text();
}

Deno.test("two tokens' requests are told apart in the API, on the page, in the metrics and by token show", async () => {
  await using upstream = new FakeUpstream(script);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "good" }] });
  await sendTraffic(router);
  const usage = await eventually(async () => {
    const answer = await askApi<UsageAnswer>(router, "/usage?range=1h");
    const count = answer.clients.rows.reduce((sum, { requests }) => sum + requests, 0);
    return count === 4 ? answer : null;
  }, "four counted requests");
  const shown = (rows: readonly Row[]) =>
    rows.map(({ name, requests, errors, inputTokens }) => [name, requests, errors, inputTokens > 0]);
  assert.deepEqual(shown(usage.models.rows), [
    ["gpt-4o", 2, 0, true],
    ["broken", 1, 1, false],
    [null, 1, 0, false],
  ]);
  assert.deepEqual(shown(usage.clients.rows), [["ann", 2, 1, true], ["bob", 2, 0, true]]);
  assert.ok(usage.models.rows[0]?.p95Ms !== null);

  const [, ...tokens] = await askApi<Token[]>(router, "/tokens");
  assert.deepEqual(
    tokens.map(({ name, requests, errors }) => [name, requests, errors]),
    [["ann", 2, 1], ["bob", 2, 0]],
  );
  for (const { createdAtMs, lastUsedMs } of tokens) {
    assert.ok(Math.abs((createdAtMs ?? 0) - Date.now()) < 600_000);
    assert.ok((lastUsedMs ?? 0) >= (createdAtMs ?? 0));
  }

  const overview = await pageText(router, "?range=1h");
  const links = [...overview.matchAll(/href="([^"]*records\?[^"]+)"/g)].map(([, href]) =>
    (href ?? "").replaceAll("&amp;", "&")
  );
  const counts: [string, number][] = [
    ["model=gpt-4o", 2],
    ["client=ann", 2],
    ["client=ann&failed=yes", 1],
    ["client=bob", 2],
    ["without=model", 1],
  ];
  for (const [query, count] of counts) {
    const wanted = new URLSearchParams(query);
    const link = links.map((each) => new URLSearchParams(each.split("?")[1])).find((parameters) =>
      [...wanted].every(([name, value]) => parameters.get(name) === value) &&
      [...parameters.keys()].every((name) => name === "since" || wanted.has(name))
    );
    assert.ok(link !== undefined, query);
    assert.deepEqual(await askApi(router, `/records/count?${link}`), { count, isComplete: true }, query);
  }
  const tokensPage = await pageText(router, "/tokens");
  assert.match(tokensPage, /client=ann&amp;failed=yes">1 failed</);

  assert.equal(await router.metric('client_requests_total{client="ann",result="error"}'), 1);
  assert.equal(await router.metric('client_requests_total{client="bob",result="ok"}'), 2);
  assert.ok((await router.metric('client_tokens_total{client="bob",type="input"}')) > 0);

  const list = await runProgram(["token", "show", "--json", "--masked"], { cwd: router.directory });
  const [, ...listed] = JSON.parse(list.stdout) as {
    name: string;
    requests: number;
    createdAt: string | null;
  }[];
  assert.deepEqual(listed.map(({ name, requests }) => [name, requests]), [["ann", 2], ["bob", 2]]);
  assert.ok(listed.every(({ createdAt }) => createdAt !== null));
});

Deno.test("the name counts: another token of the same name goes on with its figures, and was added anew", async () => {
  await using upstream = new FakeUpstream(chatReply("hello"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    authorization: `${TEST_TOKEN},sk-by-hand-0123456789`,
  });
  // Put in by hand, as by the Go program: nobody knows since when.
  assert.equal((await askApi<Token[]>(router, "/tokens"))[1]?.createdAtMs, null);
  const secret = await makeToken(router, "bob");
  const chat = await fetch(`http://127.0.0.1:${router.port}/v1/chat/completions`, {
    method: "POST",
    headers: { authorization: `Bearer ${secret}` },
    body: '{"model":"gpt-4o","messages":[]}',
  });
  await chat.text();
  const bob = async () => (await askApi<Token[]>(router, "/tokens")).find(({ name }) => name === "bob");
  await eventually(async () => (await bob())?.requests === 1 ? true : null, "a counted request");
  const before = await bob();
  assert.equal((await callApi(router, "/tokens/bob", { method: "DELETE" })).status, 204);
  assert.equal(await bob(), undefined);
  await makeToken(router, "bob");
  const after = await bob();
  assert.deepEqual([after?.requests, after?.lastUsedMs], [1, before?.lastUsedMs]);
  assert.ok((after?.createdAtMs ?? 0) >= (before?.createdAtMs ?? 0));
});
