/**
 * `--durability remote`: who waits for PostgreSQL, and what is kept in memory while it does not answer.
 */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { RequestRecord } from "../../../src/core/types.ts";
import type { RemoteState } from "../../../src/server/remote_database.ts";
import { RemoteSink } from "../../../src/server/remote_sink.ts";
import { ShippedWaits } from "../../../src/store/postgres/shipper/shipped_waits.ts";
import type { RecordSink, WriteResult } from "../../../src/store/store.ts";
import { makeRecord } from "../store/support.ts";

const DOWN: RemoteState = { type: "down", sinceMs: 0, message: "away", isPassing: true };

class Journal implements RecordSink {
  readonly queuedBytes = 0;
  readonly isStalled = false;
  result: WriteResult = "committed";

  write(_: RequestRecord): Promise<WriteResult> {
    return Promise.resolve(this.result);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function setUp(state: RemoteState) {
  const [journal, waits] = [new Journal(), new ShippedWaits()];
  return { journal, waits, sink: new RemoteSink(journal, { waits, state }) };
}

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

Deno.test("a record is written when PostgreSQL has it", async () => {
  const { sink, waits } = setUp({ type: "up" });
  let result: WriteResult | null = null;
  const written = sink.write(makeRecord({ requestId: "r1" })).then((value) => result = value);
  await Promise.resolve().then(() => {}).then(() => {});
  assert.equal(result, null);
  waits.shipped(["r1"]);
  assert.equal(await written, "committed");
  assert.equal(waits.size, 0);
});

Deno.test("nobody waits for a record that the journal has not taken", async () => {
  const { sink, waits, journal } = setUp({ type: "up" });
  journal.result = "dropped";
  assert.equal(await sink.write(makeRecord({ requestId: "r1" })), "dropped");
  assert.equal(waits.size, 0);
});

Deno.test("while PostgreSQL is known to be away, nothing waits for it", async () => {
  const { sink, waits } = setUp(DOWN);
  assert.equal(await sink.write(makeRecord({ requestId: "r1" })), "committed");
  assert.equal(waits.size, 0);
  assert.ok(sink.isStalled);
});

Deno.test("a record that waits for PostgreSQL is not kept in memory", async () => {
  const { sink, waits } = setUp({ type: "up" });
  const refs = Array.from({ length: 20 }, (_, at) => {
    const record = makeRecord({ requestId: `r${at}` });
    void sink.write(record);
    return new WeakRef(record);
  });
  // What a WeakRef leads to stays until the task ends.
  await new Promise((resolve) => setTimeout(resolve, 0));
  collectGarbage();
  assert.equal(waits.size, 20);
  assert.deepEqual(refs.filter((ref) => ref.deref() !== undefined), []);
});
