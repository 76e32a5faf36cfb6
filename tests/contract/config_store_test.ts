/**
 * What every ConfigStore must do. The suite runs over each backend that is listed at the end.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { NewClientToken } from "../../src/store/config/client_token_row.ts";
import { openDatabase } from "../../src/store/database/open.ts";
import { type ConfigStore, type NewUpstream, StoreError } from "../../src/store/store.ts";

interface Backend {
  readonly name: string;
  /** Creates an empty store, and another one over the same data. */
  readonly withStores: (body: (store: ConfigStore, other: ConfigStore) => void) => Promise<void>;
}

function makeUpstream(name: string, changes: Partial<NewUpstream> = {}): NewUpstream {
  return { sk: `sk-key-of-${name}`, endpoint: `https://${name}.example/v1`, ...changes };
}

function clientToken(name: string, changes: Partial<NewClientToken> = {}): NewClientToken {
  const sha256 = createHash("sha256").update(name).digest("hex");
  return { name, sha256, hint: "sk-…wxyz", ...changes };
}

function codeOf(body: () => unknown): StoreError["code"] | null {
  try {
    body();
    return null;
  } catch (error) {
    assert.ok(error instanceof StoreError, String(error));
    assert.doesNotMatch(error.message, /sk-key/);
    return error.code;
  }
}

function describeConfigStore(backend: Backend): void {
  const test = (name: string, body: (store: ConfigStore, other: ConfigStore) => void): void =>
    Deno.test(`${backend.name}: ${name}`, () => backend.withStores(body));

  test("a new store is empty", (store) => {
    assert.deepEqual(store.listUpstreams(), []);
    assert.deepEqual(store.listTokens(), []);
    assert.equal(store.getConfig("policy"), null);
  });

  test(
    "addUpstream() stores what it was given, trimmed, and listUpstreams() keeps the order",
    (store, other) => {
      const first = store.addUpstream({
        sk: " k1 ",
        endpoint: "https://a.example/v1\n",
        name: "A",
        timeout: 9,
      });
      const second = store.addUpstream(makeUpstream("b", { authStyle: "x-api-key" }));
      assert.equal(first.sk, "k1");
      assert.equal(first.endpoint, "https://a.example/v1");
      assert.equal(first.name, "A");
      assert.equal(first.timeout, 9);
      assert.equal(second.authStyle, "x-api-key");
      assert.deepEqual(other.listUpstreams(), [first, second]);
    },
  );

  test("addUpstream() refuses a duplicate, and allows the same key at another endpoint", (store) => {
    store.addUpstream(makeUpstream("a"));
    assert.equal(codeOf(() => store.addUpstream(makeUpstream("a"))), "duplicate");
    store.addUpstream(makeUpstream("a", { endpoint: "https://elsewhere.example/v1" }));
    assert.equal(store.listUpstreams().length, 2);
  });

  test("addUpstream() revives a removed twin at the end of the order, with none of its old settings", (store) => {
    const removed = store.addUpstream(makeUpstream("a", { name: "old", timeout: 5 }));
    store.editUpstream(removed.id, { enabled: false });
    const b = store.addUpstream(makeUpstream("b"));
    const c = store.addUpstream(makeUpstream("c"));
    store.removeUpstream(removed.id);
    const revived = store.addUpstream(makeUpstream("a"));
    assert.equal(revived.id, removed.id);
    assert.equal(revived.name, null);
    assert.equal(revived.timeout, null);
    assert.equal(revived.enabled, 1);
    const d = store.addUpstream(makeUpstream("d"));
    assert.deepEqual(store.listUpstreams().map(({ id }) => id), [b.id, c.id, revived.id, d.id]);
  });

  test("editUpstream() changes what is named, clears with null, and leaves the rest", (store) => {
    const { id } = store.addUpstream(makeUpstream("a", { name: "A", timeout: 5 }));
    const edited = store.editUpstream(id, { timeout: null, enabled: false, sk: "sk-key-new" });
    assert.equal(edited.name, "A");
    assert.equal(edited.timeout, null);
    assert.equal(edited.enabled, 0);
    assert.equal(edited.sk, "sk-key-new");
    assert.deepEqual(store.listUpstreams(), [edited]);
  });

  test(
    "addUpstream() and editUpstream() store models, aliases and the weight, and null clears them",
    (store, other) => {
      const added = store.addUpstream(
        makeUpstream("a", {
          allow: ["gpt-4*", "o3"],
          deny: ["o3-pro"],
          modelMap: { o3: "mine" },
          weight: 0.5,
        }),
      );
      assert.deepEqual([added.allow, added.deny, added.modelMap, added.weight], [
        "gpt-4*,o3",
        "o3-pro",
        '{"o3":"mine"}',
        0.5,
      ]);
      const cleared = { allow: null, deny: [], modelMap: {}, weight: null };
      store.editUpstream(added.id, cleared);
      const [edited] = other.listUpstreams();
      assert.deepEqual([edited?.allow, edited?.deny, edited?.modelMap, edited?.weight], [
        null,
        null,
        null,
        1,
      ]);
      assert.deepEqual(store.listUpstreamStates(), []);
    },
  );

  test("editUpstream() refuses to make a duplicate, but not of a removed row or of itself", (store) => {
    const a = store.addUpstream(makeUpstream("a"));
    const b = store.addUpstream(makeUpstream("b"));
    const ofA = { sk: a.sk ?? "", endpoint: a.endpoint ?? "" };
    assert.equal(codeOf(() => store.editUpstream(b.id, ofA)), "duplicate");
    assert.equal(store.editUpstream(a.id, ofA).id, a.id);
    store.removeUpstream(a.id);
    assert.equal(store.editUpstream(b.id, ofA).sk, a.sk);
    assert.deepEqual(store.listUpstreams().map(({ id }) => id), [b.id]);
  });

  test("what is not there, or removed, is not found", (store) => {
    const { id } = store.addUpstream(makeUpstream("a"));
    store.removeUpstream(id);
    assert.deepEqual(store.listUpstreams(), []);
    for (const absent of [id, 999]) {
      assert.equal(codeOf(() => store.editUpstream(absent, { name: "x" })), "not_found");
      assert.equal(codeOf(() => store.removeUpstream(absent)), "not_found");
      assert.equal(codeOf(() => store.moveUpstream(absent, 1)), "not_found");
    }
  });

  test("moveUpstream() puts a row at a place, and takes places beyond the ends as the ends", (store) => {
    for (const name of ["a", "b", "c"]) store.addUpstream(makeUpstream(name));
    const hosts = (): string =>
      store.listUpstreams().map(({ endpoint }) => new URL(endpoint ?? "").host[0]).join("");
    const table: readonly (readonly [number, number, string])[] = [
      [3, 1, "cab"],
      [3, 2, "acb"],
      [1, 99, "cba"],
      [1, -4, "acb"],
      [2, 3, "acb"],
    ];
    for (const [id, place, expected] of table) {
      store.moveUpstream(id, place);
      assert.equal(hosts(), expected);
    }
    store.addUpstream(makeUpstream("d"));
    assert.equal(hosts(), "acbd");
  });

  test("setTokens() replaces all tokens and keeps their names", (store, other) => {
    const tokens = [{ name: "alice", secret: "sk-alice-0123456789" }, {
      name: "bob",
      secret: "sk-bob-0123456789",
    }];
    store.setTokens(tokens);
    assert.deepEqual(other.listTokens(), tokens);
    assert.equal(other.getConfig("authorization"), "sk-alice-0123456789,sk-bob-0123456789");
    store.setTokens(tokens.slice(1));
    assert.deepEqual(other.listTokens(), tokens.slice(1));
    store.setTokens([]);
    assert.deepEqual(other.listTokens(), []);
    assert.equal(other.getConfig("authorization"), "");
  });

  test(
    "tokenTimes() knows when tokens were added here, and nothing of those that others put in",
    (store, other) => {
      const alice = { name: "alice", secret: "sk-alice-0123456789" };
      const bob = { name: "bob", secret: "sk-bob-0123456789" };
      store.setTokens([alice]);
      const addedMs = store.tokenTimes().get(alice.secret) ?? 0;
      assert.ok(Math.abs(addedMs - Date.now()) < 60_000, String(addedMs));
      // As the Go program, or a person, edits the list.
      store.setConfig("authorization", `${alice.secret},${bob.secret}`);
      assert.deepEqual([...other.tokenTimes()], [[alice.secret, addedMs]]);
      // Another change of the list does not make up a time.
      store.setTokens([alice, bob, { name: "carol", secret: "sk-carol-0123456789" }]);
      assert.deepEqual([...store.tokenTimes().keys()], [alice.secret, "sk-carol-0123456789"]);
      assert.equal(store.tokenTimes().get(alice.secret), addedMs);
      store.setTokens([bob]);
      assert.equal(store.tokenTimes().size, 0);
      assert.equal(store.getConfig("token_created"), "{}");
    },
  );

  test("tokenTimes() takes what is no time for none", (store) => {
    store.setTokens([{ name: "alice", secret: "sk-alice-0123456789" }]);
    for (
      const value of [
        "[not json",
        "null",
        "7",
        '{"x":"y"}',
        store.getConfig("token_created")?.replace(/\d+}$/, "1e300}") ?? "",
      ]
    ) {
      store.setConfig("token_created", value);
      assert.equal(store.tokenTimes().size, 0, value);
    }
  });

  test("listTokens() ignores empty parts and repeats, and names the unnamed by their masked form", (store) => {
    store.setConfig("authorization", " , sk-unnamed-0123456789,,sk-unnamed-0123456789, short ,");
    assert.deepEqual(store.listTokens(), [
      { name: "sk-…6789", secret: "sk-unnamed-0123456789" },
      { name: "…", secret: "short" },
    ]);
    store.setConfig("token_names", "[not json");
    assert.equal(store.listTokens().length, 2);
  });

  test("setTokens() refuses tokens that could not be read back", (store) => {
    for (const secret of ["", "a b", "a,b", "schlüssel", "a\n"]) {
      assert.equal(codeOf(() => store.setTokens([{ name: "x", secret }])), "invalid", JSON.stringify(secret));
    }
    assert.equal(store.getConfig("authorization"), null);
  });

  test(
    "addClientToken() stores what it was given, and listClientTokens() keeps the order",
    (store, other) => {
      const first = store.addClientToken(clientToken("amy", {
        allow: "gpt-4o*,o3",
        upstreams: "a,2",
        rpm: 60,
        tpm: 200_000,
        maxParallel: 8,
        budgetUsd: "20.5",
        budgetPeriod: "month",
        gate: "whole",
        expiresAtMs: Date.UTC(2027, 0, 31),
      }));
      const second = store.addClientToken(clientToken("bob"));
      assert.deepEqual(other.listClientTokens(), [first, second]);
      assert.deepEqual(
        [first.name, first.allow, first.budgetUsd, first.expiresAtMs, first.enabled],
        ["amy", "gpt-4o*,o3", "20.5", Date.UTC(2027, 0, 31), 1],
      );
      assert.deepEqual([second.rpm, second.expiresAtMs, second.enabled], [null, null, 1]);
      assert.ok((first.createdAtMs ?? 0) > Date.UTC(2025));
    },
  );

  test("no two client tokens have one name or one digest", (store) => {
    const { id } = store.addClientToken(clientToken("amy"));
    const bob = store.addClientToken(clientToken("bob"));
    assert.equal(
      codeOf(() => store.addClientToken(clientToken("amy", { sha256: "c".repeat(64) }))),
      "duplicate",
    );
    assert.equal(codeOf(() => store.addClientToken({ ...clientToken("amy"), name: "other" })), "duplicate");
    assert.equal(codeOf(() => store.editClientToken(bob.id, { name: "amy" })), "duplicate");
    store.editClientToken(id, { name: "amy" });
    assert.deepEqual(store.listClientTokens().map(({ name }) => name), ["amy", "bob"]);
  });

  test(
    "editClientToken() changes what is given only, null clears, and unknown ids are refused",
    (store, other) => {
      const { id } = store.addClientToken(
        clientToken("amy", { rpm: 60, expiresAtMs: Date.UTC(2027, 0, 31) }),
      );
      const edited = store.editClientToken(id, { enabled: 0, expiresAtMs: null, name: "amelie" });
      assert.deepEqual([edited.name, edited.rpm, edited.enabled, edited.expiresAtMs], [
        "amelie",
        60,
        0,
        null,
      ]);
      assert.deepEqual(other.listClientTokens(), [edited]);
      assert.equal(codeOf(() => store.editClientToken(id + 1, { rpm: 1 })), "not_found");
    },
  );

  test("removeClientToken() removes one, and its number is not given again", (store, other) => {
    const { id } = store.addClientToken(clientToken("amy"));
    store.removeClientToken(id);
    assert.deepEqual(other.listClientTokens(), []);
    assert.equal(codeOf(() => store.removeClientToken(id)), "not_found");
    assert.ok(store.addClientToken(clientToken("amy")).id > id);
  });

  test("setConfig() writes and overwrites, NUL and lone surrogates included", (store, other) => {
    store.setConfig("policy", "random");
    store.setConfig("policy", "a\0b\ud800c");
    assert.equal(other.getConfig("policy"), "a\0b\ufffdc");
  });

  test(
    "dataVersion() changes with every change of its own and of others, and otherwise not",
    (store, other) => {
      const seen = new Set([store.dataVersion()]);
      assert.equal(seen.has(store.dataVersion()), true);
      other.addUpstream(makeUpstream("a"));
      assert.equal(seen.has(store.dataVersion()), false);
      seen.add(store.dataVersion());
      store.setConfig("policy", "random");
      assert.equal(seen.has(store.dataVersion()), false);
      seen.add(store.dataVersion());
      assert.equal(seen.has(store.dataVersion()), true);
    },
  );
}

describeConfigStore({
  name: "SqliteConfigStore",
  withStores: async (body) => {
    const directory = await Deno.makeTempDir({ prefix: "oar-contract-" });
    try {
      const database = openDatabase(join(directory, "db.sqlite"));
      const other = openDatabase(join(directory, "db.sqlite"));
      try {
        body(database.config, other.config);
      } finally {
        database.close();
        other.close();
      }
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});
