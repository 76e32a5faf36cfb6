/** Authentication, and what a hostile request can reach: docs/architecture.md, "Tokens". */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

const OWN_TOKEN = "send a token of this router, which `openai-api-route token show` prints";
/** They begin as the Go program's. */
const START_WITH_BEARER = `authorization header should start with 'Bearer': ${OWN_TOKEN}`;
const WRONG = `wrong authorization header: ${OWN_TOKEN}, not an upstream's key`;

/** A router that accepts two tokens, before one upstream. */
async function stage(
  args: readonly string[] = [],
): Promise<{ upstream: FakeUpstream; router: Router } & AsyncDisposable> {
  const upstream = new FakeUpstream(reply(200, '{"data":[]}'));
  const router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    authorization: `${TEST_TOKEN}, ,second-token-0123456789,`,
    args,
  });
  return {
    upstream,
    router,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

function ask(router: Router, headers: Record<string, string>, path = "/models"): Promise<Response> {
  return fetch(`${router.url}${path}`, { headers });
}

Deno.test("a client needs one of the tokens", async (t) => {
  await using s = await stage();

  const refused: [name: string, headers: Record<string, string>, message: string][] = [
    ["no credential", {}, START_WITH_BEARER],
    ["another scheme", { authorization: `Basic ${TEST_TOKEN}` }, START_WITH_BEARER],
    ["the token without a scheme", { authorization: TEST_TOKEN }, START_WITH_BEARER],
    ["an empty Bearer", { authorization: "Bearer " }, START_WITH_BEARER],
    ["a wrong token", { authorization: "Bearer wrong" }, WRONG],
    ["a beginning of the token", { authorization: `Bearer ${TEST_TOKEN.slice(0, -1)}` }, WRONG],
    ["the token with more", { authorization: `Bearer ${TEST_TOKEN}x` }, WRONG],
    ["a comma", { authorization: "Bearer ," }, WRONG],
    ["a wrong x-api-key", { "x-api-key": "wrong" }, WRONG],
    ["a wrong api-key", { "api-key": "wrong" }, WRONG],
  ];
  for (const [name, headers, message] of refused) {
    await t.step(`403 for ${name}`, async () => {
      const response = await ask(s.router, headers);
      assert.equal(response.status, 403);
      assert.equal(response.headers.get("content-type"), "application/json");
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.deepEqual(await response.json(), {
        error: { message, type: "authentication_error", param: null, code: "invalid_authorization" },
      });
    });
  }

  await t.step("refused requests are counted, not recorded, and reach no upstream", async () => {
    assert.equal(s.upstream.requests.length, 0);
    assert.deepEqual(s.router.query("SELECT id FROM records"), []);
    const sample = 'requests_refused_total{status="403",reason="invalid_authorization"}';
    assert.equal(await s.router.metric(sample), refused.length);
  });

  await t.step("the log says who was refused and why, once, and shows no token", () => {
    const lines = s.router.text.split("\n").filter((line) => line.includes("refused a request"));
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", /WARN.* refused a request from 127\.0\.0\.1: it sent no token$/);
    assert.doesNotMatch(s.router.text, /Bearer wrong|test-token-012345678/);
  });

  const accepted: [name: string, headers: Record<string, string>][] = [
    ["Bearer", { authorization: `Bearer ${TEST_TOKEN}` }],
    ["bearer", { authorization: `bearer ${TEST_TOKEN}` }],
    ["BEARER and blanks", { authorization: `BEARER   ${TEST_TOKEN}  ` }],
    ["x-api-key", { "x-api-key": TEST_TOKEN }],
    ["api-key", { "api-key": TEST_TOKEN }],
    ["the second token", { authorization: "Bearer second-token-0123456789" }],
    ["an own key and the token", { "authorization": "Bearer sk-own", "x-api-key": TEST_TOKEN }],
  ];
  for (const [name, headers] of accepted) {
    await t.step(`200 for ${name}`, async () => {
      const response = await ask(s.router, headers);
      assert.equal(response.status, 200);
      await response.body?.cancel();
    });
  }

  await t.step("the record shows the token masked", async () => {
    const records = await s.router.recorded(accepted.length);
    assert.equal(records[0]?.authorization, "tes…6789");
    assert.equal(JSON.stringify(records).includes(TEST_TOKEN), false);
    assert.equal(s.router.text.includes(TEST_TOKEN), false);
  });

  await t.step("the metrics are open and contain no secret", async () => {
    const response = await ask(s.router, {}, "/metrics");
    assert.equal(response.status, 200);
    const text = await response.text();
    assert.match(text, /^openai_api_route_requests_total\{/m);
    assert.equal(text.includes(TEST_TOKEN), false);
  });

  await t.step("paths outside /v1 do not exist", async () => {
    for (const path of ["", "/", "/v2/models", "/metrics", "/v1models"]) {
      const response = await fetch(`http://127.0.0.1:${s.router.port}${path}`, {
        headers: { authorization: `Bearer ${TEST_TOKEN}` },
      });
      assert.equal(response.status, 404, path);
      await response.body?.cancel();
    }
  });
});

Deno.test("--metrics-auth asks for a token on the metrics too", async () => {
  await using s = await stage(["--metrics-auth"]);
  const refused = await ask(s.router, {}, "/metrics");
  assert.equal(refused.status, 403);
  await refused.body?.cancel();
  const response = await ask(s.router, { authorization: `Bearer ${TEST_TOKEN}` }, "/metrics");
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

Deno.test("--noauth lets everybody in, with a warning", async () => {
  await using s = await stage(["--noauth"]);
  for (const headers of [{}, { authorization: "Bearer anything" }]) {
    const response = await ask(s.router, headers);
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
  assert.match(s.router.text, /--noauth: everybody/);
  assert.equal((await s.router.recorded(2))[0]?.authorization, null);
});

Deno.test("an empty token matches nobody: the server refuses to start", async (t) => {
  const directory = await Deno.makeTempDir({ prefix: "oar-test-" });
  try {
    await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
    for (const value of ["", "   ", " , ,"]) {
      await t.step(JSON.stringify(value), async () => {
        const db = new DatabaseSync(`${directory}/db.sqlite`);
        db.prepare("UPDATE config_kvs SET value = ? WHERE key = 'authorization'").run(value);
        db.close();
        const { code, stdout, stderr } = await runProgram(["serve", "--addr", "127.0.0.1:0"], {
          cwd: directory,
        });
        assert.equal(code, 1);
        assert.match(stderr, /No client token is set.*--noauth/);
        assert.doesNotMatch(stdout, /listening/);
        assert.doesNotMatch(stderr, /\n\s+at /);
      });
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the published default token works, with a warning", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  assert.doesNotMatch(router.text, /published default token/);
  router.execute("UPDATE config_kvs SET value = 'woshimima' WHERE key = 'authorization'");
  await using again = await Router.start({ directory: router.directory, token: "woshimima" });
  await eventually(() => again.text.includes("published default token") ? true : null, "the warning");
  assert.equal((await again.chat()).status, 200);
});

Deno.test("tokens changed by hand take effect at once", async () => {
  await using s = await stage();
  const status = async (token: string) => {
    const response = await ask(s.router, { authorization: `Bearer ${token}` });
    await response.body?.cancel();
    return response.status;
  };
  assert.equal(await status(TEST_TOKEN), 200);
  s.router.execute("UPDATE config_kvs SET value = 'brand-new-token' WHERE key = 'authorization'");
  await eventually(async () => await status("brand-new-token") === 200 ? true : null, "the new token");
  assert.equal(await status(TEST_TOKEN), 403);
  // An empty table while running lets nobody in.
  s.router.execute("UPDATE config_kvs SET value = ' , ' WHERE key = 'authorization'");
  await eventually(async () => await status("brand-new-token") === 403 ? true : null, "the empty token");
  assert.equal(await status(""), 403);
  assert.equal(await status(","), 403);
});

Deno.test("hostile targets reach neither an upstream nor anything beside /v1", async (t) => {
  await using s = await stage();
  const hostile: [target: string, host?: string][] = [
    ["/v1/../admin"],
    ["/v1/./models"],
    ["/v1/.."],
    ["/v1/%2e%2e/admin"],
    ["/v1/%2E./admin"],
    ["/v1/.%2e/admin"],
    ["/v1/a/%2e%2e/%2e%2e/admin"],
    ["/v1\\..\\admin"],
    ["/v1/..\\admin"],
    ["/v1//admin"],
    ["//evil.example/v1/models"],
    ["/%76%31/models"],
    ["/V1/models"],
    ["/v1/models#x"],
    ["/v1/models%00"],
    ["/v1/models", "a/admin?"],
    ["/v1/models", "a@b"],
    ["/v1/models", "a#"],
    ["/admin", "a/v1/models?"],
    ["http://evil.example/admin"],
    ["http://evil.example/v1/../admin"],
    ["*"],
  ];
  for (const [target, host] of hostile) {
    await t.step(`${target}${host === undefined ? "" : ` at ${host}`}`, async () => {
      using client = await RawClient.connect(s.router.port);
      const headers = host === undefined ? {} : { host };
      await client.send(rawRequest(target, { method: "GET", token: TEST_TOKEN, headers }));
      // The host of an absolute target is ignored: this is the page, which asks for a login.
      const refused = target === "http://evil.example/admin"
        ? /^HTTP\/1.1 401 /
        : /^HTTP\/1.1 4(?:00|04|21) /;
      assert.match(await client.readToEnd(), refused);
      assert.equal(s.upstream.requests.length, 0);
    });
  }

  await t.step("an absolute target cannot choose the upstream", async () => {
    using client = await RawClient.connect(s.router.port);
    await client.send(rawRequest("http://evil.example/v1/models", { method: "GET", token: TEST_TOKEN }));
    assert.match(await client.readToEnd(), /^HTTP\/1.1 200 /);
    assert.equal(s.upstream.requests.at(-1)?.target, "/v1/models");
    assert.equal(s.upstream.requests.at(-1)?.headers.get("host"), `127.0.0.1:${s.upstream.port}`);
  });

  await t.step("TRACE and WebSockets are refused", async () => {
    const before = s.upstream.requests.length;
    const requests = [
      rawRequest("/v1/models", { method: "TRACE", token: TEST_TOKEN }),
      rawRequest("/v1/realtime", {
        method: "GET",
        token: TEST_TOKEN,
        headers: { "connection": "upgrade", "upgrade": "websocket", "sec-websocket-key": "x" },
      }),
    ];
    for (const request of requests) {
      using client = await RawClient.connect(s.router.port);
      await client.send(request);
      assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1.1 4(05|26) /);
    }
    assert.equal(s.upstream.requests.length, before);
  });

  await t.step("the server keeps working", async () => {
    const response = await s.router.fetch("/models");
    assert.equal(response.status, 200);
    await response.body?.cancel();
  });
});
