/**
 * `store copy` takes along what tokens have spent, in both directions, and counts it once however often it is copied.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { runProgram } from "../../../src/cli/program.ts";
import { openDatabase } from "../../../src/store/database/open.ts";
import { readRemoteSpend } from "../../../src/store/postgres/read/spending.ts";
import { mergeRemoteSpend } from "../../../src/store/postgres/spend/dead_leases.ts";
import { RemoteLeases } from "../../../src/store/postgres/spend/remote_leases.ts";
import { isPostgresMissing, openPg, Postgres } from "../../support/postgres.ts";
import { makeSession, withDirectory } from "../../unit/store/support.ts";

const DIGEST = "a".repeat(64);
const OTHER_DIGEST = "b".repeat(64);
const OLD_DAY = "2020-01-31";
const COUNTS = { requests: 2, tokens: 30, estimatedNano: 4, overshootNano: 5 };

async function copy(from: string, to: string): Promise<void> {
  const err: string[] = [];
  const exitCode = await runProgram(["store", "copy", "--from", from, "--to", to], {
    terminal: {
      print: () => {},
      note: (line) => void err.push(line),
      readInput: () => Promise.resolve(""),
      columns: null,
      isReaderGone: false,
    },
    env: { NO_COLOR: "1" },
  });
  assert.equal(exitCode, 0, err.join("\n"));
}

function charge(path: string, source: string, costs: ReadonlyMap<number, number>): void {
  const session = makeSession(path, undefined, source);
  session.beat();
  session.renewSpend(
    [...costs].map(([tokenId, costNano]) => ({
      tokenId,
      rows: [{ day: OLD_DAY, costNano, ...COUNTS }],
      ...{ neededNano: 0, wantedNano: 0, budgetNano: 1_000, fromDay: OLD_DAY },
    })),
  );
  session.close();
}

function spentIn(path: string): unknown {
  const database = openDatabase(path, { access: "read" });
  try {
    return database.records.spend({ fromDay: "" });
  } finally {
    database.close();
  }
}

Deno.test({
  name: "store copy: what tokens have spent goes along, and is counted once",
  ignore: isPostgresMissing,
  fn: async () => {
    await using postgres = await Postgres.start();
    const db = openPg(postgres.url());
    await withDirectory(async (path, folder) => {
      const { config, close } = openDatabase(path);
      const first = config.addClientToken({ name: "first", sha256: DIGEST, hint: "" });
      const second = config.addClientToken({ name: "second", sha256: OTHER_DIGEST, hint: "" });
      close();
      charge(path, "one", new Map([[first.id, 100], [second.id, 1]]));
      charge(path, "two", new Map([[first.id, 20]]));
      await copy(path, postgres.url());
      const sums = { requests: 4, tokens: 60, estimatedNano: 8, overshootNano: 10 };
      const expected = [
        { tokenId: first.id, day: OLD_DAY, costNano: 120, ...sums },
        { tokenId: second.id, day: OLD_DAY, costNano: 1, ...COUNTS },
      ];
      assert.deepEqual(await readRemoteSpend(db, { fromDay: "" }), expected);
      // Nothing changes by the same again, also after what is old was merged.
      await mergeRemoteSpend(db);
      await copy(path, postgres.url());
      assert.deepEqual(await readRemoteSpend(db, { fromDay: "" }), expected);
      // It counts against the budget there.
      const [answer] = await new RemoteLeases(db, "three").renew([{
        tokenId: first.id,
        rows: [{ day: OLD_DAY, costNano: 30, ...COUNTS }],
        ...{ neededNano: 0, wantedNano: 5_000, budgetNano: 1_000, fromDay: OLD_DAY },
      }]);
      assert.deepEqual([answer?.spentNano, answer?.leaseNano], [150, 850]);

      const back = join(folder, "back.sqlite");
      await copy(postgres.url(), back);
      const all = { requests: 6, tokens: 90, estimatedNano: 12, overshootNano: 15 };
      const [, ofSecond] = expected;
      const returned = [{ tokenId: first.id, day: OLD_DAY, costNano: 150, ...all }, ofSecond];
      assert.deepEqual(spentIn(back), returned);
      const file = new DatabaseSync(back);
      assert.deepEqual(
        file.prepare("SELECT DISTINCT source FROM token_spend").all().map(({ source }) => source),
        [""],
      );
      file.close();
      // What came from PostgreSQL does not return there.
      await copy(back, postgres.url());
      assert.deepEqual(await readRemoteSpend(db, { fromDay: "" }), returned);
    });
    await db.close();
  },
});
