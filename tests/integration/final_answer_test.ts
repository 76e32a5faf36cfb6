/**
 * What the client gets from the last candidate: the right column of the table in docs/architecture.md,
 * "Failover".
 */
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { isTerminated, rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router, type RouterOptions } from "../support/router.ts";
import {
  chatCompletion,
  chatEvent,
  chatEvents,
  chatReply,
  chunk,
  cutAfter,
  FakeUpstream,
  hang,
  head,
  LAST_CHUNK,
  raw,
  refusingEndpoint,
  reply,
  type Script,
  silentAfter,
  stream,
  STREAM_HEAD,
} from "../support/upstream.ts";

const KEY = "sk-last-0123456789abcdef";
const MASKED_KEY = `sk-${"*".repeat(KEY.length - 3)}`;

/** A router in front of one upstream, which is always the last candidate. */
class Stage implements AsyncDisposable {
  constructor(readonly upstream: FakeUpstream, readonly router: Router) {}

  static async set(options: RouterOptions = {}): Promise<Stage> {
    const upstream = new FakeUpstream(hang);
    const upstreams = [{ endpoint: upstream.endpoint, sk: KEY, name: "last", timeout: 1 }];
    return new Stage(upstream, await Router.start({ upstreams, ...options }));
  }

  /** Sends one request while the upstream follows this script. */
  async ask(script: Script, body: Record<string, unknown> = {}): Promise<Response> {
    this.upstream.script = script;
    return await this.router.chat(body);
  }

  /** The same over a raw socket, read until the connection's end. */
  async askRaw(script: Script, body: Record<string, unknown> = {}): Promise<RawClient> {
    this.upstream.script = script;
    const client = await RawClient.connect(this.router.port);
    await client.send(rawChat(this.router.token, body));
    await client.readToEnd();
    client.close();
    return client;
  }

  async recordOf(client: Response | RawClient): Promise<Record<string, unknown>> {
    if (client instanceof Response) return await this.router.recordOf(client);
    const requestId = /x-oar-request-id: (\S+)/i.exec(client.text)?.[1] ?? "";
    return await this.router.recordOf(new Response(null, { headers: { "x-oar-request-id": requestId } }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.router[Symbol.asyncDispose]();
    await this.upstream[Symbol.asyncDispose]();
  }
}

async function errorCode(response: Response): Promise<string> {
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("access-control-allow-origin"), "*");
  const { error } = await response.json();
  assert.deepEqual(Object.keys(error), ["message", "type", "param", "code"]);
  assert.ok(error.message.length > 0);
  assert.equal(error.message.includes(KEY), false);
  return error.code;
}

Deno.test("the last upstream's error reaches the client as it is", async (t) => {
  await using stage = await Stage.set();
  for (const status of [400, 401, 403, 404, 409, 422, 429, 451, 500, 503, 529, 599]) {
    await t.step(`HTTP ${status}`, async () => {
      const body = JSON.stringify({ error: { message: `said ${status}`, type: "t", code: `c${status}` } });
      const response = await stage.ask(reply(status, body, {
        "content-type": "application/problem+json",
        "retry-after": "7",
        "retry-after-ms": "7000",
        "x-should-retry": "false",
        "x-request-id": "req_1",
      }));

      assert.equal(response.status, status);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      assert.equal(response.headers.get("content-length"), String(body.length));
      assert.equal(response.headers.get("retry-after"), "7");
      assert.equal(response.headers.get("retry-after-ms"), "7000");
      assert.equal(response.headers.get("x-should-retry"), "false");
      assert.equal(response.headers.get("x-request-id"), "req_1");
      assert.equal(response.headers.get("x-oar-upstream"), "last");
      assert.equal(await response.text(), body);
      const record = await stage.recordOf(response);
      assert.equal(record.outcome, "upstream_error");
      assert.equal(record.status, status);
      assert.equal(record.response, body);
      assert.equal(record.upstream_id, 1);
      const [attempt] = stage.router.attempts(record.id);
      assert.equal(attempt?.error_class, "http_status");
      assert.equal(attempt?.status, status);
    });
  }

  await t.step("an error page that is not JSON", async () => {
    const response = await stage.ask(
      reply(502, "<h1>Bad Gateway</h1>", { "content-type": "text/html" }),
      { stream: true },
    );
    assert.equal(response.status, 502);
    assert.equal(response.headers.get("content-type"), "text/html");
    assert.equal(await response.text(), "<h1>Bad Gateway</h1>");
    assert.equal((await stage.recordOf(response)).outcome, "upstream_error");
  });

  await t.step("an error without a body", async () => {
    const response = await stage.ask(raw("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"));
    assert.equal(response.status, 500);
    assert.equal(await response.text(), "");
    assert.equal((await stage.recordOf(response)).outcome, "upstream_error");
  });
});

Deno.test("the upstream's own key is masked in its errors, and nowhere else", async (t) => {
  await using stage = await Stage.set();

  await t.step("in an error body, whose declared length is adjusted", async () => {
    const body = `{"error":{"message":"Incorrect API key provided: ${KEY}, ${KEY}"}}`;
    const response = await stage.ask(reply(401, body));
    assert.equal(response.headers.get("content-length"), String(body.length));
    assert.equal(await response.text(), body.replaceAll(KEY, MASKED_KEY));
    const record = await stage.recordOf(response);
    assert.equal(JSON.stringify(record).includes(KEY), false);
    assert.equal(JSON.stringify(stage.router.attempts(record.id)).includes(KEY), false);
  });

  await t.step("in a large error body that arrives in pieces", async () => {
    const filler = "x".repeat(1_200_000);
    const response = await stage.ask(async (_request, wire) => {
      await wire.write(head(400, { "content-type": "text/plain", "transfer-encoding": "chunked" }));
      for (const piece of [filler, KEY.slice(0, 9), KEY.slice(9), filler, KEY.slice(0, 5)]) {
        await wire.write(chunk(piece));
      }
      await wire.write(LAST_CHUNK);
    });
    assert.equal(await response.text(), `${filler}${MASKED_KEY}${filler}${KEY.slice(0, 5)}`);
  });

  await t.step("in an error with a success status", async () => {
    const body = `{"error":{"message":"bad key ${KEY}"}}`;
    const response = await stage.ask(reply(200, body));
    assert.equal(response.status, 200);
    assert.equal(await response.text(), body.replaceAll(KEY, MASKED_KEY));
  });

  await t.step("not in a successful answer", async () => {
    const response = await stage.ask(chatReply(`you said ${KEY}`));
    assert.equal((await response.json()).choices[0].message.content, `you said ${KEY}`);
  });
});

const UNREADABLE: readonly (readonly [name: string, text: string | Uint8Array])[] = [
  ["an SSH banner", "SSH-2.0-OpenSSH_9.2\r\n"],
  ["an SSH banner with an empty line", "SSH-2.0-OpenSSH_9.2\r\n\r\n"],
  ["HTML without a head", "<html>hello</html>"],
  ["a TLS alert", Uint8Array.from([0x15, 3, 1, 0, 2, 2, 0x46])],
  ["settings of HTTP/2", Uint8Array.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1])],
  ["of another version", "HTTP/2.0 200 OK\r\n\r\n"],
  ["without a status", "HTTP/1.1 OK\r\n\r\n"],
  ["a header line without a colon", "HTTP/1.1 200 OK\r\ncontent-length\r\n\r\n"],
  ["a name with a blank", "HTTP/1.1 200 OK\r\nx y: z\r\n\r\n"],
  ["a bare line feed", "HTTP/1.1 200 OK\ncontent-length: 0\n\n"],
  ["a head of 300 fields", `HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(300)}\r\n`],
  ["a head without an end", `HTTP/1.1 200 OK\r\na: ${"b".repeat(70_000)}`],
  ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
];

Deno.test("without a usable answer the client gets our own error", async (t) => {
  const unreachable = { endpoint: refusingEndpoint(), name: "unreachable", allow: "nobody-listens" };
  const nameless = { endpoint: "http://no-such-host.invalid/v1", name: "nameless", allow: "no-such-host" };
  await using upstream = new FakeUpstream(hang);
  const last = { endpoint: upstream.endpoint, sk: KEY, name: "last", timeout: 1, allow: "test-*, other" };
  await using router = await Router.start({ upstreams: [unreachable, nameless, last] });
  const stage = new Stage(upstream, router);

  const cases: [name: string, code: string, errorClass: string, Script, body?: Record<string, unknown>][] = [
    ["nobody listens", "upstream_unreachable", "connect_error", hang, { model: "nobody-listens" }],
    ["the name does not resolve", "upstream_unreachable", "connect_error", hang, { model: "no-such-host" }],
    [
      "the connection closes before the headers",
      "upstream_unreachable",
      "connect_error",
      (_, w) => w.close(),
    ],
    ...UNREADABLE.map(([name, text]): [string, string, string, Script] => [
      `the answer is ${name}`,
      "upstream_invalid",
      "bad_reply",
      // It stays open: what is wrong must be noticed at once, not when the time is over.
      (_, wire) => wire.write(text),
    ]),
    [
      "the head is cut",
      "upstream_cut",
      "bad_reply",
      async (_, wire) => {
        await wire.write("HTTP/1.1 200 OK\r\ncontent-ty");
        wire.close();
      },
    ],
    ["no headers come in time", "upstream_timeout", "timeout", hang],
    ["no headers of a stream come in time", "upstream_timeout", "timeout", hang, { stream: true }],
    [
      "it is a redirect",
      "upstream_redirect",
      "redirect",
      reply(307, "", { location: "http://127.0.0.1:1/" }),
    ],
    ["it is an unasked-for 304", "upstream_redirect", "redirect", raw("HTTP/1.1 304 Not Modified\r\n\r\n")],
    [
      "the JSON is cut",
      "upstream_cut",
      "bad_reply",
      raw(head(200, { "content-type": "application/json", "content-length": "500" }) + '{"id":"chatcmpl'),
    ],
    [
      "the chunked JSON is cut",
      "upstream_cut",
      "bad_reply",
      raw(
        head(200, { "content-type": "application/json", "transfer-encoding": "chunked" }) + chunk('{"id":1}'),
      ),
    ],
    ["the stream is cut before it begins", "upstream_cut", "bad_stream", cutAfter([]), { stream: true }],
    [
      "the stream is cut before any content",
      "upstream_cut",
      "bad_stream",
      cutAfter([": ping\n\n", chatEvent({ role: "assistant", content: "" })]),
      { stream: true },
    ],
  ];
  for (const [name, code, errorClass, script, body] of cases) {
    await t.step(`${name}: 502 ${code}`, async () => {
      const response = await stage.ask(script, body);
      assert.equal(response.status, 502);
      assert.equal(await errorCode(response), code);
      const record = await router.recordOf(response);
      assert.equal(record.outcome, "upstream_error");
      assert.equal(record.status, 502);
      // The only upstream is asked once more after the end of a connection.
      const isAskedAgain = name === "the connection closes before the headers";
      assert.equal(record.attempts, isAskedAgain ? 2 : 1);
      assert.equal(router.attempts(record.id)[0]?.error_class, errorClass);
    });
  }

  await t.step("a status outside 100 to 599: 502", async () => {
    for (const status of [600, 999]) {
      const response = await stage.ask(reply(status, "{}"));
      assert.equal(response.status, 502);
      await errorCode(response);
    }
  });

  await t.step("no upstream allows the model: 404 model_not_found that names the allowed ones", async () => {
    const response = await stage.ask(hang, { model: "gpt-unknown" });
    assert.equal(response.status, 404);
    const { error } = await response.json();
    assert.equal(error.code, "model_not_found");
    assert.match(error.message, /gpt-unknown.*test-\*.*other/);
    const record = await router.recordOf(response);
    assert.equal(record.outcome, "no_upstream");
    assert.equal(record.attempts, 0);
  });
});

Deno.test("no upstream: 503 no_upstream that names the command to use", async () => {
  await using router = await Router.start();
  const response = await router.chat();
  assert.equal(response.status, 503);
  const { error } = await response.json();
  assert.equal(error.code, "no_upstream");
  assert.match(error.message, /openai-api-route add /);
  const record = await router.recordOf(response);
  assert.equal(record.outcome, "no_upstream");
  assert.equal(record.upstream_id, null);

  router.execute(
    "INSERT INTO openai_upstreams(sk, endpoint, enabled) VALUES('sk-1', ?, 0)",
    refusingEndpoint(),
  );
  await eventually(async () => {
    const again = await router.chat();
    return (await again.json()).error.message.includes("openai-api-route enable") ? again.status : null;
  }, "the disabled upstream");
});

Deno.test("answers without a body and unusual heads are relayed unchanged", async (t) => {
  await using stage = await Stage.set();

  await t.step("204", async () => {
    stage.upstream.script = raw("HTTP/1.1 204 No Content\r\nx-request-id: r\r\n\r\n");
    const response = await stage.router.fetch("/files/1", { method: "DELETE" });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("x-request-id"), "r");
    assert.equal(await response.text(), "");
    assert.equal((await stage.recordOf(response)).outcome, "complete");
  });

  await t.step("304 to a request with If-None-Match", async () => {
    stage.upstream.script = raw('HTTP/1.1 304 Not Modified\r\netag: "1"\r\n\r\n');
    const response = await stage.router.fetch("/models", { headers: { "if-none-match": '"1"' } });
    assert.equal(response.status, 304);
    assert.equal(response.headers.get("etag"), '"1"');
    assert.equal((await stage.recordOf(response)).outcome, "complete");
  });

  await t.step("HEAD", async () => {
    stage.upstream.script = raw(
      head(200, { "content-type": "application/json", "content-length": "4321", "x-request-id": "h" }),
    );
    const response = await stage.router.fetch("/models", { method: "HEAD" });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("x-request-id"), "h");
    assert.equal(response.headers.get("content-length"), "4321");
    assert.equal(await response.text(), "");
    assert.equal(stage.upstream.requests.at(-1)?.method, "HEAD");
    assert.equal((await stage.recordOf(response)).outcome, "complete");
  });

  await t.step("201 and its headers", async () => {
    const response = await stage.ask(reply(201, JSON.stringify(chatCompletion("made")), { "x-a": "1, 2" }));
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("x-a"), "1, 2");
    assert.equal((await response.json()).choices[0].message.content, "made");
  });

  await t.step("1xx is ignored", async () => {
    const body = JSON.stringify(chatCompletion("after the hints"));
    const response = await stage.ask(
      raw(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" +
          head(200, { "content-type": "application/json", "content-length": String(body.length) }) + body,
      ),
    );
    assert.equal(response.status, 200);
    assert.equal((await response.json()).choices[0].message.content, "after the hints");
  });

  await t.step("an unrequested gzip body is relayed raw, and decoded for the record", async () => {
    const zipped = gzipSync(JSON.stringify(chatCompletion("unzipped")));
    const client = await stage.askRaw(async (_request, wire) => {
      await wire.write(head(200, {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "content-length": String(zipped.length),
      }));
      await wire.write(zipped);
    });
    assert.match(client.text, /content-encoding: gzip/i);
    assert.deepEqual(client.body, zipped);
    assert.equal((await stage.recordOf(client)).response, "unzipped");
  });

  await t.step("JSON above 1 MiB is relayed as it comes", async () => {
    const completion = JSON.stringify(chatCompletion("long ".repeat(500_000)));
    const response = await stage.ask(reply(200, completion));
    assert.equal(await response.text(), completion);
    const record = await stage.recordOf(response);
    assert.equal(record.outcome, "complete");
    assert.equal(String(record.response).length, 2_500_000);
  });
});

Deno.test("a failure with a success status is relayed from the last upstream, and recorded as a failure", async (t) => {
  await using stage = await Stage.set({ args: ["--idle-timeout", "1"] });
  const partial = [chatEvent({ role: "assistant", content: "" }), chatEvent({ content: "half a " })];

  await t.step("a JSON object that is only an error", async () => {
    const body = '{"error":{"message":"quota"}}';
    const response = await stage.ask(reply(200, body));
    assert.equal(response.status, 200);
    assert.equal(await response.text(), body);
    const record = await stage.recordOf(response);
    assert.equal(record.outcome, "error_event");
    assert.equal(stage.router.attempts(record.id)[0]?.error_class, "bad_reply");
  });

  await t.step("an empty JSON reply", async () => {
    const response = await stage.ask(reply(200, ""));
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "");
    assert.equal((await stage.recordOf(response)).outcome, "error_event");
  });

  const whole: [name: string, outcome: string, text: string, events: string[]][] = [
    ["an empty stream", "empty", "", []],
    ["a stream without content", "empty", "", [partial[0] ?? "", "data: [DONE]\n\n"]],
    ["an error as the first event", "error_event", "", ['data: {"error":{"message":"busy"}}\n\n']],
    ["an error after content", "error_event", "half a ", [
      ...partial,
      'data: {"error":{"message":"busy"}}\n\n',
    ]],
    ["a stream that stops without its end marker", "upstream_cut", "half a ", partial],
  ];
  for (const [name, outcome, text, events] of whole) {
    await t.step(`${name}: ${outcome}`, async () => {
      const response = await stage.ask(stream(events), { stream: true });
      assert.equal(response.status, 200);
      assert.equal(await response.text(), events.join(""));
      const record = await stage.recordOf(response);
      assert.equal(record.outcome, outcome);
      assert.equal(record.response, text);
      assert.equal(record.status, 200);
      assert.notEqual(record.error, null);
    });
  }

  const brokenOff: [name: string, outcome: string, Script][] = [
    ["a stream that is cut", "upstream_cut", cutAfter(partial)],
    ["a stream that goes silent", "idle_timeout", silentAfter(partial)],
  ];
  for (const [name, outcome, script] of brokenOff) {
    await t.step(`${name}: ${outcome}, and the client can tell`, async () => {
      const client = await stage.askRaw(script, { stream: true });
      assert.ok(client.text.includes("half a "));
      assert.equal(isTerminated(client.text), false);
      const record = await stage.recordOf(client);
      assert.equal(record.outcome, outcome);
      assert.equal(record.response, "half a ");
      assert.equal(stage.router.attempts(record.id)[0]?.error_class, outcome);
      await stage.upstream.requests.at(-1)?.closed;
    });
  }

  await t.step("the same with fetch: the body's promise is rejected", async () => {
    const response = await stage.ask(cutAfter(partial), { stream: true });
    await assert.rejects(response.text());
  });

  await t.step(
    "a body that is shorter than its declared length: upstream_cut, and the client can tell",
    async () => {
      stage.upstream.script = raw(
        head(200, { "content-type": "audio/mpeg", "content-length": "1000" }) + "ID3",
      );
      using client = await RawClient.connect(stage.router.port);
      await client.send(
        rawRequest("/v1/audio/speech", { token: stage.router.token, body: '{"model":"tts"}' }),
      );
      await client.readToEnd();
      assert.match(client.text, /^HTTP\/1.1 200/);
      assert.equal(client.body.toString(), "ID3");
      assert.match(client.text, /content-length: 1000/i);
      assert.equal((await stage.recordOf(client)).outcome, "upstream_cut");
    },
  );

  await t.step(
    "a truncated chunked body that is not a stream: upstream_cut, and the client can tell",
    async () => {
      stage.upstream.script = raw(
        head(200, { "content-type": "audio/mpeg", "transfer-encoding": "chunked" }) + chunk("ID3"),
      );
      using client = await RawClient.connect(stage.router.port);
      await client.send(
        rawRequest("/v1/audio/speech", { token: stage.router.token, body: '{"model":"tts"}' }),
      );
      await client.readToEnd();
      assert.equal(isTerminated(client.text), false);
      assert.equal((await stage.recordOf(client)).outcome, "upstream_cut");
    },
  );
});

Deno.test("a stream is recorded complete at its end marker, even when its connection lingers", async () => {
  const events = chatEvents(["all"]);
  await using stage = await Stage.set();
  stage.upstream.script = async (request, wire) => {
    await wire.write(STREAM_HEAD);
    for (const event of events) await wire.write(chunk(event));
    await request.closed;
  };
  using client = await RawClient.connect(stage.router.port);
  await client.send(rawChat(stage.router.token, { stream: true }));
  await client.readUntil("data: [DONE]");
  const [record] = await stage.router.recorded(1);
  assert.equal(record?.outcome, "complete");
  assert.equal(record?.response, "all");
});

Deno.test("a request that is too large: 413, and no upstream gets it", async (t) => {
  await using stage = await Stage.set({ args: ["--max-body", "64KiB"] });
  stage.upstream.script = chatReply("fits");
  const large = "x".repeat(70 * 1024);

  await t.step("by its declared length", async () => {
    const response = await stage.router.chat({ large });
    assert.equal(response.status, 413);
    assert.equal(await errorCode(response), "request_too_large");
  });

  await t.step("by the received bytes, when it declares none", async () => {
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < 10; at++) controller.enqueue(new TextEncoder().encode("x".repeat(8 * 1024)));
        controller.close();
      },
    });
    const response = await stage.router.fetch("/chat/completions", { method: "POST", body });
    assert.equal(response.status, 413);
    assert.equal(await errorCode(response), "request_too_large");
  });

  assert.equal(stage.upstream.requests.length, 0);
  assert.equal((await stage.router.chat({ fits: "x".repeat(60 * 1024) })).status, 200);
});

Deno.test("--deadline spans all attempts: 504 deadline_exceeded", async (t) => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(hang);
  await using router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, timeout: 1 }, { endpoint: second.endpoint, timeout: 30 }],
    args: ["--deadline", "2"],
  });

  await t.step("while waiting for headers", async () => {
    const response = await router.chat();
    assert.equal(response.status, 504);
    assert.equal(await errorCode(response), "deadline_exceeded");
    await second.requests[0]?.closed;
    const record = await router.recordOf(response);
    assert.equal(record.status, 504);
    const attempts = router.attempts(record.id);
    assert.deepEqual(attempts.map((attempt) => attempt.error_class), ["timeout", "deadline_exceeded"]);
  });

  await t.step("while a stream is held", async () => {
    first.script = silentAfter([chatEvent({ role: "assistant", content: "" })]);
    const response = await router.chat({ stream: true });
    assert.equal(response.status, 504);
    assert.equal(await errorCode(response), "deadline_exceeded");
  });

  await t.step("not once the choice is final", async () => {
    const events = chatEvents(["slow ", "but ", "chosen"]);
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    first.script = async (request, wire) => {
      if (request.text.includes("other-model")) return await hang(request);
      await wire.write(STREAM_HEAD);
      for (const event of events.slice(0, 2)) await wire.write(chunk(event));
      await released;
      for (const event of events.slice(2)) await wire.write(chunk(event));
      await wire.write(LAST_CHUNK);
    };
    const response = await router.chat({ stream: true });
    // A later request has reached its deadline, so the first one's has passed.
    assert.equal((await router.chat({ model: "other-model" })).status, 504);
    release();
    assert.equal(await response.text(), events.join(""));
  });
});

Deno.test("--retry-on connect moves on only before the first byte of an answer", async (t) => {
  await using first = new FakeUpstream(hang);
  await using second = new FakeUpstream(chatReply("second"));
  await using router = await Router.start({
    upstreams: [
      { endpoint: refusingEndpoint(), name: "refusing" },
      { endpoint: first.endpoint, name: "first", timeout: 1 },
      { endpoint: second.endpoint, name: "second" },
    ],
    args: ["--retry-on", "connect"],
  });

  await t.step("a status is relayed at once", async () => {
    first.script = reply(500, '{"error":{"message":"down"}}');
    const response = await router.chat();
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("x-oar-upstream"), "first");
    await response.body?.cancel();
    assert.equal(second.requests.length, 0);
  });

  await t.step("an error in a success is relayed at once", async () => {
    first.script = reply(200, '{"error":{"message":"down"}}');
    const response = await router.chat();
    assert.equal(await response.text(), '{"error":{"message":"down"}}');
    assert.equal(second.requests.length, 0);
  });

  await t.step("a failed connection and missing headers still move on", async () => {
    first.script = hang;
    const response = await router.chat();
    assert.equal(response.headers.get("x-oar-upstream"), "second");
    assert.equal(response.headers.get("x-oar-attempts"), "3");
    await response.body?.cancel();
  });
});

Deno.test("a failed attempt's body is cancelled, and its connection closed", async () => {
  await using bad = new FakeUpstream(async (request, wire) => {
    await wire.write(head(500, { "content-type": "text/plain", "transfer-encoding": "chunked" }));
    await wire.write(chunk("going on and on"));
    await request.closed;
  });
  await using good = new FakeUpstream(chatReply("good"));
  await using router = await Router.start({
    upstreams: [{ endpoint: bad.endpoint }, { endpoint: good.endpoint }],
  });
  const response = await router.chat();
  assert.equal((await response.json()).choices[0].message.content, "good");
  assert.equal(bad.requests.length, 1);
  await bad.requests[0]?.closed;
});
