import assert from "node:assert/strict";
import { adminTokenOf, askApi, callApi, posted } from "../support/admin.ts";
import { eventually, Router } from "../support/router.ts";
import { chatReply, FakeUpstream, refusingEndpoint, reply } from "../support/upstream.ts";

interface Upstream {
  readonly id: number;
  readonly place: number;
  readonly name: string;
  readonly endpoint: string;
  readonly key: string;
  readonly isEnabled: boolean;
  readonly timeoutSeconds: number | null;
  readonly allow: readonly string[];
  readonly modelMap: Readonly<Record<string, string>>;
  readonly condition: string;
  readonly lastError: { readonly errorClass: string; readonly message: string } | null;
  readonly problem: string | null;
}

interface Page {
  readonly records: readonly {
    readonly id: number;
    readonly requestId: string;
    readonly status: number;
    readonly model: string;
    readonly upstreamName: string | null;
    readonly reply: string;
    readonly hit: readonly { readonly text: string; readonly isHit: boolean }[];
  }[];
  readonly nextBeforeId: number | null;
}

async function refusal(response: Response): Promise<[number, string, string]> {
  const { error } = await response.json();
  assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
  return [response.status, error.code, error.message];
}

Deno.test("upstreams are added, edited, moved, disabled and removed, and used at once", async (t) => {
  await using upstream = new FakeUpstream(chatReply("from the new one"));
  await using router = await Router.start();
  let id = 0;

  await t.step("add", async () => {
    const added = await askApi<Upstream>(router, "/upstreams", {
      ...posted({ endpoint: upstream.endpoint, key: "sk-abcdefghijklwxyz", name: "new", allow: ["test-*"] }),
      status: 201,
    });
    id = added.id;
    assert.equal(added.key, "sk-…wxyz");
    assert.equal(added.condition, "untested");
    assert.deepEqual(added.allow, ["test-*"]);
    const response = await router.chat();
    assert.equal(response.status, 200);
    await response.text();
    assert.equal(upstream.requests[0]?.headers.get("authorization"), "Bearer sk-abcdefghijklwxyz");
  });
  await t.step("a masked key that is sent back changes nothing", async () => {
    const shown = await askApi<Upstream>(router, `/upstreams/${id}`);
    const changes = { key: shown.key, endpoint: shown.endpoint, timeoutSeconds: 7 };
    const edited = await askApi<Upstream>(router, `/upstreams/${id}`, posted(changes, "PATCH"));
    assert.equal(edited.timeoutSeconds, 7);
    assert.equal(router.query("SELECT sk FROM openai_upstreams")[0]?.["sk"], "sk-abcdefghijklwxyz");
  });
  await t.step("omitted fields stay; null and empty values clear", async () => {
    const first = { modelMap: { "gpt-4o": "mine" }, isEnabled: true };
    await askApi(router, `/upstreams/${id}`, posted(first, "PATCH"));
    const cleared = await askApi<Upstream>(
      router,
      `/upstreams/${id}`,
      posted({ timeoutSeconds: null, allow: [], name: null }, "PATCH"),
    );
    assert.deepEqual([cleared.timeoutSeconds, cleared.allow], [null, []]);
    assert.equal(cleared.name, `127.0.0.1:${upstream.port}`);
    assert.deepEqual(cleared.modelMap, { "gpt-4o": "mine" });
  });
  await t.step("move", async () => {
    const second = { endpoint: refusingEndpoint(), key: "sk-second-0123456789", name: "second" };
    const { id: secondId } = await askApi<Upstream>(router, "/upstreams", { ...posted(second), status: 201 });
    const order = await askApi<Upstream[]>(router, `/upstreams/${secondId}/move`, posted({ place: 1 }));
    assert.deepEqual(order.map(({ name, place }) => [name, place]), [
      ["second", 1],
      [`127.0.0.1:${upstream.port}`, 2],
    ]);
    await (await router.chat()).text();
    const [failed] = await askApi<Upstream[]>(router, "/upstreams");
    assert.equal(failed?.lastError?.errorClass, "connect_error");
    assert.match(failed?.lastError?.message ?? "", /refused/i);
    await askApi(router, `/upstreams/${secondId}`, { method: "DELETE", status: 204 });
  });
  await t.step("disable", async () => {
    await askApi(router, `/upstreams/${id}`, posted({ isEnabled: false }, "PATCH"));
    const response = await router.chat();
    assert.equal(response.status, 503);
    await response.text();
  });
  await t.step("remove", async () => {
    await askApi(router, `/upstreams/${id}`, { method: "DELETE", status: 204 });
    assert.deepEqual(await askApi(router, "/upstreams"), []);
    assert.equal((await refusal(await callApi(router, `/upstreams/${id}`)))[0], 404);
  });
});

Deno.test("an upstream's breaker shows while it is open", async () => {
  await using upstream = new FakeUpstream(reply(503, '{"error":{"message":"down"}}'));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "down" }] });
  for (let n = 0; n < 3; n++) await (await router.chat()).text();
  const [view] = await askApi<(Upstream & { openUntilMs: number; reason: string })[]>(router, "/upstreams");
  assert.equal(view?.condition, "failing");
  assert.ok((view?.openUntilMs ?? 0) > Date.now());
  assert.equal(view?.lastError?.errorClass, "http_status");
});

Deno.test("a mistyped row of the table is shown with its problem", async () => {
  await using router = await Router.start();
  router.execute("INSERT INTO openai_upstreams(sk, endpoint) VALUES('sk-0123456789abcdef', 'not a url')");
  const [view] = await askApi<Upstream[]>(router, "/upstreams");
  assert.match(view?.problem ?? "", /not an http\(s\) URL/);
  const [status] = await refusal(await callApi(router, `/upstreams/${view?.id}/test`, { method: "POST" }));
  assert.equal(status, 400);
});

Deno.test("a test requests the upstream's models with its key", async () => {
  await using upstream = new FakeUpstream(reply(200, '{"data":[{"id":"model-a"},{"id":"model-b"},{}]}'));
  await using router = await Router.start({
    upstreams: [
      { sk: "sk-test-key-0123456789", endpoint: upstream.endpoint },
      { sk: "sk-test-key-0123456789", endpoint: refusingEndpoint() },
    ],
  });
  const test = (id: number) =>
    askApi<{ isOk: boolean; status: number | null; message: string; models: string[] }>(
      router,
      `/upstreams/${id}/test`,
      { method: "POST" },
    );
  const good = await test(1);
  assert.deepEqual([good.isOk, good.status, good.models], [true, 200, ["model-a", "model-b"]]);
  assert.equal(upstream.requests[0]?.target, "/v1/models");
  assert.equal(upstream.requests[0]?.headers.get("authorization"), "Bearer sk-test-key-0123456789");
  upstream.script = reply(401, "{}");
  const refused = await test(1);
  assert.deepEqual([refused.isOk, refused.status], [false, 401]);
  assert.match(refused.message, /refuses the key/);
  const gone = await test(2);
  assert.deepEqual([gone.isOk, gone.status], [false, null]);
});

Deno.test("a token may be chosen, by the same rules as on the command line", async () => {
  await using router = await Router.start();
  const value = "chosen-token-0123456789";
  const made = await askApi(router, "/tokens", { ...posted({ name: "chosen", value }), status: 201 });
  assert.deepEqual(made, { id: null, name: "chosen", secret: value });
  assert.equal(
    (await router.fetch("/models", { headers: { authorization: `Bearer ${value}` } })).status,
    503,
  );
  const adminToken = adminTokenOf(router);
  const refused: readonly (readonly [body: Record<string, unknown>, status: number, message: RegExp])[] = [
    [{ name: "a", value: "short" }, 400, /fewer than 16 characters/],
    [{ name: "a", value: "two words of a token" }, 400, /one word of visible ASCII/],
    [{ name: "a", value: "one,two,three,four,five" }, 400, /commas/],
    [{ name: "a", value: "x".repeat(5_000) }, 400, /value/],
    [{ name: "a", value }, 400, /accepted already, as chosen/],
    [{ name: "chosen", value: `${value}x` }, 400, /named chosen exists/],
    [{ name: value }, 400, /must not be a token itself/],
    [{ name: "a", value: adminToken }, 409, /opens the admin page/],
    [{ name: "a", force: true, other: 1 }, 400, /other/],
    [{ name: "a\u0007" }, 400, /one word/],
    [{ name: "a".repeat(65) }, 400, /name/],
  ];
  for (const [body, status, message] of refused) {
    const [got, _code, text] = await refusal(await callApi(router, "/tokens", posted(body)));
    assert.equal(got, status, JSON.stringify(body).slice(0, 60));
    assert.match(String(text), message);
    assert.ok(!String(text).includes(value) && !String(text).includes(adminToken));
  }
  const short = { name: "short", value: "tiny", force: true };
  await askApi(router, "/tokens", { ...posted(short), status: 201 });
});

Deno.test("refused clients are in the status, with the address that a trusted proxy reports", async () => {
  await using router = await Router.start({ args: ["--trusted-proxy", "127.0.0.1"] });
  const status = () => askApi<{ refused: { lastHour: number; last: unknown } }>(router, "/status");
  assert.deepEqual((await status()).refused, { lastHour: 0, last: null, limited: [] });
  const ask = async (headers: Record<string, string>, path = "/models") => {
    const response = await fetch(`${router.url}${path}`, { headers });
    await response.body?.cancel();
    assert.equal(response.status, 403);
  };
  await ask({ "x-forwarded-for": "192.0.2.1" });
  await ask({ "x-api-key": "sk-HIDEME-0123456789", "x-forwarded-for": "192.0.2.7" }, "/messages");
  const { refused: { lastHour, last } } = await status();
  const { address, reason } = last as { address: string; reason: string };
  assert.deepEqual([lastHour, address, reason], [2, "192.0.2.7", "wrong_token"]);
  const logged = [
    "refused a request from 192.0.2.1: it sent no token\n",
    "refused a request from 192.0.2.7: it sent a token that is none of the router's\n",
  ];
  await eventually(() => logged.every((line) => router.text.includes(line)) || null, "two lines of the log");
  assert.ok(!router.text.includes("HIDEME"));
});

Deno.test("tokens are made, used, listed masked and revoked", async () => {
  await using router = await Router.start();
  const { secret } = await askApi<{ secret: string }>(router, "/tokens", {
    ...posted({ name: "phone" }),
    status: 201,
  });
  assert.match(secret, /^sk-oar-[\w-]{43}$/);
  const use = async () => {
    const response = await router.fetch("/models", { headers: { authorization: `Bearer ${secret}` } });
    await response.text();
    return response.status;
  };
  assert.equal(await use(), 503);
  const names = (await askApi<{ name: string; token: string }[]>(router, "/tokens")).map(({ name }) => name);
  assert.ok(names.includes("phone"));
  const twice = await refusal(await callApi(router, "/tokens", posted({ name: "phone" })));
  assert.match(twice[2], /exists already/);
  await askApi(router, "/tokens/phone", { method: "DELETE", status: 204 });
  assert.equal(await use(), 403);
  assert.equal((await refusal(await callApi(router, "/tokens/phone", { method: "DELETE" })))[0], 404);
  const [last] = await askApi<{ name: string }[]>(router, "/tokens");
  const path = `/tokens/${encodeURIComponent(last?.name ?? "")}`;
  const [status, , message] = await refusal(await callApi(router, path, { method: "DELETE" }));
  assert.equal(status, 409);
  assert.match(message, /only token/);
});

Deno.test("bad input is refused in the API's own words, without repeating the input", async (t) => {
  await using router = await Router.start();
  const bodies: [string, RequestInit, RegExp][] = [
    ["/upstreams", { method: "POST", body: "{" }, /not JSON/],
    [
      "/upstreams",
      { method: "POST", body: "a=b", headers: { "content-type": "application/x-www-form-urlencoded" } },
      /application\/json/,
    ],
    ["/upstreams", posted({ key: "sk-typed-0123456789" }), /endpoint is refused/],
    ["/upstreams", posted({ endpoint: "ftp://x/sk-typed-0123456789", key: "k" }), /not an http\(s\) URL/],
    ["/upstreams", posted({ endpoint: "https://x/v1", key: "sk-typed-0123456789", kye: 1 }), /unknown: kye/],
    ["/upstreams", posted({ endpoint: "https://x/v1", key: "k", weight: -1 }), /weight is refused/],
    ["/upstreams", posted({ endpoint: "https://x/v1", key: "k", name: "7" }), /must not be a number/],
    ["/upstreams", posted({ endpoint: "https://x/v1", key: "k", timeoutSeconds: 1.5 }), /timeoutSeconds/],
    ["/upstreams", posted({ endpoint: "https://x/v1", key: "k", allow: ["a,b"] }), /allow\.0/],
    ["/upstreams", posted([]), /is refused/],
    ["/tokens", posted({ name: "a b" }), /one word/],
    ["/tokens", posted({}), /name/],
    ["/records?limit=0", {}, /limit/],
    ["/records?limit=201", {}, /limit/],
    ["/records?outcome=fine", {}, /outcome/],
    ["/records?status=6xx", {}, /status/],
    ["/records?since=yesterday", {}, /since/],
    ["/records?model=a&model=b", {}, /more than once/],
    ["/records?colour=red", {}, /unknown: colour/],
    ["/stats?range=1y", {}, /range/],
    ["/upstreams/1/move", posted({ place: 0 }), /place/],
  ];
  for (const [path, init, message] of bodies) {
    await t.step(`${init.method ?? "GET"} ${path} ${String(init.body ?? "")}`, async () => {
      const [status, code, text] = await refusal(await callApi(router, path, init));
      assert.equal(status, 400);
      assert.equal(code, "invalid_request");
      assert.match(text, message);
      assert.doesNotMatch(text, /sk-typed/);
    });
  }
  const missing: [string, RequestInit][] = [
    ["/upstreams/99", {}],
    ["/upstreams/99", { method: "DELETE" }],
    ["/upstreams/99", posted({ weight: 2 }, "PATCH")],
    ["/upstreams/99/test", { method: "POST" }],
    ["/upstreams/99/move", posted({ place: 1 })],
    ["/upstreams/x", {}],
    ["/records/99", {}],
    ["/records/99/export", {}],
    ["/records/99/replay", { method: "POST" }],
    ["/live/01ARZ3NDEKTSV4RRFFQ69G5FAV", {}],
    ["/nowhere", {}],
  ];
  for (const [path, init] of missing) {
    await t.step(`${init.method ?? "GET"} ${path} is not there`, async () => {
      const [status, code] = await refusal(await callApi(router, path, init));
      assert.deepEqual([status, code], [404, "not_found"]);
    });
  }
});

Deno.test("a taken name and a duplicate upstream are conflicts", async () => {
  await using router = await Router.start();
  const first = { endpoint: "https://x.example/v1", key: "sk-0123456789abcdef", name: "one" };
  await askApi(router, "/upstreams", { ...posted(first), status: 201 });
  for (const other of [{ ...first, name: "two" }, { ...first, key: "sk-other-0123456789" }]) {
    const [status, code] = await refusal(await callApi(router, "/upstreams", posted(other)));
    assert.deepEqual([status, code], [409, "duplicate"]);
  }
});

Deno.test("records are listed, filtered, searched, paged, read, exported", async (t) => {
  await using upstream = new FakeUpstream(chatReply("The quick brown fox jumps over the lazy dog"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "fox" }] });
  for (const model of ["test-a", "test-b", "other"]) await (await router.chat({ model })).text();
  upstream.script = reply(400, '{"error":{"message":"no"}}');
  await (await router.chat({ model: "test-a" })).text();
  await router.recorded(4);
  const list = (query: string) => askApi<Page>(router, `/records${query}`);

  await t.step("newest first, without texts", async () => {
    const { records, nextBeforeId } = await list("");
    assert.deepEqual(records.map(({ model, status }) => [model, status]), [
      ["test-a", 400],
      ["other", 200],
      ["test-b", 200],
      ["test-a", 200],
    ]);
    assert.equal(nextBeforeId, null);
    assert.equal(records[1]?.reply, "The quick brown fox jumps over the lazy dog");
    assert.equal(records[1]?.upstreamName, "fox");
    assert.deepEqual(records[1]?.hit, []);
    assert.ok(!("body" in (records[1] ?? {})));
  });
  await t.step("in pages", async () => {
    const ids: number[] = [];
    let before: number | null = null;
    do {
      const page: Page = await list(`?limit=3${before === null ? "" : `&before=${before}`}`);
      ids.push(...page.records.map(({ id }) => id));
      before = page.nextBeforeId;
    } while (before !== null);
    assert.deepEqual(ids, [4, 3, 2, 1]);
  });
  await t.step("by every filter", async () => {
    const count = async (query: string) => (await list(query)).records.length;
    assert.equal(await count("?model=test-*"), 3);
    assert.equal(await count("?model=test-a&status=200"), 1);
    assert.equal(await count("?status=4xx"), 1);
    assert.equal(await count("?outcome=upstream_error"), 1);
    assert.equal(await count("?upstream=1"), 4);
    assert.equal(await count("?upstream=2"), 0);
    assert.equal(await count("?client=nobody"), 0);
    assert.equal(await count(`?since=${Date.now() - 60_000}&until=${Date.now()}`), 4);
    assert.equal(await count("?until=2020-01-01"), 0);
    assert.equal(await count(`?since=${encodeURIComponent("2020-01-01T00:00:00+02:00")}`), 4);
  });
  await t.step("by words, with the matching passage", async () => {
    const { records } = await list("?q=bro%20%22lazy%20dog%22");
    assert.equal(records.length, 3);
    assert.deepEqual(records[0]?.hit, [
      { text: "The quick ", isHit: false },
      { text: "brown", isHit: true },
      { text: " fox jumps over the ", isHit: false },
      { text: "lazy dog", isHit: true },
    ]);
    assert.equal((await list("?q=hi")).records[0]?.hit.some(({ isHit }) => isHit), true);
    assert.deepEqual((await list("?q=unicorn")).records, []);
  });
  await t.step("one with its attempts, by number and by request id", async () => {
    interface Detail {
      readonly record: { readonly id: number; readonly requestId: string; readonly body: string };
      readonly attempts: readonly { readonly upstreamName: string; readonly status: number }[];
      readonly upstreamName: string;
    }
    const detail = await askApi<Detail>(router, "/records/4");
    assert.match(detail.record.body, /"model":"test-a"/);
    assert.deepEqual(detail.attempts.map(({ upstreamName, status }) => [upstreamName, status]), [[
      "fox",
      400,
    ]]);
    assert.deepEqual(await askApi(router, `/records/${detail.record.requestId}`), detail);
    const file = await callApi(router, "/records/4/export");
    assert.equal(file.headers.get("content-disposition"), 'attachment; filename="record-4.json"');
    assert.deepEqual(await file.json(), detail);
  });
});

Deno.test("a replay goes through the router, is recorded, and shows what differs", async (t) => {
  await using one = new FakeUpstream(chatReply("first line\nsecond line"));
  await using two = new FakeUpstream(chatReply("first line\nanother line"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: one.endpoint, name: "one" },
      { endpoint: two.endpoint, name: "two" },
      { sk: "asis", endpoint: two.endpoint, name: "own" },
    ],
    args: ["--record-body-limit", "1KiB"],
  });
  await (await router.chat({ temperature: 0.5 })).text();
  await (await router.chat({ padding: "x".repeat(2_000) })).text();
  await router.recorded(2);

  await t.step("to another upstream", async () => {
    const result = await askApi<{ requestId: string; status: number; text: string; diff: unknown }>(
      router,
      "/records/1/replay",
      posted({ upstreamId: 2 }),
    );
    assert.equal(result.status, 200);
    assert.equal(result.text, "first line\nanother line");
    assert.deepEqual(result.diff, [
      { type: "same", text: "first line" },
      { type: "removed", text: "second line" },
      { type: "added", text: "another line" },
    ]);
    assert.deepEqual(JSON.parse(two.requests[0]?.text ?? ""), JSON.parse(one.requests[0]?.text ?? ""));
    const [record] = router.query("SELECT * FROM records WHERE request_id = ?", result.requestId);
    assert.deepEqual([record?.["client"], record?.["upstream_id"], record?.["outcome"]], [
      "admin",
      2,
      "complete",
    ]);
  });
  await t.step("in the usual order, without a body", async () => {
    const result = await askApi<{ text: string; diff: { type: string }[] }>(router, "/records/1/replay", {
      method: "POST",
    });
    assert.equal(result.text, "first line\nsecond line");
    assert.ok(result.diff.every(({ type }) => type === "same"));
  });
  await t.step("of a stream", async () => {
    const events = [
      'data: {"choices":[{"index":0,"delta":{"content":"streamed"},"finish_reason":"stop"}]}\n\n',
      "data: [DONE]\n\n",
    ];
    one.script = reply(200, events.join(""), { "content-type": "text/event-stream" });
    const response = await router.chat({ stream: true });
    await response.text();
    const { id } = await router.recordOf(response);
    const result = await askApi<{ text: string }>(router, `/records/${id}/replay`, posted({ upstreamId: 1 }));
    assert.equal(result.text, "streamed");
  });
  await t.step("that fails says so", async () => {
    one.script = reply(400, '{"error":{"message":"not that"}}');
    const result = await askApi<{ status: number; text: string }>(
      router,
      "/records/1/replay",
      posted({ upstreamId: 1 }),
    );
    assert.equal(result.status, 400);
    assert.match(result.text, /not that/);
  });
  await t.step("is refused when the request was not kept, or there is no key", async () => {
    const described = await refusal(await callApi(router, "/records/2/replay", posted({ upstreamId: 1 })));
    assert.deepEqual(described.slice(0, 2), [409, "not_replayable"]);
    assert.match(described[2], /described, not kept/);
    const own = await refusal(await callApi(router, "/records/1/replay", posted({ upstreamId: 3 })));
    assert.deepEqual(own.slice(0, 2), [409, "not_replayable"]);
    assert.equal(
      (await refusal(await callApi(router, "/records/1/replay", posted({ upstreamId: 9 }))))[0],
      404,
    );
  });
});

Deno.test("the settings are shown as they are typed", async () => {
  await using router = await Router.start({ args: ["--keep-days", "30"] });
  const settings = await askApi<{ name: string; value: string }[]>(router, "/settings");
  const value = (name: string) => settings.find((each) => each.name === name)?.value;
  assert.equal(value("--keep-days"), "30 days");
  assert.equal(value("--noauth"), "no");
  assert.equal(value("FEISHU_WEBHOOK"), "off");
});

Deno.test("the Go program's /admin/upstreams lists, adds and deletes", async () => {
  await using router = await Router.start();
  const call = (path: string, init: RequestInit = {}) => callApi(router, `/../upstreams${path}`, init);
  const added = await call(
    "",
    posted({ SK: "sk-go-0123456789abcdef", Endpoint: "https://go.example/v1", Timeout: 9 }),
  );
  assert.equal(added.status, 200);
  await added.body?.cancel();
  const list = await (await call("")).json();
  assert.deepEqual(
    list.map((row: Record<string, unknown>) => [row["ID"], row["SK"], row["Endpoint"], row["Timeout"]]),
    [[1, "sk-…cdef", "https://go.example/v1", 9]],
  );
  assert.equal((await refusal(await call("", posted({ sk: "", endpoint: "x" }))))[0], 400);
  assert.equal((await refusal(await call("", { method: "POST", body: "{" })))[0], 400);
  const gone = await call("/1", { method: "DELETE" });
  assert.deepEqual(await gone.json(), { message: "success" });
  assert.deepEqual(await askApi(router, "/upstreams"), []);
});

Deno.test("a token with rules is made, shown, changed, rotated and removed, and its secret is answered once", async () => {
  await using router = await Router.start();
  type Token = Readonly<Record<string, unknown>> & { readonly id: number; readonly secret: string };
  const rules = {
    ...{
      allow: ["gpt-4o*"],
      deny: ["gpt-4o-audio*"],
      upstreams: ["a", "2"],
      rpm: 60,
      tpm: 1000,
      maxParallel: 8,
    },
    ...{
      budgetUsd: 20.5,
      budgetPeriod: "week",
      gate: "whole",
      expiresAtMs: Date.UTC(2099, 0, 31),
      isEnabled: true,
    },
  };
  const made = await askApi<Token>(router, "/tokens", { ...posted({ name: "amy", ...rules }), status: 201 });
  assert.match(made.secret, /^sk-oar-[\w-]{43}$/);
  const shown = async () => (await askApi<Token[]>(router, "/tokens")).find(({ id }) => id === made.id);
  const { state, problem, token, name, ...facts }: Readonly<Record<string, unknown>> = await shown() ?? {};
  assert.deepEqual([state, problem, name, token], ["active", null, "amy", `sk-…${made.secret.slice(-4)}`]);
  for (const [field, value] of Object.entries(rules)) {
    assert.deepEqual(facts[field], value, field);
  }
  assert.ok(!JSON.stringify(await askApi(router, "/tokens")).includes(made.secret));
  const patch = (which: string | number, changes: unknown) =>
    askApi<Token>(router, `/tokens/${which}`, posted(changes, "PATCH"));
  const cleared = await patch("amy", {
    rpm: null,
    budgetUsd: null,
    allow: [],
    expiresAtMs: null,
    gate: null,
  });
  assert.deepEqual(
    [cleared["rpm"], cleared["tpm"], cleared["budgetUsd"], cleared["allow"], cleared["gate"]],
    [null, 1000, null, [], null],
  );
  assert.equal((await patch(made.id, { isEnabled: false }))["state"], "disabled");
  assert.equal((await patch(made.id, { isEnabled: true, expiresAtMs: 1 }))["state"], "expired");
  assert.equal((await patch("amy", { name: "amelie", expiresAtMs: null }))["name"], "amelie");
  const rotated = await askApi<Token>(router, "/tokens/amelie/rotate", { method: "POST" });
  assert.notEqual(rotated.secret, made.secret);
  const status = async (secret: string) => {
    const response = await router.fetch("/models", { headers: { authorization: `Bearer ${secret}` } });
    await response.body?.cancel();
    return response.status;
  };
  assert.deepEqual([await status(made.secret), await status(rotated.secret)], [403, 403]);
  await patch("amelie", { upstreams: [] });
  assert.deepEqual([await status(made.secret), await status(rotated.secret)], [403, 503]);
  // One of the list is renamed in it, and becomes a row with its first rule.
  const [listed] = await askApi<Token[]>(router, "/tokens");
  assert.equal((await patch(String(listed?.["name"]), { name: "plain" })).id, null);
  assert.equal(typeof (await patch("plain", { rpm: 1000 })).id, "number");
  assert.equal(await status(router.token), 503);
  const hashed = await askApi<Token>(router, "/tokens", {
    ...posted({ name: "kept", isHashed: true, value: "a-token-of-my-own-choice" }),
    status: 201,
  });
  assert.equal(typeof hashed.id, "number");
  await askApi(router, `/tokens/${hashed.id}`, { method: "DELETE", status: 204 });
  assert.equal(await status("a-token-of-my-own-choice"), 403);
});

Deno.test("wrong rules of a token are refused by name, and change nothing", async () => {
  await using router = await Router.start();
  await askApi(router, "/tokens", { ...posted({ name: "amy", rpm: 5 }), status: 201 });
  const before = await askApi(router, "/tokens");
  const wrong: readonly (readonly [body: Record<string, unknown>, field: RegExp])[] = [
    [{ rpm: 0 }, /rpm/],
    [{ rpm: 1.5 }, /rpm/],
    [{ tpm: "5" }, /tpm/],
    [{ maxParallel: 1e12 }, /maxParallel/],
    [{ budgetUsd: -1 }, /budgetUsd/],
    [{ budgetUsd: 1e300 }, /budgetUsd/],
    [{ budgetUsd: 1, budgetPeriod: "year" }, /budgetPeriod/],
    [{ allow: ["a,b"] }, /allow/],
    [{ allow: ["x".repeat(201)] }, /allow/],
    [{ deny: Array.from({ length: 201 }, () => "m") }, /deny/],
    [{ allow: Array.from({ length: 200 }, () => "m".repeat(200)) }, /allow/],
    [{ upstreams: ["\u202e"] }, /upstreams/],
    [{ gate: "half" }, /gate/],
    [{ expiresAtMs: 9e15 }, /expiresAtMs/],
    [{ isEnabled: 1 }, /isEnabled/],
    [{ sha256: "a".repeat(64) }, /sha256/],
    [{ name: "two words" }, /name/],
    [{ name: "" }, /name/],
  ];
  for (const [body, field] of wrong) {
    const calls: readonly [string, RequestInit][] = [
      ["/tokens/amy", posted(body, "PATCH")],
      ["/tokens", posted({ name: "bob", ...body })],
    ];
    for (const [path, init] of calls) {
      const [status, _code, message] = await refusal(await callApi(router, path, init));
      assert.equal(status, 400, JSON.stringify(body).slice(0, 60));
      assert.match(message, field);
      assert.ok(message.length < 400, message);
    }
  }
  assert.deepEqual(await askApi(router, "/tokens"), before);
  assert.equal((await refusal(await callApi(router, "/tokens/nobody", posted({ rpm: 1 }, "PATCH"))))[0], 404);
});

Deno.test("every route in the API's description exists", async () => {
  await using router = await Router.start();
  interface Document {
    readonly openapi: string;
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly operationId: string }>>>>;
  }
  const document = await askApi<Document>(router, "/openapi.json");
  assert.equal(document.openapi, "3.1.0");
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method, path] as const)
  );
  assert.equal(operations.length, 31);
  const ids = Object.values(document.paths).flatMap((methods) =>
    Object.values(methods).map((each) => each.operationId)
  );
  assert.equal(new Set(ids).size, ids.length);
  for (const [method, path] of operations) {
    const target = path.replace("{id}", "7").replace("{name}", "nobody").replace("{requestId}", "x");
    const response = await callApi(router, target, { method: method.toUpperCase() });
    const isJson = response.headers.get("content-type")?.startsWith("application/json");
    const text = isJson ? await response.text() : "";
    if (!isJson) await response.body?.cancel();
    assert.doesNotMatch(text, /Nothing is here/, `${method} ${path}`);
  }
});
