/**
 * What is tried again while a database is copied, and for how long.
 */
import assert from "node:assert/strict";
import { CopyStoppedError, CopyTally } from "../../../../../src/store/postgres/copy/copied.ts";
import { Patience } from "../../../../../src/store/postgres/copy/patience.ts";
import { PgError, type PgErrorKind } from "../../../../../src/store/postgres/errors.ts";
import { RemoteTrouble } from "../../../../../src/store/postgres/shipper/remote.ts";

function failure(kind: PgErrorKind): PgError {
  return new PgError(`pretended ${kind}`, { kind, code: null, isConnectionLost: false });
}

/** Calls back at once, and notes how long it would have waited. */
function hastyClock(): { pauses: number[]; setTimer: (callback: () => void, ms: number) => object } {
  const pauses: number[] = [];
  return {
    pauses,
    setTimer: (callback, ms) => {
      pauses.push(ms);
      queueMicrotask(callback);
      return {};
    },
  };
}

Deno.test("repeat() goes on after trouble that passes, and gives up after half a minute", async () => {
  const clock = hastyClock();
  const patience = new Patience(clock, new AbortController().signal);
  let failures = 3;
  const result = await patience.repeat(() =>
    failures-- > 0 ? Promise.reject(failure("retry")) : Promise.resolve("done")
  );
  assert.equal(result, "done");
  assert.deepEqual(clock.pauses, [250, 500, 1_000]);
  clock.pauses.length = 0;
  await assert.rejects(patience.repeat(() => Promise.reject(new RemoteTrouble("retry", failure("retry")))), {
    message: "pretended retry",
  });
  assert.deepEqual(clock.pauses, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000, 5_000]);
});

Deno.test("repeat() does not repeat what does not pass, nor errors of SQLite", async () => {
  for (
    const error of [
      failure("setup"),
      failure("poison"),
      new RemoteTrouble("setup", failure("setup")),
      new Error("disk"),
    ]
  ) {
    const clock = hastyClock();
    await assert.rejects(
      new Patience(clock, new AbortController().signal).repeat(() => Promise.reject(error)),
      error,
    );
    assert.deepEqual(clock.pauses, []);
  }
});

Deno.test("repeat() does not go on when the copy was asked to end", async () => {
  const controller = new AbortController();
  const patience = new Patience(hastyClock(), controller.signal);
  await assert.rejects(
    patience.repeat(() => {
      controller.abort();
      return Promise.reject(failure("retry"));
    }),
    CopyStoppedError,
  );
});

Deno.test("reasons of refusals are bounded, and their first records named", () => {
  const tally = new CopyTally();
  for (let id = 1n; id <= 7n; id++) tally.refuse(id, "no time");
  for (let id = 100n; id < 150n; id++) tally.refuse(id, `reason ${id}`);
  assert.deepEqual(tally.refused[0], { reason: "no time", count: 7, ids: ["1", "2", "3", "4", "5"] });
  assert.equal(tally.refused.length, 21);
  assert.deepEqual(tally.refused.at(-1)?.count, 31);
  assert.equal(tally.refusedCount, 57);
});
