/** Replies with a content encoding that was not asked for. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { chatChunk, documentOf, events, everyByte, readFixture, replay, streamOf } from "./replay.ts";

const ENCODERS: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
  gzip: (bytes) => zlib.gzipSync(bytes),
  "X-GZIP": (bytes) => zlib.gzipSync(bytes),
  deflate: (bytes) => zlib.deflateSync(bytes),
  br: (bytes) => zlib.brotliCompressSync(bytes),
  zstd: (bytes) => zlib.zstdCompressSync(bytes),
  "gzip, gzip": (bytes) => zlib.gzipSync(zlib.gzipSync(bytes)),
  "identity, GZip;q=1, none": (bytes) => zlib.gzipSync(bytes),
  "br, zstd": (bytes) => zlib.zstdCompressSync(zlib.brotliCompressSync(bytes)),
  // Encoded less often than the label says.
  "gzip, br": (bytes) => zlib.brotliCompressSync(bytes),
  "gzip, gzip, gzip": (bytes) => zlib.gzipSync(bytes),
};

const FLUSHED: readonly (readonly [string, (text: string) => Uint8Array])[] = [
  ["gzip", (text) => zlib.gzipSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH })],
  ["br", (text) => zlib.brotliCompressSync(text, { finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH })],
  ["zstd", (text) => zlib.zstdCompressSync(text)],
];

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
  assert.equal(describe("compress", new Uint8Array(9)), "application/json, compress-encoded, 9 bytes");
  assert.equal(describe("gzip", new Uint8Array(9)), "application/json, gzip-encoded, 9 bytes");
  for (const [contentEncoding, encode] of Object.entries(ENCODERS)) {
    const bomb = encode(new Uint8Array(1_000_000));
    const label = contentEncoding.toLowerCase();
    assert.equal(describe(contentEncoding, bomb), `application/json, ${label}-encoded, ${bomb.length} bytes`);
  }
});

const PLAIN_LABELS = [
  "identity",
  "none",
  "utf-8",
  "identity, identity",
  "identity;q=1",
  "IDENTITY",
  "",
  " , ",
];
/** The coding is unknown, or it was not applied. */
const LYING_LABELS = [
  "foo",
  "aws-chunked",
  "gzip",
  "br",
  "deflate",
  "zstd",
  "gzip, gzip",
  "a, b, c, d, e, f",
];

for (const contentEncoding of [...PLAIN_LABELS, ...LYING_LABELS]) {
  Deno.test(`createCapture() reads plain bytes that are labelled "${contentEncoding}" as they are`, () => {
    const bytes = readFixture("chat-two-choices");
    const plain = replay(streamOf("chat"), bytes);
    for (const cuts of [[], everyByte(bytes.length)]) {
      assert.deepEqual(replay(streamOf("chat", { contentEncoding }), bytes, { cuts }), plain);
    }
    const body = '{"choices":[{"message":{"content":"hi"}}]}';
    for (const cuts of [[], everyByte(body.length)]) {
      assert.deepEqual(
        replay(documentOf("chat", { contentEncoding }), body, { cuts }),
        replay(documentOf("chat"), body),
      );
    }
    const short = '{"a":1}';
    assert.deepEqual(
      replay(documentOf("other", { contentEncoding }), short),
      replay(documentOf("other"), short),
    );
    const capture = streamOf("chat", { contentEncoding });
    capture.push(new TextEncoder().encode(events(chatChunk({ content: "a" }))));
    assert.equal(capture.progress.hasContent, true);
  });
}

Deno.test("createCapture() takes what nobody can look into for content, at once", () => {
  const capture = streamOf("chat", { contentEncoding: "compress" });
  capture.push(new Uint8Array([0x1f, 0x9d, 0x90]));
  assert.equal(capture.progress.hasContent, true);
  assert.equal(capture.finish(true).isComplete, true);
  assert.equal(capture.progress.error, null);
});

Deno.test("createCapture() finds an error in an encoded document", () => {
  for (const [contentEncoding, encode] of Object.entries(ENCODERS)) {
    const body = encode(
      new TextEncoder().encode('{"error":{"message":"quota","code":"insufficient_quota"}}'),
    );
    const { reply, progress } = replay(documentOf("chat", { contentEncoding }), body);
    assert.equal(progress.error?.code, "insufficient_quota", contentEncoding);
    assert.equal(progress.hasContent, false);
    assert.equal(reply.isComplete, false);
  }
});

Deno.test("createCapture() finds that a body does not decode, as document and as stream", () => {
  const text = events(...Array.from({ length: 100 }, (_, index) => chatChunk({ content: `${index} ` })));
  for (const contentEncoding of ["gzip", "zstd"]) {
    const junk = new Uint8Array(100).map((_, at) => (at * 31) & 0xff);
    const document = replay(documentOf("chat", { contentEncoding }), junk);
    assert.equal(document.progress.defect, "corrupt");
    assert.equal(document.reply.isComplete, false);
    const stream = streamOf("chat", { contentEncoding });
    stream.push(junk);
    assert.match(stream.progress.error?.message ?? "", /does not decode/);
    assert.equal(stream.progress.hasContent, false);
    // Nobody promised that a file decodes.
    assert.equal(replay(documentOf("files", { contentEncoding }), junk).reply.isComplete, true);
    const whole = ENCODERS[contentEncoding]?.(new TextEncoder().encode(text)) ?? new Uint8Array();
    const cut = replay(documentOf("chat", { contentEncoding }), whole.subarray(0, whole.length - 20));
    assert.equal(cut.progress.defect, "corrupt", "cut");
  }
});

Deno.test("createCapture() reads every frame of a zstd body", () => {
  const pieces = ["role", "one", "two"].map((content) =>
    zlib.zstdCompressSync(events(chatChunk({ content: `${content} ` })))
  );
  const skippable = new Uint8Array([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
  const body = new Uint8Array(Buffer.concat([skippable, ...pieces, skippable]));
  for (const cuts of [[], everyByte(body.length)]) {
    assert.equal(
      replay(streamOf("chat", { contentEncoding: "zstd" }), body, { cuts }).reply.text,
      "role one two ",
    );
  }
});

Deno.test("createCapture() looks no further into a zstd body of very many frames, which is not refused", () => {
  const capture = streamOf("chat", { contentEncoding: "zstd" });
  capture.push(new Uint8Array(Buffer.concat(Array.from({ length: 257 }, () => zlib.zstdCompressSync("")))));
  const { hasContent, error, defect } = capture.progress;
  assert.deepEqual([hasContent, error, defect], [true, null, null]);
  assert.equal(capture.finish(true).isComplete, true);
});

Deno.test("createCapture() sees content behind any amount of encoded events without it, in linear time", () => {
  const padding = Array.from({ length: 3_000 }, (_, index) => `${index} ${(index * 2654435761) % 2 ** 32}`)
    .join(" ");
  for (const [contentEncoding, flush] of FLUSHED) {
    const role = events(chatChunk({ role: "assistant" }, { padding }));
    const encoded = flush(role + events(chatChunk({ content: "a" })));
    const capture = streamOf("chat", { contentEncoding });
    for (let at = 0; at < encoded.length; at += 700) capture.push(encoded.subarray(at, at + 700));
    assert.equal(capture.progress.hasContent, true, contentEncoding);
    // A bomb is given up, not decoded again and again.
    const bomb = streamOf("chat", { contentEncoding });
    const bytes = flush("data: ".padEnd(20_000_000, "x"));
    for (const byte of bytes.subarray(0, 2000)) bomb.push(new Uint8Array([byte]), true);
    bomb.push(bytes.subarray(2000));
    assert.equal(bomb.progress.hasContent, true, `${contentEncoding} bomb`);
  }
});

Deno.test("createCapture() treats identity as no encoding", () => {
  const capture = documentOf("chat", { contentEncoding: "identity" });
  assert.equal(replay(capture, '{"choices":[{"message":{"content":"hi"}}]}').reply.text, "hi");
});
