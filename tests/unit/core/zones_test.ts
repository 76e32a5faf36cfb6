import assert from "node:assert/strict";
import { parseMoment } from "../../../src/core/times.ts";
import { systemZone, type Zone, zoneOf } from "../../../src/core/zones.ts";

function zone(name: string): Zone {
  const found = zoneOf(name);
  assert.ok(found !== null, name);
  return found;
}

Deno.test("a zone shows a moment as its clocks do, with its offset", () => {
  const winter = Date.UTC(2026, 0, 15, 23, 30, 5, 999);
  const summer = Date.UTC(2026, 6, 15, 23, 30, 5);
  const cases = [
    ["UTC", winter, "2026-01-15 23:30:05", "UTC"],
    ["Asia/Shanghai", winter, "2026-01-16 07:30:05", "UTC+8"],
    ["Asia/Kolkata", winter, "2026-01-16 05:00:05", "UTC+5:30"],
    ["America/St_Johns", winter, "2026-01-15 20:00:05", "UTC-3:30"],
    ["Europe/Berlin", winter, "2026-01-16 00:30:05", "UTC+1"],
    ["Europe/Berlin", summer, "2026-07-16 01:30:05", "UTC+2"],
    ["Pacific/Kiritimati", summer, "2026-07-16 13:30:05", "UTC+14"],
  ] as const;
  for (const [name, ms, shown, offset] of cases) {
    assert.deepEqual([zone(name).format(ms), zone(name).offset(ms)], [shown, offset], name);
  }
});

Deno.test("what a zone shows is read back as the same moment, in every zone and around its changes of clock", () => {
  for (const name of ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"]) {
    for (let ms = Date.UTC(2026, 0, 1); ms < Date.UTC(2027, 0, 1); ms += 7 * 3_600_000 + 11_000) {
      const text = zone(name).format(ms);
      const read = parseMoment(text, { nowMs: 0, isEnd: false, zone: zone(name) });
      // In the hour that comes twice, either is right.
      assert.ok(read === ms || zone(name).format(read ?? 0) === text, `${name} ${text}`);
    }
  }
});

Deno.test("a date in a zone is that zone's day, also on the days when the clocks change", () => {
  const berlin = zone("Europe/Berlin");
  const ends = (text: string) =>
    [false, true].map((isEnd) => parseMoment(text, { nowMs: 0, isEnd, zone: berlin }));
  assert.deepEqual(ends("2026-03-29"), [Date.UTC(2026, 2, 28, 23), Date.UTC(2026, 2, 29, 22) - 1]);
  assert.deepEqual(ends("2026-10-25"), [Date.UTC(2026, 9, 24, 22), Date.UTC(2026, 9, 25, 23) - 1]);
  const withOffset = { nowMs: 0, isEnd: false, zone: berlin };
  assert.equal(parseMoment("2026-03-29T12:00Z", withOffset), Date.UTC(2026, 2, 29, 12));
  assert.equal(parseMoment("2026-03-29 12:00+0800", withOffset), Date.UTC(2026, 2, 29, 4));
});

Deno.test("what is no zone is none, and times beyond all calendars are a dash", () => {
  for (const name of ["", "Mars/Olympus", "Asia/Shanghai\n", "../etc", "a".repeat(500), "<script>"]) {
    assert.equal(zoneOf(name), null, name);
  }
  for (const ms of [null, NaN, Infinity, -1e300, 8.64e15]) assert.equal(zone("UTC").format(ms), "-");
  assert.equal(zone("Asia/Tokyo").offset(1e300), "UTC");
  assert.notEqual(systemZone().name, "");
});
