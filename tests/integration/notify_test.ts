import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { AlertNotifier } from "../../src/notify/alerts.ts";
import type { WebhookFormat } from "../../src/config/alerts.ts";
import { parseOutgoing } from "../../src/config/outgoing.ts";
import { type AlertMessage, type Channel, ChannelError } from "../../src/notify/channel.ts";
import { channelsOf, feishuChannel, matrixApiChannel, matrixChannel } from "../../src/notify/channels.ts";
import type { ChannelDependencies } from "../../src/notify/http_channel.ts";
import { webhookChannel } from "../../src/notify/webhooks.ts";
import type { Alert } from "../../src/notify/notifier.ts";
import { alertFetch } from "../../src/server/alert_fetch.ts";
import { upstreamClient } from "../../src/server/upstream_client.ts";
import { FakeClock } from "../support/fake_clock.ts";

interface Received {
  readonly method: string;
  readonly target: string;
  readonly contentType: string | null;
  readonly authorization: string | null;
  readonly body: unknown;
}

class FakeServer implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #released = Promise.withResolvers<void>();
  readonly #arrivals: (() => void)[] = [];

  /** Replies in order, repeating the last one; `hang` never answers. */
  constructor(...replies: (Response | "hang")[]) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
      const url = new URL(request.url);
      this.received.push({
        method: request.method,
        target: url.pathname + url.search,
        contentType: request.headers.get("content-type"),
        authorization: request.headers.get("authorization"),
        body: await request.json(),
      });
      for (const resolve of this.#arrivals.splice(0)) resolve();
      const reply = replies.length > 1
        ? replies.shift()
        : replies[0]?.valueOf() as Response | "hang" | undefined;
      if (reply === "hang") await this.#released.promise;
      return reply instanceof Response ? reply.clone() : new Response("{}");
    });
  }

  get origin(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Resolves at the next request. */
  arrival(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#arrivals.push(resolve);
    return promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#released.resolve();
    await this.#server.shutdown();
  }
}

const ALERT: Alert = {
  type: "request_failed",
  ip: "1.2.3.4",
  model: "gpt-4o",
  status: 502,
  message: "no upstream could be reached",
  requestId: "01JABC",
};

const MESSAGE: AlertMessage = {
  id: "message 1",
  text: "IP: 1.2.3.4 request gpt-4o error 502 with no upstream could be reached",
  alert: ALERT,
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5),
};

const generic = (url: string) => ({ url, format: "generic" as const });

const NEVER = new AbortController().signal;

function dependencies(clock = new FakeClock()): ChannelDependencies & { readonly clock: FakeClock } {
  return { fetch: globalThis.fetch, clock, instance: "router-1" };
}

Deno.test("feishu gets a text message, unsigned without a secret", async () => {
  await using server = new FakeServer(Response.json({ code: 0, msg: "success" }));
  const channel = feishuChannel(
    { webhook: `${server.origin}/open-apis/bot/v2/hook/abc`, secret: null },
    dependencies(),
  );
  await channel.send(MESSAGE, NEVER);
  assert.deepEqual(server.received, [{
    method: "POST",
    target: "/open-apis/bot/v2/hook/abc",
    contentType: "application/json",
    authorization: null,
    body: { msg_type: "text", content: { text: MESSAGE.text } },
  }]);
});

Deno.test("feishu gets a timestamp in seconds and its signature when there is a secret", async () => {
  await using server = new FakeServer(Response.json({ code: 0 }));
  const { clock, ...rest } = dependencies();
  await feishuChannel({ webhook: server.origin, secret: "s3cret" }, { clock, ...rest }).send(MESSAGE, NEVER);
  const timestamp = String(Math.floor(clock.now() / 1000));
  assert.deepEqual(server.received[0]?.body, {
    timestamp,
    sign: createHmac("sha256", `${timestamp}\ns3cret`).update("").digest("base64"),
    msg_type: "text",
    content: { text: MESSAGE.text },
  });
});

Deno.test("feishu's 200 with a code other than 0 is a failure, and is not tried again", async () => {
  await using server = new FakeServer(Response.json({ code: 19021, msg: "sign match fail" }));
  const channel = feishuChannel({ webhook: server.origin, secret: null }, dependencies());
  await assert.rejects(channel.send(MESSAGE, NEVER), {
    message: "Cannot send alert to feishu: it answered code 19021",
  });
  assert.equal(server.received.length, 1);
});

Deno.test("matrix_api gets what the Go program posted", async () => {
  await using server = new FakeServer(Response.json({ event_id: "$1" }));
  const url = `${server.origin}/_matrix/client/r0/rooms/!r:host/send/m.room.message?access_token=abc`;
  await matrixApiChannel(url, dependencies()).send(MESSAGE, NEVER);
  assert.deepEqual(server.received, [{
    method: "POST",
    target: "/_matrix/client/r0/rooms/!r:host/send/m.room.message?access_token=abc",
    contentType: "application/json",
    authorization: null,
    body: { message: "m.text", body: MESSAGE.text },
  }]);
});

Deno.test("matrix gets a PUT with the same transaction id on a retry", async () => {
  await using server = new FakeServer(
    new Response("busy", { status: 503 }),
    Response.json({ event_id: "$1" }),
  );
  const settings = { homeserver: `${server.origin}/`, room: "!room/1:host", token: "syt_token" };
  const { clock, ...rest } = dependencies();
  const backoff = clock.timerSet(1000);
  const sent = matrixChannel(settings, { clock, ...rest }).send(MESSAGE, NEVER);
  await backoff;
  clock.advance(1000);
  await sent;
  const request = {
    method: "PUT",
    target: "/_matrix/client/v3/rooms/!room%2F1%3Ahost/send/m.room.message/message%201",
    contentType: "application/json",
    authorization: "Bearer syt_token",
    body: { msgtype: "m.text", body: MESSAGE.text, "m.mentions": {} },
  };
  assert.deepEqual(server.received, [request, request]);
});

Deno.test("a webhook gets text, alert, time and instance", async () => {
  await using server = new FakeServer(new Response(null, { status: 204 }));
  await webhookChannel(generic(`${server.origin}/hook?key=1`), dependencies()).send(MESSAGE, NEVER);
  assert.deepEqual(server.received, [{
    method: "POST",
    target: "/hook?key=1",
    contentType: "application/json",
    authorization: null,
    body: { text: MESSAGE.text, alert: ALERT, at: "2026-01-02T03:04:05.000Z", instance: "router-1" },
  }]);
});

for (const status of [400, 403, 404]) {
  Deno.test(`a webhook that answers ${status} is not tried again`, async () => {
    await using server = new FakeServer(new Response("no", { status }));
    await assert.rejects(webhookChannel(generic(server.origin), dependencies()).send(MESSAGE, NEVER), {
      message: `Cannot send alert to webhook: it answered ${status}`,
    });
    assert.equal(server.received.length, 1);
  });
}

for (const status of [500, 503]) {
  Deno.test(`a webhook that answers ${status} is tried once more`, async () => {
    await using server = new FakeServer(new Response("no", { status }));
    const { clock, ...rest } = dependencies();
    const backoff = clock.timerSet(1000);
    const sent = webhookChannel(generic(server.origin), { clock, ...rest }).send(MESSAGE, NEVER);
    const rejected = assert.rejects(sent, { message: `Cannot send alert to webhook: it answered ${status}` });
    await backoff;
    clock.advance(1000);
    await rejected;
    assert.equal(server.received.length, 2);
    assert.equal(clock.pendingTimers, 0);
  });
}

Deno.test("a redirect is a failure: the secrets in URL and headers go nowhere else", async () => {
  await using other = new FakeServer();
  await using server = new FakeServer(
    new Response(null, { status: 307, headers: { location: other.origin } }),
  );
  await assert.rejects(webhookChannel(generic(server.origin), dependencies()).send(MESSAGE, NEVER), {
    message: "Cannot send alert to webhook: it answered 307",
  });
  assert.deepEqual(other.received, []);
});

Deno.test("an unreachable channel is tried twice, and no error shows its URL", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}/hook/very-secret-path`;
  listener.close();
  const { clock, ...rest } = dependencies();
  const channels: Channel[] = [
    feishuChannel({ webhook: url, secret: null }, { clock, ...rest }),
    matrixApiChannel(url, { clock, ...rest }),
    matrixChannel({ homeserver: url, room: "!r:h", token: "syt" }, { clock, ...rest }),
    webhookChannel(generic(url), { clock, ...rest }),
  ];
  for (const channel of channels) {
    const backoff = clock.timerSet(1000);
    const failure = channel.send(MESSAGE, NEVER).then(() => null, (error: unknown) => error);
    await backoff;
    clock.advance(1000);
    const error = await failure;
    assert.ok(error instanceof Error);
    assert.equal(error.message, `Cannot send alert to ${channel.name}: connection refused`);
    assert.doesNotMatch(Deno.inspect(error), /very-secret-path/);
  }
});

Deno.test("an invalid URL fails without being shown", async () => {
  const { clock, ...rest } = dependencies();
  const backoff = clock.timerSet(1000);
  const failure = webhookChannel(generic("not a url with hunter22"), { clock, ...rest }).send(MESSAGE, NEVER)
    .then(() => null, (error: unknown) => error);
  await backoff;
  clock.advance(1000);
  assert.doesNotMatch(Deno.inspect(await failure), /hunter22/);
});

Deno.test("a channel that does not answer is given up after 10 s, twice", async () => {
  await using server = new FakeServer("hang");
  const { clock, ...rest } = dependencies();
  const rejected = assert.rejects(
    webhookChannel(generic(server.origin), { clock, ...rest }).send(MESSAGE, NEVER),
    {
      message: "Cannot send alert to webhook: no answer within 10 s",
    },
  );
  await server.arrival();
  const backoff = clock.timerSet(1000);
  clock.advance(10_000);
  await backoff;
  const arrival = server.arrival();
  clock.advance(1000);
  await arrival;
  clock.advance(10_000);
  await rejected;
  assert.equal(clock.pendingTimers, 0);
});

Deno.test("a failed request reaches Feishu, both Matrix forms and a webhook, though one of them hangs", async () => {
  await using feishu = new FakeServer(Response.json({ code: 0 }));
  await using matrixApi = new FakeServer();
  await using matrix = new FakeServer("hang");
  await using webhook = new FakeServer();
  const clock = new FakeClock();
  const results: string[] = [];
  const delivered = Promise.withResolvers<void>();
  const notifier = new AlertNotifier({
    channels: channelsOf({
      feishu: { webhook: feishu.origin, secret: null },
      matrixApi: matrixApi.origin,
      matrix: { homeserver: matrix.origin, room: "!r:h", token: "syt" },
      webhook: generic(webhook.origin),
    }, dependencies(clock)),
    clock,
    redact: (text) => text,
    onSent: (channel, result) => {
      results.push(`${channel} ${result}`);
      if (results.filter((each) => each.endsWith(" ok")).length === 6) delivered.resolve();
    },
    newId: () => "id-1",
  });
  const arrivals = [feishu, matrixApi, matrix, webhook].map((server) => server.arrival());
  notifier.raise(ALERT);
  await Promise.all(arrivals);
  assert.deepEqual(feishu.received[0]?.body, { msg_type: "text", content: { text: MESSAGE.text } });
  assert.deepEqual(matrixApi.received[0]?.body, { message: "m.text", body: MESSAGE.text });
  assert.deepEqual(matrix.received[0]?.body, {
    msgtype: "m.text",
    body: MESSAGE.text,
    "m.mentions": {},
  });
  assert.deepEqual(webhook.received[0]?.body, {
    text: MESSAGE.text,
    alert: ALERT,
    at: "2026-01-02T03:04:05.000Z",
    instance: "router-1",
  });

  notifier.raise({ type: "upstream_down", upstream: "a", reason: "connection refused" });
  await delivered.promise;

  const closed = notifier.close(3000);
  clock.advance(3000);
  await closed;
  assert.deepEqual(results.filter((result) => result.startsWith("matrix ")), [
    "matrix dropped",
    "matrix error",
  ]);
  assert.equal(webhook.received.length, 2);
});

/** A message of a kind that each chat would act on. */
const COMMANDS: AlertMessage = {
  ...MESSAGE,
  text: 'Upstream <!channel> <at user_id="all"></at> @room & @everyone is down\nand "so" on',
};
const TAMED = 'Upstream (!channel> (at user_id="all">(/at> [at]room & [at]everyone is down\nand "so" on';

const FORMATS: readonly (readonly [format: WebhookFormat, body: unknown])[] = [
  ["slack", {
    text: TAMED.replaceAll("&", "&amp;").replaceAll(">", "&gt;"),
    mrkdwn: false,
    unfurl_links: false,
    unfurl_media: false,
  }],
  ["discord", { content: TAMED, allowed_mentions: { parse: [] } }],
  ["teams", {
    type: "message",
    attachments: [{
      contentType: "application/vnd.microsoft.card.adaptive",
      contentUrl: null,
      content: {
        $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
        type: "AdaptiveCard",
        version: "1.4",
        body: [{ type: "TextBlock", wrap: true, text: TAMED.replace("\n", "\n\n") }],
      },
    }],
  }],
  ["dingtalk", {
    msgtype: "text",
    text: { content: TAMED },
    at: { atMobiles: [], atUserIds: [], isAtAll: false },
  }],
];

for (const [format, body] of FORMATS) {
  Deno.test(`a webhook of ${format} gets the JSON of ${format}, in which nothing mentions anybody`, async () => {
    await using server = new FakeServer(new Response("ok"));
    await webhookChannel({ url: server.origin, format }, dependencies()).send(COMMANDS, NEVER);
    assert.deepEqual(server.received[0]?.body, body);
  });
}

Deno.test("Feishu and Matrix get no tag and no word that mentions everybody, wherever it stands", async () => {
  await using server = new FakeServer(Response.json({ code: 0 }));
  for (
    const channel of [
      feishuChannel({ webhook: server.origin, secret: null }, dependencies()),
      matrixApiChannel(server.origin, dependencies()),
      matrixChannel({ homeserver: server.origin, room: "!r:h", token: "syt" }, dependencies()),
    ]
  ) await channel.send(COMMANDS, NEVER);
  for (const { body } of server.received) {
    assert.ok(JSON.stringify(body).includes(JSON.stringify(TAMED).slice(1, -1)));
  }
  assert.equal(server.received.length, 3);
});

Deno.test("no channel gets more than it takes", async () => {
  await using server = new FakeServer(Response.json({ code: 0, errcode: 0 }));
  const long = { ...MESSAGE, text: `${"上游".repeat(50)}\n"😀"\n`.repeat(1000) };
  const webhook = (format: WebhookFormat) => webhookChannel({ url: server.origin, format }, dependencies());
  const bytes = (body: unknown) => new TextEncoder().encode(JSON.stringify(body)).length;
  const limits: readonly (readonly [channel: Channel, isWithin: (body: unknown) => boolean])[] = [
    [feishuChannel({ webhook: server.origin, secret: "s" }, dependencies()), (body) => bytes(body) <= 20_000],
    [
      matrixChannel({ homeserver: server.origin, room: "!r:h", token: "t" }, dependencies()),
      (body) => bytes(body) <= 60_000,
    ],
    [matrixApiChannel(server.origin, dependencies()), (body) => bytes(body) <= 60_000],
    [webhook("slack"), (body) => (body as { text: string }).text.length <= 40_000],
    [webhook("discord"), (body) => (body as { content: string }).content.length <= 2000],
    [webhook("teams"), (body) => bytes(body) <= 28_000],
    [webhook("dingtalk"), (body) => bytes(body) <= 20_000],
  ];
  for (const [at, [channel, isWithin]] of limits.entries()) {
    await channel.send(long, NEVER);
    const body = server.received[at]?.body;
    assert.ok(isWithin(body), channel.name);
    assert.ok(JSON.stringify(body).includes("…"), channel.name);
    assert.ok(JSON.stringify(body).isWellFormed() && !/\\ud[89ab]/i.test(JSON.stringify(body)), channel.name);
  }
});

const LATER: readonly (readonly [name: string, reply: () => Response, afterMs: number | null])[] = [
  ["Matrix", () => Response.json({ retry_after_ms: 1500 }, { status: 429 }), 1500],
  [
    "a date",
    () => new Response("", { status: 429, headers: { "retry-after": "Fri, 02 Jan 2026 03:04:15 GMT" } }),
    10_000,
  ],
  ["seconds", () => new Response("", { status: 429, headers: { "retry-after": "7" } }), 7000],
  [
    "a server that is down for a while",
    () => new Response("", { status: 503, headers: { "retry-after": "7" } }),
    7000,
  ],
  ["no time", () => new Response("slow down", { status: 429 }), null],
  ["Feishu", () => Response.json({ code: 9499, msg: "too many request" }, { status: 400 }), null],
  ["Feishu's other code", () => Response.json({ code: 11232, msg: "frequency limited psm" }), null],
];

for (const [name, reply, afterMs] of LATER) {
  Deno.test(`what asks to wait is told so, and not tried again by itself: ${name}`, async () => {
    await using server = new FakeServer(reply());
    const channel = feishuChannel({ webhook: server.origin, secret: null }, dependencies());
    await assert.rejects(channel.send(MESSAGE, NEVER), (error) => {
      assert.ok(error instanceof ChannelError);
      assert.deepEqual(error.retry, { type: "later", afterMs });
      return true;
    });
    assert.equal(server.received.length, 1);
  });
}

Deno.test("a refusal that Feishu would repeat is final, whatever its status", async () => {
  await using server = new FakeServer(Response.json({ code: 9499, msg: "Bad Request" }, { status: 400 }));
  const channel = feishuChannel({ webhook: server.origin, secret: null }, dependencies());
  await assert.rejects(channel.send(MESSAGE, NEVER), (error) => {
    assert.ok(error instanceof ChannelError);
    return error.retry.type === "never";
  });
});

Deno.test("alerts go out as requests do, with the credential of their URL, and follow no redirect", async () => {
  await using other = new FakeServer();
  await using server = new FakeServer(
    new Response(null, { status: 204 }),
    new Response(null, { status: 204 }),
    new Response(null, { status: 307, headers: { location: other.origin } }),
    Response.json({ retry_after_ms: 5 }, { status: 429 }),
  );
  const client = upstreamClient(parseOutgoing({}, null));
  try {
    const deps = { ...dependencies(), fetch: alertFetch(client) };
    const url = server.origin.replace("//", "//me:p%40ss@");
    await webhookChannel(generic(url), deps).send(MESSAGE, NEVER);
    assert.equal(server.received[0]?.authorization, `Basic ${btoa("me:p@ss")}`);
    assert.equal(server.received[0]?.contentType, "application/json");
    const plain = server.origin.replace("//", "//me:100%@");
    await webhookChannel(generic(plain), deps).send(MESSAGE, NEVER);
    assert.equal(server.received[1]?.authorization, `Basic ${btoa("me:100%")}`);
    await assert.rejects(webhookChannel(generic(url), deps).send(MESSAGE, NEVER), /it answered 307/);
    assert.deepEqual(other.received, []);
    await assert.rejects(webhookChannel(generic(url), deps).send(MESSAGE, NEVER), (error) => {
      assert.ok(error instanceof ChannelError);
      assert.deepEqual(error.retry, { type: "later", afterMs: 5 });
      return true;
    });
  } finally {
    client.close();
  }
});
