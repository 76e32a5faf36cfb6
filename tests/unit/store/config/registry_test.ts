import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { Registry } from "../../../../src/store/config/registry.ts";
import { type OpenDatabase, openDatabase } from "../../../../src/store/database/open.ts";
import type { RegistrySnapshot } from "../../../../src/store/store.ts";
import { makeGoDatabase } from "../../../fixtures/go/fixture.ts";
import { byHand, withDirectory } from "../support.ts";
import { FakeClock } from "../../../support/fake_clock.ts";

interface Scene {
  readonly path: string;
  readonly database: OpenDatabase;
  readonly registry: Registry;
  readonly clock: FakeClock;
  readonly problems: string[];
  readonly changes: RegistrySnapshot[];
}

const POLL_MS = 500;

async function withRegistry(
  body: (scene: Scene) => void,
  prepare: (path: string) => void = () => {},
): Promise<void> {
  await withDirectory((path) => {
    prepare(path);
    const database = openDatabase(path);
    const clock = new FakeClock(0);
    const problems: string[] = [];
    const changes: RegistrySnapshot[] = [];
    const registry = new Registry({
      store: database.config,
      clock,
      onProblem: (message) => problems.push(message),
    });
    registry.onChange((snapshot) => changes.push(snapshot));
    try {
      registry.start();
      body({ path, database, registry, clock, problems, changes });
    } finally {
      registry.stop();
      assert.equal(clock.pendingTimers, 0);
      database.close();
    }
  });
}

Deno.test("Registry reads a Go database: order, tokens, policy, no deleted rows", async () => {
  await withRegistry(({ registry, problems }) => {
    const snapshot = registry.snapshot();
    assert.equal(snapshot.version, 1);
    assert.deepEqual(snapshot.upstreams.map(({ id, name, timeoutMs }) => [id, name, timeoutMs]), [
      [1, "api.openai.com", null],
      [3, "127.0.0.1:9000", 30_000],
      [4, "api.openai.com#4", null],
    ]);
    assert.deepEqual(snapshot.tokens.map(({ secret }) => secret), ["woshimima"]);
    assert.equal(snapshot.policy, "order");
    assert.deepEqual(problems, []);
  }, makeGoDatabase);
});

Deno.test("Registry sees rows that are typed by hand within one poll", async () => {
  await withRegistry(({ path, registry, clock, changes }) => {
    assert.equal(registry.snapshot().upstreams.length, 0);
    byHand(path, "INSERT INTO openai_upstreams(sk, endpoint) VALUES ('k', 'https://a.example/v1')");
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams.map(({ name }) => name), ["a.example"]);
    byHand(path, "UPDATE openai_upstreams SET enabled = 0, name = 'mine'");
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams.map(({ name, isEnabled }) => [name, isEnabled]), [[
      "mine",
      false,
    ]]);
    byHand(path, "DELETE FROM openai_upstreams");
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams, []);
    assert.deepEqual(changes.map(({ version, upstreams }) => [version, upstreams.length]), [
      [1, 0],
      [2, 1],
      [3, 1],
      [4, 0],
    ]);
  });
});

Deno.test({
  name: "Registry sees a row that the sqlite3 program inserts",
  ignore: spawnSync("sqlite3", ["--version"]).status !== 0,
  fn: async () => {
    await withRegistry(({ path, registry, clock }) => {
      const sql = "insert into openai_upstreams(sk,endpoint) values('k','http://127.0.0.1:1/v1')";
      assert.equal(spawnSync("sqlite3", [path, sql]).status, 0);
      clock.advance(POLL_MS);
      assert.equal(registry.snapshot().upstreams.length, 1);
    });
  },
});

Deno.test("Registry sees changes through its own store, and tokens and policy too", async () => {
  await withRegistry(({ database, registry, clock }) => {
    database.config.setTokens([{ name: "alice", secret: "sk-alice-0123456789" }]);
    database.config.setConfig("policy", "least_latency");
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().tokens.map(({ name }) => name), ["alice"]);
    assert.equal(registry.snapshot().policy, "least_latency");
  });
});

Deno.test("Registry keeps its snapshot when only records were committed", async () => {
  await withRegistry(({ path, registry, clock, changes }) => {
    const before = registry.snapshot();
    byHand(path, "INSERT INTO records(model) VALUES ('m')");
    clock.advance(POLL_MS);
    assert.equal(registry.snapshot(), before);
    assert.equal(changes.length, 1);
  });
});

Deno.test("Registry skips a bad row, says so once, and says so again when it comes back", async () => {
  await withRegistry(({ path, registry, clock, problems }) => {
    const hand = (sql: string): void => {
      byHand(path, sql);
      clock.advance(POLL_MS);
    };
    hand(
      "INSERT INTO openai_upstreams(sk, endpoint) VALUES ('sk-secret', 'nonsense'), ('k', 'https://a.example')",
    );
    hand("INSERT INTO openai_upstreams(sk, endpoint) VALUES ('k', 'https://b.example')");
    assert.deepEqual(registry.snapshot().upstreams.map(({ id }) => id), [2, 3]);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? "", /^Upstream 1 is skipped: endpoint is not an http\(s\) URL/);
    assert.doesNotMatch(problems[0] ?? "", /secret/);
    assert.deepEqual(registry.snapshot().problems, problems);
    hand("UPDATE openai_upstreams SET endpoint = 'https://c.example' WHERE id = 1");
    assert.deepEqual(registry.snapshot().problems, []);
    hand("UPDATE openai_upstreams SET endpoint = 'nonsense' WHERE id = 1");
    assert.equal(problems.length, 2);
  });
});

Deno.test("Registry reports an unknown policy and goes without", async () => {
  await withRegistry(({ database, registry, clock, problems }) => {
    database.config.setConfig("policy", "constructor");
    clock.advance(POLL_MS);
    assert.equal(registry.snapshot().policy, null);
    assert.match(problems[0] ?? "", /policy is ignored/);
  });
});

Deno.test("Registry names twins by their number, and the oldest keeps the plain name", async () => {
  await withRegistry(({ database, registry, clock }) => {
    for (const sk of ["k1", "k2", "k3"]) {
      database.config.addUpstream({ sk, endpoint: "https://a.example/v1" });
    }
    database.config.moveUpstream(3, 1);
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams.map(({ name }) => name), [
      "a.example#3",
      "a.example",
      "a.example#2",
    ]);
  });
});

Deno.test("Registry keeps the last good snapshot while the tables cannot be read, and recovers", async () => {
  await withRegistry(({ path, database, registry, clock, problems }) => {
    database.config.addUpstream({ sk: "k", endpoint: "https://a.example/v1" });
    clock.advance(POLL_MS);
    const good = registry.snapshot();
    byHand(path, "ALTER TABLE openai_upstreams RENAME TO hidden");
    clock.advance(POLL_MS * 3);
    assert.equal(registry.snapshot(), good);
    assert.equal(problems.length, 1);
    assert.equal(registry.reloadNow(), false);
    byHand(path, "ALTER TABLE hidden RENAME TO openai_upstreams; UPDATE openai_upstreams SET name = 'new'");
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams.map(({ name }) => name), ["new"]);
  });
});

Deno.test("Registry keeps its snapshot when the file has gone, and follows a file that replaces it", async () => {
  await withRegistry(({ path, database, registry, clock, problems }) => {
    database.config.addUpstream({ sk: "k", endpoint: "https://a.example/v1" });
    clock.advance(POLL_MS);
    Deno.renameSync(path, `${path}.away`);
    clock.advance(POLL_MS * 2);
    assert.equal(registry.snapshot().upstreams.length, 1);
    assert.deepEqual(problems.length, 1);
    assert.match(problems[0] ?? "", /has gone/);

    const replacement = openDatabase(`${path}.new`);
    replacement.config.addUpstream({ sk: "k", endpoint: "https://b.example/v1" });
    replacement.close();
    Deno.renameSync(`${path}.new`, path);
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams.map(({ name }) => name), ["b.example"]);
    byHand(path, "UPDATE openai_upstreams SET name = 'c'");
    clock.advance(POLL_MS);
    assert.deepEqual(registry.snapshot().upstreams.map(({ name }) => name), ["c"]);
    // What the old file had only in its -wal went into it before the new one was opened.
    const away = openDatabase(`${path}.away`);
    assert.deepEqual(away.config.listUpstreams().map(({ endpoint }) => endpoint), ["https://a.example/v1"]);
    away.close();
  });
});

Deno.test("Registry.reloadNow() does not wait for the poll, and a snapshot cannot be changed", async () => {
  await withRegistry(({ path, registry }) => {
    byHand(path, "INSERT INTO openai_upstreams(sk, endpoint) VALUES ('k', 'https://a.example/v1')");
    assert.equal(registry.reloadNow(), true);
    const { upstreams } = registry.snapshot();
    assert.equal(upstreams.length, 1);
    assert.throws(() => Object.assign(upstreams[0] ?? {}, { sk: "other" }), TypeError);
  });
});
