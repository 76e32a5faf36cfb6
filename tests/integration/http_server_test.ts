/** The server's side of HTTP/1.1, over raw sockets. */
import assert from "node:assert/strict";
import { systemClock } from "../../src/server/clock.ts";
import { ConnectionLimits } from "../../src/wire/connection_limits.ts";
import {
  type AcceptedConnection,
  type ConnectionListener,
  HttpServer,
  type ServerOptions,
} from "../../src/wire/server.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { eventually, Router } from "../support/router.ts";
import { chatEvents, chatReply, FakeUpstream, hang, reply, stream } from "../support/upstream.ts";

interface Stage extends AsyncDisposable {
  readonly upstream: FakeUpstream;
  readonly router: Router;
}

async function stage(): Promise<Stage> {
  const upstream = new FakeUpstream(chatReply("hello"));
  const router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  return {
    upstream,
    router,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

const KEEP = { headers: { connection: "keep-alive", "content-type": "application/json" } };

function statuses(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status ?? "");
}

// Deno's own server does not report it when the body arrived in a later packet than the head.
Deno.test("a client that leaves before the reply is noticed, although its body arrived after its head", async () => {
  await using s = await stage();
  s.upstream.script = hang;
  const client = await RawClient.connect(s.router.port);
  const request = rawChat(s.router.token);
  const headEnd = request.indexOf("\r\n\r\n") + 4;
  await client.send(request.slice(0, headEnd));
  // The answer to the next connection shows that the head has been read by now.
  await (await s.router.fetch("/metrics")).text();
  await client.send(request.slice(headEnd));
  await s.upstream.received(1);
  client.close();
  await s.upstream.requests[0]?.closed;
  const [record] = await s.router.recorded(1);
  assert.deepEqual([record?.status, record?.outcome], [499, "client_gone"]);
});

Deno.test("requests on one connection are answered one after the other, in order, pipelined ones too", async () => {
  await using s = await stage();
  using client = await RawClient.connect(s.router.port);
  const token = s.router.token;
  const one = rawRequest("/v1/one", { token, body: "{}", ...KEEP });
  const two = rawRequest("/v1/two", { method: "GET", token, headers: { connection: "keep-alive" } });
  const three = rawRequest("/v1/three", { token, body: '{"a":1}' });
  s.upstream.script = (request, wire) => reply(200, JSON.stringify({ path: request.target }))(request, wire);
  await client.send(one + two + three);
  const text = await client.readToEnd();
  assert.deepEqual(statuses(text), ["200", "200", "200"]);
  assert.deepEqual([...text.matchAll(/"path":"([^"]*)"/g)].map(([, path]) => path), [
    "/v1/one",
    "/v1/two",
    "/v1/three",
  ]);
});

Deno.test("HTTP/1.0 gets a reply that ends with its connection, or keep-alive on request", async () => {
  await using s = await stage();
  s.upstream.script = stream(chatEvents(["old"]));
  const request = rawChat(s.router.token, { stream: true }).replace("HTTP/1.1", "HTTP/1.0");
  using client = await RawClient.connect(s.router.port);
  await client.send(request);
  const text = await client.readToEnd();
  assert.doesNotMatch(text, /transfer-encoding/i);
  assert.match(text, /data: \[DONE\]\n\n$/);

  s.upstream.script = chatReply("kept");
  using kept = await RawClient.connect(s.router.port);
  const again = rawChat(s.router.token).replace("HTTP/1.1", "HTTP/1.0").replace(
    "connection: close",
    "connection: keep-alive",
  );
  await kept.send(again);
  assert.match(await kept.readUntil("kept"), /connection: keep-alive/i);
  await kept.send(request.replace('"stream":true', '"stream":null'));
  assert.deepEqual(statuses(await kept.readToEnd()), ["200", "200"]);
});

Deno.test("a client that sends Expect: 100-continue gets a 100", async () => {
  await using s = await stage();
  using client = await RawClient.connect(s.router.port);
  const body = '{"model":"m"}';
  const head = rawRequest("/v1/chat/completions", {
    token: s.router.token,
    headers: { expect: "100-continue", "content-length": String(body.length) },
  });
  await client.send(head);
  await client.readUntil("HTTP/1.1 100 Continue\r\n\r\n");
  await client.send(body);
  assert.deepEqual(statuses(await client.readToEnd()), ["100", "200"]);
  assert.equal(s.upstream.requests[0]?.text, body);
  assert.equal(s.upstream.requests[0]?.headers.has("expect"), false);
});

Deno.test("a chunked request with extensions and trailers arrives whole", async () => {
  await using s = await stage();
  using client = await RawClient.connect(s.router.port);
  await client.send(
    rawRequest("/v1/chat/completions", {
      token: s.router.token,
      headers: { "transfer-encoding": "chunked" },
    }).replace(/content-length: 0\r\n/, "") + '5;a=b\r\n{"mod\r\n8\r\nel":"m"}\r\n0\r\nx-trailer: 1\r\n\r\n',
  );
  assert.deepEqual(statuses(await client.readToEnd()), ["200"]);
  assert.equal(s.upstream.requests[0]?.text, '{"model":"m"}');
});

Deno.test("a stop closes idle connections, and lets the others finish", async () => {
  await using s = await stage();
  using idle = await RawClient.connect(s.router.port);
  await idle.send(rawRequest("/v1/one", { token: s.router.token, body: "{}", ...KEEP }));
  await idle.readUntil("hello");
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  s.upstream.script = async (request, wire) => {
    await released;
    await chatReply("finished")(request, wire);
  };
  using busy = await RawClient.connect(s.router.port);
  await busy.send(rawRequest("/v1/two", { token: s.router.token, body: "{}", ...KEEP }));
  await s.upstream.received(2);
  s.router.signal("SIGTERM");
  await idle.readToEnd();
  release();
  assert.match(await busy.readToEnd(), /finished/);
  assert.equal(await s.router.exited(), 0);
});

/** A server whose handler answers `ok`. */
function serving(options: Partial<ServerOptions>): { port: number; server: HttpServer } {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = new HttpServer(listener, {
    clock: systemClock,
    handle: (exchange) => exchange.reply({ status: 200, headers: [] }, new TextEncoder().encode("ok")),
    refusal: (error) => ({ headers: [], body: new TextEncoder().encode(error.message) }),
    onUnexpected: (error) => assert.fail(String(error)),
    ...options,
  });
  return { port: listener.addr.port, server };
}

Deno.test("an unfinished head and an idle connection are closed after their timeouts", async () => {
  const { port, server } = serving({ headTimeoutMs: 1, idleTimeoutMs: 1 });
  using slow = await RawClient.connect(port);
  await slow.send("GET / HTTP/1.1\r\nhost: ");
  using silent = await RawClient.connect(port);
  assert.equal(await slow.readToEnd(), "");
  assert.equal(await silent.readToEnd(), "");
  server.shutdown();
  await server.finished;
});

Deno.test("a connection is closed soon after a refusal, whatever its client does", async () => {
  const { port, server } = serving({});
  const clients = await Promise.all(["GET / HTTP/3.0\r\n\r\n", "\0\r\n\r\n"].map(async (bytes) => {
    const client = await RawClient.connect(port);
    await client.send(bytes);
    return client;
  }));
  const texts = await Promise.all(clients.map((client) => client.readToEnd()));
  assert.deepEqual(texts.map((text) => statuses(text)[0]), ["505", "400"]);
  server.shutdown();
  await server.finished;
  for (const client of clients) client.close();
});

Deno.test("a handler that fails breaks its connection only", async () => {
  const seen: unknown[] = [];
  const { port, server } = serving({
    handle: (exchange) =>
      exchange.target === "/bad"
        ? Promise.reject(new Error("broken"))
        : exchange.reply({ status: 200, headers: [] }, null),
    onUnexpected: (error) => seen.push(error),
  });
  using bad = await RawClient.connect(port);
  await bad.send("GET /bad HTTP/1.1\r\nhost: x\r\n\r\n");
  assert.equal(await bad.readToEnd(), "");
  using good = await RawClient.connect(port);
  await good.send("GET /good HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  assert.deepEqual(statuses(await good.readToEnd()), ["200"]);
  assert.match(String(seen[0]), /broken/);
  server.stop();
  await server.finished;
  await eventually(() => seen.length === 1 ? true : null, "one report");
});

/** More than the socket buffers of a connection. */
const LARGE_ANSWER = new Uint8Array(32 * 1024 * 1024);

Deno.test("a client that does not read its answer is disconnected after the timeout", async () => {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const { port, server } = serving({
    writeTimeoutMs: 1,
    handle: (exchange) => exchange.reply({ status: 200, headers: [] }, LARGE_ANSWER).catch(() => resolve()),
  });
  using client = await RawClient.connect(port);
  await client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await ended;
  server.shutdown();
  await server.finished;
});

Deno.test("an aborted answer ends, although its client does not read", async () => {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const { port, server } = serving({
    handle: async (exchange) => {
      exchange.begin({ status: 200, headers: [] });
      const writing = exchange.write(LARGE_ANSWER).catch(() => resolve());
      exchange.cut();
      await writing;
    },
  });
  using client = await RawClient.connect(port);
  await client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await ended;
  server.shutdown();
  await server.finished;
});

Deno.test("connections beyond the limit are closed and logged once; a released slot is used again", async () => {
  const told: number[] = [];
  const { port, server } = serving({
    limits: new ConnectionLimits({ max: 2, isShared: () => false }),
    onTurnedAway: (count) => told.push(count),
  });
  const request = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
  using first = await RawClient.connect(port);
  using second = await RawClient.connect(port);
  for (const client of [first, second]) {
    await client.send(request);
    await client.readUntil("ok");
  }
  for (let at = 0; at < 20; at++) {
    using third = await RawClient.connect(port);
    assert.match(await third.readToEnd(), /^HTTP\/1\.1 503 [^]*\r\nconnection: close\r\n\r\n$/);
  }
  assert.deepEqual(told, [1]);
  first.close();
  await eventually(async () => {
    using next = await RawClient.connect(port);
    await next.send(request).catch(() => {});
    return statuses(await next.readUntil("\r\n\r\n").catch(() => ""))[0] === "200" ? true : null;
  }, "a place");
  second.close();
  server.stop();
  await server.finished;
});

Deno.test("a missing body is given up after its timeout", async () => {
  const { promise: broken, resolve } = Promise.withResolvers<unknown>();
  const { port, server } = serving({
    bodyTimeoutMs: 1,
    handle: async (exchange) => {
      while (await exchange.body?.read().catch(resolve));
    },
  });
  using client = await RawClient.connect(port);
  await client.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf");
  assert.equal(await client.readToEnd(), "");
  assert.ok(await broken instanceof Error);
  server.shutdown();
  await server.finished;
});

Deno.test("an answer never exceeds its declared length, and a shorter one ends the connection", async () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const { port, server } = serving({
    handle: async (exchange) => {
      const headers: [string, string][] = [["content-length", "99"], ["transfer-encoding", "gzip"]];
      exchange.begin({ status: 200, headers, contentLength: 5 });
      const isLong = exchange.target === "/long";
      try {
        await exchange.write(bytes("abc"));
        if (exchange.target === "/exact" || isLong) await exchange.write(bytes("de"));
        if (isLong) await exchange.write(bytes("HTTP/1.1 200 OK\r\n\r\n"));
        await exchange.end(exchange.target === "/last" ? bytes("deHTTP") : undefined);
      } catch {
        exchange.cut();
      }
    },
  });
  const answered = "\r\n\r\nabc";
  for (
    const [target, body] of [["/exact", "de"], ["/long", "de"], ["/last", "de"], ["/short", ""]] as const
  ) {
    using client = await RawClient.connect(port);
    await client.send(`GET ${target} HTTP/1.1\r\nhost: x\r\n\r\nGET /short HTTP/1.1\r\nhost: x\r\n\r\n`);
    const text = await client.readToEnd();
    assert.equal(statuses(text).length, target === "/exact" ? 2 : 1, target);
    assert.equal(text.split(answered)[1]?.split("HTTP/1.1")[0], body, target);
    assert.doesNotMatch(text, /content-length: 99|transfer-encoding/);
  }
  server.shutdown();
  await server.finished;
});

Deno.test("an answer with non-ASCII bytes is complete, however it is written", async () => {
  const headers: [string, string][] = [["x-city", "Z\u00fcrich".repeat(20)]];
  const size = 200 * 1024;
  const body = new Uint8Array(size).fill(0x62);
  const { port, server } = serving({
    handle: async (exchange) => {
      const [, way, count] = exchange.target.split("/");
      const bytes = body.subarray(0, Number(count));
      if (way === "reply") return await exchange.reply({ status: 200, headers }, bytes);
      exchange.begin({ status: 200, headers, contentLength: way === "length" ? bytes.length : null });
      if (way === "apart") await exchange.write(new Uint8Array(0));
      await exchange.end(bytes);
    },
  });
  for (const way of ["reply", "length", "chunked", "apart"]) {
    for (const count of [0, 1, size]) {
      using client = await RawClient.connect(port);
      await client.send(`GET /${way}/${count} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
      await client.readToEnd();
      const head = client.text.split("\r\n\r\n")[0] ?? "";
      assert.match(head, /\r\ndate: [^]*GMT\r\nconnection: close$/, `${way} ${count}`);
      const isChunked = way === "chunked" || way === "apart";
      const expected = isChunked ? (count === 0 ? 0 : count.toString(16).length + 4 + count) + 5 : count;
      assert.equal(client.body.length, expected, `${way} ${count}`);
    }
  }
  server.shutdown();
  await server.finished;
});

Deno.test("an IPv4 address that a socket for both families reports in IPv6 form is written as IPv4", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const limited: string[] = [];
  const limits = new ConnectionLimits({
    max: 8,
    isShared: (address) => {
      limited.push(address);
      return false;
    },
  });
  const server = new HttpServer({
    accept: async () => {
      const connection = await listener.accept();
      return Object.defineProperty(connection, "remoteAddr", {
        value: { transport: "tcp", hostname: "::ffff:192.0.2.7", port: 1 },
      });
    },
    close: () => listener.close(),
  }, {
    clock: systemClock,
    handle: (exchange) =>
      exchange.reply(
        { status: 200, headers: [] },
        new TextEncoder().encode(`from ${exchange.remoteAddress}.`),
      ),
    refusal: (error) => ({ headers: [], body: new TextEncoder().encode(error.message) }),
    onUnexpected: (error) => assert.fail(String(error)),
    limits,
  });
  using client = await RawClient.connect(listener.addr.port);
  await client.send("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
  assert.match(await client.readToEnd(), /from 192\.0\.2\.7\.$/);
  server.shutdown();
  await server.finished;
  assert.deepEqual([...new Set(limited)], ["192.0.2.7"]);
});

/** The system makes connections that wait to be accepted, and breaks them when the listener is closed. */
class WaitingConnections implements ConnectionListener {
  readonly #waiting: AcceptedConnection[] = [];
  #taker: PromiseWithResolvers<AcceptedConnection> | null = null;
  isClosed = false;

  add(connections: readonly AcceptedConnection[]): void {
    this.#waiting.push(...connections);
    this.#taker?.resolve(this.#waiting.shift() ?? assert.fail());
    this.#taker = null;
  }

  accept(): Promise<AcceptedConnection> {
    if (this.isClosed) return Promise.reject(new Deno.errors.BadResource("closed"));
    const next = this.#waiting.shift();
    if (next !== undefined) return Promise.resolve(next);
    this.#taker = Promise.withResolvers<AcceptedConnection>();
    return this.#taker.promise;
  }

  close(): void {
    this.isClosed = true;
    for (const connection of this.#waiting) connection.close();
    this.#taker?.reject(new Deno.errors.BadResource("closed"));
  }
}

Deno.test("clients that wait to be accepted when the server is told to stop are served; one that sends nothing is not waited for", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const clients: RawClient[] = [];
  const accepted: Deno.TcpConn[] = [];
  for (let n = 0; n < 4; n++) {
    clients.push(await RawClient.connect(listener.addr.port));
    accepted.push(await listener.accept());
  }
  const [silent, ...asking] = clients;
  for (const client of asking) await client.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  const waiting = new WaitingConnections();
  const clock = new FakeClock();
  const server = new HttpServer(waiting, {
    clock,
    handle: (exchange) => exchange.reply({ status: 200, headers: [] }, null),
    refusal: () => assert.fail("nothing is refused"),
    onUnexpected: (error) => assert.fail(String(error)),
    afterTurn: () => new Promise((resolve) => setTimeout(resolve, 0)),
  });
  waiting.add(accepted);
  server.shutdown();
  const texts = await Promise.all(asking.map((client) => client.readToEnd()));
  assert.deepEqual(texts.map((text) => statuses(text)), [["200"], ["200"], ["200"]]);
  for (const text of texts) assert.match(text, /\r\nconnection: close\r\n/i);
  for (const client of clients.slice(1)) client.close();
  clock.advance(3_000);
  await server.finished;
  assert.ok(waiting.isClosed);
  assert.equal(await silent?.readToEnd(), "");
  silent?.close();
});

Deno.test("a client whose first request is on its way when the server is told to stop is answered", async () => {
  const { port, server } = serving({});
  using slow = await RawClient.connect(port);
  // Its answer shows that the connection before it has been accepted.
  using other = await RawClient.connect(port);
  await other.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  await other.readUntil("ok");
  server.shutdown();
  assert.match(await other.readToEnd(), /ok$/, "one that was used, and is idle, is closed");
  await slow.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
  const text = await slow.readToEnd();
  assert.deepEqual(statuses(text), ["200"]);
  assert.match(text, /\r\nconnection: close\r\n/i);
  slow.close();
  await server.finished;
});
