/**
 * Who is admitted, what is charged, and that the sum never exceeds a budget, over random schedules with failures.
 */
import assert from "node:assert/strict";
import type { RouterError } from "../../../../src/core/errors.ts";
import type { Admission } from "../../../../src/proxy/limits/admission.ts";
import { FakeClock } from "../../../support/fake_clock.ts";
import { demandOf, outcomes, rulesOf, settled, type Stage, stageOf } from "./admission_stage.ts";
import { FakeSpend, type Fate } from "./fake_spend.ts";

const budget = (nano: number, period: "day" | "month" | "total" = "total") =>
  rulesOf({ budget: { nano, period } });
const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));

function refusalOf(admit: () => unknown): RouterError {
  try {
    admit();
  } catch (error) {
    return error as RouterError;
  }
  throw new Error("it was admitted");
}

Deno.test("below half of a budget, one answer of the store admits a hundred requests synchronously", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission } = stageOf(clock, spend.store("a", true));
  const rules = budget(1_000_000);
  (await admission.admit(rules, demandOf(100))).settle(settled(100));
  for (let time = 0; time < 99; time++) {
    const admitted = admission.admit(rules, demandOf(100));
    assert.ok(!(admitted instanceof Promise), String(time));
    admitted.settle(settled(100));
  }
  assert.equal(spend.requestCount, 1);
  assert.equal(spend.spent(1), 0);
  clock.advance(1_000);
  await turn();
  assert.equal(spend.spent(1), 10_000);
  await admission.stop();
  assert.equal(spend.leased(1), 0);
});

Deno.test("200 at once are answered by few calls, and as many admitted as fit", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission, refusals } = stageOf(clock, spend.store("a", true));
  const rules = budget(2_000);
  const { admissions, codes } = await outcomes(
    Array.from({ length: 200 }, () => () => admission.admit(rules, demandOf(100))),
  );
  assert.deepEqual([admissions.length, codes.length], [20, 180]);
  assert.ok(codes.every((code) => code === "budget_reserved"));
  assert.equal(refusals.length, 180);
  assert.ok(spend.requestCount <= 5, String(spend.requestCount));
  // Half of them cost nothing.
  for (const [index, each] of admissions.entries()) each.settle(settled(index % 2 === 0 ? 0 : 100));
  const again = await outcomes(Array.from({ length: 50 }, () => () => admission.admit(rules, demandOf(100))));
  assert.equal(again.admissions.length, 10);
});

Deno.test("what was spent is refused at once while the store has just said so, and asked for again later", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission } = stageOf(clock, spend.store("a", true));
  const rules = budget(100, "day");
  (await admission.admit(rules, demandOf(100))).settle(settled(100));
  clock.advance(1_000);
  await turn();
  const count = spend.requestCount;
  const error = refusalOf(() => admission.admit(rules, demandOf(1)));
  assert.deepEqual([error.status, error.code], [429, "insufficient_quota"]);
  assert.equal(spend.requestCount, count);
  // What is older may be wrong: somebody may have raised it, or deleted rows.
  clock.advance(60_000);
  await assert.rejects(async () => await admission.admit(rules, demandOf(1)), { code: "insufficient_quota" });
  assert.equal(spend.requestCount, count + 1);
});

Deno.test("a new period begins by itself, and what was reserved before counts in it", async () => {
  // Five minutes before midnight.
  const [clock, spend] = [new FakeClock(Date.UTC(2026, 0, 31, 23, 55)), new FakeSpend()];
  const { admission } = stageOf(clock, spend.store("a", true));
  const rules = budget(100, "day");
  const old = await admission.admit(rules, demandOf(60));
  (await admission.admit(rules, demandOf(40))).settle(settled(40));
  await assert.rejects(async () => await admission.admit(rules, demandOf(40)), { code: "budget_reserved" });
  clock.advance(10 * 60_000);
  await assert.rejects(async () => await admission.admit(rules, demandOf(60)), { code: "budget_reserved" });
  const young = await admission.admit(rules, demandOf(40));
  old.settle(settled(60));
  young.settle(settled(40));
  clock.advance(1_000);
  await turn();
  assert.deepEqual(spend.rowsOf("a").map(({ day, costNano }) => [day, costNano]), [["2026-01-31", 40], [
    "2026-02-01",
    100,
  ]]);
});

Deno.test("a clock that steps back neither loses nor doubles a charge", async () => {
  const spend = new FakeSpend();
  let nowMs = Date.UTC(2026, 0, 2, 0, 0, 1);
  const clock = new FakeClock();
  clock.now = () => nowMs;
  const { admission } = stageOf(clock, spend.store("a", true));
  const rules = budget(1_000);
  for (const step of [0, -2_000, 2_000, 86_400_000, -86_400_000]) {
    nowMs += step;
    (await admission.admit(rules, demandOf(10))).settle(settled(10));
    clock.advance(1_000);
    await turn();
  }
  assert.equal(spend.spent(1), 50);
  assert.equal(spend.rowsOf("a").reduce((sum, { requests }) => sum + requests, 0), 5);
});

Deno.test("while the database cannot be used, the lease goes on and nothing else; tokens without a budget do not notice", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission, failures } = stageOf(clock, spend.store("a"));
  const rules = budget(1_000);
  const first = admission.admit(rules, demandOf(4));
  await turn();
  spend.calls.shift()?.end("answer");
  (await first).settle(settled(4));
  // The lease is a hundredth of the budget.
  const within = admission.admit(rules, demandOf(6));
  assert.ok(!(within instanceof Promise));
  const beyond = admission.admit(rules, demandOf(6));
  await turn();
  spend.calls.shift()?.end("fail");
  await assert.rejects(async () => await beyond, { status: 503, code: "budget_unavailable" });
  assert.equal(failures.length, 1);
  const silent = admission.admit(rules, demandOf(6));
  const told = assert.rejects(async () => await silent, { status: 503, code: "budget_unavailable" });
  await turn();
  clock.advance(5_000);
  await told;
  assert.ok(!(admission.admit(rulesOf({ rpm: 5 }, { id: 2, name: "bob" }), demandOf(6)) instanceof Promise));
  spend.calls.shift()?.end("lose");
  await turn();
  within.settle(settled(6));
  const stopped = admission.stop();
  await turn();
  for (const call of spend.calls.splice(0)) call.end("answer");
  await turn();
  for (const call of spend.calls.splice(0)) call.end("answer");
  await stopped;
  assert.deepEqual([spend.spent(1), spend.leased(1)], [10, 0]);
});

Deno.test("without a store, a token with a budget is refused", () => {
  const { admission } = stageOf(new FakeClock(), null);
  assert.equal(refusalOf(() => admission.admit(budget(10), demandOf(1))).code, "budget_unavailable");
});

Deno.test("a refused request takes nothing: not of the requests, the tokens, nor the places", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission } = stageOf(clock, spend.store("a", true));
  const rules = rulesOf({ rpm: 10, tpm: 1_000, maxParallel: 5, budget: { nano: 10, period: "total" } });
  const demand = demandOf(11, { maxTokens: 300 });
  for (let time = 0; time < 50; time++) {
    await assert.rejects(async () => await admission.admit(rules, demand), { code: "insufficient_quota" });
    refusalOf(() =>
      admission.admit(rules, {
        ...demand,
        candidates: demand.candidates,
        inbound: { ...demand.inbound, model: "x" },
      })
    );
  }
  const admitted = await admission.admit(rules, demandOf(1));
  const fields = Object.fromEntries(admitted.headers ?? []);
  assert.equal(fields["x-ratelimit-remaining-requests"], "9");
  admitted.withdraw();
  admitted.withdraw();
  admitted.settle(settled(5));
  const after = Object.fromEntries((await admission.admit(rules, demandOf(1))).headers ?? []);
  assert.equal(after["x-ratelimit-remaining-requests"], "9");
});

Deno.test("a charge that grows after its end is corrected, once", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission, overshoots } = stageOf(clock, spend.store("a", true));
  const admitted = await admission.admit(budget(1_000), demandOf(10));
  admitted.settle(settled(8));
  admitted.settle(settled(500));
  admitted.resettle(settled(12));
  admitted.resettle(settled(11));
  clock.advance(1_000);
  await turn();
  assert.deepEqual([spend.spent(1), spend.rowsOf("a")[0]?.requests, overshoots], [11, 1, []]);
});

Deno.test("alerts come once at 80 % and once at 100 %, in each period, and not again after a restart", async () => {
  const [clock, spend] = [new FakeClock(Date.UTC(2026, 0, 30)), new FakeSpend()];
  const spendOf = async ({ admission }: Stage, nano: number) => {
    (await admission.admit(budget(100, "day"), demandOf(1))).settle(settled(nano));
    clock.advance(1_000);
    await turn();
  };
  const first = stageOf(clock, spend.store("a", true));
  await spendOf(first, 79);
  assert.deepEqual(first.alerts, []);
  await spendOf(first, 1);
  await spendOf(first, 1);
  assert.deepEqual(first.alerts, [{
    type: "budget_near",
    client: "amy",
    budget: "0.0000001/day",
    spentUsd: "0.00000008",
  }]);
  const second = stageOf(clock, spend.store("b", true));
  second.admission.tokensChanged([budget(100, "day")]);
  await turn();
  await spendOf(second, 1);
  assert.deepEqual(second.alerts, []);
  await spendOf(second, 50);
  await assert.rejects(async () => await second.admission.admit(budget(100, "day"), demandOf(1)));
  assert.deepEqual(second.alerts.map(({ type }) => type), ["budget_reached"]);
  assert.deepEqual(second.overshoots, [32]);
  clock.advance(86_400_000);
  await spendOf(second, 85);
  assert.deepEqual(second.alerts.map(({ type }) => type), ["budget_reached", "budget_near"]);
});

Deno.test("what is left too small for any request counts as reached", async () => {
  const [clock, spend] = [new FakeClock(), new FakeSpend()];
  const { admission, alerts } = stageOf(clock, spend.store("a", true));
  (await admission.admit(budget(100), demandOf(90))).settle(settled(90));
  for (let time = 0; time < 3; time++) {
    await assert.rejects(async () => await admission.admit(budget(100), demandOf(20)), {
      code: "insufficient_quota",
    });
  }
  assert.deepEqual(alerts.map(({ type }) => type), ["budget_near", "budget_reached"]);
});

/** Reproducible, uniform in [0, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const BUDGET = 1_000;

interface Server {
  readonly name: string;
  readonly stage: Stage;
  readonly open: { readonly admission: Admission; readonly estimate: number }[];
}

/** One random schedule over three servers with one store; returns by how much the budget was exceeded and might have been. */
async function schedule(
  seed: number,
): Promise<{ readonly over: number; readonly bound: number; readonly served: number }> {
  const random = generator(seed);
  const below = (limit: number) => Math.floor(random() * limit);
  const clock = new FakeClock();
  const spend = new FakeSpend();
  const period = random() < 0.5 ? "total" : "day";
  const rules = budget(BUDGET, period);
  let made = 0;
  const make = (): Server => {
    const name = `server-${made++}`;
    return { name, stage: stageOf(clock, spend.store(name)), open: [] };
  };
  const servers = [make(), make(), make()];
  const dayNow = () => new Date(clock.now()).toISOString().slice(0, 10);
  /** What was truly spent, by day, and by how much it exceeded its estimates. */
  const truth = new Map<string, number>();
  let bound = 0;
  let served = 0;
  const spendTruly = (nano: number) => void truth.set(dayNow(), (truth.get(dayNow()) ?? 0) + nano);
  const admit = (server: Server) => {
    const estimate = 1 + below(120);
    const add = (admission: Admission) => void server.open.push({ admission, estimate });
    try {
      const admitted = server.stage.admission.admit(rules, demandOf(estimate));
      if (admitted instanceof Promise) admitted.then(add, () => {});
      else add(admitted);
    } catch {
      // Refused.
    }
  };
  const end = (server: Server) => {
    const [one] = server.open.splice(below(server.open.length), 1);
    if (one === undefined) return;
    const cost = random() < 0.1 ? one.estimate + below(30) : below(one.estimate + 1);
    bound += Math.max(0, cost - one.estimate);
    spendTruly(cost);
    served++;
    one.admission.settle(settled(cost));
  };
  const crash = (at: number) => {
    const server = servers[at];
    if (server === undefined) return;
    // Whatever it asked may still arrive, or not.
    for (const call of spend.calls.filter(({ source }) => source === server.name)) {
      spend.calls.splice(spend.calls.indexOf(call), 1);
      call.end(random() < 0.5 ? "lose" : "fail");
    }
    for (const { estimate } of server.open.splice(0)) spendTruly(below(estimate + 1));
    spend.bury(server.name, dayNow());
    servers[at] = make();
  };
  for (let step = 0; step < 400; step++) {
    const server = servers[below(servers.length)];
    if (server === undefined) continue;
    const chance = random();
    if (chance < 0.45) admit(server);
    else if (chance < 0.75) end(server);
    else if (chance < 0.95) {
      const fates: readonly Fate[] = ["answer", "answer", "answer", "fail", "lose"];
      spend.calls.splice(below(spend.calls.length), 1)[0]?.end(fates[below(fates.length)] ?? "answer");
    } else if (chance < 0.98) clock.advance(below(3_000));
    else if (chance < 0.99 && period === "day") clock.advance(below(20 * 3_600_000));
    else if (chance >= 0.995) crash(below(servers.length));
    for (let each = 0; each < 3; each++) await Promise.resolve();
    // Whatever dies now, the store knows enough.
    const fromDay = period === "day" ? dayNow() : "";
    assert.ok(
      spend.spent(1, fromDay) + spend.leased(1) <= BUDGET + bound,
      `seed ${seed}, step ${step}: rows and leases`,
    );
    const underWay = servers.flatMap(({ open }) => open).reduce((sum, { estimate }) => sum + estimate, 0);
    const spentNow = period === "day"
      ? truth.get(dayNow()) ?? 0
      : [...truth.values()].reduce((sum, nano) => sum + nano, 0);
    assert.ok(spentNow + underWay <= BUDGET + bound, `seed ${seed}, step ${step}: spent and reserved`);
  }
  const most = period === "day"
    ? Math.max(0, ...truth.values())
    : [...truth.values()].reduce((sum, nano) => sum + nano, 0);
  return { over: Math.max(0, most - BUDGET), bound, served };
}

Deno.test("over random schedules of three servers with failures and crashes, spending stays within the budget and the errors of the estimates", async () => {
  let [served, most] = [0, 0];
  for (let seed = 1; seed <= 300; seed++) {
    const result = await schedule(seed);
    assert.ok(result.over <= result.bound, `seed ${seed}`);
    served += result.served;
    most = Math.max(most, result.over);
  }
  console.log(`300 schedules: ${served} requests served, largest overshoot ${most} of ${BUDGET}`);
  assert.ok(served > 5_000, String(served));
});
