import assert from "node:assert/strict";
import type { RequestLedger } from "../../../../src/proxy/ledger/request_ledger.ts";
import { resettle } from "../../../../src/proxy/ledger/settlement.ts";
import type { RecordSink, WriteResult } from "../../../../src/store/store.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { makeRecord } from "../../store/support.ts";

function bench({ isStalled }: { readonly isStalled: boolean }): {
  readonly clock: FakeClock;
  readonly ended: Promise<void>;
  readonly seen: { written: number; late: number; isOver: boolean };
  commit(): void;
} {
  const clock = new FakeClock();
  const seen = { written: 0, late: 0, isOver: false };
  const { promise, resolve } = Promise.withResolvers<WriteResult>();
  const sink: RecordSink = {
    queuedBytes: 0,
    isStalled,
    close: () => Promise.resolve(),
    write: () => {
      seen.written++;
      return promise;
    },
  };
  const deps = { sink, clock, onSettled: [], observer: { recordAckLate: () => void seen.late++ } };
  const ledger = { resettle: () => makeRecord() } as unknown as RequestLedger;
  const ended = resettle(deps, ledger, {} as Parameters<typeof resettle>[2]).then(() =>
    void (seen.isOver = true)
  );
  return { clock, ended, seen, commit: () => resolve("committed") };
}

Deno.test("the end of a reply waits for the commit of its record, and no longer than 250 ms", async () => {
  const { clock, ended, seen } = bench({ isStalled: false });
  clock.advance(249);
  await Promise.resolve();
  assert.equal(seen.isOver, false);
  clock.advance(1);
  await ended;
  assert.deepEqual([seen.written, seen.late], [1, 1]);
  const { commit, ended: other, seen: inTime } = bench({ isStalled: false });
  commit();
  await other;
  assert.equal(inTime.late, 0);
});

Deno.test("the end of a reply does not wait for a database that takes nothing", async () => {
  const { ended, seen } = bench({ isStalled: true });
  await ended;
  assert.deepEqual([seen.written, seen.late], [1, 1]);
});
