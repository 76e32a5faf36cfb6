import assert from "node:assert/strict";
import type { Attempt, RequestRecord, Upstream } from "../../../../src/core/types.ts";
import { AttemptRates } from "../../../../src/proxy/attempt/attempt_rates.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { anUpstream } from "../../../support/upstream_value.ts";
import { record } from "../../observe/fixtures.ts";

class Scene {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  readonly rates = new AttemptRates(this.clock, {
    onChange: ({ name }, { attempts, failed, isDegraded }) =>
      void this.told.push(`${name} ${isDegraded ? "degraded" : "recovered"} ${failed}/${attempts}`),
    onTested: ({ name }) => void this.told.push(`${name} tested`),
  });

  configure(upstreams: readonly Upstream[], tested: readonly number[] = []): void {
    this.rates.configured(upstreams, ({ id }) => tested.includes(id));
  }

  /** One request: the classes of its failed attempts at upstream 1, and who answered. */
  request(failures: readonly Attempt["errorClass"][], answeredBy: number | null): void {
    const attempts = failures.map((errorClass, index) => ({
      index: index + 1,
      upstreamId: 1,
      upstreamName: "one",
      startedAtMs: 0,
      durationMs: 1,
      status: null,
      errorClass,
      message: null,
      partial: null,
      keyN: null,
      isChanged: false,
    }));
    const changes: Partial<RequestRecord> = answeredBy === null
      ? { outcome: "upstream_error", status: 502, upstreamId: null }
      : { outcome: "complete", status: 200, upstreamId: answeredBy };
    this.rates.settled(record({ ...changes, attempts }));
  }
}

const ONE = anUpstream(1, { name: "one" });
const TWO = anUpstream(2, { name: "two" });

Deno.test("attempts count for the upstream that made them, and an episode is told once", () => {
  const scene = new Scene();
  scene.configure([ONE, TWO], [1, 2]);
  for (let n = 0; n < 20; n++) scene.request(n % 2 === 0 ? ["timeout"] : [], n % 2 === 0 ? 2 : 1);
  assert.deepEqual(scene.told, ["one degraded 5/10"]);
  const { attempts, failed } = scene.rates.view(1);
  assert.deepEqual([attempts, failed, scene.rates.view(2).failed], [20, 10, 0]);
  scene.clock.advance(11 * 60_000);
  scene.rates.sweep();
  assert.deepEqual(scene.told, ["one degraded 5/10", "one recovered 0/0"]);
});

Deno.test("lost races, stops and clients that left are no failures, and no attempts", () => {
  const scene = new Scene();
  scene.configure([ONE, TWO], [1, 2]);
  for (let n = 0; n < 30; n++) scene.request(["hedge_lost", "stopped", "client_gone", "no_credential"], 2);
  assert.equal(scene.rates.view(1).attempts, 0);
  assert.deepEqual(scene.told, []);
});

Deno.test("an upstream is tested by its first good answer or a test, until its key or endpoint change", () => {
  const scene = new Scene();
  scene.configure([ONE, TWO]);
  scene.request(["timeout"], null);
  assert.equal(scene.rates.view(1).isTested, false);
  scene.request([], 1);
  scene.request([], 1);
  scene.rates.tested(2);
  scene.rates.tested(2);
  assert.deepEqual(scene.told, ["one tested", "two tested"]);
  scene.configure([{ ...ONE, name: "renamed" }, { ...TWO, sk: "sk-another" }]);
  assert.deepEqual([1, 2, 3].map((id) => scene.rates.view(id).isTested), [true, false, false]);
  assert.deepEqual([1, 2].map((id) => scene.rates.view(id).attempts), [3, 0]);
});

Deno.test("attempts at an upstream that is gone are not kept", () => {
  const scene = new Scene();
  scene.configure([TWO]);
  for (let n = 0; n < 30; n++) scene.request(["timeout"], 7);
  assert.deepEqual(scene.told, []);
  assert.equal(scene.rates.view(1).attempts, 0);
});
