import assert from "node:assert/strict";
import { ReplyError, replyFraming, requestFraming } from "../../../src/wire/framing.ts";
import { MessageError, parseReplyHead, parseRequestHead } from "../../../src/wire/head.ts";

const HOST = "\r\nHost: x";

Deno.test("parseRequestHead() takes a request apart, and keeps order and bytes of its fields", () => {
  const head = parseRequestHead(
    "POST /v1/chat?x=%20 HTTP/1.1\r\nHost: router:8888\r\nX-A:  1 \t\r\nx-b:\r\nX-A: \xe9\xff",
  );
  assert.equal(head.method, "POST");
  assert.equal(head.target, "/v1/chat?x=%20");
  assert.equal(head.isHttp10, false);
  assert.deepEqual([...head.headers], [
    ["host", "router:8888"],
    ["x-a", "1"],
    ["x-b", ""],
    ["x-a", "\xe9\xff"],
  ]);
  assert.equal(head.headers.get("x-a"), "1, \xe9\xff");
});

const REFUSED: [name: string, head: string, status: number][] = [
  ["no request line", "", 400],
  ["no version", `GET /${HOST}`, 400],
  ["two blanks", `GET  / HTTP/1.1${HOST}`, 400],
  ["a blank in the target", `GET /a b HTTP/1.1${HOST}`, 400],
  ["a method that is no token", `G(T / HTTP/1.1${HOST}`, 400],
  ["HTTP/2.0", `GET / HTTP/2.0${HOST}`, 505],
  ["HTTP/2.0 with a target above ASCII", `GET /\xe9 HTTP/2.0${HOST}`, 505],
  ["a target in UTF-8", `GET /caf\xc3\xa9 HTTP/1.1${HOST}`, 400],
  ["a query in Latin-1", `GET /?q=caf\xe9 HTTP/1.1${HOST}`, 400],
  ["no host", "GET / HTTP/1.1", 400],
  ["two hosts", `GET / HTTP/1.1${HOST}${HOST}`, 400],
  ["a bare line feed", `GET / HTTP/1.1${HOST}\nX-A: 1`, 400],
  ["a bare carriage return", `GET / HTTP/1.1${HOST}\r\nX-A: 1\rX-B: 2`, 400],
  ["a folded line", `GET / HTTP/1.1${HOST}\r\n X-A: 1`, 400],
  ["a blank before the colon", `GET / HTTP/1.1${HOST}\r\nX-A : 1`, 400],
  ["no colon", `GET / HTTP/1.1${HOST}\r\nX-A`, 400],
  ["no name", `GET / HTTP/1.1${HOST}\r\n: 1`, 400],
  ["a NUL", `GET / HTTP/1.1${HOST}\r\nX-A: a\0b`, 400],
  ["129 headers", `GET / HTTP/1.1${HOST}${"\r\nX-A: 1".repeat(128)}`, 431],
];
for (const [name, text, status] of REFUSED) {
  Deno.test(`parseRequestHead() refuses ${name}`, () => {
    assert.throws(() => parseRequestHead(text), (error) => {
      assert.ok(error instanceof MessageError, String(error));
      assert.equal(error.status, status);
      return true;
    });
  });
}

Deno.test("parseReplyHead() takes a reply with or without words behind its status", () => {
  assert.equal(parseReplyHead("HTTP/1.1 200 OK\r\nA: b").status, 200);
  assert.equal(parseReplyHead("HTTP/1.1 204").status, 204);
  assert.equal(parseReplyHead("HTTP/1.0 404 ").isHttp10, true);
  for (const text of ["HTTP/2 200 OK", "HTTP/1.1 20 OK", "200 OK", "HTTP/1.1 2000 OK", ""]) {
    assert.throws(() => parseReplyHead(text), MessageError, text);
  }
});

Deno.test("requestFraming() refuses what two parsers could read differently", () => {
  const framing = (fields: string, version = "1.1") =>
    requestFraming(parseRequestHead(`POST / HTTP/${version}${HOST}${fields}`));
  assert.deepEqual(framing(""), { type: "none" });
  assert.deepEqual(framing("\r\nContent-Length: 12"), { type: "length", bytes: 12 });
  assert.deepEqual(framing("\r\nContent-Length: 2\r\nContent-Length: 2"), { type: "length", bytes: 2 });
  assert.deepEqual(framing("\r\nTransfer-Encoding: Chunked"), { type: "chunked" });
  const refused = [
    "\r\nContent-Length: 2\r\nContent-Length: 3",
    "\r\nContent-Length: 2, 2",
    "\r\nContent-Length: +2",
    "\r\nContent-Length: 0x2",
    "\r\nContent-Length: ",
    "\r\nContent-Length: 99999999999999999999",
    "\r\nTransfer-Encoding: chunked\r\nContent-Length: 2",
    "\r\nTransfer-Encoding: gzip, chunked",
    "\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
  ];
  for (const fields of refused) assert.throws(() => framing(fields), MessageError, fields);
  assert.throws(() => framing("\r\nTransfer-Encoding: chunked", "1.0"), MessageError);
});

Deno.test("replyFraming() knows replies without a body, and those that end with their connection", () => {
  const framing = (head: string, method = "POST") => replyFraming(parseReplyHead(head), method);
  const none = { type: "none" } as const;
  const cases: [head: string, method: string, expected: ReturnType<typeof framing>][] = [
    ["200 OK\r\nContent-Length: 5", "HEAD", { framing: none, contentLength: 5, isSure: false }],
    ["200 OK\r\nContent-Length: 5\r\nContent-Length: 5", "HEAD", {
      framing: none,
      contentLength: 5,
      isSure: false,
    }],
    ["200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", "HEAD", {
      framing: none,
      contentLength: null,
      isSure: false,
    }],
    ["204 No Content", "GET", { framing: none, contentLength: null, isSure: false }],
    ["204 No Content\r\nContent-Length: 5", "HEAD", { framing: none, contentLength: null, isSure: false }],
    ["304 Not Modified\r\nContent-Length: 5", "GET", { framing: none, contentLength: 5, isSure: false }],
    ["101 Switching\r\nContent-Length: 5", "GET", { framing: none, contentLength: null, isSure: false }],
    ["200 OK", "GET", { framing: { type: "until_close" }, contentLength: null, isSure: false }],
    ["200 OK\r\nContent-Length: 0", "GET", {
      framing: { type: "length", bytes: 0 },
      contentLength: 0,
      isSure: true,
    }],
    ["205 Reset\r\nContent-Length: 0", "GET", {
      framing: { type: "length", bytes: 0 },
      contentLength: 0,
      isSure: false,
    }],
    ["200 OK\r\nTransfer-Encoding: chunked", "GET", {
      framing: { type: "chunked" },
      contentLength: null,
      isSure: true,
    }],
    ["200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5", "GET", {
      framing: { type: "chunked" },
      contentLength: null,
      isSure: false,
    }],
    ["200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: Chunked", "GET", {
      framing: { type: "chunked" },
      contentLength: null,
      isSure: false,
    }],
    ["200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5", "GET", {
      framing: { type: "length", bytes: 5 },
      contentLength: 5,
      isSure: false,
    }],
  ];
  for (const [head, method, expected] of cases) {
    assert.deepEqual(framing(`HTTP/1.1 ${head}`, method), expected, `${method} ${head}`);
  }
});

const BAD_LENGTHS = [
  "61,62",
  "5, 5",
  "5,",
  "abc",
  "-1",
  "+5",
  "0x5",
  "5 5",
  "",
  "5.0",
  "1e3",
  "9".repeat(16),
];

Deno.test("replyFraming() refuses a reply whose length is malformed, also where it has no body", () => {
  const places: [status: string, method: string, beside: string][] = [
    ["200 OK", "GET", ""],
    ["200 OK", "GET", "\r\nTransfer-Encoding: chunked"],
    ["200 OK", "HEAD", ""],
    ["204 No Content", "GET", ""],
    ["205 Reset Content", "GET", ""],
    ["304 Not Modified", "GET", ""],
    ["500 Oops", "POST", ""],
  ];
  const lengths = [
    ...BAD_LENGTHS.map((length) => `Content-Length: ${length}`),
    "Content-Length: 5\r\nContent-Length: 6",
    "Content-Length: 5\r\nContent-Length: abc",
    "Content-Length: 5\r\nContent-Length: 05",
  ];
  for (const [status, method, beside] of places) {
    for (const length of lengths) {
      const head = parseReplyHead(`HTTP/1.1 ${status}\r\n${length}${beside}`);
      assert.throws(() => replyFraming(head, method), ReplyError, `${method} ${status} ${length}${beside}`);
    }
  }
});

Deno.test("replyFraming() refuses codings that it does not know, and any in HTTP/1.0", () => {
  const refused = [
    "1.1 200 OK\r\nTransfer-Encoding: xchunked",
    "1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
    "1.1 200 OK\r\nTransfer-Encoding: chunked, gzip",
    "1.1 200 OK\r\nTransfer-Encoding: chunked, identity",
    "1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    "1.1 200 OK\r\nTransfer-Encoding: identity, identity",
    "1.1 200 OK\r\nTransfer-Encoding: chunked;q=1",
    "1.1 200 OK\r\nTransfer-Encoding: ",
    "1.1 200 OK\r\nTransfer-Encoding: ,chunked",
    "1.0 200 OK\r\nTransfer-Encoding: chunked",
    "1.0 200 OK\r\nTransfer-Encoding: identity",
    "1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5",
  ];
  for (const text of refused) {
    assert.throws(() => replyFraming(parseReplyHead(`HTTP/${text}`), "GET"), ReplyError, text);
  }
});
