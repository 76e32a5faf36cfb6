/** Where the frames of a zstd body begin and end. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { zstdFrames } from "../../../src/core/zstd_frames.ts";

const SKIPPABLE = Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** The last block, empty. */
const END = [1, 0, 0];

function noise(length: number): Uint8Array {
  let state = 1;
  return new Uint8Array(length).map(() => (state = (state * 1103515245 + 12345) % 2 ** 31) >> 16);
}

const CONTENTS = {
  nothing: new Uint8Array(),
  "a word": Buffer.from("word"),
  "a few hundred bytes": Buffer.from("ab".repeat(300)),
  "one byte, many times": new Uint8Array(400_000),
  "several blocks of noise": noise(400_000),
};

const withBlocks = (head: number[], count: number) =>
  Uint8Array.from([...MAGIC, ...head, ...new Uint8Array(3 * (count - 1)), ...END]);

const areWhole = (bytes: Uint8Array) => zstdFrames(bytes).map(({ isWhole }) => isWhole);

for (const [name, content] of Object.entries(CONTENTS)) {
  for (const checksum of [0, 1]) {
    Deno.test(`zstdFrames() finds the frames of ${name}, checksum ${checksum}, wherever they are cut`, () => {
      const params = { [zlib.constants.ZSTD_c_checksumFlag]: checksum };
      const frame = zlib.zstdCompressSync(content, { params });
      const start = SKIPPABLE.length;
      const next = 2 * start + frame.length;
      const body = Buffer.concat([SKIPPABLE, frame, SKIPPABLE, frame, SKIPPABLE]);
      assert.deepEqual(zstdFrames(body), [
        { start, end: start + frame.length, isWhole: true },
        { start: next, end: next + frame.length, isWhole: true },
      ]);
      assert.deepEqual(areWhole(body.subarray(0, -1)), [true, true, false]);
      for (let end = frame.length - 1; end > 0; end -= Math.ceil(end / 50)) {
        assert.deepEqual(zstdFrames(frame.subarray(0, end)), [{ start: 0, end, isWhole: false }]);
      }
    });
  }
}

Deno.test("zstdFrames() knows what is no frame", () => {
  assert.deepEqual(zstdFrames(new Uint8Array(0)), []);
  assert.deepEqual(zstdFrames(SKIPPABLE), []);
  for (const length of [1, 7, 10]) assert.deepEqual(areWhole(SKIPPABLE.subarray(0, length)), [false]);
  const reserved = [...MAGIC, 0x20, 0, 7, 0, 0];
  const dictionary = [...MAGIC, 0x01, 0x58, 7, ...END];
  const reservedBit = [...MAGIC, 0x08, 0x58, ...END];
  const trailing = [...zlib.zstdCompressSync("word"), 0, 0, 0, 0];
  for (const bytes of [Buffer.from("no frame at all"), reserved, dictionary, reservedBit, trailing]) {
    assert.throws(() => zstdFrames(Uint8Array.from(bytes)), TypeError);
  }
});

Deno.test("zstdFrames() refuses what would take too much memory or time", () => {
  const withHead = (...head: number[]) => withBlocks(head, 1);
  // A window of 8 MiB is the limit of RFC 9659; the descriptor's upper five bits are the exponent above 10.
  assert.deepEqual(areWhole(withHead(0x00, 13 << 3)), [true]);
  assert.throws(() => zstdFrames(withHead(0x00, (13 << 3) + 1)), RangeError);
  assert.throws(() => zstdFrames(withHead(0x00, 31 << 3)), RangeError);
  // A single segment has its content's size as its window.
  assert.throws(() => zstdFrames(withHead(0xa0, 0, 0, 0x80, 0x01)), RangeError);
  assert.throws(() => zstdFrames(withHead(0xe0, 0, 0, 0, 0, 1, 0, 0, 0)), RangeError);
  const blocks = (count: number) => withBlocks([0x00, 0x58], count);
  assert.deepEqual(areWhole(blocks(100_000)), [true]);
  assert.throws(() => zstdFrames(blocks(100_001)), RangeError);
  const empty = zlib.zstdCompressSync("");
  const frames = (count: number) => Buffer.concat(Array.from({ length: count }, () => empty));
  assert.equal(zstdFrames(frames(256)).length, 256);
  assert.throws(() => zstdFrames(frames(257)), RangeError);
});
