import assert from "node:assert/strict";
import { LoginLimiter } from "../../../../src/http/admin/login_limiter.ts";

Deno.test("LoginLimiter lets those who wait try again, and forgets after five minutes of quiet", () => {
  let nowMs = 0;
  const limiter = new LoginLimiter(() => nowMs);
  const waits = (times: number) => Array.from({ length: times }, () => limiter.failed("192.0.2.1"));
  assert.deepEqual(waits(10), Array(10).fill(0));
  nowMs += 1_000;
  assert.equal(limiter.failed("192.0.2.1"), 0, "it waited as long as it was to");
  assert.deepEqual(waits(3), [4, 8, 16]);
  nowMs += 15_999;
  assert.equal(limiter.failed("192.0.2.1"), 32);
  nowMs += 300_000;
  assert.deepEqual(waits(10), Array(10).fill(0));
});

Deno.test("LoginLimiter makes wrong tokens from everywhere wait a minute at most", () => {
  let nowMs = 0;
  const limiter = new LoginLimiter(() => nowMs);
  const waits = Array.from({ length: 300 }, (_, n) => limiter.failed(`10.0.${n >> 8}.${n & 255}`));
  assert.deepEqual(waits.slice(0, 200), Array(200).fill(0));
  assert.deepEqual(waits.slice(200, 203), [2, 4, 8]);
  assert.equal(Math.max(...waits), 60);
  nowMs += 60_000;
  assert.equal(limiter.failed("10.9.9.9"), 0);
});

Deno.test("LoginLimiter remembers a bounded number of networks: those that failed last", () => {
  const limiter = new LoginLimiter(() => 0);
  for (let n = 0; n < 20; n++) limiter.failed("192.0.2.1");
  for (let n = 0; n < 500; n++) limiter.failed(`10.1.${n >> 8}.${n & 255}`);
  assert.equal(limiter.failed("192.0.2.1"), 300);
  for (let n = 0; n < 1_000; n++) limiter.failed(`10.2.${n >> 8}.${n & 255}`);
  assert.equal(limiter.failed("192.0.2.1"), 60, "only the count of all is left");
});
