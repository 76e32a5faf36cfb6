/**
 * Moments as people type them, and as tables show them.
 */
import assert from "node:assert/strict";
import { formatDuration, formatTime, parseMoment } from "../../../src/core/times.ts";

const NOW = Date.UTC(2026, 10, 20, 12);
const SINCE = { nowMs: NOW, isEnd: false };

Deno.test("parseMoment() counts durations back from now", () => {
  const cases = { "90s": 90_000, "15m": 900_000, "24h": 86_400_000, "7d": 604_800_000, "3w": 1_814_400_000 };
  for (const [text, ms] of Object.entries(cases)) assert.equal(parseMoment(text, SINCE), NOW - ms, text);
  assert.equal(parseMoment(" 1.5h ", SINCE), NOW - 5_400_000);
});

Deno.test("parseMoment() takes a date as its start or its end in local time", () => {
  assert.equal(parseMoment("2026-11-01", SINCE), new Date(2026, 10, 1).getTime());
  assert.equal(parseMoment("2026-11-30", { ...SINCE, isEnd: true }), new Date(2026, 11, 1).getTime() - 1);
});

Deno.test("parseMoment() takes ISO times, local without a zone", () => {
  assert.equal(parseMoment("2026-11-01T10:20:30Z", SINCE), Date.UTC(2026, 10, 1, 10, 20, 30));
  assert.equal(parseMoment("2026-11-01 10:20:30.5+08:00", SINCE), Date.UTC(2026, 10, 1, 2, 20, 30, 500));
  assert.equal(parseMoment("2026-11-01t10:20+0800", SINCE), Date.UTC(2026, 10, 1, 2, 20));
  assert.equal(parseMoment("2026-11-01T10:20", SINCE), new Date(2026, 10, 1, 10, 20).getTime());
});

Deno.test("parseMoment() refuses anything else", () => {
  const cases = ["", "7", "d", "-7d", "7 d", "7y", "yesterday", "2026-02-30", "2026-13-01", "26-1-1"];
  for (const text of [...cases, "2026-02-30T10:00", "2026-11-01T25:00", "2026-11-01T10"]) {
    assert.equal(parseMoment(text, SINCE), undefined, text);
  }
});

Deno.test("formatTime() prints local time, formatDuration() is short", () => {
  assert.equal(formatTime(new Date(2026, 0, 2, 3, 4, 5).getTime()), "2026-01-02 03:04:05");
  assert.equal(formatTime(null), "-");
  const durations = [null, 0, 84.6, 999.4, 1234, 59_990, 59_999, 125_000].map(formatDuration);
  assert.deepEqual(durations, [
    "-",
    "0 ms",
    "85 ms",
    "999 ms",
    "1.23 s",
    "59.99 s",
    "1 min 0 s",
    "2 min 5 s",
  ]);
});
