/**
 * The declared length of an upstream's reply, the reply at the client, and leftover bytes on the connection.
 */
import assert from "node:assert/strict";
import { isTerminated, rawChat, RawClient, rawRequest } from "../support/raw_client.ts";
import { writeAll } from "../support/connection_server.ts";
import { type ConnectionScript, RawUpstream, readRequest } from "../support/raw_upstream.ts";
import { eventually, Router, TEST_TOKEN } from "../support/router.ts";

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Answers each request with the result of `answer` for its head; null ends the connection. */
function answering(answer: (head: string, body: string) => string | null): ConnectionScript {
  return async (connection) => {
    for (;;) {
      let body = "";
      const head = await readRequest(connection, (bytes) => body += new TextDecoder("latin1").decode(bytes));
      const text = answer(head, body);
      if (text === null) return;
      await writeAll(connection, latin1(text));
    }
  };
}

const JSON_TYPE = "content-type: application/json\r\n";
const GOOD = `HTTP/1.1 200 OK\r\n${JSON_TYPE}content-length: 15\r\n\r\n{"backup":"yes"}`.replace(
  ": 15",
  ": 16",
);

/** A router with a scripted upstream, and one behind it that always answers correctly. */
async function backed(script: ConnectionScript) {
  const first = new RawUpstream(script);
  const backup = new RawUpstream(answering(() => GOOD));
  const router = await Router.start({
    upstreams: [{ endpoint: first.endpoint, name: "first" }, { endpoint: backup.endpoint, name: "backup" }],
  });
  return {
    first,
    router,
    async [Symbol.asyncDispose]() {
      await router[Symbol.asyncDispose]();
      await first[Symbol.asyncDispose]();
      await backup[Symbol.asyncDispose]();
    },
  };
}

interface Answer {
  readonly head: string;
  readonly body: string;
  /** The values of a field. */
  readonly fields: (name: string) => string[];
}

/** An answer that ends with its connection; the body as on the wire. */
async function ask(
  port: number,
  target: string,
  options: { method?: string; body?: string } = {},
): Promise<Answer> {
  using client = await RawClient.connect(port);
  const headers = { "if-none-match": "x" };
  await client.send(rawRequest(target, { token: TEST_TOKEN, method: "GET", headers, ...options }));
  const text = await client.readToEnd();
  const end = text.indexOf("\r\n\r\n");
  assert.ok(end > 0, `no end of the head: ${JSON.stringify(text.slice(-80))}`);
  const head = text.slice(0, end);
  return {
    head,
    body: text.slice(end + 4),
    fields: (name) =>
      head.split("\r\n").filter((line) => line.startsWith(`${name}: `)).map((line) =>
        line.slice(name.length + 2)
      ),
  };
}

const CHUNKS = "5\r\nhello\r\n0\r\n\r\n";
const BOTH = "transfer-encoding: chunked\r\n";

/**
 * A reply, and what the client gets: the declared length (null: chunked) and the body, or the backup's
 * answer.
 */
const REPLIES: [name: string, method: string, reply: string, expected: [string | null, string] | "backup"][] =
  [
    ["a length", "GET", "200 OK\r\ncontent-length: 5\r\n\r\nhello", ["5", "hello"]],
    ["a length with zeros before it", "GET", "200 OK\r\ncontent-length: 0005\r\n\r\nhello", ["5", "hello"]],
    ["chunks", "GET", `200 OK\r\n${BOTH}\r\n${CHUNKS}`, [null, CHUNKS]],
    ["the same length twice", "GET", "200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello", [
      "5",
      "hello",
    ]],
    ["chunks beside a shorter length", "GET", `200 OK\r\ncontent-length: 2\r\n${BOTH}\r\n${CHUNKS}`, [
      null,
      CHUNKS,
    ]],
    ["chunks beside a longer length", "GET", `200 OK\r\n${BOTH}content-length: 99\r\n\r\n${CHUNKS}`, [
      null,
      CHUNKS,
    ]],
    ["chunks, said twice", "GET", `200 OK\r\n${BOTH}${BOTH}\r\n${CHUNKS}`, [null, CHUNKS]],
    [
      "chunks beside a list of lengths",
      "GET",
      `200 OK\r\n${BOTH}content-length: 61,62\r\n\r\n${CHUNKS}`,
      "backup",
    ],
    ["chunks in HTTP/1.0", "GET", `HTTP/1.0 200 OK\r\n${BOTH}\r\n${CHUNKS}`, "backup"],
    ["gzip, chunked", "GET", `200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n${CHUNKS}`, "backup"],
    ["two lengths", "GET", "200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello", "backup"],
    ["a list of lengths", "GET", "200 OK\r\ncontent-length: 5, 5\r\n\r\nhello", "backup"],
    ["a negative length", "GET", "200 OK\r\ncontent-length: -1\r\n\r\nhello", "backup"],
    ["no number", "GET", "200 OK\r\ncontent-length: abc\r\n\r\nhello", "backup"],
    ["HEAD, a length", "HEAD", "200 OK\r\ncontent-length: 1234\r\n\r\n", ["1234", ""]],
    ["HEAD, chunks beside a length", "HEAD", `200 OK\r\ncontent-length: 5\r\n${BOTH}\r\n`, [null, ""]],
    ["HEAD, no number", "HEAD", "200 OK\r\ncontent-length: abc\r\ncontent-length: 0\r\n\r\n", "backup"],
    ["HEAD, two lengths", "HEAD", "200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "backup"],
    ["204", "GET", "204 No Content\r\n\r\n", [null, ""]],
    ["204 with a length", "GET", "204 No Content\r\ncontent-length: 5\r\n\r\n", [null, ""]],
    ["204, a negative length", "GET", "204 No Content\r\ncontent-length: -1\r\n\r\n", "backup"],
    ["205 with a length", "GET", "205 Reset Content\r\ncontent-length: 5\r\n\r\nhello", ["0", ""]],
    ["304 with a length", "GET", "304 Not Modified\r\ncontent-length: 5\r\n\r\n", ["5", ""]],
    ["304, no number", "GET", "304 Not Modified\r\ncontent-length: 0x5\r\n\r\n", "backup"],
    [
      "five interim replies",
      "GET",
      `${"102 Processing\r\n\r\nHTTP/1.1 ".repeat(5)}200 OK\r\ncontent-length: 5\r\n\r\nhello`,
      [
        "5",
        "hello",
      ],
    ],
    [
      "six interim replies",
      "GET",
      `${"102 Processing\r\n\r\nHTTP/1.1 ".repeat(6)}200 OK\r\ncontent-length: 5\r\n\r\nhello`,
      "backup",
    ],
  ];

Deno.test("a client gets the length as the router read it, and a reply with an ambiguous length fails over", async (t) => {
  let reply = "";
  await using s = await backed(answering(() => reply));
  for (const [name, method, text, expected] of REPLIES) {
    await t.step(name, async () => {
      reply = text.startsWith("HTTP/") ? text : `HTTP/1.1 ${text}`;
      const { head, body, fields } = await ask(s.router.port, "/v1/things", { method });
      const upstream = fields("x-oar-upstream");
      if (expected === "backup") {
        assert.deepEqual(upstream, ["backup"], head);
        // A success in between, so that the failures do not open the breaker.
        reply = GOOD;
        await ask(s.router.port, "/v1/things");
        return;
      }
      assert.deepEqual(upstream, ["first"], head);
      const [length, wire] = expected;
      assert.deepEqual(fields("content-length"), length === null ? [] : [length], head);
      assert.deepEqual(fields("transfer-encoding"), length === null && wire !== "" ? ["chunked"] : [], head);
      assert.equal(body, wire);
    });
  }
  // Each of them is the upstream's fault, recorded as an unusable reply.
  const [refused] = s.router.query("SELECT count(*) AS n FROM attempts WHERE error_class = 'bad_reply'");
  assert.equal(refused?.n, REPLIES.filter(([, , , expected]) => expected === "backup").length);
});

Deno.test("a connection is reused only when its last reply has definitely ended", async (t) => {
  let reply = "";
  await using s = await backed(
    answering((head) => head.includes("/own") ? "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown" : reply),
  );
  const own = async () => assert.equal((await ask(s.router.port, "/v1/own")).body, "own");
  const hello = "content-length: 5\r\n\r\nhello";
  const cases: [name: string, reply: string, isKept: boolean, method?: string][] = [
    ["a length", `200 OK\r\n${hello}`, true],
    ["no content", "200 OK\r\ncontent-length: 0\r\n\r\n", true],
    ["chunks", `200 OK\r\n${BOTH}\r\n${CHUNKS}`, true],
    ["HEAD", "200 OK\r\ncontent-length: 5\r\n\r\n", false, "HEAD"],
    ["204", "204 No Content\r\n\r\n", false],
    ["205", "205 Reset Content\r\ncontent-length: 0\r\n\r\n", false],
    ["304", "304 Not Modified\r\n\r\n", false],
    ["chunks beside a length", `200 OK\r\ncontent-length: 5\r\n${BOTH}\r\n${CHUNKS}`, false],
    ["chunks, said twice", `200 OK\r\n${BOTH}${BOTH}\r\n${CHUNKS}`, false],
    ["close", `200 OK\r\nconnection: close\r\n${hello}`, false],
    [
      "more than was asked for",
      `200 OK\r\n${hello}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n"evil"`,
      false,
    ],
  ];
  await own();
  for (const [name, text, isKept, method = "GET"] of cases) {
    await t.step(name, async () => {
      const before = s.first.acceptedCount;
      reply = `HTTP/1.1 ${text}`;
      await ask(s.router.port, "/v1/first", { method });
      await own();
      assert.equal(s.first.acceptedCount - before, isKept ? 0 : 1);
    });
  }
});

Deno.test("a connection with an authentication challenge is not reused", async (t) => {
  let reply = "";
  await using upstream = new RawUpstream(answering(() => reply));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  for (const scheme of ["Bearer", "Negotiate", "NTLM", "Basic realm=x, Negotiate", "negotiate"]) {
    await t.step(scheme, async () => {
      reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
      await ask(router.port, "/v1/first");
      const before = upstream.acceptedCount;
      reply = `HTTP/1.1 401 No\r\nwww-authenticate: ${scheme}\r\ncontent-length: 2\r\n\r\nno`;
      await ask(router.port, "/v1/second");
      await ask(router.port, "/v1/third");
      assert.equal(upstream.acceptedCount - before, scheme === "Bearer" ? 0 : 1);
    });
  }
});

Deno.test("unsolicited bytes after a reply answer no request", async () => {
  const { promise: sendMore, resolve: send } = Promise.withResolvers<void>();
  const { promise: closed, resolve: seeClosed } = Promise.withResolvers<void>();
  let isFirst = true;
  await using s = await backed(async (connection) => {
    if (!isFirst) return await answering(() => `HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown`)(connection);
    isFirst = false;
    await readRequest(connection, () => {});
    await writeAll(connection, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
    await sendMore;
    await writeAll(connection, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    // The router closes the idle connection.
    while (await connection.read(new Uint8Array(1024)).catch(() => null) !== null);
    seeClosed();
  });
  assert.equal((await ask(s.router.port, "/v1/first")).body, "hello");
  send();
  await closed;
  assert.equal((await ask(s.router.port, "/v1/second")).body, "own");
  assert.equal(s.first.acceptedCount, 2);
});

Deno.test("heads with non-ASCII bytes arrive complete in both directions, with any body", async (t) => {
  const seen: { head: string; body: string }[] = [];
  let reply = "";
  await using s = await backed(answering((head, body) => {
    seen.push({ head, body });
    return reply;
  }));
  const city = "x-city: Z\xc3\xbcrich \xff\r\n";
  const kib = 1024;
  for (const size of [0, 1, 100 * kib, 127 * kib, 128 * kib, 200 * kib, 1024 * kib]) {
    await t.step(`a request of ${size} bytes`, async () => {
      reply = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
      using client = await RawClient.connect(s.router.port);
      const body = "b".repeat(size);
      const method = size === 0 ? "GET" : "POST";
      const headers = { "x-title": "caf\xc3\xa9".repeat(9) };
      await client.send(latin1(rawRequest("/v1/things", { method, token: TEST_TOKEN, headers, body })));
      assert.match(await client.readToEnd(), /^HTTP\/1\.1 200 /);
      const request = seen.at(-1);
      assert.match(request?.head ?? "", new RegExp(`\r\nx-title: ${"caf\xc3\xa9".repeat(9)}(\r\n|$)`));
      assert.equal(
        /content-length: (\d+)$/.exec(request?.head ?? "")?.[1],
        size === 0 ? undefined : String(size),
      );
      assert.ok(request?.body === body);
    });
    await t.step(`a reply of ${size} bytes`, async () => {
      const body = "b".repeat(size);
      for (const type of ["application/octet-stream", "application/json"]) {
        const bytes = type === "application/json" ? JSON.stringify(body) : body;
        reply =
          `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\n${city}content-length: ${bytes.length}\r\n\r\n${bytes}`;
        using client = await RawClient.connect(s.router.port);
        await client.send(rawRequest("/v1/things", { token: TEST_TOKEN, body: "{}" }));
        const text = await client.readToEnd();
        assert.match(text.slice(0, 2_000), /\r\nx-city: Z\u00fcrich \ufffd\r\n/);
        assert.ok(client.body.toString("latin1") === bytes);
      }
    });
  }
  for (
    const [method, status] of [["HEAD", "200 OK"], ["GET", "204 No Content"], ["GET", "304 Not Modified"], [
      "GET",
      "200 Empty",
    ]] as const
  ) {
    await t.step(`${method}, ${status}`, async () => {
      reply = `HTTP/1.1 ${status}\r\n${city}${status === "200 Empty" ? "content-length: 0\r\n" : ""}\r\n`;
      const { head } = await ask(s.router.port, "/v1/things", { method });
      assert.match(
        head,
        new RegExp(`^HTTP/1.1 ${status.slice(0, 3)} [^]*\r\nx-city: Z\u00fcrich \ufffd\r\n`),
      );
    });
  }
  await eventually(() => s.router.text.includes("ERROR") ? null : true, "a log without errors");
});

Deno.test("a stream with a declared length whose beginning was sent early is chunked and complete", async () => {
  const { promise: seen, resolve: see } = Promise.withResolvers<void>();
  const events =
    'data: {"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
  const comment = ": wait\n\n";
  await using upstream = new RawUpstream(async (connection) => {
    await readRequest(connection, () => {});
    const length = comment.length + events.length;
    const head = `HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: ${length}\r\n\r\n`;
    await writeAll(connection, head + comment);
    await seen;
    await writeAll(connection, events);
  });
  await using router = await Router.start({
    upstreams: [{ endpoint: upstream.endpoint }],
    args: ["--gate-ms", "1"],
  });
  using client = await RawClient.connect(router.port);
  await client.send(rawChat(TEST_TOKEN, { stream: true }));
  const text = await client.readUntil(comment);
  assert.match(text, /\r\ntransfer-encoding: chunked\r\n/);
  assert.doesNotMatch(text, /content-length/);
  see();
  assert.equal(isTerminated(await client.readToEnd()), true);
  const [record] = await router.recorded(1);
  assert.equal(record?.outcome, "complete");
});
