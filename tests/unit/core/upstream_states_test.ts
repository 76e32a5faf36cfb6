import assert from "node:assert/strict";
import type { HealthReport, KeyOwner } from "../../../src/core/blame.ts";
import { MAX_NO_CREDIT_MS } from "../../../src/core/breaker.ts";
import type { EndpointKind } from "../../../src/core/types.ts";
import { FORGET_MS, MAX_CELLS } from "../../../src/core/health_cells.ts";
import { type HealthChange, type HealthSubject, UpstreamStates } from "../../../src/core/upstream_states.ts";

const SECOND = 1_000;
const SERVED: HealthReport = { type: "served" };
const DOWN: HealthReport = { type: "failed", at: "model", cause: "outage" };
const UNREACHABLE: HealthReport = { type: "failed", at: "upstream", cause: "outage" };
const LACKING: HealthReport = { type: "lacking" };
const NO_CREDIT: HealthReport = { type: "no_credit", by: "router", isCertain: true };
const refused = (by: KeyOwner): HealthReport => ({ type: "refused", by });

interface About {
  readonly model?: string;
  readonly kind?: EndpointKind;
  readonly client?: string;
  readonly key?: string;
}

function about({ model = "m", kind = "chat", client = "a", key = client }: About = {}): HealthSubject {
  return { model, kind, client, credential: () => key };
}

/** The states, at a time that a test sets. */
class Scene {
  nowMs = 0;
  readonly changes: HealthChange[] = [];
  readonly states = new UpstreamStates((change) => this.changes.push(change));

  report(report: HealthReport, subject: About = {}, times = 1): void {
    for (let n = 0; n < times; n++) {
      this.states.begin(about(subject), this.#moment());
      this.states.report(about(subject), { report, reason: "because" }, this.#moment());
    }
  }

  begin(subject: About = {}): void {
    this.states.begin(about(subject), this.#moment());
  }

  content(subject: About = {}): void {
    this.states.content(about(subject), this.#moment());
  }

  is(subject: About = {}): string {
    return this.states.availability(about(subject), this.nowMs);
  }

  get news(): string[] {
    return this.changes.flatMap(({ news, model }) => news === null ? [] : `${news} ${model}`);
  }

  #moment() {
    return { nowMs: this.nowMs, startedMs: this.nowMs, maxOutageMs: 15_000 };
  }
}

Deno.test("failures of a model hold back that model only, for every client and endpoint", () => {
  const scene = new Scene();
  scene.report(DOWN, {}, 3);
  assert.equal(scene.is(), "cooling");
  assert.equal(scene.is({ client: "b", kind: "responses" }), "cooling");
  assert.equal(scene.is({ model: "n" }), "ready");
  assert.equal(scene.is({ model: "" }), "ready");
  assert.deepEqual(scene.news, ["down m"]);
});

Deno.test("what cannot be reached, refuses its key or has no credit is held back for every model", () => {
  for (const [report, times] of [[UNREACHABLE, 3], [refused("router"), 3], [NO_CREDIT, 1]] as const) {
    const scene = new Scene();
    scene.report(report, {}, times);
    assert.equal(scene.is({ model: "n", client: "b" }), "cooling", report.type);
    assert.deepEqual(scene.news, [report === NO_CREDIT ? "no_credit null" : "down null"]);
  }
});

Deno.test("two models that are down are the upstream's failure", () => {
  const scene = new Scene();
  scene.report(DOWN, { model: "m" }, 3);
  scene.report(DOWN, { model: "n" }, 2);
  assert.equal(scene.is({ model: "o" }), "ready");
  scene.report(DOWN, { model: "n" });
  assert.equal(scene.is({ model: "o" }), "cooling");
  assert.equal(scene.is({ model: "" }), "cooling");
});

Deno.test("failures of ever other models, with nothing served in between, are the upstream's", () => {
  const scene = new Scene();
  for (let n = 0; n < 5; n++) scene.report(DOWN, { model: `m${n}` });
  scene.report(SERVED, { model: "o" });
  for (let n = 0; n < 5; n++) scene.report(DOWN, { model: `n${n}` });
  assert.equal(scene.is({ model: "p" }), "ready");
  scene.report(DOWN, { model: "n5" });
  assert.equal(scene.is({ model: "p" }), "cooling");
  assert.deepEqual(scene.news, ["down null"]);
});

Deno.test("two models that are down are not the upstream's failure while it serves others", async (t) => {
  await t.step("another model was served in the meantime", () => {
    const scene = new Scene();
    scene.report(DOWN, { model: "m" }, 3);
    scene.nowMs++;
    scene.report(SERVED, { model: "o" });
    scene.report(DOWN, { model: "n" }, 3);
    assert.equal(scene.is({ model: "o" }), "ready");
  });
  await t.step("another client is served, and one client names what models it likes", () => {
    const scene = new Scene();
    scene.report(SERVED, { model: "o", client: "b" });
    scene.nowMs++;
    for (const model of ["x", "y", "z"]) scene.report(DOWN, { model }, 3);
    assert.equal(scene.is({ model: "x" }), "cooling");
    assert.equal(scene.is({ model: "o" }), "ready");
  });
});

Deno.test("a trial that shows content frees the way for others, and its cut counts once", () => {
  const scene = new Scene();
  scene.report(DOWN, {}, 3);
  scene.nowMs = 5 * SECOND;
  assert.equal(scene.is(), "trial");
  scene.begin();
  assert.equal(scene.is(), "cooling");
  assert.ok(scene.states.isOnTrial(about(), scene.nowMs));
  scene.content();
  assert.equal(scene.is(), "ready");
  scene.nowMs += 60 * SECOND;
  scene.states.report(about(), { report: DOWN, reason: "cut" }, {
    nowMs: scene.nowMs,
    startedMs: 5 * SECOND,
    maxOutageMs: 15 * SECOND,
  });
  assert.equal(scene.is(), "ready");
  scene.report(DOWN, {}, 2);
  assert.equal(scene.is(), "cooling");
  assert.deepEqual(scene.news, ["down m"]);
  scene.nowMs += 10 * SECOND;
  scene.report(SERVED);
  assert.deepEqual(scene.news, ["down m", "recovered m"]);
});

Deno.test("an abandoned trial is tried again at once", () => {
  const scene = new Scene();
  scene.report(UNREACHABLE, {}, 3);
  scene.nowMs = 5 * SECOND;
  scene.report({ type: "nothing" });
  assert.equal(scene.is(), "trial");
});

Deno.test("a trial that another upstream outruns is made again after the same pause, so that not every client waits", () => {
  const scene = new Scene();
  scene.report(DOWN, {}, 3);
  scene.nowMs = 5 * SECOND;
  scene.report({ type: "outrun" });
  assert.equal(scene.is(), "cooling");
  scene.nowMs += 5 * SECOND;
  assert.equal(scene.is(), "trial");
});

Deno.test("a client whose own key is refused is held back alone, by its key", () => {
  const scene = new Scene();
  scene.report(refused("client"), { key: "k1" }, 3);
  assert.equal(scene.is({ key: "k1" }), "cooling");
  assert.equal(scene.is({ key: "k1", model: "n" }), "cooling");
  assert.equal(scene.is({ key: "k2" }), "ready");
  assert.deepEqual(scene.changes, []);
  scene.nowMs = 30 * SECOND;
  scene.report(SERVED, { key: "k1" });
  assert.equal(scene.is({ key: "k1" }), "ready");
});

Deno.test("a client's own key may be throttled, or without credit", () => {
  const scene = new Scene();
  scene.report({ type: "throttled", by: "client", forMs: 9_000 }, { key: "k1" });
  scene.report({ type: "no_credit", by: "client", isCertain: true }, { key: "k2" });
  assert.deepEqual(["k1", "k2", "k3"].map((key) => scene.is({ key })), ["cooling", "cooling", "ready"]);
  assert.deepEqual(scene.changes, []);
});

Deno.test("a header of a client that is refused holds back that client, while the key works for others", () => {
  const scene = new Scene();
  scene.report(SERVED, { client: "b" });
  scene.report(refused("both"), { client: "a", key: "a with header" }, 3);
  assert.equal(scene.is({ client: "a", key: "a with header" }), "cooling");
  assert.equal(scene.is({ client: "a", key: "a without" }), "ready");
  assert.equal(scene.is({ client: "b" }), "ready");
  // A second client is refused: it is the key.
  scene.report(refused("both"), { client: "b" }, 3);
  assert.equal(scene.is({ client: "c" }), "cooling");
});

Deno.test("words about credit do not move the others while they are served", () => {
  const words: HealthReport = { type: "no_credit", by: "router", isCertain: false };
  const scene = new Scene();
  scene.report(SERVED, { client: "b" });
  scene.report(words, { client: "a" }, 3);
  assert.equal(scene.is(), "ready");
  scene.report(words, { client: "b" });
  assert.equal(scene.is(), "cooling");
  const alone = new Scene();
  alone.report(words);
  assert.equal(alone.is(), "cooling");
});

Deno.test("what another upstream had to answer is held back for that model and endpoint", () => {
  const scene = new Scene();
  scene.report(LACKING, { kind: "responses" }, 3);
  assert.equal(scene.is({ kind: "responses" }), "cooling");
  assert.equal(scene.is({ kind: "chat" }), "ready");
  assert.equal(scene.is({ kind: "responses", model: "n" }), "ready");
  assert.deepEqual(scene.news, ["down m"]);
  // Nobody has it: that proves nothing, and ends nothing.
  scene.nowMs = 30 * SECOND;
  scene.report({ type: "missing" }, { kind: "responses" });
  assert.equal(scene.is({ kind: "responses" }), "trial");
  // Models that it lacks do not make it ill.
  for (const model of ["x", "y"]) scene.report(LACKING, { model }, 3);
  assert.equal(scene.is({ model: "z" }), "ready");
});

Deno.test("one client's 404s do not move another one that is served the same", () => {
  const scene = new Scene();
  scene.report(SERVED, { client: "b" });
  scene.report(LACKING, { client: "a" }, 5);
  assert.equal(scene.is(), "ready");
});

Deno.test("sweep() ends what has recovered, and forgets what nobody asks for; clear() forgets all", () => {
  const scene = new Scene();
  scene.report(DOWN, { model: "m" }, 3);
  scene.report(DOWN, { model: "once" }, 1);
  scene.report(refused("client"), { key: "k1" }, 3);
  scene.nowMs = 30 * SECOND + FORGET_MS - 1;
  scene.states.sweep(scene.nowMs);
  assert.equal(scene.is({ key: "k1", model: "n" }), "trial");
  scene.nowMs++;
  scene.states.sweep(scene.nowMs);
  assert.ok(scene.states.isWell);
  assert.deepEqual(scene.news, ["down m"]);

  scene.report(NO_CREDIT);
  scene.report(DOWN, { model: "m" }, 3);
  scene.states.clear("enabled");
  assert.ok(scene.states.isWell);
  assert.equal(scene.is(), "ready");
  assert.deepEqual(scene.states.unwell(), []);

  // A success right after the opening is told of when it has lasted.
  scene.report(DOWN, {}, 3);
  scene.report(SERVED);
  const before = scene.news.length;
  scene.nowMs += 5 * SECOND;
  scene.states.sweep(scene.nowMs);
  assert.deepEqual(scene.news.slice(before), ["recovered m"]);
});

Deno.test("states are bounded; those that are well go first", () => {
  const scene = new Scene();
  scene.report(DOWN, { model: "ill" }, 3);
  for (let n = 0; n < 3 * MAX_CELLS; n++) {
    scene.nowMs++;
    scene.report(SERVED, { model: `m${n}` });
  }
  assert.equal(scene.is({ model: "ill" }), "cooling");
  for (let n = 0; n < 3 * MAX_CELLS; n++) {
    scene.nowMs++;
    scene.report(SERVED, { model: "o" });
    scene.report(DOWN, { model: `n${n}` });
    scene.report(refused("client"), { key: `k${n}` }, 3);
  }
  assert.equal(scene.is({ model: "ill", key: "" }), "ready");
  const held = Array.from({ length: 3 * MAX_CELLS }, (_each, n) => scene.is({ key: `k${n}` }));
  assert.equal(held.filter((each) => each === "cooling").length, MAX_CELLS);
});

/** The generator of Park and Miller (1988): a failure can be repeated by its seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = state * 48_271 % 2_147_483_647;
    return state % below;
  };
}

const REPORTS: readonly HealthReport[] = [
  SERVED,
  DOWN,
  DOWN,
  UNREACHABLE,
  LACKING,
  NO_CREDIT,
  refused("router"),
  refused("both"),
  refused("client"),
  { type: "throttled", by: "router", forMs: 5_000 },
  { type: "throttled", by: "client", forMs: 5_000 },
  { type: "no_credit", by: "router", isCertain: false },
  { type: "answered" },
  { type: "missing" },
  { type: "outrun" },
  { type: "nothing" },
];

Deno.test("whatever is reported: nothing is stuck, and a success of everything makes it well", () => {
  const subjects = ["m", "n"].flatMap((model) =>
    ["a", "b"].flatMap((client) => (["chat", "responses"] as const).map((kind) => ({ model, client, kind })))
  );
  for (let seed = 1; seed <= 100; seed++) {
    const random = randomOf(seed);
    const scene = new Scene();
    for (let step = 0; step < 150; step++) {
      scene.nowMs += random(3) === 0 ? random(40_000) : random(50);
      const subject = subjects[random(subjects.length)] ?? {};
      scene.report(REPORTS[random(REPORTS.length)] ?? SERVED, subject);
      if (random(10) === 0) scene.states.sweep(scene.nowMs);
    }
    scene.nowMs += MAX_NO_CREDIT_MS;
    for (const subject of subjects) assert.notEqual(scene.is(subject), "cooling", `seed ${seed}`);
    for (const subject of subjects) scene.report(SERVED, subject);
    assert.ok(scene.states.isWell, `seed ${seed}: ${JSON.stringify(scene.states.unwell())}`);
  }
});
