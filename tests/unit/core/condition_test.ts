import assert from "node:assert/strict";
import { SHOWN_STATES } from "../../../src/core/breaker.ts";
import { conditionOf } from "../../../src/core/condition.ts";

const USED = { isUsable: true, isEnabled: true, isTested: true } as const;

Deno.test("a row that cannot be used, and one that is disabled, are that before all else", () => {
  for (const breaker of SHOWN_STATES) {
    assert.equal(conditionOf({ ...USED, breaker, isUsable: false, isEnabled: false }), "skipped");
    assert.equal(conditionOf({ ...USED, breaker, isEnabled: false }), "disabled");
  }
});

Deno.test("what nobody has tested is not ok; what fails is failing, tested or not", () => {
  const words = (isTested: boolean) =>
    SHOWN_STATES.map((breaker) => conditionOf({ ...USED, breaker, isTested }));
  assert.deepEqual(words(true), ["ok", "failing", "trying", "no_credit"]);
  assert.deepEqual(words(false), ["untested", "failing", "trying", "no_credit"]);
});
