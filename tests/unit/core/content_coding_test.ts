import assert from "node:assert/strict";
import zlib from "node:zlib";
import { Buffer } from "node:buffer";
import { codedParts, contentCodings, undecodedProblem } from "../../../src/core/content_coding.ts";
import { zstdFrames } from "../../../src/core/zstd_frames.ts";

Deno.test("contentCodings() reads a label as RFC 9110 writes it", () => {
  const table: [label: string, codings: string[] | null][] = [
    ["gzip", ["gzip"]],
    ["X-GZIP", ["gzip"]],
    [" \tgzip ,, zstd , identity,", ["gzip", "zstd"]],
    ["Br", ["br"]],
    ["deflate", ["deflate"]],
    ["identity", []],
    ["Identity, identity", []],
    ["", []],
    ["compress", null],
    ["gzip;q=1", null],
    ["gzip zstd", null],
    ["aws-chunked", null],
    ["constructor", null],
    ["gzip,gzip,gzip,gzip", null],
    [`gzip,${" ".repeat(300)}`, null],
  ];
  for (const [label, codings] of table) assert.deepEqual(contentCodings(label), codings, label);
});

const zstd = (text: string) => zlib.zstdCompressSync(Buffer.from(text));
const SKIPPABLE = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);

Deno.test("zstdFrames() finds whole frames only, wherever they are cut", () => {
  const texts = ["", "hello", "ab".repeat(300), "x".repeat(400_000)];
  for (const text of texts) {
    const frame = zstd(text);
    assert.deepEqual(zstdFrames(frame), [{ start: 0, end: frame.length }], `${text.length}`);
    for (let length = 0; length < frame.length; length++) {
      assert.equal(zstdFrames(frame.subarray(0, length)), null);
    }
    assert.equal(zstdFrames(Buffer.concat([frame, Buffer.from([0])])), null);
  }
  const [one, two] = [zstd("one"), zstd("two")];
  const both = Buffer.concat([SKIPPABLE, one, SKIPPABLE, two, SKIPPABLE]);
  const start = SKIPPABLE.length;
  const next = 2 * start + one.length;
  assert.deepEqual(zstdFrames(both), [{ start, end: start + one.length }, {
    start: next,
    end: next + two.length,
  }]);
  assert.equal(zstdFrames(both.subarray(0, -1)), null);
  assert.equal(zstdFrames(SKIPPABLE), null);
});

Deno.test("zstdFrames() refuses what would take too much memory or time", () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];
  const end = [1, 0, 0];
  // A window of 8 MiB is the limit of RFC 9659; the descriptor's upper five bits are the exponent above 10.
  assert.ok(zstdFrames(Uint8Array.from([...magic, 0x00, 13 << 3, ...end])));
  assert.equal(zstdFrames(Uint8Array.from([...magic, 0x00, (13 << 3) + 1, ...end])), null);
  assert.equal(zstdFrames(Uint8Array.from([...magic, 0x00, 31 << 3, ...end])), null);
  // A single segment has its content's size as its window.
  assert.equal(zstdFrames(Uint8Array.from([...magic, 0xa0, 0, 0, 0x80, 0x01, ...end])), null);
  assert.equal(zstdFrames(Uint8Array.from([...magic, 0xe0, 0, 0, 0, 0, 1, 0, 0, 0, ...end])), null);
  // Dictionaries and reserved bits.
  assert.equal(zstdFrames(Uint8Array.from([...magic, 0x01, 0x58, 7, ...end])), null);
  assert.equal(zstdFrames(Uint8Array.from([...magic, 0x08, 0x58, ...end])), null);
  const blocks = (count: number) =>
    Uint8Array.from([...magic, 0x00, 0x58, ...new Uint8Array(3 * (count - 1)), ...end]);
  assert.ok(zstdFrames(blocks(100_000)));
  assert.equal(zstdFrames(blocks(100_001)), null);
  const empty = zstd("");
  assert.ok(zstdFrames(Buffer.concat(Array.from({ length: 256 }, () => empty))));
  assert.equal(zstdFrames(Buffer.concat(Array.from({ length: 257 }, () => empty))), null);
});

Deno.test("codedParts() refuses a deflate text that is valid with and without zlib's head", () => {
  const plain = zlib.deflateSync("hello");
  assert.ok(codedParts(plain, "deflate"));
  assert.ok(codedParts(zlib.deflateRawSync("hello"), "deflate"));
  // 78 9c, and the same bytes as the length of a stored block and its complement.
  assert.equal(codedParts(Uint8Array.from([0x78, 0x9c, 0x00, 0x63, 0xff, 1, 2, 3]), "deflate"), null);
  for (const coding of ["gzip", "deflate", "br", "zstd"] as const) {
    assert.equal(codedParts(new Uint8Array(0), coding), null);
  }
});

Deno.test("undecodedProblem() finds what an upstream could read that ignores the label", () => {
  const JSON_TYPE = "application/json";
  const FORM = "multipart/form-data; boundary=b";
  const problem = (bytes: Uint8Array | string, type: string | null) =>
    undecodedProblem(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes, type);
  const text = '{"model":"m"}';
  for (
    const coded of [zlib.gzipSync(text), zlib.deflateSync(text), zlib.brotliCompressSync(text), zstd(text)]
  ) {
    assert.equal(problem(coded, JSON_TYPE), null);
    assert.equal(problem(coded, FORM), null);
    assert.equal(problem(coded, null), null);
  }
  // Brotli begins with all kinds of bytes.
  for (let length = 1; length < 3_000_000; length = Math.ceil(length * 1.3)) {
    for (const quality of [1, 5]) {
      const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: quality };
      const coded = zlib.brotliCompressSync(`{"model":"${"m".repeat(length)}"}`, { params });
      assert.equal(problem(coded, JSON_TYPE), null, `${length} ${quality} ${coded[0]}`);
    }
  }
  const readable = [
    text,
    ` \n${text}`,
    "\xef\xbb\xbf{",
    "\0{\0",
    "{\0",
    "\xff\xfe{\0",
    "//x",

    " ".repeat(5000),
  ];
  for (const each of readable) assert.notEqual(problem(each, JSON_TYPE), null, JSON.stringify(each));
  // In a field that decoders of gzip skip.
  const form = `\x1f\x8b\x08\x10xx\r\n--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--b--`;
  assert.notEqual(problem(form, FORM), null);
  assert.equal(problem(form, JSON_TYPE), null);
});
