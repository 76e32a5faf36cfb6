import assert from "node:assert/strict";
import {
  adminTokenOf,
  adminUrl,
  askApi,
  Browser,
  callApi,
  postLogin,
  SAME_ORIGIN,
} from "../support/admin.ts";
import { RawClient } from "../support/raw_client.ts";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

const KEY = "sk-upstream-secret-0123456789";

async function statusOf(response: Response): Promise<number> {
  await response.body?.cancel();
  return response.status;
}

async function errorCode(response: Response): Promise<string> {
  return (await response.json()).error.code;
}

Deno.test("only the admin token opens the admin page", async (t) => {
  await using router = await Router.start();
  const token = adminTokenOf(router);

  await t.step("nobody gets in without it", async () => {
    for (const path of ["/api/upstreams", "/api/openapi.json", "/api/live", "/upstreams", "/nowhere"]) {
      const response = await fetch(adminUrl(router, path));
      assert.equal(response.status, 401, path);
      assert.equal(await errorCode(response), "login_required");
    }
  });
  await t.step("a browser is redirected to the login page, and back afterwards", async () => {
    const response = await fetch(adminUrl(router, "/records?q=word"), {
      headers: { accept: "text/html" },
      redirect: "manual",
    });
    assert.equal(await statusOf(response), 303);
    const location = response.headers.get("location") ?? "";
    assert.equal(location, "../admin/login?next=%2Fadmin%2Frecords%3Fq%3Dword");
    const next = new URL(location, adminUrl(router, "/records")).searchParams.get("next") ?? "";
    const login = await postLogin(router, { token, next });
    assert.equal(await statusOf(login), 303);
    assert.equal(login.headers.get("location"), "../admin/records?q=word");
  });
  await t.step("a client's token gives no access, as bearer or in the form", async () => {
    const response = await fetch(adminUrl(router, "/api/upstreams"), {
      headers: { authorization: `Bearer ${TEST_TOKEN}` },
    });
    assert.equal(response.status, 401);
    assert.equal(await errorCode(response), "invalid_authorization");
    const login = await postLogin(router, { token: TEST_TOKEN });
    assert.equal(await statusOf(login), 403);
    assert.equal(login.headers.get("set-cookie"), null);
  });
  await t.step("the admin token does not open /v1", async () => {
    const response = await router.fetch("/models", { headers: { authorization: `Bearer ${token}` } });
    assert.equal(await statusOf(response), 403);
  });
  await t.step("a token that is both client and admin token opens /v1 only", async () => {
    router.execute("UPDATE config_kvs SET value = ? WHERE key = 'admin'", TEST_TOKEN);
    assert.equal(await statusOf(await callApi(router, "/tokens")), 401);
    router.execute("UPDATE config_kvs SET value = ? WHERE key = 'admin'", token);
    assert.equal(await statusOf(await callApi(router, "/tokens")), 200);
  });
  await t.step("an empty admin token gives access to nobody", async () => {
    router.execute("UPDATE config_kvs SET value = ' ' WHERE key = 'admin'");
    assert.equal(await statusOf(await postLogin(router, { token: "" })), 403);
    assert.equal(await statusOf(await postLogin(router, { token: " " })), 403);
    router.execute("UPDATE config_kvs SET value = ? WHERE key = 'admin'", token);
  });
  await t.step("a proxy's own Authorization does not prevent a login", async () => {
    const browser = await Browser.login(router);
    const headers = { authorization: "Basic dXNlcjpwYXNz" };
    assert.equal(await statusOf(await browser.fetch("/api/tokens", { headers })), 200);
    assert.equal(await statusOf(await fetch(adminUrl(router, "/api/tokens"), { headers })), 401);
  });
  await t.step("a trailing slash leads to the same page", async () => {
    const browser = await Browser.login(router);
    const response = await browser.fetch("/", { headers: { accept: "text/html" } });
    assert.equal(`${await statusOf(response)} ${response.headers.get("location")}`, "303 ../admin");
  });
  await t.step("next leads to no other site", async () => {
    for (
      const next of [
        "https://evil.example",
        "//evil.example",
        "/v1",
        "/admin/../v1",
        "/admin\\evil",
        "/adminx",
      ]
    ) {
      const login = await postLogin(router, { token, next });
      await login.body?.cancel();
      const location = new URL(login.headers.get("location") ?? "", adminUrl(router, "/login"));
      assert.equal(location.origin, new URL(adminUrl(router, "")).origin, next);
      assert.equal(location.pathname, "/admin", next);
    }
  });
});

Deno.test("--noauth opens /v1 but not /admin", async () => {
  await using router = await Router.start({ args: ["--noauth"] });
  assert.equal(await statusOf(await fetch(adminUrl(router, "/api/upstreams"))), 401);
});

Deno.test("--no-admin and OAR_NO_ADMIN leave nothing below /admin", async () => {
  for (const options of [{ args: ["--no-admin"] }, { env: { OAR_NO_ADMIN: "1" } }]) {
    await using router = await Router.start(options);
    assert.deepEqual(router.query("SELECT value FROM config_kvs WHERE key = 'admin'"), []);
    for (const path of ["", "/login", "/api/upstreams", "/assets/page.css"]) {
      assert.equal(await statusOf(await fetch(adminUrl(router, path))), 404, path);
    }
    assert.doesNotMatch(router.text, /admin page/);
  }
});

Deno.test("sessions live in a cookie that scripts and other sites cannot use", async (t) => {
  await using router = await Router.start();
  const token = adminTokenOf(router);

  await t.step("its attributes", async () => {
    const cookie = (await postLogin(router, { token })).headers.get("set-cookie") ?? "";
    assert.match(cookie, /^oar_admin=[\w.-]{80,90};/);
    for (const part of ["HttpOnly", "SameSite=Strict", "Max-Age=43200"]) {
      assert.ok(cookie.split("; ").includes(part), `${part} in ${cookie.replace(/=[\w.-]{80,}/, "")}`);
    }
    // Then it is for the folder of the login's address, which a proxy in front may have moved.
    assert.doesNotMatch(cookie, /Path|Domain/i);
    assert.doesNotMatch(cookie, /Secure/);
  });
  await t.step("X-Forwarded-Proto is ignored from untrusted peers", async () => {
    const headers = { ...SAME_ORIGIN, "x-forwarded-proto": "https" };
    assert.doesNotMatch(
      (await postLogin(router, { token, headers })).headers.get("set-cookie") ?? "",
      /Secure/,
    );
  });
  await t.step("a change needs the session's CSRF token, in header or form", async () => {
    const browser = await Browser.login(router);
    assert.notEqual(browser.csrfToken, "");
    const create = (headers: Record<string, string>) =>
      browser.fetch("/api/tokens", {
        method: "POST",
        headers: { "content-type": "application/json", ...SAME_ORIGIN, ...headers },
        body: JSON.stringify({ name: `t${crypto.randomUUID().slice(0, 8)}` }),
      });
    assert.equal(await errorCode(await create({})), "cross_site");
    assert.equal(await statusOf(await create({ "x-csrf-token": "x" })), 403);
    assert.equal(await statusOf(await create({ "x-csrf-token": browser.csrfToken })), 201);
    const other = await Browser.login(router);
    assert.equal(await statusOf(await create({ "x-csrf-token": other.csrfToken })), 403);
  });
  await t.step("a change from another site is refused, whatever credentials it carries", async () => {
    const browser = await Browser.login(router);
    const refused: Record<string, string>[] = [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
      { "sec-fetch-site": "none" },
      { origin: "https://evil.example" },
      { origin: "null" },
      {},
    ];
    for (const headers of refused) {
      const response = await browser.fetch("/logout", {
        method: "POST",
        headers: { ...headers, "x-csrf-token": browser.csrfToken },
      });
      assert.equal(await statusOf(response), 403, JSON.stringify(headers));
      assert.equal(await statusOf(await postLogin(router, { token, headers })), 403, JSON.stringify(headers));
    }
    const origin = { origin: new URL(adminUrl(router, "")).origin };
    assert.equal(await statusOf(await postLogin(router, { token, headers: origin })), 303);
  });
  await t.step("logging out ends it", async () => {
    const browser = await Browser.login(router);
    assert.equal(await statusOf(await browser.fetch("/api/tokens")), 200);
    const response = await browser.fetch("/logout", {
      method: "POST",
      headers: SAME_ORIGIN,
      body: new URLSearchParams({ csrf: browser.csrfToken }),
    });
    assert.equal(await statusOf(response), 303);
    assert.match(response.headers.get("set-cookie") ?? "", /^oar_admin=; Max-Age=0; HttpOnly/);
    assert.equal(await statusOf(await browser.fetch("/api/tokens")), 401);
  });
  await t.step("a new admin token ends every session", async () => {
    const browser = await Browser.login(router);
    const { code, stdout } = await runProgram(["token", "set", "--admin"], { cwd: router.directory });
    assert.equal(code, 0);
    assert.match(stdout, /^set token admin admin-oar-[\w-]{43}\n$/);
    assert.equal(await statusOf(await browser.fetch("/api/tokens")), 401);
    assert.equal(await statusOf(await postLogin(router, { token })), 403);
    const shown = await runProgram(["token", "show", "--admin"], { cwd: router.directory });
    assert.equal(await statusOf(await postLogin(router, { token: shown.stdout.trim() })), 303);
  });
  await t.step("a restart ends none, and a key of another database none opens", async () => {
    const browser = await Browser.login(router);
    await using again = await Router.start({ directory: router.directory });
    const headers = { cookie: browser.cookie };
    assert.equal(await statusOf(await fetch(adminUrl(again, "/api/tokens"), { headers })), 200);
    const change = await fetch(adminUrl(again, "/api/tokens"), {
      method: "POST",
      headers: {
        ...headers,
        ...SAME_ORIGIN,
        "content-type": "application/json",
        "x-csrf-token": browser.csrfToken,
      },
      body: JSON.stringify({ name: "afterwards" }),
    });
    assert.equal(await statusOf(change), 201);
    await using other = await Router.start();
    other.execute("UPDATE config_kvs SET value = ? WHERE key = 'admin'", adminTokenOf(router));
    assert.equal(await statusOf(await fetch(adminUrl(other, "/api/tokens"), { headers })), 401);
  });
  await t.step(
    "one that was ended stays so after a restart, and for another process on the database",
    async () => {
      const [ended, kept] = [await Browser.login(router), await Browser.login(router)];
      await using beside = await Router.start({ directory: router.directory });
      const response = await ended.fetch("/logout", {
        method: "POST",
        headers: SAME_ORIGIN,
        body: new URLSearchParams({ csrf: ended.csrfToken }),
      });
      assert.equal(await statusOf(response), 303);
      await using again = await Router.start({ directory: router.directory });
      for (const process of [router, beside, again]) {
        const of = async ({ cookie }: Browser) =>
          await statusOf(await fetch(adminUrl(process, "/api/tokens"), { headers: { cookie } }));
        assert.deepEqual([await of(ended), await of(kept)], [401, 200]);
      }
    },
  );
  await t.step("a session that was changed by a character is none", async () => {
    const { cookie } = await Browser.login(router);
    const value = cookie.slice("oar_admin=".length);
    for (let at = 0; at < value.length; at++) {
      const changed = value.slice(0, at) + (value[at] === "1" ? "2" : "1") + value.slice(at + 1);
      const response = await fetch(adminUrl(router, "/api/tokens"), {
        headers: { cookie: `oar_admin=${changed}` },
      });
      // The last character holds bits that are not used.
      if (at < value.length - 1) assert.equal(await statusOf(response), 401, `character ${at}`);
      else await response.body?.cancel();
    }
  });
});

Deno.test("behind a trusted proxy that speaks https the cookie is Secure, and any host name leads in", async () => {
  await using router = await Router.start({ args: ["--trusted-proxy", "127.0.0.1"] });
  const headers = { ...SAME_ORIGIN, "x-forwarded-proto": "https", host: "router.example" };
  const login = await postLogin(router, { token: adminTokenOf(router), headers });
  assert.equal(await statusOf(login), 303);
  assert.match(login.headers.get("set-cookie") ?? "", /; Secure/);
});

Deno.test("wrong tokens are delayed, longer each time, and the right one never", async (t) => {
  await using router = await Router.start({ args: ["--trusted-proxy", "127.0.0.1"] });
  const token = adminTokenOf(router);
  const bearer = async (secret: string, ip: string): Promise<[status: number, retryAfter: number]> => {
    const response = await fetch(adminUrl(router, "/api/tokens"), {
      headers: { "authorization": `Bearer ${secret}`, "x-forwarded-for": ip },
    });
    await response.body?.cancel();
    return [response.status, Number(response.headers.get("retry-after") ?? 0)];
  };
  const form = async (secret: string, ip: string): Promise<[status: number, retryAfter: number]> => {
    const response = await postLogin(router, {
      token: secret,
      headers: { ...SAME_ORIGIN, "x-forwarded-for": ip },
    });
    await response.body?.cancel();
    return [response.status, Number(response.headers.get("retry-after") ?? 0)];
  };
  const ways = [["form", form, 403, 303], ["bearer", bearer, 401, 200]] as const;
  for (const [at, [name, ask, wrong, right]] of ways.entries()) {
    await t.step(`by ${name}: ten from one /64, from any of its addresses, then 429`, async () => {
      const address = (n: number) => `2001:db8:${at}:1:${(n * 977).toString(16)}::${n}`;
      for (let n = 0; n < 10; n++) assert.deepEqual(await ask(`wrong-${n}`, address(n)), [wrong, 0]);
      let waited = 0;
      for (let n = 10; n < 22; n++) {
        const [status, seconds] = await ask(`wrong-${n}`, address(n));
        assert.equal(status, 429);
        assert.ok(seconds > waited || seconds === 300, `${seconds} s after ${waited} s`);
        waited = seconds;
      }
      assert.equal(waited, 300);
      assert.equal((await ask(token, address(3)))[0], right);
      assert.deepEqual(await ask("wrong", `2001:db8:${at}:2::1`), [wrong, 0]);
    });
  }
  await t.step("an IPv4 address counts the same in both notations, and another one separately", async () => {
    for (let n = 0; n < 10; n++) {
      assert.equal((await bearer("wrong", n % 2 === 0 ? "192.0.2.1" : "::ffff:192.0.2.1"))[0], 401);
    }
    assert.equal((await bearer("wrong", "::FFFF:c000:201"))[0], 429);
    assert.equal((await bearer("wrong", "192.0.2.2"))[0], 401);
  });
  await t.step(
    "two hundred from everywhere make wrong ones wait, from wherever, and the right one passes",
    async () => {
      for (let n = 0; n < 200; n++) await bearer("wrong", `198.51.100.${n}`);
      const [status, seconds] = await bearer("wrong", "203.0.113.1");
      assert.equal(status, 429);
      assert.ok(seconds > 0 && seconds <= 60, String(seconds));
      assert.equal((await form("wrong", "203.0.113.2"))[0], 429);
      assert.equal((await bearer(token, "203.0.113.1"))[0], 200);
      assert.equal((await form(token, "198.51.100.1"))[0], 303);
    },
  );
  await t.step("/v1 is not affected", async () => {
    assert.equal(await statusOf(await router.fetch("/metrics")), 200);
  });
});

Deno.test("bound to loopback, the page answers to names of this machine only", async () => {
  await using router = await Router.start();
  const ask = async (host: string): Promise<string> => {
    using client = await RawClient.connect(router.port);
    await client.send(`GET /admin/login HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
    return (await client.readToEnd()).split(" ")[1] ?? "";
  };
  const { port } = router;
  // A tunnel may have another port.
  const tunnelled = ["localhost", "localhost:1", "127.0.0.1:9999"];
  for (
    const host of [
      `127.0.0.1:${port}`,
      `localhost:${port}`,
      `LOCALHOST:${port}`,
      `[::1]:${port}`,
      ...tunnelled,
    ]
  ) {
    assert.equal(await ask(host), "200", host);
  }
  for (
    const host of [
      `evil.example:${port}`,
      "evil.example",
      `127.0.0.1.evil.example:${port}`,
      `localhost.evil.example:${port}`,
      "",
    ]
  ) {
    assert.equal(await ask(host), "421", host);
  }
});

Deno.test("no path of /v1 leads to /admin", async () => {
  await using router = await Router.start();
  const authorization = `Bearer ${adminTokenOf(router)}`;
  const targets: [string, string?][] = [
    ["/v1/../admin/api/tokens"],
    ["/v1/%2e%2e/admin/api/tokens"],
    ["/v1\\..\\admin\\api\\tokens"],
    ["/v1/models", "a/admin/api/tokens?"],
    ["//admin/api/tokens"],
    ["/%61dmin/api/tokens"],
    ["/ADMIN/api/tokens"],
    ["/admin/../v1/models"],
  ];
  for (const [target, host] of targets) {
    using client = await RawClient.connect(router.port);
    await client.send(
      `GET ${target} HTTP/1.1\r\nhost: ${host ?? `localhost:${router.port}`}\r\n` +
        `authorization: ${authorization}\r\nconnection: close\r\n\r\n`,
    );
    assert.match(await client.readToEnd(), /^HTTP\/1.1 40[034] /, target);
  }
});

Deno.test("every answer below /admin has the security headers, and none allows another origin", async () => {
  await using router = await Router.start();
  const headers = { authorization: `Bearer ${adminTokenOf(router)}`, origin: "https://evil.example" };
  const answers = [
    fetch(adminUrl(router, "/login"), { headers: { origin: "https://evil.example" } }),
    fetch(adminUrl(router, "/api/tokens"), { headers }),
    fetch(adminUrl(router, "/api/nowhere"), { headers }),
    fetch(adminUrl(router, "/api/tokens")),
    fetch(adminUrl(router, ""), { headers: { ...headers, accept: "text/html" } }),
    fetch(adminUrl(router, "/api/tokens"), {
      method: "OPTIONS",
      headers: { "origin": "https://evil.example", "access-control-request-method": "POST" },
    }),
  ];
  for (const answer of answers) {
    const response = await answer;
    await response.body?.cancel();
    const names = [...response.headers.keys()];
    assert.deepEqual(names.filter((name) => name.startsWith("access-control-")), [], response.url);
    const csp = response.headers.get("content-security-policy") ?? "";
    for (
      const part of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"]
    ) {
      assert.ok(csp.split("; ").includes(part), `${part} at ${response.url}`);
    }
    assert.doesNotMatch(csp, /unsafe|\*/);
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    assert.equal(response.headers.get("referrer-policy"), "same-origin");
    assert.equal(response.headers.get("cache-control"), "no-store");
  }
});

Deno.test("a request of more than 1 MiB is refused", async () => {
  await using router = await Router.start();
  const response = await callApi(router, "/tokens", { method: "POST", body: "x".repeat(1024 * 1024 + 1) });
  assert.equal(response.status, 413);
  assert.equal(await errorCode(response), "request_too_large");
});

Deno.test("no answer of the API contains a secret", async () => {
  await using upstream = new FakeUpstream(chatReply(`the key is ${KEY}`));
  const secondKey = "sk-second-secret-9876543210";
  await using router = await Router.start({
    upstreams: [
      { sk: KEY, endpoint: upstream.endpoint, name: "one" },
      { sk: secondKey, endpoint: `${upstream.endpoint}?api_key=query-secret-12345`, name: "two" },
    ],
    env: { ALERT_WEBHOOK: "http://127.0.0.1:1/hook-secret-12345" },
  });
  const response = await router.chat({ messages: [{ role: "user", content: `my token is ${TEST_TOKEN}` }] });
  await response.text();
  await (await router.chat()).text();
  await router.recorded(2);
  // An older record with text that became a secret later.
  router.execute("UPDATE records SET response = response || ?", ` and ${secondKey} and ${TEST_TOKEN}`);
  const said: string[] = [];
  for (
    const path of [
      "/upstreams",
      "/tokens",
      "/records",
      "/records?q=key",
      "/records/1",
      "/records/1/export",
      "/settings",
      "/stats",
    ]
  ) {
    const answer = await callApi(router, path);
    assert.equal(answer.status, 200, path);
    said.push(await answer.text());
  }
  const test = await callApi(router, "/upstreams/1/test", { method: "POST" });
  said.push(await test.text());
  const replay = await callApi(router, "/records/2/replay", { method: "POST" });
  said.push(await replay.text());
  assert.equal(replay.status, 200, said.at(-1));
  const all = said.join("\n");
  for (
    const secret of [
      KEY,
      secondKey,
      TEST_TOKEN,
      adminTokenOf(router),
      "query-secret-12345",
      "hook-secret-12345",
    ]
  ) {
    assert.ok(!all.includes(secret), `${secret.slice(0, 8)} was said`);
  }
  assert.ok(all.includes("sk-…"));
  assert.ok(!router.text.includes(adminTokenOf(router)), "the log shows the admin token");
});

Deno.test("the admin token is never forwarded to an upstream that takes the client's own key", async () => {
  await using upstream = new FakeUpstream(chatReply("hi"));
  await using router = await Router.start({
    upstreams: [{ sk: "asis", endpoint: upstream.endpoint }],
    args: ["--noauth"],
  });
  const response = await router.fetch("/models", {
    headers: { authorization: `Bearer ${adminTokenOf(router)}` },
  });
  assert.equal(await statusOf(response), 401);
  assert.equal(upstream.requests.length, 0);
});

Deno.test("the command line keeps the admin token separate from client tokens", async () => {
  await using router = await Router.start();
  const cwd = router.directory;
  const same = await runProgram(["token", "set", "--admin", TEST_TOKEN], { cwd });
  assert.equal(same.code, 1);
  assert.match(same.stderr, /clients send this token/);
  const short = await runProgram(["token", "set", "--admin", "short"], { cwd });
  assert.equal(short.code, 2);
  const own = await runProgram(["token", "set", "--admin", "my-own-admin-token"], { cwd });
  assert.equal(own.code, 0);
  assert.doesNotMatch(own.stdout, /my-own-admin-token/);
  assert.equal((await runProgram(["token", "show", "--admin"], { cwd })).stdout, "my-own-admin-token\n");
  assert.equal((await runProgram(["token", "show"], { cwd })).stdout, `${TEST_TOKEN}\n`);
  const tokens = await askApi<{ name: string }[]>(router, "/tokens");
  assert.equal(tokens.length, 1);
});

Deno.test("a server warns when its admin token is short enough to be guessed", async () => {
  await using router = await Router.start();
  assert.ok(!router.text.includes("could be guessed"));
  router.execute("UPDATE config_kvs SET value = 'fifteen-letters' WHERE key = 'admin'");
  await using again = await Router.start({ directory: router.directory });
  const line = await eventually(() => /^.*could be guessed.*$/m.exec(again.text)?.[0] ?? null, "the warning");
  assert.match(line, /WARN.*15 characters.*token set --admin/);
  assert.ok(!again.text.includes("fifteen-letters"));
});

Deno.test("a form's own Origin is enough over plain HTTP, under whatever name the page was opened", async () => {
  await using direct = await Router.start();
  await using proxied = await Router.start({ args: ["--trusted-proxy", "127.0.0.1"] });
  const login = async (router: Router, headers: Record<string, string>) => {
    using client = await RawClient.connect(router.port);
    const body = `token=${adminTokenOf(router)}`;
    const lines = Object.entries({
      "content-type": "application/x-www-form-urlencoded",
      "content-length": String(body.length),
      connection: "close",
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    await client.send(`POST /admin/login HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
    return Number((await client.readToEnd()).split(" ")[1]);
  };
  const table: readonly (readonly [router: Router, headers: Record<string, string>, status: number])[] = [
    [direct, { host: "localhost:99", origin: "http://localhost:99" }, 303],
    [direct, { host: "localhost:99", origin: "http://localhost:98" }, 403],
    [direct, { host: "localhost", origin: "null" }, 403],
    [direct, { host: "localhost", "x-forwarded-host": "a.example", origin: "http://a.example" }, 403],
    [proxied, { host: "router.test:81", origin: "http://router.test:81" }, 303],
    [proxied, { host: "router.test:81", origin: "http://evil.example" }, 403],
    [proxied, { host: "router.test:81", origin: "null" }, 403],
    [proxied, { host: "127.0.0.1:8888", origin: "http://router.test" }, 303],
    [proxied, { host: "router:8888", origin: "https://router.test" }, 303],
    [proxied, { host: "127.0.0.1:8888", origin: "null" }, 403],
    [proxied, { host: "127.0.0.1:8888", origin: "http://router.test", "sec-fetch-site": "cross-site" }, 403],
    [
      proxied,
      { host: "127.0.0.1:8888", "x-forwarded-host": "router.test", origin: "http://router.test" },
      303,
    ],
    [
      proxied,
      { host: "127.0.0.1:8888", "x-forwarded-host": "router.test", origin: "http://evil.example" },
      403,
    ],
    [proxied, {
      host: "127.0.0.1:8888",
      "x-forwarded-host": "evil.example, router.test",
      origin: "http://evil.example",
    }, 403],
  ];
  for (const [router, headers, status] of table) {
    assert.equal(await login(router, headers), status, JSON.stringify(headers));
  }
});

Deno.test("where a proxy has lost the host, a change needs the CSRF token as everywhere", async () => {
  await using router = await Router.start({ args: ["--trusted-proxy", "127.0.0.1"] });
  const browser = await Browser.login(router);
  const create = (headers: Record<string, string>) =>
    browser.fetch("/api/tokens", {
      method: "POST",
      headers: { "content-type": "application/json", origin: "http://router.test", ...headers },
      body: JSON.stringify({ name: "t1" }),
    });
  assert.equal(await statusOf(await create({})), 403);
  assert.equal(await statusOf(await create({ "x-csrf-token": browser.csrfToken })), 201);
});

Deno.test("the credential of a login proxy in front is no guess, and stands in nobody's way", async () => {
  await using router = await Router.start();
  const browser = await Browser.login(router);
  const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl";
  const page = { accept: "text/html" };
  for (const secret of [jwt, "an-opaque-token-of-the-proxy"]) {
    const authorization = `Bearer ${secret}`;
    for (let n = 0; n < 15; n++) {
      const answer = await browser.fetch("", { headers: { ...page, authorization } });
      assert.equal(await statusOf(answer), 200, "a session counts first");
    }
  }
  const without = (secret: string, headers: Record<string, string>) =>
    fetch(adminUrl(router, headers === page ? "" : "/api/tokens"), {
      headers: { ...headers, authorization: `Bearer ${secret}` },
      redirect: "manual",
    });
  for (let n = 0; n < 30; n++) {
    assert.equal(await statusOf(await without(jwt, page)), 303);
    assert.equal(await errorCode(await without(jwt, {})), "login_required");
  }
  assert.equal(await statusOf(await without("an-opaque-token", page)), 303, "people see the login page");
  assert.equal(await errorCode(await without("a-wrong-token", {})), "invalid_authorization");
});

Deno.test("a proxy that adds the admin token itself lets no page of another site change anything", async () => {
  await using router = await Router.start();
  const own = new URL(adminUrl(router, "")).origin;
  const create = async (path: string, headers: Record<string, string>, body: BodyInit) => {
    const authorization = `Bearer ${adminTokenOf(router)}`;
    const init = { method: "POST", redirect: "manual", body } as const;
    return await statusOf(
      await fetch(adminUrl(router, path), { ...init, headers: { authorization, ...headers } }),
    );
  };
  const form = (headers: Record<string, string>) =>
    create("/tokens", headers, new URLSearchParams({ name: `t${crypto.randomUUID().slice(0, 8)}` }));
  const json = (headers: Record<string, string>) => {
    const body = JSON.stringify({ name: `t${crypto.randomUUID().slice(0, 8)}` });
    return create("/api/tokens", { "content-type": "application/json", ...headers }, body);
  };
  for (
    const headers of [
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site", origin: own },
      { origin: "http://evil.example" },
      { origin: "null" },
    ] as Record<string, string>[]
  ) {
    assert.equal(await form(headers), 403, JSON.stringify(headers));
    assert.equal(await json(headers), 403, JSON.stringify(headers));
  }
  // The page itself, an extension of the browser, and a program.
  for (
    const headers of [SAME_ORIGIN, { origin: own }, { "sec-fetch-site": "none" }, {}] as Record<
      string,
      string
    >[]
  ) {
    assert.equal(await form(headers), 200, JSON.stringify(headers));
    assert.equal(await json(headers), 201, JSON.stringify(headers));
  }
});

Deno.test("the page's links are relative, so that it works below any path of a proxy", async () => {
  await using router = await Router.start();
  const browser = await Browser.login(router);
  for (const [path, up] of [["", ""], ["/records", "../"], ["/upstreams", "../"], ["/live", "../"]]) {
    const html = await (await browser.fetch(path ?? "", { headers: { accept: "text/html" } })).text();
    assert.doesNotMatch(html, /(?:href|src|action|hx-get|hx-post|data-live)="\//, path);
    const links = [...html.matchAll(/(?:href|src|action)="([^"#]+)"/g)].map(([, link]) => link ?? "");
    assert.ok(links.length > 8);
    for (const link of links.filter((each) => !each.startsWith("data:"))) {
      const seen = new URL(link, `https://proxy.example/some/path/admin${path}`);
      assert.match(seen.pathname, /^\/some\/path\/admin(?:\/|$)/, `${link} at ${path}, ${up}`);
    }
  }
  const login = await (await fetch(adminUrl(router, "/login?next=%2Fadmin%2Frecords"))).text();
  assert.match(login, /value="\/admin\/records"/, "what is no link stays");
});
