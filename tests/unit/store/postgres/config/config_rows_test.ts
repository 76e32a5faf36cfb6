import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { migrate } from "../../../../../src/store/database/migrations.ts";
import {
  changesBetween,
  columnNames,
  type ConfigRows,
} from "../../../../../src/store/postgres/config/config_rows.ts";
import { putConfigRows, readConfigRows } from "../../../../../src/store/postgres/config/local_rows.ts";
import { ScratchConfig } from "../../../../../src/store/postgres/config/scratch_config.ts";
import { StoreError } from "../../../../../src/store/store.ts";

const NOW_MS = Date.UTC(2026, 10, 29, 12, 0, 0, 123);
const EMPTY: ConfigRows = { openai_upstreams: [], config_kvs: [], upstream_checks: [], client_tokens: [] };

function scratchOf(
  rows: ConfigRows,
  lastIds = { openai_upstreams: 0, config_kvs: 0, client_tokens: 0 },
): ScratchConfig {
  return new ScratchConfig({ rows, lastIds, now: () => NOW_MS });
}

/** Upstreams of these names, and two tokens. */
function filled(...names: readonly string[]): ConfigRows {
  using scratch = scratchOf(EMPTY);
  for (const name of names) {
    scratch.store.addUpstream({ sk: `sk-${name}-0123456789`, endpoint: `https://${name}.example/v1`, name });
  }
  scratch.store.setTokens([{ secret: "token-of-ann-0123456789", name: "ann" }, {
    secret: "token-of-bob-0123456789",
    name: "bob",
  }]);
  return scratch.rows();
}

function opened(): DatabaseSync {
  const db = new DatabaseSync(":memory:");
  migrate(db);
  return db;
}

Deno.test("rows go to another database and come back as they were", () => {
  const rows = filled("a", "b");
  using db = opened();
  assert.equal(putConfigRows(db, rows), true);
  assert.deepEqual(readConfigRows(db), rows);
  using scratch = scratchOf(readConfigRows(db));
  assert.deepEqual(scratch.store.listUpstreams().map(({ name }) => name), ["a", "b"]);
  assert.deepEqual(scratch.store.listTokens().map(({ name }) => name), ["ann", "bob"]);
});

Deno.test("putting rows that are there already changes nothing", () => {
  const rows = filled("a");
  using db = opened();
  putConfigRows(db, rows);
  const changes = () => db.prepare("SELECT total_changes() AS n").get()?.["n"];
  const before = changes();
  assert.equal(putConfigRows(db, rows), false);
  assert.equal(changes(), before);
});

Deno.test("only what differs is a change", () => {
  const before = filled("a", "b", "c");
  using scratch = scratchOf(before);
  scratch.store.editUpstream(2, { enabled: false });
  const changes = changesBetween(before, scratch.rows());
  assert.deepEqual(changes.map(({ table, removedIds, put }) => [table, removedIds, put.map(([id]) => id)]), [
    ["openai_upstreams", [], [2]],
  ]);
  assert.deepEqual(changesBetween(before, before), []);
});

Deno.test("two upstreams exchange key and endpoint, which are unique together", () => {
  const before = filled("a", "b");
  const [a = [], b = []] = before.openai_upstreams;
  const at = 4;
  const after: ConfigRows = {
    ...before,
    openai_upstreams: [
      [...a.slice(0, at), b[at] ?? null, b[at + 1] ?? null, ...a.slice(at + 2)],
      [...b.slice(0, at), a[at] ?? null, a[at + 1] ?? null, ...b.slice(at + 2)],
    ],
  };
  using db = opened();
  putConfigRows(db, before);
  assert.equal(putConfigRows(db, after), true);
  assert.deepEqual(readConfigRows(db), after);
});

Deno.test("rows that are gone are removed", () => {
  using db = opened();
  putConfigRows(db, filled("a", "b"));
  assert.equal(putConfigRows(db, EMPTY), true);
  assert.deepEqual(readConfigRows(db), EMPTY);
});

Deno.test("a number that was given once is not given again", () => {
  using scratch = scratchOf(EMPTY, { openai_upstreams: 41, config_kvs: 0, client_tokens: 0 });
  const row = scratch.store.addUpstream({ sk: "sk-0123456789abcdef", endpoint: "https://a.example/v1" });
  assert.equal(row.id, 42);
});

Deno.test("the rules of SQLite hold: duplicates are refused, removed ones come back", () => {
  using scratch = scratchOf(filled("a"));
  const again = { sk: "sk-a-0123456789", endpoint: "https://a.example/v1" };
  assert.throws(() => scratch.store.addUpstream(again), (error) => {
    return error instanceof StoreError && error.code === "duplicate";
  });
  scratch.store.removeUpstream(1);
  assert.equal(scratch.store.addUpstream(again).id, 1);
});

Deno.test("what people typed where a number or a time belongs is null", () => {
  using db = opened();
  db.exec(`INSERT INTO openai_upstreams(id, created_at, sk, endpoint, timeout, position)
    VALUES (7, 'yesterday', 'sk-x', 'https://x.example', 'ten', 9223372036854775807)`);
  const [row = []] = readConfigRows(db).openai_upstreams;
  assert.deepEqual(row.slice(0, 9), [7, null, null, null, "sk-x", "https://x.example", null, null, null]);
});

Deno.test("text is whole, whatever is in it", () => {
  using scratch = scratchOf(EMPTY);
  scratch.store.setConfig("key", "\u{1f600} ' \" \\ \n 中文");
  using db = opened();
  putConfigRows(db, scratch.rows());
  assert.deepEqual(readConfigRows(db), scratch.rows());
});

Deno.test("a token that is refused for a mistake is disabled where the mistake cannot be kept, and never without its limit", () => {
  const db = new DatabaseSync(":memory:");
  migrate(db);
  db.exec(`INSERT INTO client_tokens(name, rpm, tpm, max_parallel, expires_at, created_at) VALUES
    ('rpm', 'many', NULL, NULL, NULL, NULL), ('end', NULL, NULL, NULL, 'soon', NULL),
    ('part', 2.5, 1e3, NULL, '', 'once'), ('good', 0, 7, 1, NULL, NULL)`);
  db.exec("UPDATE client_tokens SET enabled = 'yes' WHERE name = 'good'");
  db.exec("INSERT INTO client_tokens(name, rpm) VALUES ('last', 3)");
  const names = columnNames("client_tokens");
  const shown = readConfigRows(db).client_tokens.map((row) =>
    ["name", "rpm", "tpm", "enabled"].map((name) => row[names.indexOf(name)])
  );
  assert.deepEqual(shown, [
    ["rpm", null, null, 0],
    ["end", null, null, 0],
    ["part", 2, 1000, 1],
    ["good", 0, 7, 0],
    ["last", 3, null, 1],
  ]);
  db.close();
});
