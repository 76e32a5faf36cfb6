/** `/v1` and `/admin` are one origin to a browser: an upstream's reply must not affect `/admin`. */
import assert from "node:assert/strict";
import { APART } from "../../src/core/fixed_headers.ts";
import { SITE_WIDE } from "../../src/proxy/relay/site_wide_headers.ts";
import { RawClient } from "../support/raw_client.ts";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { chatEvents, chatReply, FakeUpstream, reply, stream } from "../support/upstream.ts";

const AUTHORIZATION = { authorization: `Bearer ${TEST_TOKEN}` };

function assertApart(headers: Headers, what: string): void {
  for (const [name, value] of APART) assert.equal(headers.get(name), value, `${what}: ${name}`);
}

Deno.test("every answer below /v1 is sandboxed and runs no script, whether from an upstream or the router", async (t) => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  for (const args of [[], ["--noauth"], ["--noauth", "--allow-origin", "http://localhost:3000"]]) {
    await using router = await Router.start({
      upstreams: [{ endpoint: upstream.endpoint, name: "a" }],
      args: ["--max-body", "2000", ...args],
    });
    const origin = `http://127.0.0.1:${router.port}`;
    const ask = (path: string, init: RequestInit = {}) =>
      fetch(`${origin}${path}`, { ...init, headers: { ...AUTHORIZATION, ...init.headers } });
    const chat = { method: "POST", body: '{"model":"m","stream":true}' };
    const html = { "content-type": "text/html", "content-security-policy": "default-src *" };
    const answers: [what: string, get: () => Promise<Response>][] = [
      ["a page", () => {
        upstream.script = reply(200, "<script>alert(1)</script>", html);
        return ask("/v1/files/x/content");
      }],
      ["an error page", () => {
        upstream.script = reply(404, "<script>alert(1)</script>", html);
        return ask("/v1/files/x/content");
      }],
      ["HEAD", () => ask("/v1/files/x/content", { method: "HEAD" })],
      ["a stream", () => {
        upstream.script = stream(chatEvents(["ok"]));
        return ask("/v1/chat/completions", chat);
      }],
      ["no such path below it", () => ask("/v1")],
      ["the metrics", () => ask("/v1/metrics")],
      ["a preflight", () => ask("/v1/models", { method: "OPTIONS" })],
      ["a wrong token", () => ask("/v1/models", { headers: { authorization: "Bearer wrong" } })],
      ["a large body", () => ask("/v1/files", { method: "POST", body: "x".repeat(3_000) })],
      ["a refused path", () => ask("/v1/%00")],
      ["health", () => ask("/healthz")],
      ["readiness", () => ask("/readyz")],
      ["no such path", () => ask("/nowhere")],
    ];
    for (const [what, get] of answers) {
      await t.step(`${what} ${args.join(" ")}`, async () => {
        const response = await get();
        await response.body?.cancel();
        assertApart(response.headers, what);
      });
    }
    await t.step(`what is no request ${args.join(" ")}`, async () => {
      using client = await RawClient.connect(router.port);
      await client.send("GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n");
      const text = await client.readToEnd();
      for (const [name, value] of APART) assert.ok(text.includes(`\r\n${name}: ${value}\r\n`), text);
    });
    // With an unreachable endpoint, the router itself answers.
    await t.step(`when no upstream answers ${args.join(" ")}`, async () => {
      router.execute("UPDATE openai_upstreams SET endpoint = 'http://127.0.0.1:1/v1'");
      let response = await ask("/v1/models");
      while (response.status < 500) {
        await response.body?.cancel();
        response = await ask("/v1/models");
      }
      assertApart(response.headers, "our error");
      await response.body?.cancel();
    });
  }
});

Deno.test("headers of an upstream about its whole site are dropped, in any spelling", async (t) => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint, name: "a" }] });
  const said = Object.fromEntries(SITE_WIDE.map((name) => [name.toUpperCase(), "said-by-the-upstream"]));
  const kept = { "content-disposition": "attachment", "cache-control": "no-cache", "x-ratelimit-limit": "5" };
  for (
    const [name, script] of [
      ["a reply", reply(200, '{"choices":[]}', { ...said, ...kept })],
      ["an error", reply(400, "{}", { ...said, ...kept })],
      [
        "a stream",
        reply(200, chatEvents(["ok"]).join(""), { ...said, ...kept, "content-type": "text/event-stream" }),
      ],
    ] as const
  ) {
    await t.step(name, async () => {
      upstream.script = script;
      const { headers, body } = await router.chat({ stream: name === "a stream" });
      await body?.cancel();
      for (const [each, value] of headers) assert.ok(!value.includes("said-by"), `${each}: ${value}`);
      for (const [each, value] of Object.entries(kept)) assert.equal(headers.get(each), value);
    });
  }
});

Deno.test("headers that browsers store per host, or proxies in front obey, are among the dropped ones", () => {
  for (
    const name of [
      "set-cookie",
      "clear-site-data",
      "strict-transport-security",
      "alt-svc",
      "service-worker-allowed",
      "refresh",
      "nel",
      "report-to",
      "www-authenticate",
      "sec-session-challenge",
      "sec-session-registration",
      "secure-session-challenge",
      "secure-session-registration",
      "x-accel-redirect",
      "x-sendfile",
    ]
  ) assert.ok(SITE_WIDE.includes(name), name);
});
