import assert from "node:assert/strict";
import { replyFraming, requestFraming } from "../../../src/wire/framing.ts";
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
  assert.deepEqual(framing("HTTP/1.1 200 OK\r\nContent-Length: 5", "HEAD"), { type: "none" });
  assert.deepEqual(framing("HTTP/1.1 204 No Content"), { type: "none" });
  assert.deepEqual(framing("HTTP/1.1 304 Not Modified\r\nContent-Length: 5"), { type: "none" });
  assert.deepEqual(framing("HTTP/1.1 200 OK"), { type: "until_close" });
  assert.deepEqual(framing("HTTP/1.1 200 OK\r\nContent-Length: 0"), { type: "length", bytes: 0 });
  assert.deepEqual(framing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5"), {
    type: "chunked",
  });
});
