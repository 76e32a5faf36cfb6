import assert from "node:assert/strict";
import { SecretSet } from "../../../src/core/secret_set.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import type { RequestRecord } from "../../../src/core/types.ts";
import { InFlightRows } from "../../../src/proxy/in_flight.ts";
import { RequestSession } from "../../../src/proxy/session.ts";
import { FakeClock } from "../notify/fake_clock.ts";

function makeSession(id: string, clock: FakeClock): RequestSession {
  return new RequestSession(
    {
      id,
      kind: "chat",
      model: "m",
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
    },
    clock,
  );
}

Deno.test("InFlightRows writes a row of each request, one after the other, and goes on when the next one has ended", () => {
  const clock = new FakeClock();
  const written: string[] = [];
  const rows = new InFlightRows({
    queuedBytes: 0,
    close: () => Promise.resolve(),
    write: (record: RequestRecord) => {
      written.push(record.requestId);
      return Promise.resolve("committed");
    },
  }, clock);
  const [, second] = ["a", "b", "c", "d"].map((id) => rows.add(makeSession(id, clock)));
  assert.ok(second);
  clock.advance(250);
  assert.deepEqual(written, ["a"]);
  rows.remove(second);
  clock.advance(100);
  assert.deepEqual(written, ["a", "c", "d"]);
  assert.equal(rows.count, 3);
  rows.stop();
  assert.equal(clock.pendingTimers, 0);
});

Deno.test("InFlightRows rests a hundred times as long as a step took", () => {
  const clock = new FakeClock();
  let written = 0;
  const rows = new InFlightRows({
    queuedBytes: 0,
    close: () => Promise.resolve(),
    write: () => {
      written++;
      clock.advance(10);
      return Promise.resolve("committed");
    },
  }, clock);
  for (const id of ["a", "b"]) rows.add(makeSession(id, clock));
  clock.advance(250);
  assert.equal(written, 1);
  clock.advance(960);
  assert.equal(written, 1);
  clock.advance(60);
  assert.equal(written, 2);
  rows.stop();
});
