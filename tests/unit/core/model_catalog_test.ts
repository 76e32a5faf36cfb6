import assert from "node:assert/strict";
import { LACKING_MS, ModelCatalog, NO_ENDPOINT } from "../../../src/core/model_catalog.ts";
import { byModel } from "../../../src/core/model_order.ts";
import { candidates } from "../../../src/core/policy.ts";
import type { Upstream } from "../../../src/core/types.ts";
import { anUpstream } from "../../support/upstream_value.ts";

const MAX_AGE_MS = 1_000;

class Bench {
  readonly catalog = new ModelCatalog({ maxAgeMs: MAX_AGE_MS });
  readonly upstreams: Upstream[];

  constructor(...changes: Partial<Upstream>[]) {
    this.upstreams = changes.map((change, n) => anUpstream(n + 1, { name: String(n + 1), ...change }));
    this.catalog.configured(this.upstreams);
  }

  lists(
    id: number,
    models: string[] | null,
    { isWhole = true, problem = null as string | null, nowMs = 0 } = {},
  ) {
    const list = models &&
      { models: models.map((model) => ({ id: model, raw: null })), isWhole, listedAtMs: nowMs };
    const target = this.catalog.targetOf(id) ?? "";
    return this.catalog.put({ upstreamId: id, target, askedAtMs: nowMs, list, problem }, nowMs);
  }

  order(model: string | null, kind: "chat" | "embeddings" = "chat"): string {
    const standings = this.catalog.standings(this.upstreams, { model, kind });
    return byModel([...this.upstreams], standings).map(({ name }) => name).join("");
  }
}

Deno.test("who lists a model comes first, then who is unknown, then who does not list it", () => {
  const bench = new Bench({}, {}, { modelMap: { alias: "b" } }, { sk: "asis" });
  assert.equal(bench.order("b"), "1234", "nothing is known");
  bench.lists(1, ["a"]);
  assert.equal(bench.order("b"), "2341");
  bench.lists(3, ["b", "models/g"]);
  assert.equal(bench.order("b"), "3241");
  assert.equal(bench.order("alias"), "3241");
  assert.equal(bench.order("g"), "3241");
  assert.equal(bench.order("models/b"), "3241");
  assert.equal(bench.order("a"), "1243");
  assert.equal(bench.order("A"), "2413", "names are compared exactly");
  assert.equal(bench.order(null), "1234");
});

Deno.test("a list that is empty, not whole or old says of no model that it is missing", () => {
  const bench = new Bench({}, {});
  bench.lists(2, ["b"]);
  bench.lists(1, []);
  assert.equal(bench.order("a"), "12");
  bench.lists(1, ["x"], { isWhole: false });
  assert.equal(bench.order("b"), "21");
  assert.equal(bench.order("a"), "12");
  bench.lists(1, ["x"]);
  bench.lists(2, ["y"], { nowMs: MAX_AGE_MS });
  assert.equal(bench.order("y"), "21");
  bench.catalog.age(MAX_AGE_MS + 1, 0);
  assert.equal(bench.order("x"), "12");
  assert.equal(bench.order("y"), "21");
});

Deno.test("without the path, literal patterns are what an upstream has", () => {
  const bench = new Bench({}, { allow: ["deployment", "gpt-*"] });
  bench.lists(2, null, { problem: "HTTP 500" });
  assert.equal(bench.order("deployment"), "12", "it may list it when it is asked again");
  bench.lists(2, null, { problem: NO_ENDPOINT });
  assert.equal(bench.order("deployment"), "21");
  assert.equal(bench.order("gpt-4"), "12");
});

Deno.test("a list stays while the upstream fails, and goes with its key, its endpoint, or the path", () => {
  const bench = new Bench({}, {});
  assert.equal(bench.lists(1, ["a"]), true);
  assert.equal(bench.lists(1, ["a"]), false, "nothing has changed");
  assert.equal(bench.lists(1, null, { problem: "HTTP 500" }), true);
  assert.deepEqual(bench.catalog.modelsOf(1)?.map(({ id }) => id), ["a"]);
  bench.lists(1, null, { problem: NO_ENDPOINT });
  assert.equal(bench.catalog.modelsOf(1), null);
  bench.lists(1, ["a"]);
  const { version } = bench.catalog;
  bench.catalog.configured([anUpstream(1, { sk: "other" })]);
  assert.equal(bench.catalog.modelsOf(1), null);
  assert.notEqual(bench.catalog.version, version);
  const late = { upstreamId: 1, target: "old", askedAtMs: 0, list: null, problem: null };
  assert.equal(bench.catalog.put(late, 0), null, "an answer of the former key");
});

Deno.test("who says not to have a model is last for ten minutes, at that endpoint, or until it answers", () => {
  const bench = new Bench({}, { modelMap: { alias: "m" } });
  const [first, second] = bench.upstreams as [Upstream, Upstream];
  bench.lists(1, ["m"]);
  const subject = { model: "m", kind: "chat" } as const;
  bench.catalog.lacks(first, subject, 0);
  assert.equal(bench.order("m"), "21");
  assert.equal(bench.order("m", "embeddings"), "12");
  bench.catalog.age(0, LACKING_MS - 1);
  assert.equal(bench.order("m"), "21");
  bench.catalog.age(0, LACKING_MS);
  assert.equal(bench.order("m"), "12");
  bench.catalog.lacks(first, subject, 0);
  bench.catalog.serves(first, subject);
  assert.equal(bench.order("m"), "12");
  bench.catalog.lacks(second, { ...subject, model: "alias" }, 0);
  bench.catalog.lacks(first, subject, 0);
  assert.equal(bench.order("m"), "12", "both lack it, so the order stays");
});

Deno.test("marks are bounded, however many models clients invent", () => {
  const bench = new Bench({}, {});
  for (let n = 0; n < 1_000; n++) {
    bench.catalog.lacks(bench.upstreams[0] as Upstream, { model: `m${n}`, kind: "chat" }, 0);
  }
  assert.equal(bench.order("m0"), "12");
  assert.equal(bench.order("m999"), "21");
});

Deno.test("cooling upstreams are last, also those that have the model; policies order within the groups", () => {
  const bench = new Bench({}, {}, {});
  bench.lists(1, ["x"]);
  bench.lists(2, ["m"]);
  bench.lists(3, ["m"]);
  const models = bench.catalog.standings(bench.upstreams, { model: "m", kind: "chat" });
  const order = (isCooling: (id: number) => boolean, turn = 0) =>
    candidates(bench.upstreams, {
      ...{ policy: turn === 0 ? "order" : "round_robin", turn, models, random: () => 0.5 },
      standing: ({ id }) => ({ availability: isCooling(id) ? "cooling" : "ready", latencyMs: null }),
    }).map(({ id }) => id);
  assert.deepEqual(order(() => false), [2, 3, 1]);
  assert.deepEqual(order(() => false, 2), [3, 2, 1]);
  assert.deepEqual(order((id) => id > 1), [1, 2, 3]);
});

Deno.test("the answer for the same candidates is made once, as long as nothing changes", () => {
  const bench = new Bench({}, {});
  bench.lists(1, ["m"]);
  const ask = () => bench.catalog.standings(bench.upstreams, { model: "m", kind: "chat" });
  assert.equal(ask(), ask());
  const before = ask();
  bench.lists(1, ["n"]);
  assert.notEqual(ask(), before);
});

Deno.test("of more objects than are kept, only the names stay", () => {
  const bench = new Bench({}, {}, {}, {});
  const raw = "x".repeat(60_000);
  for (const id of [1, 2, 3, 4]) {
    const models = Array.from({ length: 400 }, (_, n) => ({ id: `${id}-${n}`, raw }));
    const list = { models, isWhole: true, listedAtMs: 0 };
    bench.catalog.put({
      upstreamId: id,
      target: bench.catalog.targetOf(id) ?? "",
      askedAtMs: 0,
      list,
      problem: null,
    }, 0);
  }
  assert.deepEqual(
    [1, 2, 3, 4].map((id) => bench.catalog.modelsOf(id)?.[0]?.raw === raw),
    [true, true, false, false],
  );
});
