import assert from "node:assert/strict";
import type { KeyStanding } from "../../../src/core/key_cells.ts";
import { keyOrder, KeyTurns } from "../../../src/core/key_order.ts";
import type { Upstream } from "../../../src/core/types.ts";
import { anUpstream } from "../../support/upstream_value.ts";

function pool(id: number, count: number, more: Partial<Upstream> = {}): Upstream {
  const keys = Array.from({ length: count }, (_each, n) => `sk-${id}-${n + 1}`);
  return anUpstream(id, { ...more, sk: keys[0] ?? "", keys });
}

function variantsOf(upstream: Upstream): readonly Upstream[] | null {
  return upstream.keys.length < 2
    ? null
    : upstream.keys.map((sk, index) => ({ ...upstream, sk, keyN: index + 1 }));
}

/** `1/2`: key 2 of upstream 1. */
function order(
  upstreams: readonly Upstream[],
  { turns = new KeyTurns(), held = {} }: {
    readonly turns?: KeyTurns;
    readonly held?: Readonly<Record<string, KeyStanding>>;
  } = {},
): string {
  const nameOf = ({ id, keyN }: Upstream) => keyN === null ? `${id}` : `${id}/${keyN}`;
  return keyOrder(upstreams, {
    variantsOf,
    turns,
    hasRoom: () => true,
    standing: (each) => held[nameOf(each)] ?? "ready",
  })
    .map(nameOf).join(" ");
}

Deno.test("upstreams with one key stay the same array", () => {
  const upstreams = [anUpstream(1), anUpstream(2)];
  const turns = new KeyTurns();
  assert.equal(
    keyOrder(upstreams, { variantsOf, turns, hasRoom: () => true, standing: () => "ready" }),
    upstreams,
  );
});

Deno.test("keys stand in the place of their upstream: three of them, the rest behind, ten in all", () => {
  assert.equal(order([anUpstream(1), pool(2, 3), anUpstream(3)]), "1 2/1 2/2 2/3 3");
  assert.equal(order([pool(2, 5), anUpstream(3)]), "2/1 2/2 2/3 3 2/4 2/5");
  assert.equal(order([pool(2, 50), anUpstream(3)]).split(" ").length, 11);
});

Deno.test("the first upstream's keys take turns; those of others only when they are used", () => {
  const turns = new KeyTurns();
  const first = [pool(1, 3), pool(2, 2)];
  const starts = Array.from({ length: 4 }, () => order(first, { turns }));
  assert.deepEqual(starts.map((each) => each.split(" ")[0]), ["1/1", "1/2", "1/3", "1/1"]);
  assert.deepEqual(starts.map((each) => each.split(" ")[3]), ["2/1", "2/1", "2/1", "2/1"]);
  turns.used({ ...pool(2, 2), keyN: 1 });
  assert.equal(order(first, { turns }).split(" ")[3], "2/2");
});

Deno.test("keys that are held back lose no turn to their neighbour", () => {
  const turns = new KeyTurns();
  const held = { "1/1": "cooling" } as const;
  const starts = Array.from({ length: 4 }, () => order([pool(1, 3)], { turns, held }).split(" ")[0]);
  assert.deepEqual(starts, ["1/2", "1/3", "1/2", "1/3"]);
});

Deno.test("throttled keys come last, lost ones not at all while another is left", () => {
  const held = { "1/1": "cooling", "1/2": "out" } as const;
  assert.equal(order([pool(1, 3), anUpstream(2)], { held }), "1/3 2 1/1");
  assert.equal(order([pool(1, 2), anUpstream(2)], { held }), "1/1 2");
  assert.equal(order([pool(1, 2), anUpstream(2)], { held: { "1/1": "out", "1/2": "out" } }), "1/1 1/2 2");
});

Deno.test("with fill, the first that is well is always the first", () => {
  const turns = new KeyTurns();
  const upstream = pool(1, 3, { keyPolicy: "fill" });
  for (let n = 0; n < 3; n++) assert.equal(order([upstream], { turns }), "1/1 1/2 1/3");
  assert.equal(order([upstream], { turns, held: { "1/1": "cooling" } }), "1/2 1/3 1/1");
});
