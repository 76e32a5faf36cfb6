/**
 * What of a database's upstreams and settings goes to a PostgreSQL database that has some.
 */
import assert from "node:assert/strict";
import type {
  ConfigRow,
  ConfigRows,
  ConfigValue,
} from "../../../../../src/store/postgres/config/config_rows.ts";
import { CopyRefusedError } from "../../../../../src/store/postgres/copy/copied.ts";
import { planConfig } from "../../../../../src/store/postgres/copy/copied_config.ts";

function upstream(
  id: number | null,
  sk: string | null,
  { endpoint = "https://a.example", deletedAt = null, name = null }: {
    readonly endpoint?: string | null;
    readonly deletedAt?: number | null;
    readonly name?: string | null;
  } = {},
): ConfigRow {
  return [id, 1, 1, deletedAt, sk, endpoint, null, name, null, 1, null, null, null, null, 1];
}

function setting(
  id: number,
  key: string | null,
  value: ConfigValue,
  deletedAt: number | null = null,
): ConfigRow {
  return [id, 1, 1, deletedAt, key, value];
}

function rows(upstreams: readonly ConfigRow[], settings: readonly ConfigRow[] = []): ConfigRows {
  return { openai_upstreams: upstreams, config_kvs: settings, upstream_checks: [], client_tokens: [] };
}

const EMPTY = rows([]);

/** Numbers of upstreams and keys that are added; the refusal. */
function plan(source: ConfigRows, present: ConfigRows, isKnown = false): unknown {
  try {
    const { added, kept, leftOut } = planConfig({ source, present, isKnown });
    return {
      ids: added.openai_upstreams.map(([id]) => id),
      keys: added.config_kvs.map((row) => row[4]),
      kept,
      leftOut,
    };
  } catch (error) {
    assert.ok(error instanceof CopyRefusedError);
    return error.message.split(":")[0];
  }
}

Deno.test("everything goes to an empty database", () => {
  assert.deepEqual(
    plan(
      rows([upstream(2, "b"), upstream(1, "a")], [
        setting(1, "authorization", "t"),
        setting(2, "policy", "order"),
      ]),
      EMPTY,
    ),
    { ids: [1, 2], keys: ["authorization", "policy"], kept: 0, leftOut: 0 },
  );
});

Deno.test("other upstreams and other tokens are refused, unless the source was copied before", () => {
  const source = rows([upstream(1, "a"), upstream(2, "b")], [setting(1, "authorization", "t,u")]);
  for (
    const other of [
      upstream(3, "c"),
      upstream(1, "c"),
      upstream(1, "a", { endpoint: "https://z" }),
      upstream(2, null),
    ]
  ) {
    assert.match(String(plan(source, rows([other]))), /other upstreams already \(1\)/);
    assert.equal(typeof plan(source, rows([other]), true), "object");
  }
  for (const value of ["v", "t,v"]) {
    assert.match(String(plan(source, rows([], [setting(1, "authorization", value)]))), /other client tokens/);
    assert.equal(typeof plan(source, rows([], [setting(1, "authorization", value)]), true), "object");
  }
  for (const same of ["", "u", "u, t", null]) {
    assert.equal(typeof plan(source, rows([], [setting(1, "authorization", same)])), "object");
  }
  assert.equal(typeof plan(source, rows([], [setting(1, "authorization", "v", 5)])), "object");
});

Deno.test("what is there stays, and only what is missing is added", () => {
  const source = rows(
    [upstream(1, "a", { name: "one" }), upstream(2, "b"), upstream(3, "c")],
    [setting(1, "policy", "order"), setting(2, "authorization", "t"), setting(3, null, "x")],
  );
  const present = rows([upstream(1, "a", { name: "mine" }), upstream(2, "b")], [
    setting(2, "policy", "random"),
  ]);
  assert.deepEqual(plan(source, present), { ids: [3], keys: ["authorization"], kept: 2, leftOut: 0 });
  assert.deepEqual(plan(source, source), { ids: [], keys: [], kept: 0, leftOut: 0 });
});

Deno.test("a setting whose number is taken gets another one", () => {
  const { added } = planConfig({
    source: rows([], [setting(7, "a", "1"), setting(9, "b", "2")]),
    present: rows([], [setting(7, "c", "3"), setting(9, "d", "4")]),
    isKnown: false,
  });
  assert.deepEqual(added.config_kvs.map((row) => [row[0], row[4]]), [[10, "a"], [11, "b"]]);
});

Deno.test("of upstreams with one key and endpoint, one that is not deleted goes", () => {
  assert.deepEqual(
    plan(
      rows([upstream(1, "a", { deletedAt: 5 }), upstream(2, "a"), upstream(3, "a"), upstream(null, "z")]),
      EMPTY,
    ),
    { ids: [2], keys: [], kept: 0, leftOut: 3 },
  );
  // No index keeps these apart.
  assert.deepEqual(plan(rows([upstream(1, null), upstream(2, null)]), EMPTY), {
    ids: [1, 2],
    keys: [],
    kept: 0,
    leftOut: 0,
  });
  // They become one when they are cleaned.
  assert.deepEqual(plan(rows([upstream(1, "a\0"), upstream(2, "a\ufffd")]), EMPTY), {
    ids: [1],
    keys: [],
    kept: 0,
    leftOut: 1,
  });
});
