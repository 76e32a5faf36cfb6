/** With `--noauth`, every page in the user's browser could reach the router; programs are not restricted. */
import assert from "node:assert/strict";
import { RawClient } from "../support/raw_client.ts";
import { Router } from "../support/router.ts";
import { chatReply, FakeUpstream } from "../support/upstream.ts";

const BODY = '{"model":"m","messages":[]}';

/** Sends exactly these headers, as a browser would; `@` in them is the port. */
async function send(
  router: Router,
  headers: Readonly<Record<string, string>>,
  { method = "POST", path = "/v1/chat/completions", version = "1.1" } = {},
): Promise<{ readonly status: number; readonly head: string; readonly body: string }> {
  using client = await RawClient.connect(router.port);
  const body = method === "POST" ? BODY : "";
  const lines = Object.entries({ ...headers, "content-length": String(body.length), "connection": "close" })
    .map(([name, value]) => `${name}: ${value.replaceAll("@", String(router.port))}\r\n`);
  await client.send(`${method} ${path} HTTP/${version}\r\n${lines.join("")}\r\n${body}`);
  const text = await client.readToEnd();
  const end = text.indexOf("\r\n\r\n");
  return {
    status: Number(text.slice(9, 12)),
    head: text.slice(0, end).toLowerCase(),
    body: text.slice(end + 4),
  };
}

const HOST = { host: "127.0.0.1:@" };

Deno.test("with --noauth, requests from pages of other sites are refused before they reach an upstream", async (t) => {
  await using upstream = new FakeUpstream(chatReply("paid for"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "a" }],
    args: ["--noauth"],
  });
  const refused: Record<string, string>[] = [
    { "origin": "https://evil.example", "sec-fetch-site": "cross-site", "content-type": "text/plain" },
    { "origin": "https://evil.example" },
    { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" },
    { "sec-fetch-site": "same-site" },
    { "sec-fetch-site": "same-origin, cross-site" },
    { "origin": "null" },
    { "origin": "http://localhost:3000" },
    { "origin": "http://127.0.0.1" },
    { "origin": "http://127.0.0.1:@.evil.example" },
    { "origin": "http://127.0.0.1:@, https://evil.example" },
    { "origin": "http://127.0.0.1:@/path" },
    { "origin": "http://user@127.0.0.1:@" },
    { "origin": "" },
    { "origin": "http://127.0.0.1:@", "sec-fetch-site": "cross-site" },
    { "origin": "chrome-extension://abcdefgh" },
    { "origin": "https://evil.example", "sec-fetch-site": "same-origin" },
    { "origin": "https://evil.example", "authorization": "Bearer anything" },
  ];
  for (const headers of refused) {
    for (
      const [method, path] of [["POST", "/v1/chat/completions"], ["GET", "/v1/models"], [
        "OPTIONS",
        "/v1/models",
      ]]
    ) {
      await t.step(`${method} ${JSON.stringify(headers)}`, async () => {
        const { status, head, body } = await send(router, { ...HOST, ...headers }, { method, path });
        assert.equal(status, 403, head);
        assert.ok(!head.includes("access-control-allow-"), head);
        assert.match(body, /"cross_site"/);
        assert.match(body, /--allow-origin/);
      });
    }
  }
  await t.step("metrics too", async () => {
    const headers = { ...HOST, "sec-fetch-site": "cross-site" };
    assert.equal((await send(router, headers, { method: "GET", path: "/v1/metrics" })).status, 403);
  });
  assert.equal(upstream.requests.length, 0);

  const passed: Record<string, string>[] = [
    {},
    { "sec-fetch-site": "none" },
    { "sec-fetch-site": "same-origin" },
    { "origin": "http://127.0.0.1:@", "sec-fetch-site": "same-origin" },
    { "origin": "https://127.0.0.1:@" },
    { "user-agent": "curl/8", "accept": "*/*", "authorization": "Bearer sk-any" },
  ];
  for (const headers of passed) {
    await t.step(`passes: ${JSON.stringify(headers)}`, async () => {
      const { status, head } = await send(router, { ...HOST, ...headers });
      assert.equal(status, 200);
      assert.ok(!head.includes("access-control-allow-origin"), head);
    });
  }
});

Deno.test("--allow-origin allows pages, also in the CORS headers; repeated or comma-separated", async (t) => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "a" }],
    args: [
      "--noauth",
      "--allow-origin",
      "HTTPS://Chat.example:443/,app://notes",
      "--allow-origin",
      "http://b.example",
    ],
  });
  for (const origin of ["https://chat.example", "app://notes", "http://b.example"]) {
    await t.step(origin, async () => {
      const headers = { ...HOST, origin, "sec-fetch-site": "cross-site" };
      for (
        const [method, path, expected] of [
          ["POST", "/v1/chat/completions", 200],
          ["POST", "/nowhere", 404],
        ] as const
      ) {
        const { status, head } = await send(router, headers, { method, path });
        assert.equal(status, expected);
        assert.ok(head.includes(`\r\naccess-control-allow-origin: ${origin}\r\n`), head);
        assert.match(head, /\r\nvary: origin/);
      }
      const asking = {
        ...headers,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-a",
      };
      const { status, head } = await send(router, asking, { method: "OPTIONS" });
      assert.equal(status, 204);
      assert.ok(head.includes(`\r\naccess-control-allow-origin: ${origin}\r\n`), head);
      assert.match(head, /\r\naccess-control-allow-headers: x-a\r\n/);
    });
  }
  for (
    const origin of ["http://chat.example", "https://chat.example:444", "https://a.chat.example", "null"]
  ) {
    await t.step(`not ${origin}`, async () => {
      const { status, head } = await send(router, { ...HOST, origin });
      assert.equal(status, 403);
      assert.ok(!head.includes("access-control-allow-origin"), head);
    });
  }
});

Deno.test("with --noauth, a server on loopback answers to this machine's names only", async (t) => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "a" }],
    args: ["--noauth"],
  });
  for (const path of ["/v1/models", "/v1/metrics", "/healthz", "/readyz", "/nowhere", "/v1/../healthz"]) {
    for (
      const host of [
        "evil.example:@",
        "127.0.0.1.evil.example:@",
        "localhost.evil.example",
        "[::2]:@",
        "evil.:@",
        ".evil:@",
        "2130706433:@",
        "ev_l:@",
        "0.0.0.0:@",
      ]
    ) {
      await t.step(`${host} ${path}`, async () => {
        const { status, body } = await send(router, { host }, { method: "GET", path });
        assert.ok(status === 421 || (path.includes("..") && status === 400), `${status}: ${body}`);
        if (status === 421) assert.match(body, /"wrong_host".*|--trusted-proxy/);
      });
    }
  }
  assert.equal(upstream.requests.length, 0);
  for (
    const host of [
      "localhost:@",
      "LOCALHOST",
      "127.0.0.1:@",
      "127.1.2.3",
      "[::1]:@",
      "localhost:1",
      "router",
      "llm-1:@",
    ]
  ) {
    await t.step(`answers to ${host}`, async () => {
      assert.equal((await send(router, { host })).status, 200);
    });
  }
  for (
    const ofBrowser of [
      { "origin": "http://router:@" },
      { "referer": "http://router:@/" },
      { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0" },
    ]
  ) {
    await t.step(
      `answers no page of another machine of one label: ${JSON.stringify(ofBrowser)}`,
      async () => {
        assert.equal((await send(router, { host: "router:@", ...ofBrowser })).status, 421);
      },
    );
  }
  await t.step("HTTP/1.0 needs no name", async () => {
    assert.equal((await send(router, {}, { method: "GET", path: "/healthz", version: "1.0" })).status, 200);
  });
});

Deno.test("a trusted proxy may use any host name, and browsers behind it the page's own", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, name: "a" }],
    args: ["--noauth", "--trusted-proxy", "127.0.0.1"],
  });
  const own = { host: "router.example", origin: "https://router.example" };
  assert.equal((await send(router, own)).status, 200);
  const rewritten = { ...HOST, "origin": "https://router.example", "sec-fetch-site": "same-origin" };
  assert.equal((await send(router, rewritten)).status, 200);
  assert.equal((await send(router, { ...rewritten, "sec-fetch-site": "cross-site" })).status, 403);
  assert.equal((await send(router, { ...own, origin: "https://evil.example" })).status, 403);
});

Deno.test("with tokens, any page may send requests, because the token decides; metrics stay private", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "a" }] });
  const page = { host: "router.example", origin: "https://chat.example", "sec-fetch-site": "cross-site" };
  const { status, head } = await send(router, { ...page, authorization: `Bearer ${router.token}` });
  assert.equal(status, 200);
  assert.ok(head.includes("\r\naccess-control-allow-origin: *\r\n"), head);
  assert.equal((await send(router, page)).status, 403);
  const metrics = await send(router, page, { method: "GET", path: "/v1/metrics" });
  assert.ok(!metrics.head.includes("access-control-"), metrics.head);
});
