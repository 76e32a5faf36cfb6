/**
 * The journal's statistics, as they are compared with what was sent.
 */
import assert from "node:assert/strict";
import { FakeClock } from "../../../../support/fake_clock.ts";
import {
  changedStatistics,
  idOf,
  noteSent,
} from "../../../../../src/store/postgres/shipper/statistics_changes.ts";
import { StatisticsCopy } from "../../../../../src/store/postgres/shipper/statistics_copy.ts";
import type { Journal } from "../../../../../src/store/postgres/shipper/journal.ts";
import { byHand, withDirectory } from "../../support.ts";
import { openJournal, PretendedError, PretendedRemote, writeRecords } from "./support.ts";

const NOW = { createdAtMs: Date.now() };

Deno.test("only what has changed is sent, and what is gone is said to be", async () => {
  await withDirectory((path) => {
    writeRecords(path, 2, () => NOW);
    const { db, close } = bound(path);
    const known = new Map<string, string>();
    const first = changedStatistics(db, known);
    const tables = new Set(first.map(({ table }) => table));
    assert.deepEqual([...tables].toSorted(), [
      "client_totals",
      "request_stats",
      "usage_progress",
      "usage_stats",
    ]);
    noteSent(known, first);
    assert.deepEqual(changedStatistics(db, known), []);
    byHand(path, "UPDATE client_totals SET requests = requests + 1, last_used_ms = 9007199254740993");
    const second = changedStatistics(db, known);
    assert.deepEqual(second, [{
      table: "client_totals",
      key: ["alice"],
      values: ["3", "0", "6", "10", "0", "1400", "2", "0", "9007199254740993"],
    }]);
    noteSent(known, second);
    byHand(
      path,
      "DELETE FROM client_totals; DELETE FROM usage_stats WHERE step_seconds > 10 OR dimension = 'client'",
    );
    const gone = changedStatistics(db, known);
    assert.ok(gone.length > 1 && gone.every(({ values }) => values === null));
    assert.ok(gone.some(({ table, key }) => table === "client_totals" && key[0] === "alice"));
    noteSent(known, gone);
    assert.ok(!known.has(idOf("client_totals", ["alice"])));
    assert.deepEqual(changedStatistics(db, known), []);
    close();
  });
});

Deno.test("names that PostgreSQL cannot store are cleaned; two that become one are one row", async () => {
  await withDirectory((path) => {
    writeRecords(path, 1, () => NOW);
    byHand(
      path,
      `DELETE FROM client_totals;
      INSERT INTO client_totals(client, requests, errors, input_tokens, output_tokens, cached_tokens, last_used_ms)
        VALUES ('a' || char(0) || 'b', 1, 0, 0, 0, 0, 5), ('a' || char(65533) || 'b', 2, 0, 0, 0, 0, 5)`,
    );
    const { db, close } = bound(path);
    const changes = changedStatistics(db, new Map()).filter(({ table }) => table === "client_totals");
    assert.deepEqual(changes.map(({ key }) => key), [["a\ufffdb"]]);
    close();
  });
});

Deno.test("statistics are compared every ten seconds, and once more at the end", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 1, () => NOW);
    const journal = openJournal(path);
    const remote = new PretendedRemote();
    const clock = new FakeClock();
    const copy = new StatisticsCopy({ journal, remote, clock });
    const send = async (isLast = false): Promise<number> => {
      await copy.send({ isLast });
      return remote.statisticsSent.length;
    };
    assert.equal(await send(), 1);
    assert.deepEqual([...remote.journals], ["j1"]);
    byHand(path, "UPDATE client_totals SET requests = 5");
    assert.equal(await send(), 1);
    clock.advance(10_000);
    assert.equal(await send(), 2);
    clock.advance(10_000);
    assert.equal(await send(), 2);
    byHand(path, "UPDATE client_totals SET requests = 6");
    assert.equal(await send(true), 3);
    // After trouble it asks what is there: somebody may have restored a backup.
    remote.digests.delete(idOf("client_totals", ["alice"]));
    copy.startOver();
    assert.equal(await send(true), 4);
    journal.close();
  });
});

Deno.test("one row of statistics that is refused does not hold up the others", async () => {
  await withDirectory(async (path) => {
    writeRecords(path, 1, () => NOW);
    const journal = openJournal(path);
    const remote = new PretendedRemote();
    const put = remote.putStatistics.bind(remote);
    remote.putStatistics = (id, changes) =>
      changes.some(({ table }) => table === "client_totals")
        ? Promise.reject(new PretendedError("poison"))
        : put(id, changes);
    const copy = new StatisticsCopy({ journal, remote, clock: new FakeClock() });
    await copy.send({ isLast: true });
    const sent = remote.statisticsSent.flat();
    assert.ok(sent.length > 4 && sent.every(({ table }) => table !== "client_totals"));
    const count = remote.statisticsSent.length;
    await copy.send({ isLast: true });
    assert.equal(remote.statisticsSent.length, count);
    journal.close();
  });
});

function bound(path: string): { readonly db: Journal["db"]; readonly close: () => void } {
  const journal = openJournal(path);
  return { db: journal.db, close: () => journal.close() };
}
