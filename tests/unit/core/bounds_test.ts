import assert from "node:assert/strict";
import { parseCountRange, parseDuration } from "../../../src/core/bounds.ts";

Deno.test("parseCountRange() reads a number with or without a comparison", () => {
  const cases: readonly (readonly [string, readonly [number | null, number | null] | undefined])[] = [
    ["2", [2, 2]],
    ["=2", [2, 2]],
    [">1", [2, null]],
    [" > 1 ", [2, null]],
    [">=1", [1, null]],
    ["<3", [null, 2]],
    ["<=3", [null, 3]],
    ["<0", undefined],
    ["", undefined],
    ["two", undefined],
    [">", undefined],
    ["=>2", undefined],
    ["1.5", undefined],
    ["-1", undefined],
    ["9".repeat(400), undefined],
  ];
  for (const [text, expected] of cases) {
    const range = parseCountRange(text);
    assert.deepEqual(range === undefined ? undefined : [range.min, range.max], expected, text);
  }
});

Deno.test("parseDuration() reads milliseconds, seconds, minutes and hours", () => {
  const cases: readonly (readonly [string, number | undefined])[] = [
    ["5s", 5_000],
    ["5", 5_000],
    ["1.5 s", 1_500],
    ["800ms", 800],
    ["0.5ms", 0.5],
    ["2m", 120_000],
    ["2min", 120_000],
    ["1h", 3_600_000],
    ["0s", 0],
    ["", undefined],
    ["s", undefined],
    ["-5s", undefined],
    ["5d", undefined],
    ["5 s s", undefined],
    ["9".repeat(400), undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text);
});
