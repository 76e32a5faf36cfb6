import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { ConnectionInput, copies } from "../../../src/wire/connection.ts";
import type { Framing } from "../../../src/wire/framing.ts";
import { MAX_HEAD_BYTES, MessageError } from "../../../src/wire/head.ts";
import { MessageBody, readHead } from "../../../src/wire/reading.ts";

/** A connection that brings these pieces, one a read, and then ends. */
function inputOf(pieces: readonly (string | Uint8Array)[]): ConnectionInput {
  const left = pieces.map((piece) => Buffer.from(piece)).filter((piece) => piece.length > 0);
  return new ConnectionInput({
    read: (target) => {
      const piece = left.shift();
      if (piece === undefined) return Promise.resolve(null);
      const count = piece.copy(target);
      if (count < piece.length) left.unshift(piece.subarray(count));
      return Promise.resolve(count);
    },
  });
}

async function bodyOf(input: ConnectionInput, framing: Framing): Promise<string> {
  const body = new MessageBody(input, framing);
  const pieces: Uint8Array[] = [];
  for (let piece = await body.read(); piece !== null; piece = await body.read()) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

const CHUNKED = 'a;x="y"\r\n0123456789\r\n3\r\nabc\r\n0\r\nx-trailer: 1\r\n\r\n';

Deno.test("a message reads the same wherever it is cut", async () => {
  const message = `\r\nPOST / HTTP/1.1\r\nhost: x\r\n\r\n${CHUNKED}GET / HTTP/1.1\r\nhost: x\r\n\r\n`;
  for (let cut = 0; cut <= message.length; cut++) {
    const input = inputOf([message.slice(0, cut), message.slice(cut)]);
    assert.equal(await readHead(input), "POST / HTTP/1.1\r\nhost: x", `cut at ${cut}`);
    assert.equal(await bodyOf(input, { type: "chunked" }), "0123456789abc", `cut at ${cut}`);
    assert.equal(await readHead(input), "GET / HTTP/1.1\r\nhost: x", `cut at ${cut}`);
    assert.equal(await readHead(input), null);
  }
  const input = inputOf([...message]);
  assert.equal(await readHead(input), "POST / HTTP/1.1\r\nhost: x");
  assert.equal(await bodyOf(input, { type: "chunked" }), "0123456789abc");
});

Deno.test("chunks that have come together are one piece", async () => {
  const body = new MessageBody(inputOf([CHUNKED]), { type: "chunked" });
  const piece = await body.read();
  assert.equal(Buffer.from(piece ?? []).toString(), "0123456789abc");
  assert.equal(body.isDone, true);
});

Deno.test("a body of a declared length ends there, and what follows stays", async () => {
  const input = inputOf(["abcGET / HTTP/1.1\r\nhost: x\r\n\r\n"]);
  assert.equal(await bodyOf(input, { type: "length", bytes: 3 }), "abc");
  assert.equal(await readHead(input), "GET / HTTP/1.1\r\nhost: x");
});

Deno.test("a large body comes whole through a small buffer", async () => {
  const large = "0123456789abcdef".repeat(20_000);
  assert.equal(await bodyOf(inputOf([large]), { type: "length", bytes: large.length }), large);
  assert.equal(await bodyOf(inputOf([large]), { type: "until_close" }), large);
});

Deno.test("a connection that ends too early is no end of the body", async () => {
  await assert.rejects(bodyOf(inputOf(["ab"]), { type: "length", bytes: 3 }), /ended before the end/);
  for (let cut = 0; cut < CHUNKED.length; cut++) {
    await assert.rejects(
      bodyOf(inputOf([CHUNKED.slice(0, cut)]), { type: "chunked" }),
      /ended before/,
      `${cut}`,
    );
  }
});

const BROKEN: [name: string, chunks: string][] = [
  ["a size that is none", "zz\r\nab\r\n0\r\n\r\n"],
  ["no size", "\r\nab\r\n0\r\n\r\n"],
  ["a size with a sign", "+2\r\nab\r\n0\r\n\r\n"],
  ["a size of 64 bits", "10000000000000002\r\nab\r\n0\r\n\r\n"],
  ["a chunk that is longer than its size", "1\r\nab\r\n0\r\n\r\n"],
  ["a bare line feed behind the size", "2\nab\r\n0\r\n\r\n"],
  ["a bare line feed in an extension", "2;\nx\r\nab\r\n0\r\n\r\n"],
  ["a bare carriage return in an extension", "2;\rx\r\nab\r\n0\r\n\r\n"],
  ["an extension without an end", `2;${"x".repeat(2000)}`],
  ["a control character in an extension", "2;a\x01b\r\nab\r\n0\r\n\r\n"],
  ["a NUL in the extension of the last chunk", "2\r\nab\r\n0;\0\r\n\r\n"],
  ["a DEL in an extension", '2;a="\x7f"\r\nab\r\n0\r\n\r\n'],
  ["extensions of 100 bytes for each byte", `1;${"e".repeat(100)}\r\na\r\n`.repeat(300)],
  ["more extensions than data over large chunks", `a;${"e".repeat(1000)}\r\n0123456789\r\n`.repeat(100)],
  ["a trailer without a colon", "0\r\nx-a\r\n\r\n"],
  ["a trailer without a name", "0\r\n: 1\r\n\r\n"],
  ["a blank before a trailer's colon", "0\r\nx-a : 1\r\n\r\n"],
  ["a folded trailer", "0\r\nx-a: 1\r\n x-b: 2\r\n\r\n"],
  ["a control character in a trailer", "0\r\nx-a: 1\x02\r\n\r\n"],
  ["trailers without an end", `0\r\n${"x-a: 1\r\n".repeat(5000)}`],
];
for (const [name, chunks] of BROKEN) {
  Deno.test(`a chunked body with ${name} is refused`, async () => {
    await assert.rejects(bodyOf(inputOf([chunks]), { type: "chunked" }), MessageError);
  });
}

Deno.test("what came before a broken chunk is read before the error", async () => {
  const body = new MessageBody(inputOf(["2\r\nab\r\nzz\r\n"]), { type: "chunked" });
  assert.equal(Buffer.from(await body.read() ?? []).toString(), "ab");
  await assert.rejects(body.read(), MessageError);
  await assert.rejects(body.read(), MessageError);
});

Deno.test("readHead() refuses a head without an end, and one with bare line feeds, as soon as it can tell", async () => {
  await assert.rejects(readHead(inputOf([`GET / HTTP/1.1\r\nx: ${"a".repeat(MAX_HEAD_BYTES)}`])), {
    status: 431,
  });
  await assert.rejects(readHead(inputOf(["GET / HTTP/1.1\nhost: x\n\n"])), { status: 400 });
  await assert.rejects(readHead(inputOf(["GET / HTTP/1.1\r\nhost"])), /ended within a head/);
});

Deno.test("what take() gave stays as it was, however much is taken after it", async () => {
  const sizes = [1, 1_000, 2_048, 2_049, 700];
  const pieces = Array.from({ length: 100 }, (_, n) => new Uint8Array(sizes[n % sizes.length] ?? 0).fill(n));
  const taken: Uint8Array[] = [];
  for (const piece of pieces) {
    const input = inputOf([piece]);
    await input.fill();
    taken.push(copies.of(input.lend(piece.length)));
  }
  // Not deepEqual(): showing how so many bytes differ takes minutes.
  for (const [n, piece] of pieces.entries()) {
    assert.ok(Buffer.compare(taken[n] ?? Buffer.alloc(0), piece) === 0, `piece ${n}`);
  }
});

Deno.test("chunks of one byte, and extensions within what the data allows, are read", async () => {
  const small = "1\r\na\r\n".repeat(20_000);
  assert.equal((await bodyOf(inputOf([`${small}0\r\n\r\n`]), { type: "chunked" })).length, 20_000);
  const signed = `64;chunk-signature=${"f".repeat(64)}\r\n${"d".repeat(100)}\r\n`.repeat(1_000);
  assert.equal((await bodyOf(inputOf([`${signed}0\r\n\r\n`]), { type: "chunked" })).length, 100_000);
});

Deno.test("a head that comes byte by byte is decoded once", async () => {
  const head = `GET / HTTP/1.1\r\n${"x-a: 0123456789\r\n".repeat(1_000)}`;
  const bytes = Buffer.from(`${head}\r\n`);
  let at = 0;
  const input = new ConnectionInput({
    read: (target) => Promise.resolve(bytes.copy(target, 0, at, ++at)),
  });
  let decodedBytes = 0;
  const { decode } = TextDecoder.prototype;
  TextDecoder.prototype.decode = function (...args: Parameters<typeof decode>) {
    decodedBytes += args[0]?.byteLength ?? 0;
    return decode.apply(this, args);
  };
  try {
    assert.equal(await readHead(input), head.slice(0, -2));
  } finally {
    TextDecoder.prototype.decode = decode;
  }
  assert.equal(decodedBytes, head.length - 2);
});

Deno.test("readHead() refuses empty lines without an end", async () => {
  await assert.rejects(readHead(inputOf(Array<string>(10_000).fill("\r\n"))), { status: 400 });
  await assert.rejects(readHead(inputOf(["\r\n".repeat(10_000)])), { status: 400 });
});
