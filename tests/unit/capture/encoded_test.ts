/** Replies with a content encoding that was not asked for. */
import assert from "node:assert/strict";
import zlib from "node:zlib";
import { chatChunk, documentOf, events, everyByte, readFixture, replay, streamOf } from "./replay.ts";

const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  "X-GZIP": (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
};

for (const [contentEncoding, encode] of Object.entries(ENCODERS)) {
  Deno.test(`createCapture() reads a stream in ${contentEncoding}`, () => {
    const bytes = readFixture("chat-two-choices");
    const plain = replay(streamOf("chat"), bytes);
    const encoded = encode(bytes);
    for (const cuts of [[], everyByte(encoded.length)]) {
      const seen = replay(streamOf("chat", { contentEncoding }), encoded, { cuts });
      assert.deepEqual(seen.reply, { ...plain.reply, bytes: encoded.length });
      assert.equal(seen.progress.isTerminal, true);
    }
  });
}

Deno.test("createCapture() reads raw deflate", () => {
  const body = zlib.deflateRawSync('{"choices":[{"message":{"content":"hi"}}]}');
  assert.equal(replay(documentOf("chat", { contentEncoding: "deflate" }), body).reply.text, "hi");
});

Deno.test("createCapture() sees the first content of an encoded stream as it arrives", () => {
  const gzip = (text: string) => zlib.gzipSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH });
  const role = events(chatChunk({ role: "assistant" }));
  const quiet = streamOf("chat", { contentEncoding: "gzip" });
  quiet.push(gzip(role));
  assert.equal(quiet.progress.hasEvents, true);
  assert.equal(quiet.progress.hasContent, false);
  const spoken = streamOf("chat", { contentEncoding: "gzip" });
  spoken.push(gzip(role + events(chatChunk({ content: "a" }))));
  assert.equal(spoken.progress.hasContent, true);
  assert.equal(spoken.progress.neutralBytes, 0);
});

Deno.test("createCapture() keeps what has arrived of an encoded stream that was cut", () => {
  const text = events(...Array.from({ length: 500 }, (_, index) => chatChunk({ content: `${index} ` })));
  const encoded = zlib.gzipSync(text);
  const half = encoded.subarray(0, encoded.length / 2);
  const { reply } = replay(streamOf("chat", { contentEncoding: "gzip" }), half, { isCleanEnd: false });
  assert.match(reply.text, /^0 1 2 3 /);
  assert.equal(reply.isComplete, false);
});

Deno.test("createCapture() describes unknown encodings, invalid input, and bodies that expand past the limit", () => {
  const describe = (contentEncoding: string, bytes: Uint8Array, limitBytes = 10_000) =>
    replay(documentOf("chat", { contentEncoding, limitBytes }), bytes).reply.text;
  assert.equal(describe("zstd", new Uint8Array(9)), "application/json, zstd-encoded, 9 bytes");
  assert.equal(describe("gzip", new Uint8Array(9)), "application/json, gzip-encoded, 9 bytes");
  const bomb = zlib.gzipSync(new Uint8Array(1_000_000));
  assert.equal(describe("gzip", bomb), `application/json, gzip-encoded, ${bomb.length} bytes`);
});

Deno.test("createCapture() treats identity as no encoding", () => {
  const capture = documentOf("chat", { contentEncoding: "identity" });
  assert.equal(replay(capture, '{"choices":[{"message":{"content":"hi"}}]}').reply.text, "hi");
});
