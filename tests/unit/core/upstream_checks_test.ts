import assert from "node:assert/strict";
import type { HealthReport } from "../../../src/core/blame.ts";
import { availability } from "../../../src/core/breaker.ts";
import { type CheckResult, UpstreamStates } from "../../../src/core/upstream_states.ts";

class Bench {
  nowMs = 0;
  readonly states = new UpstreamStates(() => {});
  readonly #subject = { model: "m", kind: "chat", client: "c", credential: () => "c" } as const;

  check(...results: CheckResult[]): string {
    for (const result of results) this.states.checked(result, "check", this.#moment());
    return this.word();
  }

  report(...reports: HealthReport[]): string {
    for (const report of reports) this.states.report(this.#subject, { report, reason: "" }, this.#moment());
    return this.word();
  }

  /** Of the whole upstream. */
  word(): string {
    const [cell] = this.states.unwell();
    if (cell === undefined) return "closed";
    return `${cell.model === null ? "whole" : "model"} ${availability(cell.state, this.nowMs)}`;
  }

  #moment() {
    return { nowMs: this.nowMs, startedMs: this.nowMs, maxOutageMs: 60_000 };
  }
}

const OUTAGE: HealthReport = { type: "failed", at: "upstream", cause: "outage" };

Deno.test("three checks in a row that fail open the breaker, fewer do not", () => {
  assert.equal(new Bench().check("outage", "outage", "outage"), "whole cooling");
  assert.equal(new Bench().check("outage", "outage", "reached", "outage", "outage"), "closed");
  assert.equal(new Bench().check("no_credit"), "whole cooling");
  assert.equal(new Bench().check("refusal", "refusal", "refusal"), "whole cooling");
});

Deno.test("checks and requests count together", () => {
  const bench = new Bench();
  bench.report(OUTAGE, OUTAGE);
  assert.equal(bench.check("outage"), "whole cooling");
});

Deno.test("a check ends an outage at once, and only that", () => {
  const down = new Bench();
  down.report(OUTAGE, OUTAGE, OUTAGE);
  down.nowMs = 10_000;
  assert.equal(down.check("reached"), "closed");
  const throttled: HealthReport = { type: "throttled", by: "router", forMs: 60_000 };
  for (
    const reports of [
      Array(3).fill({ type: "refused", by: "router" }),
      [{ type: "no_credit", by: "router", isCertain: true }],
      [throttled],
      Array(3).fill({ type: "failed", at: "model", cause: "outage" }),
    ] as HealthReport[][]
  ) {
    const bench = new Bench();
    const before = bench.report(...reports);
    bench.nowMs = 10_000;
    bench.check("reached");
    assert.notEqual(bench.word(), "closed", before);
  }
});

Deno.test("a check forgives no refusal that clients have met", () => {
  const bench = new Bench();
  const refused: HealthReport = { type: "refused", by: "router" };
  bench.report(refused, refused);
  bench.check("reached");
  assert.equal(bench.report(refused), "whole cooling");
});

Deno.test("a key that has served a client may be refused the list alone", () => {
  const bench = new Bench();
  bench.report({ type: "served" });
  assert.equal(bench.check("refusal", "refusal", "refusal"), "closed");
});

Deno.test("an outage that a check meets does not hide that there is no credit", () => {
  const bench = new Bench();
  bench.report({ type: "no_credit", by: "router", isCertain: true });
  bench.nowMs = 11 * 60_000;
  bench.check("outage", "reached");
  assert.notEqual(bench.word(), "closed");
});

Deno.test("a check that ends an outage leaves a wait that the upstream asked for meanwhile", () => {
  const bench = new Bench();
  bench.report(OUTAGE, OUTAGE, OUTAGE);
  bench.nowMs = 10_000;
  bench.report({ type: "throttled", by: "router", forMs: 60_000 });
  assert.equal(bench.check("reached"), "model cooling");
  bench.nowMs = 60_000;
  assert.equal(bench.check("reached"), "model cooling");
});
