import assert from "node:assert/strict";
import { type SyncedFile, WalSync } from "../../../../src/store/write/wal_sync.ts";
import { makeRecord, makeWriter, until, withDirectory } from "../support.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

/** A file whose syncs end when they are told to. */
class SlowFile implements SyncedFile {
  syncs = 0;
  isClosed = false;
  #underWay = Promise.withResolvers<void>();

  syncData(): Promise<void> {
    this.syncs++;
    this.#underWay = Promise.withResolvers();
    return this.#underWay.promise;
  }
  close(): void {
    this.isClosed = true;
  }
  async end(error?: Error): Promise<void> {
    if (error === undefined) this.#underWay.resolve();
    else this.#underWay.reject(error);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function makeSync() {
  const clock = new FakeClock(0);
  const file = new SlowFile();
  const opened: string[] = [];
  const open = (path: string) => {
    opened.push(path);
    return file;
  };
  return { clock, file, opened, sync: new WalSync({ path: "/data/db.sqlite", clock, open }) };
}

Deno.test("WalSync syncs once for commits that gather, and not at all without any", () => {
  const { clock, file, opened, sync } = makeSync();
  clock.advance(1_000);
  assert.deepEqual(opened, []);
  for (let n = 0; n < 5; n++) sync.committed();
  clock.advance(1_000);
  assert.deepEqual({ opened, syncs: file.syncs }, { opened: ["/data/db.sqlite"], syncs: 1 });
  sync.close();
});

Deno.test("WalSync has one sync under way, and another one after it for what was committed meanwhile", async () => {
  const { clock, file, opened, sync } = makeSync();
  sync.committed();
  clock.advance(1_000);
  sync.committed();
  clock.advance(1_000);
  assert.equal(file.syncs, 1);
  await file.end();
  clock.advance(1_000);
  assert.equal(file.syncs, 2);
  await file.end();
  clock.advance(1_000);
  assert.deepEqual({ syncs: file.syncs, opened: opened.length }, { syncs: 2, opened: 1 });
  sync.close();
});

Deno.test("WalSync goes on after a sync that failed", async () => {
  const { clock, file, sync } = makeSync();
  sync.committed();
  clock.advance(1_000);
  await file.end(new Error("input/output error"));
  sync.committed();
  clock.advance(1_000);
  assert.equal(file.syncs, 2);
  sync.close();
});

Deno.test("WalSync closes its file, and begins nothing after that", async () => {
  const { clock, file, sync } = makeSync();
  sync.committed();
  clock.advance(1_000);
  sync.committed();
  sync.close();
  await file.end();
  sync.committed();
  clock.advance(1_000);
  assert.deepEqual({ syncs: file.syncs, isClosed: file.isClosed }, { syncs: 1, isClosed: true });
  assert.equal(clock.pendingTimers, 0);
});

/** Read-only descriptors of the journal that this process has; SQLite's own can write. */
function journalDescriptors(path: string): number {
  const isJournal = (fd: string) => {
    try {
      const flags = /^flags:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/self/fdinfo/${fd}`))?.[1] ?? "0";
      const isReadOnly = (Number.parseInt(flags, 8) & 0o3) === 0;
      return isReadOnly && Deno.readLinkSync(`/proc/self/fd/${fd}`).startsWith(`${path}-wal`);
    } catch {
      // It was closed while we looked.
      return false;
    }
  };
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => isJournal(name)).length;
}

/** Looks into /proc. */
const onLinux = { ignore: Deno.build.os !== "linux" };

Deno.test("RecordQueue has the journal synced beside the file that a link leads to", onLinux, async () => {
  await withDirectory(async (path) => {
    const link = `${path}.link`;
    Deno.symlinkSync(path, link);
    Deno.openSync(path, { write: true, createNew: true }).close();
    const { writer } = makeWriter(link);
    await writer.write(makeRecord());
    await until(() => journalDescriptors(path) === 1, "the journal is synced");
    await writer.close();
  });
});

Deno.test(
  "RecordQueue has the journal synced, the one that is in use, and leaves it to SQLite with full durability",
  onLinux,
  async () => {
    await withDirectory(async (path, directory) => {
      const { writer, meter } = makeWriter(path);
      await writer.write(makeRecord());
      await until(() => journalDescriptors(path) === 1, "the journal is synced");
      for (const { name } of Deno.readDirSync(directory)) Deno.removeSync(`${directory}/${name}`);
      await until(() => meter.troubles.includes("gone"), "the new file is noticed");
      assert.equal(journalDescriptors(path), 0);
      await writer.write(makeRecord());
      await until(() => journalDescriptors(path) === 1, "the new journal is synced");
      await writer.close();
      assert.equal(journalDescriptors(path), 0);
    });
    await withDirectory(async (path) => {
      const { writer } = makeWriter(path, { durability: "full" });
      for (let n = 0; n < 100; n++) {
        await writer.write(makeRecord());
        assert.equal(journalDescriptors(path), 0);
      }
      await writer.close();
    });
  },
);
