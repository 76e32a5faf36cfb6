/**
 * The headers that the router forwards in each direction, and the target of a request: docs/architecture.md,
 * "Headers".
 */
import assert from "node:assert/strict";
import { RawClient, rawRequest } from "../support/raw_client.ts";
import { Router, TEST_TOKEN } from "../support/router.ts";
import {
  chatEvents,
  chatReply,
  FakeUpstream,
  hang,
  head,
  raw,
  type ReceivedRequest,
  reply,
  stream,
} from "../support/upstream.ts";

const KEY = "sk-upstream-0123456789";

Deno.test("headers of the client reach the upstream, except those that must not", async (t) => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, sk: KEY }] });
  const send = async (headers: Record<string, string>): Promise<ReceivedRequest> => {
    using client = await RawClient.connect(router.port);
    await client.send(
      rawRequest("/v1/chat/completions", { token: TEST_TOKEN, headers, body: '{"model":"m"}' }),
    );
    assert.match(await client.readToEnd(), /^HTTP\/1.1 200/);
    const request = upstream.requests.at(-1);
    assert.ok(request);
    return request;
  };

  await t.step("end-to-end headers pass unchanged", async () => {
    const passing = {
      "accept": "application/json, */*",
      "content-type": "application/json; charset=utf-8",
      "anthropic-version": "2023-06-01",
      "anthropic-beta": "a, b",
      "idempotency-key": "once",
      "user-agent": "OpenAI/Python 2.0",
      "x-stainless-lang": "python",
      "x-request-id": "mine",
      "accept-language": "de",
      "if-none-match": '"tag"',
    };
    const { headers } = await send(passing);
    for (const [name, value] of Object.entries(passing)) assert.equal(headers.get(name), value, name);
  });

  await t.step("credentials, cookies, forwarding and hop-by-hop headers do not", async () => {
    const { headers } = await send({
      "x-api-key": TEST_TOKEN,
      "api-key": "other",
      "cookie": "session=1",
      "forwarded": "for=10.0.0.1",
      "x-forwarded-for": "10.0.0.1",
      "x-forwarded-host": "inner.example",
      "x-forwarded-proto": "https",
      "te": "trailers",
      "trailer": "x-sum",
      "keep-alive": "timeout=5",
      "proxy-authorization": "Basic eA==",
      "proxy-connection": "keep-alive",
      "connection": "close, x-hop, X-Other",
      "x-hop": "1",
      "x-other": "2",
    });
    const allowed = ["accept-encoding", "authorization", "content-length", "host", "accept", "user-agent"];
    const extra = [...headers.keys()].filter((name) => !allowed.includes(name) && name !== "accept-language");
    assert.deepEqual(extra, []);
    assert.equal(headers.get("authorization"), `Bearer ${KEY}`);
    assert.equal(headers.get("host"), `127.0.0.1:${upstream.port}`);
    assert.equal(headers.get("content-length"), "13");
  });

  await t.step("what a browser or a proxy in front says about the client's hop does not", async () => {
    const ofThisHop = [
      "origin",
      "referer",
      "dnt",
      "upgrade-insecure-requests",
      "sec-fetch-site",
      "sec-ch-ua",
      "sec-gpc",
      "access-control-request-method",
      "via",
      "x-real-ip",
      "x-client-ip",
      "true-client-ip",
      "cf-connecting-ip",
      "fastly-ssl",
      "x-azure-debuginfo",
      "x-appengine-country",
      "x-vercel-ip-city",
      "x-arr-log-id",
      "x-original-url",
      "x-amzn-trace-id",
      "x-amzn-waf-country",
      "x-auth-request-email",
      "x-forwarded-user",
      "remote-user",
      "x_real_ip",
      "x_forwarded_user",
      "Remote_User",
    ];
    const { headers } = await send(Object.fromEntries(ofThisHop.map((name) => [name, "told"])));
    const told = [...headers].filter(([, value]) => value === "told").map(([name]) => name);
    assert.deepEqual(told, []);
  });

  await t.step("no compression is requested", async () => {
    const { headers } = await send({ "accept-encoding": "gzip, br, zstd" });
    assert.equal(headers.get("accept-encoding"), "identity");
  });

  await t.step("no header is added that the client did not send", async () => {
    const { headers } = await send({});
    assert.deepEqual(
      [...headers.keys()].filter((name) => !["accept", "accept-language", "user-agent"].includes(name))
        .sort(),
      ["accept-encoding", "authorization", "content-length", "host"],
    );
  });
});

Deno.test("each upstream gets its key in its own style", async (t) => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  const { endpoint } = upstream;
  const styles = { "bearer": "authorization", "x-api-key": "x-api-key", "api-key": "api-key" };
  await using router = await Router.start({
    upstreams: Object.keys(styles).map((authStyle) => ({
      endpoint,
      sk: `${KEY}-${authStyle}`,
      authStyle,
      allow: `for-${authStyle}`,
    })),
  });
  for (const [style, header] of Object.entries(styles)) {
    await t.step(style, async () => {
      assert.equal((await router.chat({ model: `for-${style}` })).status, 200);
      const headers = upstream.requests.at(-1)?.headers;
      const sent = ["authorization", "x-api-key", "api-key"].filter((name) => headers?.has(name));
      assert.deepEqual(sent, [header]);
      const prefix = style === "bearer" ? "Bearer " : "";
      assert.equal(headers?.get(header), `${prefix}${KEY}-${style}`);
    });
  }
});

Deno.test("asis forwards the client's own credential and never the router's token", async (t) => {
  await using asis = new FakeUpstream(chatReply("as is"));
  await using other = new FakeUpstream(chatReply("other"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: asis.endpoint, sk: "asis", name: "asis" },
      { endpoint: other.endpoint, name: "other", allow: "test-*" },
    ],
  });
  const sawToken = () =>
    asis.requests.some((request) => JSON.stringify([...request.headers]).includes(TEST_TOKEN));

  await t.step("its own key in Authorization, the token in x-api-key", async () => {
    const response = await router.chat({}, {
      headers: { "authorization": "Bearer sk-own", "x-api-key": TEST_TOKEN },
    });
    assert.equal(response.headers.get("x-oar-upstream"), "asis");
    const headers = asis.requests.at(-1)?.headers;
    assert.equal(headers?.get("authorization"), "Bearer sk-own");
    assert.equal(headers?.has("x-api-key"), false);
  });

  await t.step("its own key in x-api-key, the token in Authorization", async () => {
    await router.chat({}, { headers: { "x-api-key": "sk-ant-own" } });
    const headers = asis.requests.at(-1)?.headers;
    assert.equal(headers?.get("x-api-key"), "sk-ant-own");
    assert.equal(headers?.has("authorization"), false);
  });

  await t.step("only the token: that upstream is skipped, as no_credential", async () => {
    const before = asis.requests.length;
    const response = await router.chat();
    assert.equal(response.headers.get("x-oar-upstream"), "other");
    assert.equal(asis.requests.length, before);
    const record = await router.recordOf(response);
    const attempts = router.attempts(record.id);
    assert.deepEqual(attempts.map((attempt) => attempt.error_class), ["no_credential", null]);
  });

  await t.step(
    "nothing but the token and no other upstream: no_credential that says what to do",
    async () => {
      const response = await router.chat({ model: "only-asis" });
      assert.equal(response.status, 401);
      const { error } = await response.json();
      assert.equal(error.code, "no_credential");
      assert.match(error.message, /Authorization/);
      assert.equal((await router.recordOf(response)).outcome, "no_upstream");
    },
  );

  assert.equal(sawToken(), false);
  assert.equal(await router.metric('upstream_state{upstream="asis",state="closed"}'), 1);
});

Deno.test("with --noauth asis forwards what the client sent", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, sk: "asis" }],
    args: ["--noauth"],
  });
  const response = await router.chat({}, { headers: { authorization: "Bearer sk-own" } });
  assert.equal(response.status, 200);
  assert.equal(upstream.requests[0]?.headers.get("authorization"), "Bearer sk-own");
});

Deno.test("headers of the upstream reach the client, except those that must not", async (t) => {
  await using upstream = new FakeUpstream(hang);
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "Büro 1" }] });
  const answered = {
    "content-type": "application/json",
    "x-request-id": "req_1",
    "retry-after": "1",
    "retry-after-ms": "500",
    "x-should-retry": "true",
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-tokens": "99",
    "anthropic-ratelimit-requests-limit": "5",
    "openai-processing-ms": "12",
    "cache-control": "no-cache, must-revalidate",
  };

  await t.step("end-to-end headers pass, repeated ones as separate fields", async () => {
    const body = '{"choices":[]}';
    const lines = Object.entries(answered).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    upstream.script = raw(
      `HTTP/1.1 200 OK\r\n${lines}link: </a>\r\nlink: </b>\r\ncontent-length: 14\r\n\r\n${body}`,
    );
    const { headers } = await router.chat();
    for (const [name, value] of Object.entries(answered)) assert.equal(headers.get(name), value, name);
    assert.equal(headers.get("link"), "</a>, </b>");
  });

  await t.step("hop-by-hop headers, the upstream's own CORS and what speaks of its host do not", async () => {
    upstream.script = reply(200, '{"choices":[]}', {
      "connection": "keep-alive, x-hop",
      "x-hop": "1",
      "keep-alive": "timeout=5",
      "proxy-authenticate": "Basic",
      "upgrade": "h2c",
      "access-control-allow-origin": "https://only.example",
      "access-control-allow-credentials": "true",
      "access-control-expose-headers": "x-a",
      "server": "upstream/1",
      "set-cookie": "a=b",
      "strict-transport-security": "max-age=1",
      "alt-svc": 'h3=":443"',
    });
    const { headers } = await router.chat();
    const ofItsHost = ["server", "set-cookie", "strict-transport-security", "alt-svc"];
    for (const name of ["x-hop", "keep-alive", "proxy-authenticate", "upgrade", ...ofItsHost]) {
      assert.equal(headers.has(name), false, name);
    }
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.equal(headers.get("access-control-expose-headers"), "*");
    assert.equal(headers.has("access-control-allow-credentials"), false);
  });

  await t.step("the router's own are added, to streams too", async () => {
    for (const script of [chatReply("ok"), stream(chatEvents(["ok"]))]) {
      upstream.script = script;
      const response = await router.chat({ stream: true });
      await response.body?.cancel();
      assert.equal(response.headers.get("x-oar-attempts"), "1");
      assert.equal(response.headers.get("x-oar-upstream"), "B%C3%BCro 1");
      assert.match(response.headers.get("x-oar-request-id") ?? "", /^[0-9A-HJKMNP-TV-Z]{26}$/);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
    }
  });

  await t.step(
    "proxies in front must neither buffer nor cache a stream, unless the upstream says otherwise",
    async () => {
      const told = async (isStream: boolean): Promise<(string | null)[]> => {
        const response = await router.chat({ stream: isStream });
        await response.body?.cancel();
        return ["x-accel-buffering", "cache-control"].map((name) => response.headers.get(name));
      };
      upstream.script = stream(chatEvents(["ok"]));
      assert.deepEqual(await told(true), ["no", "no-cache"]);
      const own = {
        "content-type": "text/event-stream",
        "x-accel-buffering": "yes",
        "cache-control": "no-store",
      };
      upstream.script = reply(200, chatEvents(["ok"]).join(""), own);
      assert.deepEqual(await told(true), ["yes", "no-store"]);
      upstream.script = chatReply("ok");
      assert.deepEqual(await told(false), [null, null]);
    },
  );

  await t.step("an upstream cannot pose as the router", async () => {
    upstream.script = reply(200, "{}", { "x-oar-upstream": "fake", "x-oar-attempts": "99" });
    const { headers } = await router.chat();
    assert.equal(headers.get("x-oar-attempts"), "1");
    assert.equal(headers.get("x-oar-upstream"), "B%C3%BCro 1");
  });
});

Deno.test("the target is the endpoint's path plus the request's path without /v1", async (t) => {
  await using upstream = new FakeUpstream(reply(200, "{}"));
  const origin = `http://127.0.0.1:${upstream.port}`;
  const cases: [name: string, endpoint: string, path: string, target: string][] = [
    ["v1", `${origin}/v1`, "/things", "/v1/things"],
    ["slash", `${origin}/v1/`, "/things", "/v1/things"],
    ["none", origin, "/things", "/v1/things"],
    ["root", `${origin}/`, "/things?a=1", "/v1/things?a=1"],
    ["deep", `${origin}/openai/v2`, "/things/1", "/openai/v2/things/1"],
    ["azure", `${origin}/openai?api-version=1`, "/things?b=2", "/openai/things?api-version=1&b=2"],
    ["escapes", `${origin}/v1`, "/files/a%2Fb%20c?q=%26", "/v1/files/a%2Fb%20c?q=%26"],
  ];
  await using router = await Router.start({
    upstreams: cases.map(([name, endpoint]) => ({ endpoint, name, allow: `for-${name}` })),
  });
  for (const [name, , path, target] of cases) {
    await t.step(`${name}: ${target}`, async () => {
      const response = await router.fetch(path, { method: "POST", body: `{"model":"for-${name}"}` });
      assert.equal(response.headers.get("x-oar-upstream"), name);
      await response.body?.cancel();
      assert.equal(upstream.requests.at(-1)?.target, target);
    });
  }
});

Deno.test("a redirect is not followed, and its target never gets a key", async () => {
  await using thief = new FakeUpstream(chatReply("stolen"));
  await using upstream = new FakeUpstream(
    raw(head(308, { location: `${thief.endpoint}/chat/completions`, "content-length": "0" })),
  );
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const response = await router.chat();
  assert.equal(response.status, 502);
  assert.equal((await response.json()).error.code, "upstream_redirect");
  assert.equal(response.headers.has("location"), false);
  assert.equal(thief.requests.length, 0);
});

Deno.test("the request's body arrives unchanged at every upstream that is tried", async () => {
  await using first = new FakeUpstream(reply(500, "{}"));
  await using second = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint }, { endpoint: second.endpoint }],
  });
  const body =
    `{ "model" : "test-model",\r\n "messages": [] , "n": 1e400, "a": 1, "a": 2, "u": "\u{1f600}\u0000" }`;
  const response = await router.fetch("/chat/completions", { method: "POST", body });
  assert.equal(response.status, 200);
  assert.equal(first.requests[0]?.text, body);
  assert.equal(second.requests[0]?.text, body);
  const record = await router.recordOf(response);
  assert.equal(
    router.query("SELECT length(CAST(body AS BLOB)) AS bytes FROM records")[0]?.bytes,
    record.request_bytes,
  );
});
