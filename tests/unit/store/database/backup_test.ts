import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { backUp, restore } from "../../../../src/store/database/backup.ts";
import { openDatabase } from "../../../../src/store/database/open.ts";
import { RunningMark } from "../../../../src/store/database/running_marks.ts";
import { StoreError } from "../../../../src/store/store.ts";
import { makeDatabase, makeGoDatabase } from "../../../fixtures/go/fixture.ts";
import { SmallDisk } from "../../../support/small_disk.ts";
import { byHand, makeRecord, makeSession, rowsOf, withDirectory } from "../support.ts";

const NEW = { isReplacing: false, onProgress: () => {} };
const COUNT = "SELECT count(*) AS n FROM records";

function names(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

async function refused(work: Promise<unknown>): Promise<StoreError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    return error;
  }
  assert.fail("it was not refused");
}

Deno.test("a backup is one file for its owner only, made while records are written and locks are held", async () => {
  await withDirectory(async (path, directory) => {
    const session = makeSession(path);
    session.write(Array.from({ length: 50 }, () => makeRecord()));
    session.beat();
    const lock = new DatabaseSync(path);
    lock.exec("BEGIN IMMEDIATE; INSERT INTO records(model) VALUES ('not committed')");
    const made = await backUp(path, `${directory}/backup`, NEW);
    lock.exec("ROLLBACK");
    lock.close();
    assert.deepEqual([made.records, made.path, made.searchProblem], [50, `${directory}/backup`, null]);
    assert.equal((Deno.statSync(made.path).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(rowsOf(made.path, COUNT), [{ n: 50 }]);
    assert.deepEqual(rowsOf(made.path, "SELECT * FROM instances"), []);
    assert.deepEqual(rowsOf(made.path, "PRAGMA journal_mode"), [{ journal_mode: "delete" }]);
    session.write([makeRecord()]);
    session.close();
    assert.deepEqual(names(directory), ["backup", "db.sqlite"]);
    assert.deepEqual(rowsOf(path, COUNT), [{ n: 51 }]);
  });
});

Deno.test("a backup replaces no file unasked, and never the database itself", async () => {
  await withDirectory(async (path, directory) => {
    openDatabase(path).close();
    const target = `${directory}/backup`;
    Deno.writeTextFileSync(target, "precious");
    assert.match((await refused(backUp(path, target, NEW))).message, /exists; .*--force/);
    assert.equal(Deno.readTextFileSync(target), "precious");
    await backUp(path, target, { ...NEW, isReplacing: true });
    assert.deepEqual(rowsOf(target, COUNT), [{ n: 0 }]);
    Deno.symlinkSync(path, `${directory}/link`);
    Deno.mkdirSync(`${directory}/folder`);
    for (
      const [other, message] of [["db.sqlite", /itself/], ["link", /itself/], [
        "folder",
        /not a file/,
      ]] as const
    ) {
      const work = backUp(path, `${directory}/${other}`, { ...NEW, isReplacing: true });
      assert.match((await refused(work)).message, message);
    }
    assert.equal((await refused(backUp(`${directory}/absent`, `${directory}/x`, NEW))).code, "missing");
    assert.match(
      (await refused(backUp(path, `${directory}/absent/x`, NEW))).message,
      /does not exist|No such file/,
    );
    assert.deepEqual(names(directory), ["backup", "db.sqlite", "folder", "link"]);
  });
});

Deno.test("a backup replaces no database that a server or another program has open", async () => {
  await withDirectory(async (path, directory) => {
    openDatabase(path).close();
    const target = `${directory}/other.sqlite`;
    const live = makeSession(target);
    live.write([makeRecord()]);
    const before = names(directory);
    const replacing = { ...NEW, isReplacing: true };
    assert.equal((await refused(backUp(path, target, replacing))).code, "locked");
    assert.deepEqual(names(directory), before);
    live.close();
    assert.deepEqual(rowsOf(target, COUNT), [{ n: 1 }]);
    const mark = RunningMark.set(target, "a-server") ?? assert.fail();
    const error = await refused(backUp(path, target, replacing));
    assert.deepEqual([error.code, /server is running/.test(error.message)], ["locked", true]);
    mark.clear();
    await backUp(path, target, replacing);
    assert.deepEqual(rowsOf(target, COUNT), [{ n: 0 }]);
  });
});

Deno.test("a backup that does not fit leaves nothing", async (t) => {
  await using disk = await SmallDisk.mount(64);
  if (disk === null) return void await t.step({ name: "no mount", ignore: true, fn: () => {} });
  await withDirectory(async (path) => {
    openDatabase(path).close();
    const error = await refused(backUp(path, `${disk.directory}/backup`, NEW));
    assert.equal(error.code, "full");
    assert.deepEqual(names(disk.directory), []);
  });
});

Deno.test("a damaged database is not backed up as if it were whole", async () => {
  await withDirectory(async (path, directory) => {
    const session = makeSession(path);
    session.write(Array.from({ length: 500 }, () => makeRecord()));
    session.close();
    const bytes = Deno.readFileSync(path);
    bytes.fill(0xff, bytes.length - 40_000, bytes.length - 20_000);
    Deno.writeFileSync(path, bytes);
    const error = await refused(backUp(path, `${directory}/backup`, NEW));
    assert.match(error.message, /damaged|intact/);
    assert.deepEqual(names(directory).filter((name) => name.startsWith("backup")), []);
  });
});

Deno.test("restore puts a backup in the place of the database, and keeps what was there with its journal", async () => {
  await withDirectory(async (path, directory) => {
    const session = makeSession(path);
    session.write([makeRecord()]);
    session.close();
    const backup = `${directory}/backup`;
    await backUp(path, backup, NEW);
    // As a killed server leaves it.
    const live = new DatabaseSync(path);
    live.exec("PRAGMA wal_autocheckpoint = 0; INSERT INTO records(model) VALUES ('later')");
    for (const suffix of ["", "-wal"]) Deno.copyFileSync(path + suffix, `${directory}/kept${suffix}`);
    live.close();
    for (const suffix of ["", "-wal"]) Deno.renameSync(`${directory}/kept${suffix}`, path + suffix);
    Deno.chmodSync(path, 0o640);
    const made = await restore(backup, path, NEW);
    assert.deepEqual([made.records, made.keptAs], [1, `${path}.before-restore`]);
    assert.deepEqual(rowsOf(path, COUNT), [{ n: 1 }]);
    assert.deepEqual(rowsOf(`${path}.before-restore`, COUNT), [{ n: 2 }]);
    assert.equal((Deno.statSync(path).mode ?? 0) & 0o777, 0o640);
    assert.deepEqual(names(directory), ["backup", "db.sqlite", "db.sqlite.before-restore"]);
    openDatabase(path).close();
    assert.equal((await restore(backup, path, NEW)).keptAs, `${path}.before-restore.2`);
    assert.equal((await restore(backup, `${directory}/elsewhere`, NEW)).keptAs, null);
  });
});

Deno.test("restore touches no database that somebody uses", async () => {
  await withDirectory(async (path, directory) => {
    openDatabase(path).close();
    const backup = `${directory}/backup`;
    await backUp(path, backup, NEW);
    const other = new DatabaseSync(path);
    other.prepare("SELECT * FROM records").all();
    assert.match((await refused(restore(backup, path, NEW))).message, /another program has .* open/);
    other.close();
    const mark = RunningMark.set(path, "living");
    assert.match((await refused(restore(backup, path, NEW))).message, /a server is running/);
    mark?.clear();
    assert.deepEqual(names(directory), ["backup", "db.sqlite"]);
    await restore(backup, path, NEW);
  });
});

Deno.test("restore refuses what is no whole database of ours, and leaves the one that is there", async () => {
  await withDirectory(async (path, directory) => {
    openDatabase(path).close();
    byHand(path, "INSERT INTO records(model) VALUES ('precious')");
    const table:
      readonly (readonly [name: string, code: StoreError["code"], make: (file: string) => void])[] = [
        ["text", "foreign", (file) => Deno.writeTextFileSync(file, "dear diary, ".repeat(500))],
        ["other", "foreign", (file) => makeDatabase(file, "CREATE TABLE songs(title text)")],
        ["newer", "newer", (file) => {
          makeGoDatabase(file);
          byHand(file, "PRAGMA user_version = 999");
        }],
        ["cut", "foreign", (file) => {
          makeGoDatabase(file);
          byHand(file, "INSERT INTO records(body) SELECT randomblob(100000)");
          Deno.truncateSync(file, 40_960);
        }],
        ["absent", "missing", () => {}],
        ["db.sqlite", "invalid", () => {}],
      ];
    for (const [name, code, make] of table) {
      make(`${directory}/${name}`);
      assert.equal((await refused(restore(`${directory}/${name}`, path, NEW))).code, code, name);
    }
    assert.deepEqual(rowsOf(path, "SELECT model FROM records"), [{ model: "precious" }]);
    assert.deepEqual(names(directory).filter((name) => /before|restoring/.test(name)), []);
  });
});

Deno.test("restore replaces a database that cannot be opened any more, and takes one of the Go program", async () => {
  await withDirectory(async (path, directory) => {
    const backup = `${directory}/backup`;
    makeGoDatabase(backup);
    Deno.writeTextFileSync(path, "no database, ".repeat(500));
    const made = await restore(backup, path, NEW);
    assert.equal(made.records, 2);
    assert.match(Deno.readTextFileSync(`${path}.before-restore`), /^no database/);
    const database = openDatabase(path, { access: "serve" });
    assert.equal(database.config.listUpstreams().length, 3);
    database.close();
  });
});
