/**
 * The files of a database under other hands: a journal that is deleted, a backup over a killed server's file, a disk that
 * is full at the start, a folder that nobody can write, a name that is a link.
 */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { eventually, Router, runProgram, TEST_TOKEN } from "../support/router.ts";
import { SmallDisk } from "../support/small_disk.ts";
import { askApi } from "../support/admin.ts";
import { chatReply, FakeUpstream, reply } from "../support/upstream.ts";

async function ask(router: Router, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const response = await router.chat({ user: `request-${n}` });
    assert.equal(response.status, 200);
    await response.text();
  }
}

async function kill(router: Router): Promise<void> {
  router.signal("SIGKILL");
  await router.exited();
}

async function stop(router: Router): Promise<void> {
  router.signal("SIGTERM");
  await router.exited();
}

function files(directory: string): string[] {
  return [...Deno.readDirSync(directory)].map(({ name }) => name).sort();
}

for (const suffixes of [["-wal"], ["-shm"], ["-wal", "-shm"]]) {
  Deno.test(`a journal that is deleted under a running server costs no record: ${suffixes.join(", ")}`, async () => {
    await using upstream = new FakeUpstream(chatReply("ok"));
    await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
    await askApi(router, "/records");
    await ask(router, 3);
    for (const suffix of suffixes) await Deno.remove(`${router.directory}/db.sqlite${suffix}`);
    await ask(router, 3);
    await eventually(() => router.text.includes("has a new journal") ? true : null, "a new journal");
    assert.match(router.text, /deleted the database's journal/);
    await ask(router, 3);
    // Everybody in the process uses the new one: the page, changes, and other programs.
    assert.equal((await askApi<{ records: unknown[] }>(router, "/records")).records.length, 9);
    await askApi(router, "/tokens", { method: "POST", body: '{"name":"later"}', status: 201 });
    const list = await runProgram(["token", "show", "later"], { cwd: router.directory });
    assert.equal(list.code, 0, list.stderr);
    await kill(router);
    assert.equal(router.records().length, 9);
    assert.deepEqual(router.query("PRAGMA integrity_check").map((row) => row["integrity_check"]), ["ok"]);
  });
}

Deno.test("a backup over the file of a killed server stays what it is: the journal beside it is set aside", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using first = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const { directory } = first;
  await ask(first, 1);
  await stop(first);
  assert.deepEqual(files(directory), ["db.sqlite"]);
  await Deno.copyFile(`${directory}/db.sqlite`, `${directory}/copy`);
  await using second = await Router.start({ directory });
  await ask(second, 5);
  await eventually(
    () => files(directory).some((name) => name.includes(".running-")) ? true : null,
    "the mark of the server",
  );
  await kill(second);
  await Deno.copyFile(`${directory}/copy`, `${directory}/db.sqlite`);
  await using third = await Router.start({ directory });
  assert.match(third.text, /db\.sqlite-wal belonged to another file.*db\.sqlite-wal\.left-over/);
  await ask(third, 1);
  assert.equal((await third.recorded(2)).length, 2);
  assert.deepEqual(third.query("PRAGMA integrity_check").map((row) => row["integrity_check"]), ["ok"]);
  await stop(third);
  assert.deepEqual(files(directory), ["copy", "db.sqlite", "db.sqlite-wal.left-over"]);
});

Deno.test("the journal of a killed server is used by the next one, whoever looks in between", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using first = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const { directory } = first;
  await ask(first, 5);
  await kill(first);
  assert.ok(files(directory).includes("db.sqlite-wal"));
  await using second = await Router.start({ directory });
  assert.doesNotMatch(second.text, /belonged to another file/);
  assert.equal(second.records().length, 5);
  await kill(second);
  const { stdout } = await runProgram(["records", "list", "--json"], { cwd: directory });
  assert.equal(JSON.parse(stdout).length, 5);
});

/** Runs a server with a request that its upstream never answers: its row is in the file, and the server's mark beside it. */
async function withRequestUnderWay(
  use: (server: Router, end: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const { promise: asked, resolve: wasAsked } = Promise.withResolvers<void>();
  await using upstream = new FakeUpstream(async (request) => {
    wasAsked();
    await request.closed;
  });
  await using server = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const hanging = server.chat().catch(() => null);
  await asked;
  await eventually(() => server.query("SELECT 1 FROM records")[0] ?? null, "the row in flight");
  await eventually(() => marks(server.directory).length === 1 || null, "the mark of the server");
  await use(server, async () => {
    await kill(server);
    await hanging;
  });
}

function marks(directory: string): string[] {
  return files(directory).filter((name) => name.includes(".running-"));
}

/** Waits until a dead server's request is closed, although by its heartbeat, which is kept fresh, it lives. */
async function closedDespiteHeartbeat(router: Router, dead: string): Promise<void> {
  await eventually(() => {
    router.execute(
      "UPDATE instances SET heartbeat_at = strftime('%Y-%m-%d %H:%M:%f', 'now') WHERE id = ?",
      dead,
    );
    return router.query("SELECT 1 FROM records WHERE outcome = 'crashed'")[0] ?? null;
  }, "the row to be closed");
}

function instanceOf(router: Router): string {
  return String(router.query("SELECT instance FROM records")[0]?.["instance"]);
}

Deno.test("a request in flight of a killed server is crashed at once for the next one", async () => {
  await withRequestUnderWay(async (first, end) => {
    await using second = await Router.start({ directory: first.directory });
    assert.equal(second.query("SELECT outcome FROM records")[0]?.["outcome"], "in_flight");
    const dead = instanceOf(second);
    await end();
    await closedDespiteHeartbeat(second, dead);
  });
});

Deno.test("a request in flight of a killed server is crashed at once for one that starts after it", async () => {
  await withRequestUnderWay(async (first, end) => {
    const { directory } = first;
    const dead = instanceOf(first);
    await end();
    await using second = await Router.start({ directory });
    await closedDespiteHeartbeat(second, dead);
    await eventually(() => marks(directory).length === 1 || null, "the dead one's mark to go");
  });
});

Deno.test("a server starts on a full disk, answers, says so, and records when there is room", async (t) => {
  await using disk = await SmallDisk.mount(8192);
  if (disk === null) return void await t.step({ name: "no mount", ignore: true, fn: () => {} });
  const { directory } = disk;
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using webhook = new FakeUpstream(reply(200, "{}"));
  await runProgram(["token", "set", TEST_TOKEN], { cwd: directory });
  await runProgram(["add", "--no-test", "--key", "sk-test-0123456789", "--endpoint", upstream.endpoint], {
    cwd: directory,
  });
  await disk.fill("filler", 0);
  await using router = await Router.start({ directory, env: { ALERT_WEBHOOK: webhook.endpoint } });
  await eventually(() => router.text.includes("is full: requests are answered") ? true : null, "the warning");
  await ask(router, 3);
  await eventually(
    () => webhook.requests.some(({ text }) => text.includes('"records_dropped"')) ? true : null,
    "the alert",
  );
  const shown = await runProgram(["list"], { cwd: directory });
  assert.match(shown.stdout, /127\.0\.0\.1/);
  const refused = await runProgram(["token", "add"], { cwd: directory });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /the disk is full; free some space/);
  await Deno.remove(`${directory}/filler`);
  await router.recorded(3);
  await ask(router, 1);
  assert.equal((await router.recorded(4)).length, 4);
  await stop(router);
});

Deno.test("a server without a database says that the disk is full", async (t) => {
  await using disk = await SmallDisk.mount(64);
  if (disk === null) return void await t.step({ name: "no mount", ignore: true, fn: () => {} });
  await disk.fill("filler", 0);
  const { code, stderr } = await runProgram(["serve", "--addr", "127.0.0.1:0"], { cwd: disk.directory });
  assert.equal(code, 1);
  assert.match(stderr, /the disk is full; free some space/);
  assert.deepEqual(files(disk.directory), ["filler"]);
});

Deno.test("commands read a database on read-only media, whatever its version and its journal", async (t) => {
  await using disk = await SmallDisk.mount(16384);
  if (disk === null) return void await t.step({ name: "no mount", ignore: true, fn: () => {} });
  const { directory } = disk;
  await using upstream = new FakeUpstream(chatReply("hello from before"));
  await using router = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  await ask(router, 2);
  await stop(router);
  for (const folder of ["current", "older", "killed"]) {
    await Deno.mkdir(`${directory}/${folder}`);
    await Deno.copyFile(`${router.directory}/db.sqlite`, `${directory}/${folder}/db.sqlite`);
  }
  await runProgram(["list"], { cwd: `${directory}/older` });
  const older = new DatabaseSync(`${directory}/older/db.sqlite`);
  older.exec("PRAGMA user_version = 3");
  older.close();
  await using killed = await Router.start({ directory: `${directory}/killed` });
  await ask(killed, 1);
  await kill(killed);
  const before = files(directory).flatMap((name) => files(`${directory}/${name}`));
  await disk.makeReadOnly();
  for (const [folder, count] of [["current", 2], ["older", 2], ["killed", 3]] as const) {
    const cwd = `${directory}/${folder}`;
    const { code, stdout, stderr } = await runProgram(["records", "list", "--json", "--text", "hello"], {
      cwd,
    });
    assert.equal(code, 0, `${folder}: ${stderr}`);
    assert.equal(JSON.parse(stdout).length, count, folder);
    assert.equal((await runProgram(["token", "show"], { cwd })).stdout.trim(), TEST_TOKEN, folder);
    assert.match((await runProgram(["token", "add"], { cwd })).stderr, /read-only/, folder);
  }
  assert.deepEqual(files(directory).flatMap((name) => files(`${directory}/${name}`)), before);
});

Deno.test("a database behind a link has one name: what lies beside it is found", async () => {
  await using upstream = new FakeUpstream(chatReply("ok"));
  await using plain = await Router.start({ upstreams: [{ endpoint: upstream.endpoint }] });
  const { directory } = plain;
  await stop(plain);
  await Deno.mkdir(`${directory}/links`);
  await Deno.symlink("../db.sqlite", `${directory}/links/db.sqlite`);
  await using router = await Router.start({ directory: `${directory}/links` });
  await ask(router, 3);
  const sizeNow = () =>
    Deno.statSync(`${directory}/db.sqlite`).size + Deno.statSync(`${directory}/db.sqlite-wal`).size;
  // The index and the statistics may still be written.
  await eventually(
    async () => await router.metric("db_bytes") === sizeNow() || null,
    "the size of the database",
  );
  assert.deepEqual(files(`${directory}/links`), ["db.sqlite"]);
  await Deno.remove(`${directory}/db.sqlite-wal`);
  await eventually(() => router.text.includes("has a new journal") ? true : null, "a new journal");
  await stop(router);
});
