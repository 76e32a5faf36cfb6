/**
 * Refused clients are counted over one hour, and logged once for each source and minute, within bounds.
 */
import assert from "node:assert/strict";
import { type RefusalLine, RefusedRequests } from "../../../src/observe/refused_requests.ts";
import { FakeClock } from "../../support/fake_clock.ts";

const MINUTE_MS = 60_000;

function stage() {
  const clock = new FakeClock();
  const lines: RefusalLine[] = [];
  const refused = new RefusedRequests({
    clock,
    log: (line) => void lines.push(line),
    limited: { summary: () => [] },
  });
  const from = (address: string) => refused.refused({ address, reason: "wrong_token" });
  return { clock, lines, refused, from };
}

Deno.test("one line for each source and minute, which says how many were left out", () => {
  const { clock, lines, refused, from } = stage();
  for (let i = 0; i < 5; i++) from("192.0.2.7");
  refused.refused({ address: "192.0.2.8", reason: "no_token" });
  // One household has all addresses of a /64.
  from("2001:db8::1");
  from("2001:db8::2");
  assert.deepEqual(lines, [
    { address: "192.0.2.7", words: "it sent a token that is none of the router's", unlogged: 0 },
    { address: "192.0.2.8", words: "it sent no token", unlogged: 4 },
    { address: "2001:db8::1", words: "it sent a token that is none of the router's", unlogged: 0 },
  ]);
  clock.advance(MINUTE_MS);
  from("192.0.2.7");
  assert.deepEqual([lines[3]?.address, lines[3]?.unlogged], ["192.0.2.7", 1]);
});

Deno.test("thousands of sources make a bounded number of lines", () => {
  const { lines, refused, from } = stage();
  for (let i = 0; i < 5_000; i++) from(`10.0.${i >> 8}.${i & 255}`);
  assert.equal(lines.length, 20);
  assert.equal(refused.summary().lastHour, 5_000);
  assert.equal(refused.summary().last?.address, "10.0.19.135");
});

Deno.test("the count covers one hour, also after a pause of any length", () => {
  const { clock, refused, from } = stage();
  assert.deepEqual(refused.summary(), { lastHour: 0, last: null, limited: [] });
  from("192.0.2.1");
  clock.advance(30 * MINUTE_MS);
  from("192.0.2.2");
  from("192.0.2.2");
  const { lastHour, last } = refused.summary();
  assert.deepEqual([lastHour, last?.address, last?.atMs], [3, "192.0.2.2", clock.now()]);
  clock.advance(30 * MINUTE_MS);
  assert.equal(refused.summary().lastHour, 2);
  clock.advance(30 * MINUTE_MS);
  assert.deepEqual(refused.summary(), { lastHour: 0, last: null, limited: [] });
  from("192.0.2.3");
  clock.advance(1_000 * MINUTE_MS);
  assert.equal(refused.summary().lastHour, 0);
});

Deno.test("an address that a proxy made up is cut", () => {
  const { lines, from } = stage();
  from("x".repeat(100_000));
  assert.equal(lines[0]?.address, "x".repeat(64));
});
