import assert from "node:assert/strict";
import { Histogram } from "../../../../src/store/stats/histogram.ts";

function of(...durations: number[]): Histogram {
  const histogram = new Histogram();
  for (const ms of durations) histogram.add(ms);
  return histogram;
}

function assertNear(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual / expected - 1) <= 0.05, `${actual} is not near ${expected}`);
}

Deno.test("Histogram.percentile() is right to 5 % from a millisecond to an hour", () => {
  for (const ms of [1.5, 7, 99, 1_000, 12_345, 600_000, 3_600_000]) {
    assertNear(of(ms).percentile(0.5), ms);
  }
});

Deno.test("Histogram.percentile() takes the nearest rank", () => {
  const hundred = of(...Array.from({ length: 100 }, (_, index) => (index + 1) * 10));
  assertNear(hundred.percentile(0.5), 500);
  assertNear(hundred.percentile(0.95), 950);
  assertNear(hundred.percentile(0), 10);
  assertNear(hundred.percentile(1), 1_000);
});

Deno.test("Histogram.percentile() of one slow request among many shows only at the end", () => {
  const mostly = of(...Array.from({ length: 99 }, () => 20), 60_000);
  assertNear(mostly.percentile(0.95), 20);
  assertNear(mostly.percentile(1), 60_000);
});

Deno.test("Histogram counts nothing that is no duration, and is null when empty", () => {
  const histogram = of(Number.NaN, -1);
  assert.equal(histogram.total, 0);
  assert.equal(histogram.percentile(0.5), null);
});

Deno.test("Histogram keeps its counts through text, and adds up", () => {
  const read = Histogram.fromText(of(5, 5, 800).toText());
  read.addAll(of(5));
  assert.equal(read.total, 4);
  assertNear(read.percentile(0.5), 5);
  assertNear(read.percentile(1), 800);
});

Deno.test("Histogram.fromText() counts nothing of a text that somebody mistyped", () => {
  for (const text of ["", "[", "null", "7", '{"3":"x","4":-1}']) {
    assert.equal(Histogram.fromText(text).total, 0, text);
  }
});

Deno.test("a duration of years does not make the text grow without end", () => {
  const histogram = of(1e15, 1e12, Number.POSITIVE_INFINITY);
  assert.equal(histogram.total, 3);
  assert.equal(Object.keys(JSON.parse(histogram.toText())).length, 1);
});
