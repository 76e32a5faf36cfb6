/**
 * What a replica makes of what others have found: alone, by hand, and in random schedules of several replicas.
 */
import assert from "node:assert/strict";
import type { HealthReport } from "../../../src/core/blame.ts";
import { MAX_ASKED_MS, MAX_NO_CREDIT_MS, MAX_REFUSAL_MS } from "../../../src/core/breaker.ts";
import {
  AFTERMATH_MS,
  type Finding,
  FINDING_CAUSES,
  type FindingCause,
  type ForeignFinding,
  MAX_FOREIGN,
} from "../../../src/core/foreign_findings.ts";
import { type HealthChange, type HealthSubject, UpstreamStates } from "../../../src/core/upstream_states.ts";
import { Random } from "../../fuzz/random.ts";

const SECOND = 1_000;
const MAX_OUTAGE_MS = 15_000;
const SERVED: HealthReport = { type: "served" };
const DOWN: HealthReport = { type: "failed", at: "model", cause: "outage" };
const UNREACHABLE: HealthReport = { type: "failed", at: "upstream", cause: "outage" };
const BUSY: HealthReport = { type: "failed", at: "model", cause: "refusal" };
const REFUSED: HealthReport = { type: "refused", by: "router" };
const NO_CREDIT: HealthReport = { type: "no_credit", by: "router", isCertain: true };
const WAIT: HealthReport = { type: "throttled", by: "router", forMs: 20_000 };

function about(model: string, client: string): HealthSubject {
  return { model, kind: "chat", client, credential: () => client };
}

/** One replica, at a time that a test sets. */
class Replica {
  nowMs = 0;
  readonly changes: HealthChange[] = [];
  readonly states = new UpstreamStates((change) => this.changes.push(change));
  #clients = 0;

  /** By ever other clients, unless it is said. */
  report(report: HealthReport, { model = "m", times = 1, client = "" } = {}): void {
    for (let n = 0; n < times; n++) {
      const subject = about(model, client === "" ? `c${this.#clients++ % 4}` : client);
      this.states.begin(subject, this.#moment());
      this.states.report(subject, { report, reason: "because" }, this.#moment());
    }
  }

  hear(...findings: ForeignFinding[]): void {
    this.states.hear(findings, this.#moment());
  }

  is(model = "m"): string {
    return this.states.availability(about(model, "a"), this.nowMs);
  }

  get news(): string[] {
    return this.changes.flatMap(({ news, model }) => news === null ? [] : `${news} ${model}`);
  }

  #moment() {
    return { nowMs: this.nowMs, startedMs: this.nowMs, maxOutageMs: MAX_OUTAGE_MS };
  }
}

function finding(cause: FindingCause, more: Partial<ForeignFinding> = {}): ForeignFinding {
  return {
    source: "other",
    model: null,
    cause,
    opening: 1,
    untilMs: 30 * SECOND,
    reason: "HTTP 401",
    isTold: true,
    ...more,
  };
}

Deno.test("what is about the key or the credit holds back here as well, and tells nobody", () => {
  for (const cause of ["refusal", "no_credit", "throttled"] as const) {
    const replica = new Replica();
    replica.hear(finding(cause));
    assert.deepEqual([replica.is("m"), replica.is("n")], ["cooling", "cooling"], cause);
    assert.equal(replica.states.isWell, false);
    assert.equal(replica.changes.length, 1, "the page and the metrics follow");
    assert.deepEqual(replica.news, []);
    const [shown] = replica.states.unwell();
    assert.equal(shown?.reason, "another replica: HTTP 401");
  }
});

Deno.test("of a model it holds back that model only", () => {
  const replica = new Replica();
  replica.hear(finding("refusal", { model: "m" }));
  assert.deepEqual([replica.is("m"), replica.is("n"), replica.is("")], ["cooling", "ready", "ready"]);
});

Deno.test("what was heard is never told on, whatever is heard", () => {
  const replica = new Replica();
  replica.hear(...FINDING_CAUSES.flatMap((cause) => [finding(cause), finding(cause, { model: "m" })]));
  assert.deepEqual([replica.states.findings(), replica.states.ownUnwell()], [[], []]);
});

Deno.test("the trial comes when the other one says; a success ends it, although the other still says so", () => {
  const replica = new Replica();
  replica.hear(finding("no_credit"));
  replica.nowMs = 30 * SECOND - 1;
  assert.equal(replica.is(), "cooling");
  replica.nowMs++;
  assert.equal(replica.is(), "trial");
  replica.states.begin(about("m", "a"), { nowMs: replica.nowMs, startedMs: replica.nowMs, maxOutageMs: 0 });
  assert.equal(replica.is(), "cooling", "one at a time");
  replica.report(SERVED);
  assert.ok(replica.states.isWell);
  replica.hear(finding("no_credit"));
  assert.equal(replica.is(), "ready", "it was disproved");
  replica.hear(finding("no_credit", { opening: 2, untilMs: 90 * SECOND }));
  assert.equal(replica.is(), "cooling", "the other one has found it anew");
});

Deno.test("a key that works here although one replica is refused ever again is not held back each time", () => {
  const replica = new Replica();
  const refusal = (opening: number, source = "other") =>
    finding("refusal", { source, opening, untilMs: replica.nowMs + 30 * SECOND });
  replica.hear(refusal(1));
  replica.nowMs = 30 * SECOND;
  replica.report(SERVED);
  for (const opening of [2, 3]) {
    replica.hear(refusal(opening));
    assert.equal(replica.is(), "ready");
    replica.report(SERVED);
  }
  replica.hear(refusal(3), refusal(1, "third"));
  assert.equal(replica.is(), "cooling", "what a third one finds counts");
  replica.hear(refusal(4));
  replica.report(REFUSED, { times: 2 });
  assert.equal(replica.is(), "cooling", "two clients that are refused are enough, where it takes three else");
  replica.nowMs += 30 * SECOND;
  replica.report(SERVED);
  replica.hear();
  replica.hear(refusal(5));
  assert.equal(replica.is(), "cooling", "the other one had recovered");
  replica.states.clear("enabled");
  replica.hear(refusal(6));
  assert.equal(replica.is(), "cooling", "the operator's word is no proof");
  replica.nowMs += 30 * SECOND + AFTERMATH_MS;
  replica.states.sweep(replica.nowMs);
  replica.hear(refusal(7));
  assert.equal(replica.is(), "cooling", "nor is its end, where nobody asked");
});

Deno.test("an attempt that began before says nothing about what was heard since", () => {
  const replica = new Replica();
  const begun = { nowMs: 10, startedMs: 5, maxOutageMs: MAX_OUTAGE_MS };
  replica.nowMs = 8;
  replica.hear(finding("refusal"));
  replica.states.report(about("m", "a"), { report: SERVED, reason: "" }, begun);
  assert.equal(replica.is(), "cooling");
});

Deno.test("it is over when the other one says so no longer, or its time is up", async (t) => {
  await t.step("the other one has recovered, or is dead", () => {
    const replica = new Replica();
    replica.hear(finding("no_credit"), finding("outage", { model: "m" }));
    replica.hear();
    assert.ok(replica.states.isWell);
    assert.equal(replica.is(), "ready");
    assert.deepEqual(replica.news, []);
  });
  await t.step("one of two says so no longer", () => {
    const replica = new Replica();
    replica.hear(finding("refusal"), finding("refusal", { source: "third", untilMs: 20 * SECOND }));
    replica.hear(finding("refusal", { source: "third", untilMs: 20 * SECOND }));
    assert.equal(replica.is(), "cooling");
    replica.nowMs = 20 * SECOND;
    assert.equal(replica.is(), "trial");
  });
  await t.step("nobody asks for it, and the other one still says so", () => {
    const replica = new Replica();
    replica.hear(finding("refusal"));
    replica.nowMs = 30 * SECOND + AFTERMATH_MS;
    replica.states.sweep(replica.nowMs);
    assert.ok(replica.states.isWell);
    replica.hear(finding("refusal"));
    assert.ok(replica.states.isWell, "nor does it begin again");
  });
  await t.step("it was over before it was heard", () => {
    const replica = new Replica();
    replica.nowMs = 30 * SECOND + AFTERMATH_MS;
    replica.hear(...FINDING_CAUSES.map((cause) => finding(cause)));
    assert.ok(replica.states.isWell);
  });
});

Deno.test("a clock that is wrong holds back no longer than the cause allows", () => {
  const longest = { refusal: MAX_REFUSAL_MS, no_credit: MAX_NO_CREDIT_MS, throttled: MAX_ASKED_MS } as const;
  for (const [cause, ms] of Object.entries(longest)) {
    const replica = new Replica();
    replica.hear(finding(cause as FindingCause, { untilMs: 1e15 }));
    replica.nowMs = ms - 1;
    assert.equal(replica.is(), "cooling", cause);
    replica.nowMs = ms;
    assert.equal(replica.is(), "trial", cause);
    replica.hear(finding(cause as FindingCause, { untilMs: 1e15 }));
    assert.equal(replica.is(), "trial", cause);
  }
});

Deno.test("an outage of another replica holds nothing back; one failure of our own is enough then", async (t) => {
  await t.step("one failure opens", () => {
    const replica = new Replica();
    replica.hear(finding("outage", { untilMs: 5 * SECOND }));
    assert.equal(replica.is(), "ready");
    assert.deepEqual(replica.changes, []);
    replica.report(DOWN);
    assert.equal(replica.is(), "cooling");
    assert.equal(replica.is("n"), "ready");
    assert.deepEqual(replica.states.findings().map(({ model, cause }) => [model, cause]), [["m", "outage"]]);
  });
  await t.step("of the connection, too", () => {
    const replica = new Replica();
    replica.hear(finding("outage"));
    replica.report(UNREACHABLE);
    assert.equal(replica.is("n"), "cooling");
  });
  await t.step("of another model it takes three", () => {
    const replica = new Replica();
    replica.hear(finding("outage", { model: "n" }));
    replica.report(DOWN, { times: 2 });
    replica.report(UNREACHABLE, { times: 2 });
    assert.equal(replica.is(), "ready");
  });
  await t.step("a success of our own clears that", () => {
    const replica = new Replica();
    replica.hear(finding("outage"));
    replica.report(SERVED);
    assert.ok(replica.states.isWell);
    replica.hear(finding("outage"));
    replica.report(DOWN, { times: 2 });
    assert.equal(replica.is(), "ready");
  });
  await t.step("the other one's recovery, and its time, clear that", () => {
    for (const end of [(replica: Replica) => replica.hear(), (replica: Replica) => pass(replica)]) {
      const replica = new Replica();
      replica.hear(finding("outage"));
      end(replica);
      replica.report(DOWN, { times: 2 });
      assert.equal(replica.is(), "ready");
    }
    function pass(replica: Replica): void {
      replica.nowMs = MAX_OUTAGE_MS + AFTERMATH_MS;
      replica.states.sweep(replica.nowMs);
    }
  });
  await t.step("what one client causes still does not count while others are served", () => {
    const replica = new Replica();
    replica.report(SERVED, { client: "b" });
    replica.hear(finding("outage"));
    replica.report(DOWN, { times: 5, client: "a" });
    assert.equal(replica.is(), "ready");
  });
});

Deno.test("one refusal confirms what was heard, and is our own finding", () => {
  for (
    const [heard, report, expected] of [
      [finding("refusal"), REFUSED, [null, "refusal"]],
      [finding("refusal", { model: "m" }), BUSY, ["m", "refusal"]],
      [finding("no_credit"), NO_CREDIT, [null, "no_credit"]],
      [finding("throttled", { model: "m" }), WAIT, ["m", "throttled"]],
    ] as const
  ) {
    const replica = new Replica();
    replica.hear(heard);
    replica.nowMs = 30 * SECOND;
    replica.report(report);
    assert.deepEqual(replica.states.findings().map(({ model, cause }) => [model, cause]), [expected]);
    replica.hear();
    assert.equal(replica.is(), "cooling", "it stays when the other one has recovered");
  }
});

Deno.test("people are told once over all replicas, by the one that found it first", async (t) => {
  await t.step("nothing of what another one has found, until something else happens", () => {
    const replica = new Replica();
    replica.hear(finding("refusal"));
    replica.nowMs = 30 * SECOND;
    replica.report(REFUSED);
    assert.deepEqual(replica.news, []);
    replica.report(NO_CREDIT);
    assert.deepEqual(replica.news, ["no_credit null"]);
    replica.nowMs += 3_600 * SECOND;
    replica.report(SERVED);
    assert.deepEqual(replica.news, ["no_credit null", "recovered null"]);
  });
  await t.step("nor of the recovery", () => {
    const replica = new Replica();
    replica.hear(finding("outage"));
    replica.report(UNREACHABLE);
    replica.nowMs = 60 * SECOND;
    replica.report(SERVED);
    assert.ok(replica.states.ownUnwell().length === 0);
    assert.deepEqual(replica.news, []);
  });
  await t.step(
    "but of what goes on when the one that told of it has recovered, and the recovery from that",
    () => {
      const [replica, third] = [new Replica(), new Replica()];
      for (const each of [replica, third]) {
        each.hear(finding("outage"));
        each.report(UNREACHABLE);
        each.nowMs = 6 * SECOND;
      }
      assert.deepEqual(replica.states.findings().map(({ isTold }) => isTold), [false]);
      replica.hear(...third.states.findings().map((each) => ({ ...each, source: "third" })));
      replica.report(UNREACHABLE);
      assert.deepEqual(replica.news, ["down null"]);
      const told = replica.states.findings().map((each) => ({ ...each, source: "replica" }));
      assert.deepEqual(told.map(({ isTold }) => isTold), [true]);
      third.hear(...told);
      third.report(UNREACHABLE);
      for (const each of [replica, third]) {
        each.nowMs = 60 * SECOND;
        each.report(SERVED);
      }
      assert.deepEqual([replica.news, third.news], [["down null", "recovered null"], []]);
    },
  );
  await t.step("but of another model, and of what was found before", () => {
    const replica = new Replica();
    replica.report(DOWN, { times: 3 });
    replica.hear(finding("outage", { model: "m" }), finding("outage", { model: "n" }));
    replica.report(DOWN, { model: "o", times: 3 });
    replica.nowMs = 60 * SECOND;
    replica.report(SERVED);
    assert.deepEqual(replica.news, ["down m", "down o", "down null", "recovered null", "recovered m"]);
  });
});

Deno.test("what the operator clears is believed again only when it is found anew", () => {
  const replica = new Replica();
  replica.hear(finding("no_credit"), finding("outage"));
  replica.states.clear("enabled");
  assert.ok(replica.states.isWell);
  replica.hear(finding("no_credit"), finding("outage"));
  assert.ok(replica.states.isWell);
  replica.hear(finding("no_credit", { opening: 2 }));
  assert.equal(replica.is(), "cooling");
});

Deno.test("findings of others are bounded", () => {
  const replica = new Replica();
  const many = Array.from({ length: 3 * MAX_FOREIGN }, (_each, n) => finding("refusal", { model: `m${n}` }));
  replica.hear(...many);
  assert.equal(replica.states.unwell().length, MAX_FOREIGN);
  replica.hear(finding("refusal"), finding("refusal"));
  assert.equal(replica.states.unwell().length, 1);
  replica.hear();
  assert.ok(replica.states.isWell);
});

Deno.test("what is told names the cause, the opening and the time", () => {
  const told = (report: HealthReport, times = 1): Finding[] => {
    const replica = new Replica();
    replica.nowMs = 1.25;
    replica.report(report, { times });
    return replica.states.findings();
  };
  const made = { opening: 1_250, reason: "because", isTold: true };
  assert.deepEqual(told(REFUSED, 3), [{ model: null, cause: "refusal", untilMs: 30_001.25, ...made }]);
  assert.deepEqual(told(NO_CREDIT), [{ model: null, cause: "no_credit", untilMs: 600_001.25, ...made }]);
  assert.deepEqual(told(UNREACHABLE, 3), [{ model: null, cause: "outage", untilMs: 5_001.25, ...made }]);
  assert.deepEqual(told(WAIT), [{ model: "m", cause: "throttled", untilMs: 20_001.25, ...made }]);
  assert.deepEqual(told({ type: "lacking" }, 3), [], "it is about one endpoint, and soon learned");
  assert.deepEqual(told({ type: "refused", by: "client" }, 3), [], "it is about one client");
});

/** A replica, its place in the shared table, and its own clock. */
interface Member {
  readonly name: string;
  readonly replica: Replica;
  /** What it has written: times are of everybody's clock. */
  row: readonly Finding[];
  readonly aheadMs: number;
  putAtMs: number;
  lookAtMs: number;
  isDead: boolean;
  diedAtMs: number;
}

const WORST: readonly HealthReport[] = [DOWN, UNREACHABLE, BUSY, REFUSED, NO_CREDIT, WAIT];
const MODELS = ["m", "n", "o"];

/** Several replicas and one upstream, second by second. */
class World {
  nowMs = 0;
  readonly members: Member[];
  readonly #random: Random;
  /** What the upstream answers; null: it is well. */
  cause: HealthReport | null = null;
  /** Seen by the first replica only. */
  isLocal = false;
  isDatabaseAway = false;

  constructor(random: Random, count: number) {
    this.#random = random;
    this.members = Array.from({ length: count }, (_each, n) => ({
      name: `r${n}`,
      replica: new Replica(),
      row: [],
      aheadMs: random.below(1_000_000),
      putAtMs: 0,
      lookAtMs: 0,
      isDead: false,
      diedAtMs: 0,
    }));
  }

  /** @param busy probability of a request each quarter of a second, for each replica */
  pass(ms: number, busy: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 250) {
      for (const member of this.members) this.#step(member, busy);
    }
  }

  #step(member: Member, busy: number): void {
    const { replica } = member;
    if (member.isDead) {
      if (this.nowMs - member.diedAtMs > 35 * SECOND) member.row = [];
      return;
    }
    replica.nowMs = this.nowMs + member.aheadMs;
    if (this.nowMs % 5_000 === 0) replica.states.sweep(replica.nowMs);
    if (!this.isDatabaseAway && this.nowMs >= member.putAtMs) {
      member.row = replica.states.findings().map((each) => ({
        ...each,
        untilMs: each.untilMs - member.aheadMs,
      }));
      member.putAtMs = this.nowMs + this.#random.below(1_000);
    }
    if (!this.isDatabaseAway && this.nowMs >= member.lookAtMs) {
      this.#look(member);
      member.lookAtMs = this.nowMs + 1_000;
    }
    if (this.#random.isLucky(busy)) this.#request(member);
  }

  #look(member: Member): void {
    const { replica, aheadMs } = member;
    const before = replica.states.findings();
    const heard = this.members.filter((other) => other !== member).flatMap(({ name, row }) =>
      row.map((each) => ({ ...each, source: name, untilMs: each.untilMs + aheadMs }))
    );
    replica.hear(...heard);
    assert.deepEqual(replica.states.findings(), before, "what is heard changes nothing that is told");
  }

  /** To a model that may be asked now; sometimes as a last resort. */
  #request({ replica, name }: Member): void {
    const model = this.#random.pick(MODELS);
    if (replica.is(model) === "cooling" && this.#random.isLucky(0.95)) return;
    const isHit = this.cause !== null && (!this.isLocal || name === "r0");
    replica.report(isHit && this.cause !== null ? this.cause : SERVED, { model });
  }

  /** The last moment until which something is held back now. */
  lastMs(): number {
    const own = this.members.flatMap(({ replica, aheadMs }) =>
      replica.states.findings().map(({ untilMs }) => untilMs - aheadMs)
    );
    return Math.max(
      this.nowMs,
      ...own,
      ...this.members.flatMap(({ row }) => row.map((each) => each.untilMs)),
    );
  }
}

Deno.test("replicas keep nothing alive among themselves: after the cause is gone, all are well in time", () => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Random(23, seed);
    const world = new World(random, 2 + random.below(2));
    for (let phase = random.below(4); phase >= 0; phase--) {
      world.cause = random.isLucky(0.8) ? random.pick(WORST) : null;
      world.isLocal = random.isLucky(0.3);
      world.isDatabaseAway = random.isLucky(0.2);
      world.pass(5_000 + random.below(90_000), random.pick([0.05, 0.5, 1]));
    }
    const [, second] = world.members;
    if (second !== undefined && random.isLucky(0.3)) {
      second.isDead = true;
      second.diedAtMs = world.nowMs;
    }
    world.cause = null;
    world.isDatabaseAway = random.isLucky(0.2);
    // Nobody waits for longer than what was found before the end, its aftermath, and the ways in between.
    const lastMs = world.lastMs() - world.nowMs + AFTERMATH_MS + 45 * SECOND;
    world.pass(lastMs, 1);
    for (const { replica, isDead, name } of world.members) {
      if (isDead) continue;
      const left = JSON.stringify([replica.states.findings(), replica.states.unwell()]);
      assert.ok(replica.states.isWell, `seed ${seed}, ${name}: ${left}`);
    }
  }
});

Deno.test("what others have found ends by itself where nobody asks, although they go on to say so", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(24, seed);
    const replica = new Replica();
    let endMs = 0;
    for (let n = random.below(20); n >= 0; n--) {
      replica.nowMs += random.below(10_000);
      const cause = random.pick(FINDING_CAUSES);
      const untilMs = replica.nowMs + random.below(2) * random.below(4_000_000) - random.below(60_000);
      endMs = Math.max(endMs, Math.min(untilMs, replica.nowMs + MAX_NO_CREDIT_MS) + AFTERMATH_MS);
      replica.hear(finding(cause, { untilMs, opening: n, model: random.pick([null, "m", "n"]) }));
    }
    replica.nowMs = Math.max(replica.nowMs, endMs);
    replica.states.sweep(replica.nowMs);
    assert.ok(replica.states.isWell, `seed ${seed}`);
    assert.deepEqual(replica.news, []);
  }
});
