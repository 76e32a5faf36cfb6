/**
 * The shipper over a real journal and a pretended PostgreSQL.
 */
import assert from "node:assert/strict";
import { FakeClock } from "../../../../support/fake_clock.ts";
import { makeRecord, makeSession, rowsOf, until, withDirectory } from "../../support.ts";
import {
  makeShipper,
  openJournal,
  PretendedError,
  type Stage,
  untilWith,
  valueOf,
  writeRecords,
} from "./support.ts";

function leftIn(path: string): unknown[] {
  return rowsOf(path, "SELECT request_id FROM records ORDER BY id").map(({ request_id }) => request_id);
}

async function shippedAll(
  { shipper, remote, clock }: Stage & { readonly clock: FakeClock },
  path: string,
  count: number,
): Promise<void> {
  shipper.start();
  await untilWith(clock, () => remote.records.size === count && leftIn(path).length === 0, "all is shipped");
}

Deno.test("all records are shipped in batches and deleted afterwards", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 1_201);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    await shippedAll({ ...stage, clock }, path, 1_201);
    assert.deepEqual(stage.remote.batches, [500, 500, 201]);
    assert.equal(new Set(stage.log.shippedIds).size, 1_201);
    assert.deepEqual(rowsOf(path, "SELECT 1 FROM attempts"), []);
    await stage.shipper.close(1_000);
  });
});

Deno.test("wake() ships what has come since", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 1);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    const isIdle = clock.timerSet(1_000);
    stage.shipper.start();
    await isIdle;
    assert.deepEqual(leftIn(path), []);
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "late" })]);
    const isIdleAgain = clock.timerSet(1_000);
    stage.shipper.wake();
    await isIdleAgain;
    assert.ok(stage.remote.records.has("late"));
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("a lost acknowledgement: the batch is sent again, and is there once", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    writeRecords(path, 3);
    const stage = makeShipper(path, { clock });
    let losses = 2;
    stage.remote.after = () => {
      if (losses-- > 0) throw new PretendedError("retry", "connection lost in COMMIT");
    };
    await shippedAll({ ...stage, clock }, path, 3);
    assert.ok(stage.remote.batches.length >= 3);
    assert.equal(stage.log.troubles.length, 2);
    await untilWith(clock, () => stage.log.resumes === 1, "it says that it goes on");
    assert.deepEqual(stage.log.shippedIds.toSorted(), ["r1", "r2", "r3"]);
    await stage.shipper.close(1_000);
  });
});

Deno.test("killed between commit and deletion: the next start sends the same again and deletes it", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 3);
    const killed = makeShipper(path);
    const reached = Promise.withResolvers<void>();
    killed.remote.after = () => {
      reached.resolve();
      return new Promise(() => {});
    };
    killed.shipper.start();
    await reached.promise;
    killed.journal.close();
    assert.equal(leftIn(path).length, 3);
    const stage = makeShipper(path, { remote: killed.remote });
    killed.remote.after = () => {};
    stage.shipper.start();
    await until(() => leftIn(path).length === 0, "the journal is empty");
    assert.equal(killed.remote.records.size, 3);
    await stage.shipper.close(1_000);
  });
});

Deno.test("records that are refused are found in a batch; they stay, and all others go on", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 100);
    const stage = makeShipper(path);
    const bad = new Set(["r1", "r50", "r51", "r100"]);
    stage.remote.before = (records) => {
      if (records.some(({ requestId }) => bad.has(requestId))) {
        throw new PretendedError("poison", "out of range");
      }
    };
    stage.shipper.start();
    await until(() => leftIn(path).length === 4, "the rest has gone");
    assert.deepEqual(leftIn(path), [...bad]);
    assert.equal(stage.remote.records.size, 96);
    assert.deepEqual(stage.log.rejections.map(({ requestId }) => requestId), [...bad]);
    assert.deepEqual(
      rowsOf(path, "SELECT record_id, reason FROM journal_rejected"),
      [1, 50, 51, 100].map((record_id) => ({ record_id, reason: "out of range" })),
    );
    assert.equal(stage.shipper.backlog().rejected, 4);
    assert.deepEqual(stage.log.troubles, []);
    // They are not tried again with every batch.
    const before = stage.remote.batches.length;
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "next" })]);
    stage.shipper.wake();
    await until(() => stage.remote.records.has("next"), "the next is shipped");
    assert.deepEqual(stage.remote.batches.slice(before), [1]);
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("while nothing can be shipped, attempts are 0.25 s apart, then longer, at most 5 s", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 2);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    stage.remote.before = () => {
      throw new PretendedError("retry", "gone");
    };
    let next = clock.timerSet(250);
    stage.shipper.start();
    for (
      const [delayMs, nextMs] of [[250, 500], [500, 1_000], [1_000, 2_000], [2_000, 4_000], [4_000, 5_000], [
        5_000,
        5_000,
      ]] as const
    ) {
      await next;
      const attempts = stage.remote.batches.length;
      // Calls are frequent, and must not make it try more often.
      stage.shipper.wake();
      next = clock.timerSet(nextMs);
      clock.advance(delayMs);
      await next;
      assert.equal(stage.remote.batches.length, attempts + 1);
      next = Promise.resolve();
    }
    assert.equal(leftIn(path).length, 2);
    stage.remote.before = () => {};
    const isIdle = clock.timerSet(1_000);
    clock.advance(5_000);
    await isIdle;
    assert.deepEqual([leftIn(path).length, stage.log.resumes], [0, 1]);
    await stage.shipper.close(1_000);
  });
});

Deno.test("after a failure less is sent at once, and more again when it goes well", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    writeRecords(path, 1_000);
    const stage = makeShipper(path, { clock });
    stage.remote.before = (records) => {
      if (stage.remote.batches.length < 3 || records.length > 200) {
        throw new PretendedError("retry", "too slow");
      }
    };
    stage.shipper.start();
    await untilWith(clock, () => leftIn(path).length === 0, "all is shipped");
    assert.deepEqual(stage.remote.batches.slice(0, 4), [500, 250, 125, 250]);
    await stage.shipper.close(1_000);
  });
});

Deno.test("a record that alone cannot be sent in time does not hold up the others for ever", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    writeRecords(path, 4);
    const stage = makeShipper(path, { clock });
    stage.remote.before = (records) => {
      if (records.some(({ requestId }) => requestId === "r2")) throw new PretendedError("retry", "timeout");
    };
    stage.shipper.start();
    await untilWith(clock, () => stage.remote.records.size === 3, "the others are shipped");
    assert.deepEqual(leftIn(path), ["r2"]);
    stage.remote.before = () => {};
    await untilWith(clock, () => leftIn(path).length === 0, "it has its turn again");
    await stage.shipper.close(1_000);
  });
});

Deno.test("a wrong setup is reported, and nothing is rejected", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    writeRecords(path, 2);
    const stage = makeShipper(path, { clock });
    let failures = 1;
    stage.remote.before = () => {
      if (failures-- > 0) throw new PretendedError("setup", "grant this user what is missing");
    };
    await shippedAll({ ...stage, clock }, path, 2);
    assert.deepEqual(stage.log.troubles, ["setup: grant this user what is missing"]);
    assert.deepEqual(stage.log.rejections, []);
    await stage.shipper.close(1_000);
  });
});

Deno.test("a record without a time stays in the journal, and says why", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 1);
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "timeless" })]);
    session.close();
    const db = openJournal(path);
    db.db.exec("UPDATE records SET created_at = 'never' WHERE request_id = 'timeless'");
    db.close();
    const stage = makeShipper(path);
    stage.shipper.start();
    await until(() => stage.log.rejections.length === 1, "it is rejected");
    assert.deepEqual(leftIn(path), ["timeless"]);
    await stage.shipper.close(1_000);
  });
});

Deno.test("a record under way is shipped, then its progress, then its end, which takes it out of the journal", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    const session = makeSession(path);
    const first = makeRecord({ requestId: "open", outcome: "in_flight", response: "one " });
    session.write([first]);
    const stage = makeShipper(path, { clock });
    const shown = (): unknown[] => {
      const record = stage.remote.records.get("open");
      return [
        record?.texts.response,
        record?.texts.body,
        record === undefined ? null : valueOf(record, "outcome"),
      ];
    };
    const look = async (advanceMs: number): Promise<void> => {
      const isIdle = clock.timerSet(1_000);
      if (advanceMs === 0) stage.shipper.start();
      else clock.advance(advanceMs);
      await isIdle;
    };
    await look(0);
    assert.deepEqual(shown(), ["one ", first.body, "in_flight"]);
    session.write([{ ...first, part: 1, body: "", response: "two", elapsedMs: 9_000 }]);
    await look(1_000);
    assert.deepEqual(shown(), ["one two", first.body, "in_flight"]);
    const batches = stage.remote.batches.length;
    await look(1_000);
    assert.equal(stage.remote.batches.length, batches, "what has not changed is not sent");
    session.write([makeRecord({ requestId: "open", response: "one two three" })]);
    await look(1_000);
    assert.deepEqual(shown(), ["one two three", first.body, "complete"]);
    assert.deepEqual(leftIn(path), []);
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("a record under way that is refused is tried again when it has changed, and is not rejected", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    const session = makeSession(path);
    const first = makeRecord({ requestId: "open", outcome: "in_flight" });
    session.write([first]);
    const stage = makeShipper(path, { clock });
    stage.remote.before = () => {
      throw new PretendedError("poison");
    };
    for (const step of [() => stage.shipper.start(), () => clock.advance(1_000)]) {
      const isIdle = clock.timerSet(1_000);
      step();
      await isIdle;
    }
    assert.deepEqual([stage.remote.batches, stage.log.rejections], [[1], []]);
    stage.remote.before = () => {};
    session.write([makeRecord({ requestId: "open", response: "whole" })]);
    const isIdle = clock.timerSet(1_000);
    clock.advance(1_000);
    await isIdle;
    assert.equal(stage.remote.records.get("open")?.texts.response, "whole");
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("a record that is settled again while it is sent stays until its new version has been sent", async () => {
  await withDirectory(async (path) => {
    const clock = new FakeClock();
    writeRecords(path, 1);
    const session = makeSession(path);
    const stage = makeShipper(path, { clock });
    let isFirst = true;
    stage.remote.before = () => {
      if (!isFirst) return;
      isFirst = false;
      session.write([makeRecord({ requestId: "r1", response: "Hello, and more", responseBytes: 900 })]);
    };
    stage.shipper.start();
    await untilWith(clock, () => leftIn(path).length === 0, "both versions are shipped");
    assert.equal(stage.remote.records.get("r1")?.texts.response, "Hello, and more");
    session.write([makeRecord({ requestId: "r1", response: "Hello, and more after it was deleted" })]);
    stage.shipper.wake();
    await untilWith(clock, () => leftIn(path).length === 0, "the third, too");
    assert.equal(stage.remote.records.get("r1")?.texts.response, "Hello, and more after it was deleted");
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("close() ships what waits, and waits for it no longer than it may", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 700);
    const stage = makeShipper(path);
    stage.shipper.start();
    await stage.shipper.close(20_000);
    assert.deepEqual([stage.remote.records.size, leftIn(path).length], [700, 0]);
  });
  await withDirectory(async (path) => {
    writeRecords(path, 3);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    stage.remote.before = () => new Promise(() => {});
    stage.shipper.start();
    const isSet = clock.timerSet(3_000);
    const closing = stage.shipper.close(3_000);
    await isSet;
    clock.advance(3_000);
    await closing;
    assert.equal(leftIn(path).length, 3);
  });
});

Deno.test("close() does not wait for the next attempt, and tries as long as there is time", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 3);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    let isGone = true;
    stage.remote.before = () => {
      if (isGone) throw new PretendedError("retry");
    };
    const isWaiting = clock.timerSet(250);
    stage.shipper.start();
    await isWaiting;
    const isWaitingAgain = clock.timerSet(500);
    const closing = stage.shipper.close(10_000);
    await isWaitingAgain;
    isGone = false;
    clock.advance(500);
    await closing;
    assert.deepEqual(leftIn(path), []);
    assert.equal(clock.pendingTimers, 0);
  });
});

Deno.test("what was shipped and cannot be deleted is not shipped again and again", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 2);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    const { journal } = stage;
    const remove = journal.remove.bind(journal);
    journal.remove = () => {
      throw new Error("the disk is full");
    };
    for (
      const step of [() => stage.shipper.start(), () => clock.advance(1_000), () => clock.advance(1_000)]
    ) {
      const isIdle = clock.timerSet(1_000);
      step();
      await isIdle;
    }
    assert.deepEqual(stage.remote.batches, [2]);
    assert.match(stage.log.troubles[0] ?? "", /^journal: the disk is full/);
    assert.equal(stage.log.resumes, 0);
    journal.remove = remove;
    const isIdle = clock.timerSet(1_000);
    clock.advance(1_000);
    await isIdle;
    assert.deepEqual([leftIn(path).length, stage.remote.batches.length, stage.log.resumes], [0, 1, 1]);
    await stage.shipper.close(1_000);
  });
});

Deno.test("what was shipped is kept for a while, and is neither sent again nor waiting", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 3);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock, keepSentMs: 10_000 });
    let isIdle = clock.timerSet(1_000);
    stage.shipper.start();
    for (let second = 0; second < 10; second++) {
      await isIdle;
      assert.equal(leftIn(path).length, 3);
      assert.deepEqual(stage.shipper.backlog(), { waiting: 0, oldestMs: null, rejected: 0 });
      isIdle = clock.timerSet(1_000);
      clock.advance(1_000);
    }
    await untilWith(clock, () => leftIn(path).length === 0, "it is deleted");
    assert.deepEqual(stage.remote.batches, [3]);
    await stage.shipper.close(1_000);
  });
});

Deno.test("another server has taken over: what the last one had committed is sent to it again", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 3);
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "open", outcome: "in_flight" })]);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock, keepSentMs: 10_000 });
    const { remote } = stage;
    let isIdle = clock.timerSet(1_000);
    stage.shipper.start();
    await isIdle;
    assert.equal(remote.records.size, 4);
    // The standby had not received them.
    remote.records.clear();
    remote.digests.clear();
    remote.serverName = "second";
    isIdle = clock.timerSet(1_000);
    clock.advance(1_000);
    await isIdle;
    assert.deepEqual([...remote.records.keys()].toSorted(), ["open", "r1", "r2", "r3"]);
    assert.equal(remote.records.get("open")?.texts.body, makeRecord().body);
    await untilWith(clock, () => leftIn(path).length === 1, "they are deleted");
    await untilWith(clock, () => remote.digests.size > 0, "the statistics are sent again");
    assert.deepEqual(leftIn(path), ["open"]);
    session.close();
    const closing = stage.shipper.close(1_000);
    clock.advance(1_000);
    await closing;
  });
});

Deno.test("while nobody knows which server takes writes, nothing is deleted", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 3);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock, keepSentMs: 10_000 });
    const { remote } = stage;
    const isIdle = clock.timerSet(1_000);
    stage.shipper.start();
    await isIdle;
    remote.server = () => Promise.reject(new PretendedError("retry", "gone"));
    for (const delayMs of [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000]) {
      const isWaiting = clock.timerSet(delayMs);
      clock.advance(5_000);
      await isWaiting;
    }
    assert.equal(leftIn(path).length, 3);
    assert.match(stage.log.troubles[0] ?? "", /^retry: gone/);
    const closing = stage.shipper.close(0);
    clock.advance(0);
    await closing;
  });
});

Deno.test("a record that is settled again while it is kept is shipped again", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 1);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock, keepSentMs: 10_000 });
    const isIdle = clock.timerSet(1_000);
    stage.shipper.start();
    await isIdle;
    const session = makeSession(path);
    session.write([makeRecord({ requestId: "r1", response: "Hello, and more", responseBytes: 900 })]);
    await untilWith(clock, () => leftIn(path).length === 0, "the newer version is shipped and deleted");
    assert.equal(stage.remote.records.get("r1")?.texts.response, "Hello, and more");
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("a record that changes after the next batch was made ready arrives as it is now", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 600);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    const { remote } = stage;
    const session = makeSession(path);
    const isAheadReady = Promise.withResolvers<void>();
    remote.prepare = () => {
      isAheadReady.resolve();
      return Promise.resolve();
    };
    remote.before = async (records) => {
      if (!records.some(({ requestId }) => requestId === "r1")) return;
      clock.advance(0);
      await isAheadReady.promise;
      session.write([makeRecord({ requestId: "r600", response: "newer", responseBytes: 901 })]);
    };
    stage.shipper.start();
    await untilWith(clock, () => leftIn(path).length === 0, "all is shipped");
    assert.equal(remote.records.get("r600")?.texts.response, "newer");
    session.close();
    await stage.shipper.close(1_000);
  });
});

Deno.test("a full disk keeps a refused record from being noted, and nothing from being shipped", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 4);
    const clock = new FakeClock();
    const stage = makeShipper(path, { clock });
    const { journal, remote, log } = stage;
    remote.before = (records) => {
      if (records.some(({ requestId }) => requestId === "r2")) throw new PretendedError("poison");
    };
    const { reject, remove } = journal;
    journal.reject = journal.remove = () => {
      throw new Error("the disk is full");
    };
    stage.shipper.start();
    await untilWith(
      clock,
      () => remote.records.size === 3,
      "the others are shipped",
    );
    assert.deepEqual([log.rejections, log.resumes], [[], 0]);
    assert.equal(leftIn(path).length, 4);
    assert.match(log.troubles[0] ?? "", /^journal: the disk is full/);
    Object.assign(journal, { reject: reject.bind(journal), remove: remove.bind(journal) });
    await untilWith(clock, () => log.rejections.length === 1 && log.resumes === 1, "it is noted");
    assert.deepEqual(leftIn(path), ["r2"]);
    const closing = stage.shipper.close(1_000);
    clock.advance(1_000);
    await closing;
  });
});
