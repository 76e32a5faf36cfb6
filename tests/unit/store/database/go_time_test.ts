import assert from "node:assert/strict";
import { fromGoTime, toGoTime } from "../../../../src/store/database/go_time.ts";

Deno.test("toGoTime() writes UTC with six digits", () => {
  const table: readonly (readonly [number, string])[] = [
    [Date.UTC(2023, 10, 8, 12, 34, 56, 789), "2023-11-08 12:34:56.789000+00:00"],
    [Date.UTC(2023, 10, 8, 12, 34, 56, 5), "2023-11-08 12:34:56.005000+00:00"],
    [Date.UTC(2023, 10, 8, 12, 34, 57, 0) - 0.25, "2023-11-08 12:34:56.999000+00:00"],
    [Date.UTC(2023, 10, 8, 12, 34, 57, 0), "2023-11-08 12:34:57.000000+00:00"],
    [Date.UTC(2023, 10, 8, 12, 34, 56, 42), "2023-11-08 12:34:56.042000+00:00"],
  ];
  for (const [ms, expected] of table) assert.equal(toGoTime(ms), expected);
  assert.throws(() => toGoTime(Number.NaN), RangeError);
});

Deno.test("fromGoTime() reads every form that the Go program writes", () => {
  const table: readonly (readonly [string, number | null])[] = [
    ["2023-11-08 12:34:56.789012+08:00", Date.UTC(2023, 10, 8, 4, 34, 56, 789)],
    ["2023-11-08 12:34:56.5-03:30", Date.UTC(2023, 10, 8, 16, 4, 56, 500)],
    ["2023-11-08 12:34:56+00:00", Date.UTC(2023, 10, 8, 12, 34, 56)],
    ["2023-11-08T12:34:56Z", Date.UTC(2023, 10, 8, 12, 34, 56)],
    ["2023-11-08 12:34:56", Date.UTC(2023, 10, 8, 12, 34, 56)],
    ["yesterday", null],
    ["", null],
  ];
  for (const [text, expected] of table) assert.equal(fromGoTime(text), expected, text);
});
