import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { checkLeftoverJournal } from "../../../../src/store/database/leftover_journal.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { RunningMark } from "../../../../src/store/database/running_marks.ts";
import { byHand, rowsOf, withDirectory } from "../support.ts";

const MODELS = "SELECT model FROM records ORDER BY id";

/** The files of a server that was killed: what it had committed is in the journal, and `instances` in the file. */
function makeKilled(path: string, { instance }: { readonly instance: string }): void {
  openDatabase(path).close();
  byHand(path, `INSERT INTO instances(id) VALUES ('${instance}')`);
  const live = new DatabaseSync(path);
  live.exec("PRAGMA wal_autocheckpoint = 0; INSERT INTO records(model) VALUES ('in the journal')");
  for (const suffix of ["", "-wal"]) Deno.copyFileSync(path + suffix, `${path}.kept${suffix}`);
  live.close();
  for (const suffix of ["", "-wal"]) Deno.renameSync(`${path}.kept${suffix}`, path + suffix);
  Deno.writeFileSync(`${path}.running-${instance}`, new Uint8Array());
}

Deno.test("the journal of a killed server belongs to its file", async () => {
  await withDirectory((path) => {
    makeKilled(path, { instance: "killed" });
    assert.equal(checkLeftoverJournal(path), null);
    openDatabase(path).close();
    assert.deepEqual(rowsOf(path, MODELS), [{ model: "in the journal" }]);
  });
});

Deno.test("a journal beside another file is set aside, whatever the file is and whoever opens it first", async () => {
  for (const access of ["change", "read", "serve"] as const) {
    await withDirectory((path, directory) => {
      const backup = `${directory}/backup`;
      openDatabase(backup).close();
      byHand(backup, "INSERT INTO records(model) VALUES ('of the backup')");
      makeKilled(path, { instance: "killed" });
      Deno.copyFileSync(backup, path);
      const database = openDatabase(path, { access });
      assert.deepEqual(database.leftoverJournal, { type: "set_aside", path: `${path}-wal.left-over` });
      database.close();
      assert.deepEqual(rowsOf(path, MODELS), [{ model: "of the backup" }]);
      assert.deepEqual(rowsOf(path, "PRAGMA integrity_check"), [{ integrity_check: "ok" }]);
      assert.ok(Deno.statSync(`${path}-wal.left-over`).size > 0);
      assert.ok([...Deno.readDirSync(directory)].every(({ name }) => !/[0-9a-f]{8}-/.test(name)));
    });
  }
});

Deno.test("a journal that is in use, or of which nothing is known, stays where it is", async () => {
  await withDirectory((path) => {
    makeKilled(path, { instance: "killed" });
    byHand(`${path}`, "SELECT 1");
    const other = new DatabaseSync(path);
    other.exec("DELETE FROM instances; INSERT INTO records(model) VALUES ('more')");
    assert.equal(checkLeftoverJournal(path), null);
    other.close();
  });
  await withDirectory((path) => {
    makeKilled(path, { instance: "killed" });
    const mark = RunningMark.set(path, "living");
    assert.equal(checkLeftoverJournal(path), null);
    mark?.clear();
    Deno.removeSync(`${path}.running-killed`);
    assert.equal(checkLeftoverJournal(path), null);
  });
});

Deno.test("a file that is much newer than its journal is pointed out", async () => {
  await withDirectory((path) => {
    makeKilled(path, { instance: "killed" });
    const before = new Date(Date.now() - 3_600_000);
    Deno.utimeSync(`${path}-wal`, before, before);
    assert.deepEqual(checkLeftoverJournal(path), { type: "suspect" });
  });
});
