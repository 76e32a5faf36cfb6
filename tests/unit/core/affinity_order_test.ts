/** The order by session and by owner: nobody is lost, sessions stay, and the load is bounded. */
import assert from "node:assert/strict";
import { keyPreference, ownerFirst, ownerOnly, sessionOrder } from "../../../src/core/affinity_order.ts";
import { PrefixShares } from "../../../src/core/prefix_shares.ts";
import { keyHashOf } from "../../../src/core/owned_ids.ts";
import type { Upstream } from "../../../src/core/types.ts";
import { anUpstream } from "../../support/upstream_value.ts";

/** Mulberry32: the same numbers in every run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mix = Math.imul(state ^ (state >>> 15), 1 | state);
    mix = (mix + Math.imul(mix ^ (mix >>> 7), 61 | mix)) ^ mix;
    return ((mix ^ (mix >>> 14)) >>> 0) / 2 ** 32;
  };
}

const calm = { isCooling: () => false, inFlight: () => 0 };
const ids = (upstreams: readonly Upstream[]) => upstreams.map(({ id }) => id);
const fleet = (count: number, weight = 1) =>
  Array.from({ length: count }, (_, index) => anUpstream(index + 1, { weight }));

Deno.test("affinity never removes a candidate, and adds none", () => {
  const random = randomOf(24);
  for (let run = 0; run < 3_000; run++) {
    const upstreams = Array.from(
      { length: Math.floor(random() * 8) },
      (_, index) => anUpstream(index + 1, { weight: random() < 0.2 ? 0 : random() * 3 }),
    ).sort(() => random() - 0.5);
    const cooling = new Set(ids(upstreams).filter(() => random() < 0.3));
    const loads = new Map(ids(upstreams).map((id) => [id, Math.floor(random() * 20)]));
    const plan = sessionOrder(upstreams, {
      hash: Math.floor(random() * 2 ** 32),
      sharedHash: random() < 0.5 ? null : Math.floor(random() * 2 ** 32),
      share: random(),
      isCooling: ({ id }) => cooling.has(id),
      inFlight: ({ id }) => loads.get(id) ?? 0,
    });
    const owner = { upstreamId: Math.floor(random() * 10), keyHash: random() < 0.5 ? null : 7 };
    const order = ownerFirst(plan.order, owner);
    assert.deepEqual(ids(order).sort(), ids(upstreams).sort());
    assert.deepEqual(new Set(order), new Set(upstreams));
    if (ids(upstreams).includes(owner.upstreamId)) assert.equal(order[0]?.id, owner.upstreamId);
    assert.ok(plan.tiedTo === null || !cooling.has(plan.tiedTo) || cooling.size === upstreams.length);
  }
});

Deno.test("a new upstream takes its share of sessions, and moves no others", () => {
  const random = randomOf(1);
  const [before, after] = [fleet(4), fleet(5)];
  let moved = 0;
  for (let session = 0; session < 4_000; session++) {
    const hash = Math.floor(random() * 2 ** 32);
    const was = sessionOrder(before, { hash, ...calm }).tiedTo;
    const is = sessionOrder(after, { hash, ...calm }).tiedTo;
    if (was === is) continue;
    moved++;
    assert.equal(is, 5);
  }
  assert.ok(Math.abs(moved / 4_000 - 1 / 5) < 0.03, String(moved));
});

Deno.test("sessions follow the weights, whatever order they come in", () => {
  const random = randomOf(2);
  const upstreams = [
    anUpstream(1, { weight: 3 }),
    anUpstream(2, { weight: 1 }),
    anUpstream(3, { weight: 0 }),
  ];
  const counts = [0, 0, 0, 0];
  for (let session = 0; session < 4_000; session++) {
    const hash = Math.floor(random() * 2 ** 32);
    const { tiedTo } = sessionOrder(upstreams, { hash, ...calm });
    assert.equal(sessionOrder(upstreams.toReversed(), { hash, ...calm }).tiedTo, tiedTo);
    counts[tiedTo ?? 0] = (counts[tiedTo ?? 0] ?? 0) + 1;
  }
  assert.ok(Math.abs((counts[1] ?? 0) / 4_000 - 0.75) < 0.03, counts.join());
  assert.equal(counts[3], 0);
});

Deno.test("sessions that begin alike go to as few upstreams as their part of the traffic allows", () => {
  const random = randomOf(3);
  const goingTo = (share: number, sharedHash: number) => {
    const upstreams = new Set<number | null>();
    for (let session = 0; session < 400; session++) {
      const hash = Math.floor(random() * 2 ** 32);
      upstreams.add(sessionOrder(fleet(4), { hash, sharedHash, share, ...calm }).tiedTo);
    }
    return upstreams;
  };
  for (const [share, expected] of [[0, 1], [0.3, 1], [0.4, 2], [0.7, 3], [1, 4]] as const) {
    assert.equal(goingTo(share, 77).size, expected, String(share));
  }
  const firsts = new Set(Array.from({ length: 100 }, (_, index) => [...goingTo(0.1, index * 7919)][0]));
  assert.equal(firsts.size, 4);
});

Deno.test("the part of a prompt in the traffic is known, and what is no longer asked is forgotten", () => {
  const shares = new PrefixShares();
  assert.ok(shares.note(1) < 0.3, "one request says little");
  for (let request = 0; request < 1_000; request++) shares.note(request % 2 === 0 ? 1 : null);
  assert.ok(Math.abs(shares.note(1) - 0.5) < 0.05);
  for (let request = 0; request < 20_000; request++) shares.note(2);
  assert.ok(shares.note(2) > 0.9);
  assert.ok(shares.note(1) < 0.01);
  for (let prompt = 0; prompt < 100_000; prompt++) shares.note(prompt + 10);
  assert.ok(shares.note(2) < 0.1);
});

Deno.test("who has more under way than 1.25 times the mean is passed over, but two stay together", () => {
  const random = randomOf(3);
  const upstreams = fleet(4);
  const loads = [0, 0, 0, 0, 0];
  // One session alone, with many requests at once.
  const hash = 12_345;
  for (let request = 1; request <= 400; request++) {
    const { order } = sessionOrder(upstreams, {
      hash,
      isCooling: () => false,
      inFlight: ({ id }) => loads[id] ?? 0,
    });
    const first = order[0]?.id ?? 0;
    loads[first] = (loads[first] ?? 0) + 1;
    const total = loads.reduce((sum, load) => sum + load, 0);
    assert.ok((loads[first] ?? 0) <= Math.max(2, Math.ceil(1.25 * total / 4)), loads.join());
    if (request === 2) assert.equal(loads[first], 2);
    if (request > 2 && random() < 0.2) {
      const busy = loads.findIndex((load) => load > 0);
      loads[busy] = (loads[busy] ?? 0) - 1;
    }
  }
  assert.ok(loads.slice(1).every((load) => load > 0));
});

Deno.test("the owner's key comes first among the owner's keys", () => {
  const keys = ["a", "b", "c"];
  const expanded = keys.map((sk, index) => anUpstream(2, { sk, keys, keyN: index + 1 }));
  const others = [anUpstream(1), anUpstream(3)];
  const owned = expanded[1];
  assert.ok(owned !== undefined);
  const owner = { upstreamId: 2, keyHash: keyHashOf(owned) };
  const order = ownerFirst([...others, ...expanded], owner);
  assert.deepEqual(order.map(({ id, sk }) => id === 2 ? sk : id), ["b", "a", "c", 1, 3]);
  assert.deepEqual(ownerOnly(order, owner).length, 3);
  assert.equal(keyHashOf(anUpstream(1)), null);
  const same = [...expanded, ...others];
  assert.equal(ownerFirst(same, { upstreamId: 2, keyHash: null }), same);
});

Deno.test("keyPreference() spreads sessions over keys, and a new key moves only its share", () => {
  const counts = [0, 0, 0];
  for (let hash = 0; hash < 3_000; hash++) {
    const mixed = Math.imul(hash, 0x9e3779b1) >>> 0;
    const key = keyPreference(mixed, 3);
    counts[key] = (counts[key] ?? 0) + 1;
    const more = keyPreference(mixed, 4);
    assert.ok(more === key || more === 3);
  }
  assert.ok(counts.every((count) => Math.abs(count - 1_000) < 120), counts.join());
});
