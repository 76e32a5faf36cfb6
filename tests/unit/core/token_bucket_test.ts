import assert from "node:assert/strict";
import { OutputSizes } from "../../../src/core/output_sizes.ts";
import { TokenBucket } from "../../../src/core/token_bucket.ts";

Deno.test("a bucket fills evenly, never beyond its limit, and says when there is room", () => {
  const bucket = new TokenBucket(600, 0);
  assert.equal(bucket.roomInMs(600, 0), 0);
  bucket.take(600, 0);
  assert.equal(bucket.remaining(0), 0);
  // Ten in a second.
  assert.equal(bucket.roomInMs(50, 0), 5_000);
  assert.equal(bucket.remaining(5_000), 50);
  assert.equal(bucket.roomInMs(50, 5_000), 0);
  assert.equal(bucket.remaining(10 * 60_000), 600);
});

Deno.test("a correction gives back, or leaves a debt that is filled first", () => {
  const bucket = new TokenBucket(600, 0);
  bucket.take(500, 0);
  bucket.giveBack(400, 0);
  assert.equal(bucket.remaining(0), 500);
  bucket.giveBack(-1_100, 0);
  assert.equal(bucket.remaining(0), 0);
  assert.equal(bucket.roomInMs(1, 0), 60_100);
  // What comes late does not make more than there is.
  bucket.giveBack(100_000, 0);
  assert.equal(bucket.remaining(0), 600);
});

Deno.test("what is larger than the bucket fits when it is full, a clock that stands still fills nothing", () => {
  const bucket = new TokenBucket(600, 1_000);
  assert.equal(bucket.roomInMs(5_000, 1_000), 0);
  bucket.take(5_000, 1_000);
  assert.equal(bucket.roomInMs(1, 500), 440_100);
  bucket.resize(1_200, 1_000);
  assert.equal(bucket.roomInMs(1, 1_000), 190_050);
});

Deno.test("what an upstream reports by mistake is no debt for ever", () => {
  const bucket = new TokenBucket(600, 0);
  bucket.giveBack(-Number.MAX_SAFE_INTEGER, 0);
  assert.equal(bucket.roomInMs(600, 0), 61 * 60_000);
});

Deno.test("the 95th percentile of a model's outputs is learned, fades, and is bounded", () => {
  const sizes = new OutputSizes();
  assert.equal(sizes.p95("m"), null);
  for (let time = 0; time < 19; time++) sizes.add("m", 100);
  assert.equal(sizes.p95("m"), null);
  sizes.add("m", 100);
  assert.equal(sizes.p95("m"), 128);
  for (let time = 0; time < 40; time++) sizes.add("m", 3_000);
  assert.equal(sizes.p95("m"), 4_096);
  for (let time = 0; time < 4_000; time++) sizes.add("m", 10);
  assert.equal(sizes.p95("m"), 12);
  for (const strange of [-1, NaN, Infinity, 1.5]) sizes.add("m", strange);
  for (let model = 0; model < 1_000; model++) sizes.add(`other-${model}`, 1);
  assert.equal(sizes.p95("m"), null);
});
