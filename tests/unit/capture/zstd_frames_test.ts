/** Where the frames of a zstd body end. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { zstdFrames } from "../../../src/capture/zstd_frames.ts";

function noise(length: number): Uint8Array {
  let state = 1;
  return new Uint8Array(length).map(() => (state = (state * 1103515245 + 12345) % 2 ** 31) >> 16);
}

const CONTENTS = {
  nothing: new Uint8Array(),
  "a word": new TextEncoder().encode("word"),
  "one byte, many times": new Uint8Array(400_000),
  "several blocks of noise": noise(400_000),
};

for (const [name, content] of Object.entries(CONTENTS)) {
  for (const checksum of [0, 1]) {
    Deno.test(`zstdFrames() finds the end of a frame of ${name}, checksum ${checksum}`, () => {
      const params = { [zlib.constants.ZSTD_c_checksumFlag]: checksum };
      const frame = new Uint8Array(zlib.zstdCompressSync(content, { params }));
      const two = new Uint8Array(Buffer.concat([frame, frame]));
      assert.deepEqual(
        zstdFrames(two)?.map(({ bytes, isWhole }) => [bytes.length, isWhole]),
        [[frame.length, true], [frame.length, true]],
      );
      for (let end = frame.length - 1; end > 0; end -= Math.ceil(end / 50)) {
        assert.deepEqual(zstdFrames(frame.subarray(0, end))?.map(({ isWhole }) => isWhole), [false]);
      }
    });
  }
}

Deno.test("zstdFrames() knows what is no frame", () => {
  assert.equal(zstdFrames(new TextEncoder().encode("no frame at all")), null);
  const reserved = new Uint8Array([0x28, 0xb5, 0x2f, 0xfd, 0x20, 0, 7, 0, 0]);
  assert.equal(zstdFrames(reserved), null);
});
