import assert from "node:assert/strict";
import { targetOf } from "../../../../src/core/upstream_target.ts";
import { UsageAsking } from "../../../../src/proxy/attempt/usage_asking.ts";
import { parseUpstreamRow } from "../../../../src/store/config/upstream_row.ts";
import type { Upstream } from "../../../../src/core/types.ts";

const DAY_MS = 86_400_000;

function upstream(options: Record<string, string> = {}, sk = "sk-1"): Upstream {
  const read = parseUpstreamRow({
    ...{ id: 1, sk, endpoint: "https://a.example/v1", timeout: null, name: "one", position: 1, enabled: 1 },
    ...{ allow: null, deny: null, modelMap: null, authStyle: null, weight: 1, options, updatedAt: null },
  });
  assert.ok(read.isValid);
  return read.upstream;
}

Deno.test("the upstream's own setting counts, then the server's; a patch that names the option ends it", () => {
  const clock = { now: () => 0 };
  const [auto, never] = (["auto", "never"] as const).map((usage) => new UsageAsking({ clock, usage }));
  const cases: readonly (readonly [options: Record<string, string>, auto: boolean, never: boolean])[] = [
    [{}, true, false],
    [{ usage_injection: "auto" }, true, true],
    [{ usage_injection: "never" }, false, false],
    [{ body_patch: '{"stream_options":null}' }, false, false],
    [{ body_patch: '{"stream":false}' }, false, false],
    [{ body_patch: '{"seed":1}' }, true, false],
  ];
  for (const [options, byAuto, byNever] of cases) {
    const asked = [auto, never].map((asking) => asking?.isAsked(upstream(options)));
    assert.deepEqual(asked, [byAuto, byNever], JSON.stringify(options));
  }
});

Deno.test("a refusal holds for one key, for a week", () => {
  let nowMs = 1_000_000;
  const told: number[] = [];
  const asking = new UsageAsking({
    clock: { now: () => nowMs },
    usage: "auto",
    onRefused: (_, { refusedAtMs }) => told.push(refusedAtMs),
  });
  asking.refused(upstream());
  assert.deepEqual(told, [1_000_000]);
  assert.deepEqual([asking.isAsked(upstream()), asking.isAsked(upstream({}, "sk-2"))], [false, true]);
  nowMs += 6 * DAY_MS;
  assert.equal(asking.isAsked(upstream()), false);
  nowMs += 2 * DAY_MS;
  assert.equal(asking.isAsked(upstream()), true);
  // Of another server; one from the future does not hold.
  asking.load([{ upstreamId: 1, target: targetOf(upstream()), refusedAtMs: nowMs - DAY_MS }]);
  assert.equal(asking.isAsked(upstream()), false);
  asking.load([{ upstreamId: 1, target: targetOf(upstream()), refusedAtMs: nowMs + 100 * DAY_MS }]);
  assert.equal(asking.isAsked(upstream()), true);
});

Deno.test("what is known of upstreams that are gone is forgotten", () => {
  const asking = new UsageAsking({ clock: { now: () => 0 }, usage: "auto" });
  asking.refused(upstream());
  asking.coded(upstream({}, "sk-2"));
  asking.keep([upstream({}, "sk-2")]);
  assert.deepEqual([asking.isAsked(upstream()), asking.isAsked(upstream({}, "sk-2"))], [true, false]);
});
