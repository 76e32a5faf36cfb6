/**
 * What tokens spend, noted in SQLite by the writing thread, and by several processes on one file.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { LeaseRequest } from "../../src/core/spend.ts";
import { systemClock } from "../../src/server/clock.ts";
import { openDatabase } from "../../src/store/database/open.ts";
import { StoreError } from "../../src/store/store.ts";
import { SpendRenewal } from "../../src/store/write/spend_renewal.ts";
import { type LinkEvent, WorkerLink } from "../../src/store/write/worker_link.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { makeSession, rowsOf, spawnWriterWorker, withDirectory } from "../unit/store/support.ts";

const PROCESS = new URL("../support/spend_process.ts", import.meta.url).pathname;
const BUDGET = 20_000;
const today = new Date().toISOString().slice(0, 10);

/** Makes the database, with a token of number 1. */
function prepare(path: string): void {
  const { config, close } = openDatabase(path);
  config.addClientToken({ name: "team", sha256: "a".repeat(64), hint: "" });
  close();
}

function asked(costNano: number, wantedNano: number): LeaseRequest {
  const row = { day: today, costNano, requests: 1, tokens: 1, estimatedNano: 0, overshootNano: 0 };
  const terms = { budgetNano: BUDGET, fromDay: today };
  return { tokenId: 1, rows: [row], neededNano: wantedNano, wantedNano, ...terms };
}

/** By the thread that writes. */
async function withThread(
  path: string,
  body: (spend: SpendRenewal, events: readonly LinkEvent[]) => Promise<void>,
): Promise<void> {
  const link = new WorkerLink({
    ...{ spawnWorker: spawnWriterWorker, path, durability: "normal", instance: "one", busyTimeoutMs: 50 },
  });
  const events: LinkEvent[] = [];
  link.listen((event) => events.push(event));
  try {
    await body(new SpendRenewal({ link, clock: systemClock }), events);
  } finally {
    await link.closeDatabase();
    link.terminate();
  }
}

function spentIn(path: string): number {
  const [row] = rowsOf(path, "SELECT total(cost_nano) AS nano FROM token_spend");
  return Number(row?.["nano"]);
}

const leases = (path: string) => rowsOf(path, "SELECT source, nano FROM token_leases ORDER BY source");

Deno.test("the writing thread renews leases, and what it answers outlasts a restart", async () => {
  await withDirectory(async (path) => {
    prepare(path);
    await withThread(path, async (spend) => {
      const [answer] = await spend.renew([asked(10, 300)]);
      assert.deepEqual(answer, { tokenId: 1, leaseNano: 300, spentNano: 10, othersLeaseNano: 0 });
      assert.deepEqual(leases(path), [{ source: "one", nano: 300 }]);
      assert.deepEqual(await spend.renew([]), []);
      await spend.renew([asked(200, 0)]);
      assert.deepEqual(leases(path), []);
    });
    assert.equal(spentIn(path), 200);
  });
});

Deno.test("after the end of the thread, nothing is noted and the database stays closed", async () => {
  await withDirectory(async (path) => {
    prepare(path);
    const link = new WorkerLink({
      ...{ spawnWorker: spawnWriterWorker, path, durability: "normal", instance: "one" },
    });
    const spend = new SpendRenewal({ link, clock: systemClock });
    await spend.renew([asked(10, 300)]);
    const closed = link.closeDatabase();
    await assert.rejects(spend.renew([asked(20, 300)]), StoreError);
    await closed;
    await assert.rejects(spend.renew([asked(20, 300)]), StoreError);
    link.terminate();
    assert.equal(spentIn(path), 10);
  });
});

Deno.test("a lock of another program is waited for, then nothing has changed", async () => {
  await withDirectory(async (path) => {
    prepare(path);
    await withThread(path, async (spend) => {
      await spend.renew([asked(10, 300)]);
      const other = new DatabaseSync(path);
      other.exec("BEGIN IMMEDIATE");
      await assert.rejects(
        spend.renew([asked(20, 400)]),
        (error) => error instanceof StoreError && error.code === "locked",
      );
      other.exec("ROLLBACK");
      other.close();
      assert.equal(spentIn(path), 10);
      const [answer] = await spend.renew([asked(20, 400)]);
      assert.deepEqual([answer?.spentNano, answer?.leaseNano], [20, 400]);
    });
  });
});

Deno.test("a full disk refuses, and nothing has changed", async () => {
  await using disk = await SmallDisk.mount(4_096);
  if (disk === null) return;
  const path = `${disk.directory}/db.sqlite`;
  prepare(path);
  await withThread(path, async (spend) => {
    await spend.renew([asked(10, 300)]);
    await disk.fill("filling", 0);
    let noted = 10;
    const failures: unknown[] = [];
    // The journal has some room, which is used first.
    for (let costNano = 11; failures.length === 0 && costNano < 2_000; costNano++) {
      await spend.renew([asked(costNano, 300)]).then(() => noted = costNano, (error) => failures.push(error));
    }
    assert.ok(failures[0] instanceof StoreError && failures[0].code === "full", String(failures[0]));
    assert.equal(spentIn(path), noted);
  });
});

Deno.test("a read-only disk refuses", async () => {
  await using disk = await SmallDisk.mount(4_096);
  if (disk === null) return;
  const path = `${disk.directory}/db.sqlite`;
  prepare(path);
  await disk.makeReadOnly();
  await withThread(path, async (spend) => {
    const failure = await spend.renew([asked(10, 300)]).catch((error) => error);
    assert.ok(failure instanceof StoreError && failure.code === "readonly", String(failure));
  });
});

/** Once more does nothing, nor when it has ended by itself. */
function kill(child: Deno.ChildProcess): void {
  try {
    child.kill("SIGKILL");
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
}

Deno.test("two processes on one file never charge more than the budget, also when one is killed", async (t) => {
  for (const isKilled of [false, true]) {
    await t.step(isKilled ? "one is killed" : "both end by themselves", () =>
      withDirectory(async (path) => {
        prepare(path);
        const children = [1, 2].map(() =>
          new Deno.Command(Deno.execPath(), {
            args: ["run", "-A", "--no-check", PROCESS, path, "1", String(BUDGET)],
            ...{ stdin: "piped", stdout: "piped", stderr: "piped" },
          }).spawn()
        );
        let readyCount = 0;
        const begin = async () => {
          if (++readyCount < children.length) return;
          for (const { stdin } of children) await new Blob(["\n"]).stream().pipeTo(stdin);
        };
        const outputs = await Promise.all(children.map(async (child, place) => {
          const charges: number[] = [];
          const errors = new Response(child.stderr).text();
          let left = "";
          for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
            const lines = (left + text).split("\n");
            left = lines.pop() ?? "";
            if (charges.length === 0 && lines.length > 0) await begin();
            charges.push(...lines.map(Number));
            if (isKilled && place === 0 && charges.length >= 5) kill(child);
          }
          const { success } = await child.status;
          if (!isKilled || place === 1) assert.ok(success, await errors);
          else await errors;
          return charges.reduce((sum, charge) => sum + charge, 0);
        }));
        const charged = outputs.reduce((sum, each) => sum + each, 0);
        assert.ok(outputs.every((each) => each > 0), String(outputs));
        assert.ok(charged <= BUDGET, String(outputs));
        // Whoever comes next charges what the dead might have.
        const session = makeSession(path);
        session.beat();
        assert.deepEqual(leases(path), []);
        assert.ok(charged <= spentIn(path) && spentIn(path) <= BUDGET, `${charged} ${spentIn(path)}`);
        const [answer] = session.renewSpend([asked(0, BUDGET)]).answers;
        assert.equal(answer?.leaseNano, BUDGET - spentIn(path));
        session.close();
        if (!isKilled) assert.equal(spentIn(path), BUDGET);
      }));
  }
});

Deno.test("when the file is deleted under a running server, what was spent stays", async () => {
  await withDirectory((path) => {
    prepare(path);
    const session = makeSession(path, undefined, "one");
    session.beat();
    session.renewSpend([asked(700, 100)]);
    Deno.removeSync(path);
    const { answers: [answer], isReopened } = session.renewSpend([asked(800, BUDGET)]);
    assert.equal(isReopened, true);
    assert.deepEqual([answer?.spentNano, answer?.leaseNano], [800, BUDGET - 800]);
    assert.equal(spentIn(path), 800);
    session.close();
  });
});

Deno.test("limits on what is kept leave what was spent", async () => {
  await withDirectory((path) => {
    prepare(path);
    const retention = { keepDays: 1, keepBodiesDays: 1, maxDbSizeBytes: 1, keepIdsDays: 1 };
    const session = makeSession(path, retention, "one");
    session.beat();
    const day = "2020-01-31";
    const request = asked(700, 100);
    session.renewSpend([{ ...request, rows: request.rows.map((row) => ({ ...row, day })) }]);
    for (let step = 0; step < 50; step++) session.retain();
    session.close();
    assert.equal(spentIn(path), 700);
  });
});
