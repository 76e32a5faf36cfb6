/** What bytes on the wire can reach: targets, framing, headers. Prints a table: case, expected, seen. */
import assert from "node:assert/strict";
import { FaultTable } from "../support/fault_table.ts";
import { RawClient, rawRequest } from "../support/raw_client.ts";
import { Router, TEST_TOKEN } from "../support/router.ts";
import { chatReply, FakeUpstream, head, raw, reply } from "../support/upstream.ts";

const AUTH = `Authorization: Bearer ${TEST_TOKEN}\r\n`;

interface Stage extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly router: Router;
}

async function stage(): Promise<Stage> {
  const upstream = new FakeUpstream(reply(200, '{"data":[]}'));
  const router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint, sk: "sk-upstream-0123456789" }],
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

/** Sends bytes; returns the status code (or `closed`) and the number of forwarded requests. */
async function exchange({ router, upstream }: Stage, bytes: string | Uint8Array) {
  const before = upstream.requests.length;
  using client = await RawClient.connect(router.port);
  try {
    await client.send(bytes);
  } catch {
    // Refused before the whole request was sent.
  }
  const text = await client.readToEnd();
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);
  return { text, status: statuses.join("+") || "closed", sentOn: upstream.requests.length - before };
}

Deno.test("hostile targets reach nothing beside /v1", async (t) => {
  const table = new FaultTable("targets", t);
  await using s = await stage();
  const refused: [target: string, host?: string][] = [
    ["/v1/../admin"],
    ["/v1/%2e%2e/admin"],
    ["/v1/%2E%2e%2Fadmin/../x"],
    ["/v1\\..\\admin"],
    ["/v1//admin"],
    ["//evil.example/v1/models"],
    ["/v1/models#fragment"],
    ["/v1/models?a=1#b=2"],
    ["/v1/models?a=1&#"],
    ["/v1/files/a%2F..%2Fadmin"],
    ["/v1/..%2f..%2fadmin"],
    ["/v1/..%5cadmin"],
    ["/v1/..;x=1/admin"],
    ["/v1/..%3b/admin"],
    ["/v1/%252e%252e%252fadmin"],
    ["/v1/%25252e%25252e/admin"],
    ["/v1/..%20/admin"],
    ["/v1/%c0%ae%c0%ae/admin"],
    ["/v1/a%zz"],
    [`/v1/${"a".repeat(9_000)}`],
    ["/v1/caf\u00e9"],
    ["/v1/models?q=caf\u00e9"],
    ["/v1/models%00"],
    ["http://evil.example/admin"],
    ["http://evil.example/v1/../admin"],
    ["/v1/models", "a/admin?"],
    ["/v1/models", "a@b"],
    ["/v1/models", "a#b"],
    ["/v1/models", "a\\b"],
    ["/v1/models", "a b"],
    ["/v1/models", "["],
    ["/v1/models", "[::1"],
    ["/v1/models", "::1]"],
    ["/v1/models", "a:b:c"],
    ["/v1/models", "a:99999"],
    ["/v1/models", "a:-1"],
    ["/v1/models", "%"],
    ["/admin", "%zz"],
  ];
  for (const [target, host] of refused) {
    const name = host === undefined ? target : `${target} with Host: ${host}`;
    await table.case(name, "refused, 0 sent on", async () => {
      const headers = host === undefined ? {} : { host };
      const seen = await exchange(s, rawRequest(target, { method: "GET", token: TEST_TOKEN, headers }));
      return /^4\d\d$/.test(seen.status) && seen.sentOn === 0
        ? `refused, 0 sent on: HTTP ${seen.status}`
        : `${seen.status}, ${seen.sentOn} sent on`;
    });
  }
  const kept: [target: string, sentOn: string][] = [
    ["/v1/files/a%2Fb", "/v1/files/a%2Fb"],
    ["/v1/models/org%2Fname", "/v1/models/org%2Fname"],
    ["/v1/models/org%252Fname-4.1", "/v1/models/org%252Fname-4.1"],
    ["/v1/files/a%5Cb", "/v1/files/a%5Cb"],
    ["/v1/files/a;b=c", "/v1/files/a;b=c"],
    ["/v1/models?x=/../admin&y=%2e%2e", "/v1/models?x=/../admin&y=%2e%2e"],
    ["http://evil.example/v1/models", "/v1/models"],
    ["http://user:pw@evil.example/v1/models", "/v1/models"],
  ];
  for (const [target, expected] of kept) {
    await table.case(target, `sent on as ${expected}`, async () => {
      const seen = await exchange(s, rawRequest(target, { method: "GET", token: TEST_TOKEN }));
      const request = s.upstream.requests.at(-1);
      if (seen.sentOn !== 1) return `${seen.status}, ${seen.sentOn} sent on`;
      assert.equal(request?.headers.get("host"), `127.0.0.1:${s.upstream.port}`);
      return `sent on as ${request?.target}`;
    });
  }
  const large: [name: string, request: () => string][] = [
    [
      "a query of 64 KiB",
      () => rawRequest(`/v1/models?q=${"a".repeat(65_536)}`, { method: "GET", token: TEST_TOKEN }),
    ],
    [
      "a path of 1 MiB",
      () => rawRequest(`/v1/${"a".repeat(1_048_576)}`, { method: "GET", token: TEST_TOKEN }),
    ],
    [
      "a header of 1 MiB",
      () =>
        rawRequest("/v1/models", {
          method: "GET",
          token: TEST_TOKEN,
          headers: { "x-big": "a".repeat(1_048_576) },
        }),
    ],
    [
      "1,000 headers",
      () =>
        rawRequest("/v1/models", {
          method: "GET",
          token: TEST_TOKEN,
          headers: Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`x-${at}`, "1"])),
        }),
    ],
  ];
  for (const [name, request] of large) {
    await table.case(name, "refused", async () => {
      const seen = await exchange(s, request());
      return seen.sentOn === 0 ? `refused: ${seen.status}` : `${seen.status}, ${seen.sentOn} sent on`;
    });
  }
  await table.case("a query of 48 KiB", "200, 1 sent on", async () => {
    const target = `/v1/models?q=${"a".repeat(49_152)}`;
    const seen = await exchange(s, rawRequest(target, { method: "GET", token: TEST_TOKEN }));
    assert.equal(s.upstream.requests.at(-1)?.target, target);
    return `${seen.status}, ${seen.sentOn} sent on`;
  });
  table.print();
});

Deno.test("framing tricks bring at most one request to an upstream", async (t) => {
  const table = new FaultTable("request smuggling", t);
  await using s = await stage();
  const smuggled = `GET /v1/smuggled HTTP/1.1\r\nHost: x\r\n${AUTH}Connection: close\r\n\r\n`;
  const post = `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n${AUTH}`;
  const close = "Connection: close\r\n";
  const cases: [name: string, request: string, expected: "refused" | "one request"][] = [
    [
      "Content-Length, then Transfer-Encoding",
      `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      "refused",
    ],
    [
      "Transfer-Encoding, then Content-Length",
      `${post}Transfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n${smuggled}`,
      "refused",
    ],
    [
      "two Content-Lengths that differ",
      `${post}Content-Length: 2\r\nContent-Length: 0\r\n\r\n{}${smuggled}`,
      "refused",
    ],
    [
      "two Content-Lengths that agree",
      `${post}Content-Length: 2\r\nContent-Length: 2\r\n${close}\r\n{}`,
      "one request",
    ],
    ["Content-Length: 2, 2", `${post}Content-Length: 2, 2\r\n${close}\r\n{}`, "refused"],
    ["Content-Length: +2", `${post}Content-Length: +2\r\n${close}\r\n{}`, "refused"],
    ["Content-Length: 0x2", `${post}Content-Length: 0x2\r\n${close}\r\n{}`, "refused"],
    ["Content-Length: -1", `${post}Content-Length: -1\r\n${close}\r\n{}`, "refused"],
    ["Transfer-Encoding : chunked", `${post}Transfer-Encoding : chunked\r\n${close}\r\n0\r\n\r\n`, "refused"],
    ["Transfer-Encoding: xchunked", `${post}Transfer-Encoding: xchunked\r\n${close}\r\n0\r\n\r\n`, "refused"],
    [
      "Transfer-Encoding: chunked, identity",
      `${post}Transfer-Encoding: chunked, identity\r\n${close}\r\n0\r\n\r\n`,
      "refused",
    ],
    [
      "two Transfer-Encodings",
      `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n${close}\r\n0\r\n\r\n`,
      "refused",
    ],
    [
      "a chunk size beyond 64 bits",
      `${post}Transfer-Encoding: chunked\r\n${close}\r\n10000000000000002\r\n{}\r\n0\r\n\r\n`,
      "refused",
    ],
    [
      "a bare LF in a chunk extension",
      `${post}Transfer-Encoding: chunked\r\n${close}\r\n2;\nx\r\n{}\r\n0\r\n\r\n`,
      "refused",
    ],
    [
      "a GET whose body looks like a request",
      `GET /v1/models HTTP/1.1\r\nHost: x\r\n${AUTH}${close}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      "one request",
    ],
    [
      "a body that looks like a request",
      `${post}${close}Content-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      "one request",
    ],
    [
      "bare LF for line ends",
      `GET /v1/models HTTP/1.1\nHost: x\n${AUTH.trim()}\nConnection: close\n\n`,
      "refused",
    ],
    [
      "a folded header",
      `GET /v1/models HTTP/1.1\r\nHost: x\r\n${AUTH}X-A: 1\r\n X-B: 2\r\n${close}\r\n`,
      "refused",
    ],
    [
      "a NUL in a header",
      `GET /v1/models HTTP/1.1\r\nHost: x\r\n${AUTH}X-A: a\0b\r\n${close}\r\n`,
      "refused",
    ],
    [
      "a bare CR in a header",
      `GET /v1/models HTTP/1.1\r\nHost: x\r\n${AUTH}X-A: 1\rX-B: 2\r\n${close}\r\n`,
      "refused",
    ],
    ["two Host headers", `GET /v1/models HTTP/1.1\r\nHost: x\r\nHost: y\r\n${AUTH}${close}\r\n`, "refused"],
    [
      "a header without a name",
      `GET /v1/models HTTP/1.1\r\nHost: x\r\n${AUTH}: 1\r\n${close}\r\n`,
      "refused",
    ],
    ["HTTP/2.0 in plain text", `GET /v1/models HTTP/2.0\r\nHost: x\r\n${AUTH}${close}\r\n`, "refused"],
  ];
  for (const [name, request, expected] of cases) {
    await table.case(name, expected, async () => {
      const seen = await exchange(s, request);
      const last = s.upstream.requests.at(-1);
      if (seen.sentOn === 0) return `refused: ${seen.status}`;
      assert.notEqual(last?.target, "/v1/smuggled");
      assert.equal(last?.headers.has("x-b"), false);
      return seen.sentOn === 1 ? `one request: ${seen.status}` : `${seen.sentOn} requests`;
    });
  }
  await table.case("the server goes on", "200, 1 sent on", async () => {
    const seen = await exchange(s, rawRequest("/v1/models", { method: "GET", token: TEST_TOKEN }));
    return `${seen.status}, ${seen.sentOn} sent on`;
  });
  table.print();
});

Deno.test("a client cannot choose where a request goes, or what credential it carries", async (t) => {
  const table = new FaultTable("request steering", t);
  await using s = await stage();
  await using thief = new FakeUpstream(chatReply("stolen"));
  const authority = `127.0.0.1:${thief.port}`;
  const steering: [name: string, headers: Record<string, string>, fields?: Record<string, unknown>][] = [
    ["api_base, base_url and the like in the body", {}, {
      api_base: thief.endpoint,
      base_url: thief.endpoint,
      endpoint: thief.endpoint,
      api_key: "sk-own",
      url: thief.endpoint,
      proxy: thief.endpoint,
    }],
    ["x-forwarded-host, x-host, x-original-host", {
      "x-forwarded-host": authority,
      "x-host": authority,
      "x-original-host": authority,
      "x-forwarded-server": authority,
      "forwarded": `host=${authority}`,
    }],
    ["x-api-base, x-base-url, x-upstream-host", {
      "x-api-base": thief.endpoint,
      "x-base-url": thief.endpoint,
      "x-upstream-host": authority,
      "x-portkey-custom-host": thief.endpoint,
    }],
    ["x-original-url, x-rewrite-url", { "x-original-url": "/v1/admin", "x-rewrite-url": "/v1/admin" }],
    ["Host", { host: authority }],
    ["x-http-method-override", { "x-http-method-override": "DELETE", "x-method-override": "DELETE" }],
    ["Connection: authorization, host", { connection: "close, authorization, host, content-length" }],
  ];
  for (const [name, headers, fields] of steering) {
    await table.case(name, "no effect", async () => {
      const body = JSON.stringify({ model: "m", ...fields });
      const seen = await exchange(
        s,
        rawRequest("/v1/chat/completions", { token: TEST_TOKEN, headers, body }),
      );
      const request = s.upstream.requests.at(-1);
      assert.deepEqual([seen.status, seen.sentOn, thief.requests.length], ["200", 1, 0]);
      assert.equal(request?.method, "POST");
      assert.equal(request?.target, "/v1/chat/completions");
      assert.equal(request?.headers.get("host"), `127.0.0.1:${s.upstream.port}`);
      assert.equal(request?.headers.get("authorization"), "Bearer sk-upstream-0123456789");
      assert.equal(request?.text, body);
      return "no effect";
    });
  }
  await table.case("credentials of the client", "none sent on", async () => {
    const headers = {
      "authorization": "Bearer sk-own-0123456789",
      "x-api-key": TEST_TOKEN,
      "api-key": "sk-own-0123456789",
      "cookie": "key=sk-own-0123456789",
      "proxy-authorization": "Bearer sk-own-0123456789",
    };
    const seen = await exchange(s, rawRequest("/v1/models", { method: "GET", headers }));
    const sent = JSON.stringify([...s.upstream.requests.at(-1)?.headers ?? []]);
    assert.equal(seen.status, "200");
    return sent.includes("sk-own") || sent.includes(TEST_TOKEN) ? sent : "none sent on";
  });
  await table.case("headers that Connection names", "none sent on", async () => {
    const headers = { "connection": "close, x-one, X-Two", "x-one": "1", "x-two": "2" };
    await exchange(s, rawRequest("/v1/models", { method: "GET", token: TEST_TOKEN, headers }));
    const sent = s.upstream.requests.at(-1)?.headers;
    return sent?.has("x-one") || sent?.has("x-two") ? "some" : "none sent on";
  });
  for (const status of [301, 302, 303, 307, 308]) {
    await table.case(`a ${status} to another host`, "502, not followed, no Location", async () => {
      s.upstream.script = raw(
        head(status, { location: `${thief.endpoint}/chat/completions?key=1`, "content-length": "0" }),
      );
      const response = await s.router.chat();
      await response.body?.cancel();
      assert.equal(thief.requests.length, 0);
      return `${response.status}, not followed, ${response.headers.has("location") ? "a" : "no"} Location`;
    });
  }
  table.print();
});

Deno.test("an upstream cannot split or pose in a response", async (t) => {
  const table = new FaultTable("response splitting", t);
  await using s = await stage();
  const answer = (headers: string) =>
    Uint8Array.from(
      `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n${headers}content-length: 2\r\n\r\n{}`,
      (character) => character.charCodeAt(0),
    );
  const ask = async (headers: string): Promise<string> => {
    s.upstream.script = raw(answer(headers));
    const seen = await exchange(s, rawRequest("/v1/things", { token: TEST_TOKEN, body: "{}" }));
    const lines = seen.text.split("\r\n\r\n")[0]?.split(/[\r\n]+/) ?? [];
    assert.equal(lines.filter((line) => line.startsWith("HTTP/")).length, 1);
    if (lines.some((line) => /^injected:/i.test(line))) return "injected";
    return seen.status === "200" ? "one response" : `one response: ${seen.status}`;
  };
  const cases: [name: string, headers: string][] = [
    ["a bare CR in a value", "x-a: 1\rinjected: 1\r\n"],
    ["a NUL in a value", "x-a: 1\0injected: 1\r\n"],
    ["a folded value", "x-a: 1\r\n injected: 1\r\n"],
    ["bytes above ASCII", "x-a: \xe9\xff\x85injected: 1\r\n"],
    ["an escape sequence", "x-a: \x1b[2Jinjected: 1\r\n"],
    ["encoded line ends", "x-a: %0d%0ainjected: 1\r\n"],
    ["UTF-8 that ends in CR LF when cut to bytes", "x-a: \xe5\x98\x8d\xe5\x98\x8ainjected: 1\r\n"],
    ["a name with a blank", "x a: 1\r\n"],
    ["a value of 32 KiB", `x-a: ${"a".repeat(32_768)}\r\n`],
  ];
  for (const [name, headers] of cases) await table.case(name, "one response", () => ask(headers));
  await table.case("hop-by-hop and CORS headers", "not relayed", async () => {
    s.upstream.script = raw(answer(
      "connection: x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=1\r\nproxy-authenticate: Basic\r\nupgrade: h2c\r\n" +
        "trailer: x-t\r\naccess-control-allow-origin: https://evil.example\r\n" +
        "access-control-allow-credentials: true\r\nx-oar-upstream: fake\r\n",
    ));
    const response = await s.router.fetch("/things", { method: "POST", body: "{}" });
    await response.body?.cancel();
    const names = [...response.headers.keys()];
    const bad = ["x-hop", "keep-alive", "proxy-authenticate", "upgrade", "trailer"].filter((name) =>
      names.includes(name)
    );
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    assert.equal(response.headers.has("access-control-allow-credentials"), false);
    assert.notEqual(response.headers.get("x-oar-upstream"), "fake");
    return bad.length === 0 ? "not relayed" : bad.join(" ");
  });
  table.print();
});
