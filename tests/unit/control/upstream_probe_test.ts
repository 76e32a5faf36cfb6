import assert from "node:assert/strict";
import { judgeSpace } from "../../../src/cli/doctor/database.ts";
import { judgeAnswer, judgeCertificate, judgeClock } from "../../../src/control/upstream_probe.ts";

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const DAY_MS = 86_400_000;

Deno.test("judgeAnswer() says by the status whether key, path or upstream is at fault", () => {
  const table = [
    [200, 3, "ok", /with 3 models/],
    [200, null, "warn", /base URL/],
    [204, null, "warn", /base URL/],
    [307, null, "fail", /it redirects, /],
    [401, null, "fail", /edit 7 --key KEY/],
    [403, null, "fail", /edit 7 --key KEY/],
    [404, null, "warn", /edit 7 --endpoint URL/],
    [405, null, "warn", /edit 7 --endpoint URL/],
    [418, null, "warn", /ask its operator/],
    [429, null, "warn", /limits/],
    [500, null, "fail", /wait/],
  ] as const;
  for (const [status, modelCount, level, text] of table) {
    const answer = { status, headers: new Headers(), ms: 5, modelCount };
    const verdict = judgeAnswer(answer, { id: 7, sk: "sk-key" });
    assert.equal(verdict.level, level, String(status));
    assert.match(`${verdict.message} ${verdict.advice}`, text, String(status));
  }
});

Deno.test("judgeAnswer() takes a refusal for good where only the client has a key", () => {
  const answer = { status: 401, headers: new Headers(), ms: 5, modelCount: null };
  assert.equal(judgeAnswer(answer, { id: 7, sk: "asis" }).level, "ok");
});

Deno.test("judgeCertificate() warns two weeks before the end, and fails after it", () => {
  const levelAt = (days: number) => judgeCertificate(new Date(NOW_MS + days * DAY_MS), NOW_MS)?.level;
  assert.deepEqual([levelAt(90), levelAt(14), levelAt(13), levelAt(0), levelAt(-1)], [
    "ok",
    "ok",
    "warn",
    "warn",
    "fail",
  ]);
  assert.equal(judgeCertificate(null, NOW_MS), null);
});

Deno.test("judgeClock() believes the upstream that agrees most, and knows an impossible time", () => {
  const levelOf = (...offsets: number[]) => judgeClock(NOW_MS, offsets).level;
  assert.deepEqual([levelOf(), levelOf(60_000), levelOf(-60_001), levelOf(-90_000, 500)], [
    "ok",
    "ok",
    "warn",
    "ok",
  ]);
  assert.match(judgeClock(NOW_MS, [90_000]).message, /90 s ahead of/);
  assert.equal(judgeClock(0, [0]).level, "fail");
});

Deno.test("judgeSpace() warns below 1 GiB and fails when the end is near", () => {
  const levels = [2 ** 30, 2 ** 30 - 1, 2 ** 26 - 1].map((bytes) => judgeSpace(bytes, "/data").level);
  assert.deepEqual(levels, ["ok", "warn", "fail"]);
});
