import assert from "node:assert/strict";
import zlib from "node:zlib";
import { Buffer } from "node:buffer";
import {
  contentCodings,
  isAmbiguousDeflate,
  isEncoded,
  undecodedProblem,
} from "../../../src/core/content_coding.ts";

Deno.test("contentCodings() reads a label as RFC 9110 writes it, and those that name no coding", () => {
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
    ["gzip;q=1", ["gzip"]],
    ["utf-8, None,UTF8", []],
    ["gzip zstd", null],
    ["aws-chunked", null],
    ["constructor", null],
    ["gzip,gzip,gzip,gzip", null],
    [`gzip,${" ".repeat(300)}`, null],
  ];
  for (const [label, codings] of table) {
    assert.deepEqual(contentCodings(label), codings, label);
    assert.equal(isEncoded(label), codings?.length !== 0, label);
  }
  assert.deepEqual(contentCodings(null), []);
  assert.equal(isEncoded(null), false);
});

const zstd = (text: string) => zlib.zstdCompressSync(Buffer.from(text));

Deno.test("isAmbiguousDeflate() finds a text that is valid with and without zlib's head", () => {
  assert.equal(isAmbiguousDeflate(zlib.deflateSync("hello")), false);
  assert.equal(isAmbiguousDeflate(zlib.deflateRawSync("hello")), false);
  // 78 9c, and the same bytes as the length of a stored block and its complement.
  assert.equal(isAmbiguousDeflate(Uint8Array.from([0x78, 0x9c, 0x00, 0x63, 0xff, 1, 2, 3])), true);
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
  // The length that follows the first byte is that of a brace.
  const brace = zlib.brotliCompressSync("m".repeat(0x7b + 1));
  assert.deepEqual([...brace.subarray(0, 2)], [0x1b, 0x7b]);
  assert.equal(problem(brace, JSON_TYPE), null);
  const readable = [
    text,
    "\n\x01{",
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
