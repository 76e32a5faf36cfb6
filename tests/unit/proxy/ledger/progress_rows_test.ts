import assert from "node:assert/strict";
import { NO_PRICES } from "../../../../src/core/prices.ts";
import { SecretSet } from "../../../../src/core/secret_set.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import type { RequestRecord } from "../../../../src/core/types.ts";
import { ProgressRows } from "../../../../src/proxy/ledger/progress_rows.ts";
import { RequestLedger } from "../../../../src/proxy/ledger/request_ledger.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

function makeSession(id: string, clock: FakeClock): RequestLedger {
  return new RequestLedger(
    {
      id,
      kind: "chat",
      model: "m",
      shownModel: "m",
      modelPlace: null,
      isStream: true,
      method: "POST",
      path: "/v1/chat/completions",
      query: "",
      headers: new HeaderFields([]),
      body: null,
      clientIp: "192.0.2.1",
      clientName: null,
      clientToken: null,
      startedAtMs: clock.now(),
      startedMonoMs: clock.monotonic(),
    },
    {
      requestText: { text: "{}", isTruncated: false },
      authorization: null,
      secrets: new SecretSet([]),
      credentials: [],
      prices: NO_PRICES,
    },
    clock,
  );
}

function makeRows(clock: FakeClock, onWrite: (record: RequestRecord) => void): ProgressRows {
  const write = (record: RequestRecord) => {
    onWrite(record);
    return Promise.resolve("committed" as const);
  };
  return new ProgressRows({ queuedBytes: 0, isStalled: false, close: () => Promise.resolve(), write }, clock);
}

Deno.test("ProgressRows writes a row of each request, one after the other, and goes on when the next one has ended", () => {
  const clock = new FakeClock();
  const written: string[] = [];
  const rows = makeRows(clock, ({ requestId }) => void written.push(requestId));
  const [, second] = ["a", "b", "c", "d"].map((id) => rows.add(makeSession(id, clock)));
  assert.ok(second);
  clock.advance(250);
  assert.deepEqual(written, ["a"]);
  rows.remove(second);
  clock.advance(100);
  assert.deepEqual(written, ["a", "c", "d"]);
  rows.stop();
  assert.equal(clock.pendingTimers, 0);
});

for (
  const { requests, stepMs, restMs } of [
    { requests: 1_000, stepMs: 4, restMs: 10 },
    { requests: 2_000, stepMs: 4, restMs: 400 },
    { requests: 2_000, stepMs: 100, restMs: 1_000 },
  ]
) {
  Deno.test(`ProgressRows rests ${restMs} ms after a step of ${stepMs} with ${requests} requests`, () => {
    const clock = new FakeClock();
    const stepsAtMs: number[] = [];
    const rows = makeRows(clock, () => {
      // The first row of a step takes all its time.
      if (stepsAtMs.at(-1) === clock.monotonic()) return;
      clock.advance(stepMs);
      stepsAtMs.push(clock.monotonic());
    });
    for (let at = 0; at < requests; at++) rows.add(makeSession(`r${at}`, clock));
    for (let ms = 0; ms < 3_000 && stepsAtMs.length < 2; ms++) clock.advance(1);
    const [first = 0, second = 0] = stepsAtMs;
    const seenMs = second - stepMs - first;
    assert.ok(seenMs >= restMs - stepMs && seenMs <= restMs, `${seenMs} ms`);
    rows.stop();
  });
}
