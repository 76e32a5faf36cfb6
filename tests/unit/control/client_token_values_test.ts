import assert from "node:assert/strict";
import {
  type ClientTokenTexts,
  hasRules,
  readClientTokenTexts,
  toClientTokenValues,
} from "../../../src/control/client_token_values.ts";
import { ControlError } from "../../../src/control/errors.ts";

const NOW = Date.UTC(2026, 0, 31, 12);

Deno.test("texts become values, and none clears each", () => {
  const cases: readonly (readonly [texts: ClientTokenTexts, values: Record<string, unknown>])[] = [
    [{}, {}],
    [{ rpm: " 60 " }, { rpm: 60 }],
    [{ tpm: "none", parallel: "" }, { tpm: null, maxParallel: null }],
    [{ budget: "$0.000000001/week" }, { budgetUsd: "0.000000001", budgetPeriod: "week" }],
    [{ budget: "20" }, { budgetUsd: "20", budgetPeriod: "month" }],
    [{ budget: "0/day" }, { budgetUsd: "0", budgetPeriod: "day" }],
    [{ budget: "NONE" }, { budgetUsd: null, budgetPeriod: null }],
    [{ allow: "a*, b", deny: "none" }, { allow: "a*,b", deny: null }],
    [{ upstreams: "" }, { upstreams: null }],
    [{ gate: "none" }, { gate: "none" }],
    [{ gate: "default" }, { gate: null }],
    [{ expires: "90d" }, { expiresAtMs: NOW + 90 * 86_400_000 }],
    [{ expires: "12h" }, { expiresAtMs: NOW + 12 * 3_600_000 }],
    [{ expires: "2w" }, { expiresAtMs: NOW + 14 * 86_400_000 }],
    [{ expires: "2027-01-31" }, { expiresAtMs: Date.UTC(2027, 0, 31) }],
    [{ expires: "2027-01-31T08:00:00+02:00" }, { expiresAtMs: Date.UTC(2027, 0, 31, 6) }],
    [{ expires: "2027-01-31 08:00Z" }, { expiresAtMs: Date.UTC(2027, 0, 31, 8) }],
    [{ expires: "never" }, { expiresAtMs: null }],
  ];
  for (const [texts, values] of cases) {
    assert.deepEqual(toClientTokenValues(readClientTokenTexts(texts, NOW)), values, JSON.stringify(texts));
  }
});

Deno.test("hostile texts are refused in one short sentence", () => {
  const wrong: readonly ClientTokenTexts[] = [
    ...["0", "-1", "1.5", "1e3", "9".repeat(50), "0x10"].flatMap((
      text,
    ) => [{ rpm: text }, { parallel: text }]),
    ...["-1/day", "1/year", "1e9/day", "99999999/day", "1/day/day", "x".repeat(1e5)].map((budget) => ({
      budget,
    })),
    ...["a,,b", "a\u0007", "\u202e", "x".repeat(201), ",".repeat(1e5), "a,".repeat(201) + "a"].flatMap((
      text,
    ) => [
      { allow: text },
      { deny: text },
      { upstreams: text },
    ]),
    ...["whole,content", "constructor"].map((gate) => ({ gate })),
    ...["90", "0", "99999999d", "2026-02-30x", "1e9d", "10000-01-01", "d"].map((expires) => ({ expires })),
  ];
  for (const texts of wrong) {
    const shown = JSON.stringify(texts).slice(0, 60);
    assert.throws(
      () => toClientTokenValues(readClientTokenTexts(texts, NOW)),
      (error: unknown) =>
        error instanceof ControlError && error.code === "invalid" && error.message.length < 300,
      shown,
    );
  }
});

Deno.test("only what restricts makes a token a row", () => {
  assert.ok(!hasRules({ name: "a", allow: [], rpm: null, isEnabled: true }));
  for (
    const rules of [
      { rpm: 1 },
      { allow: ["a"] },
      { budgetUsd: 0 },
      { isEnabled: false },
      { gate: "none" } as const,
    ]
  ) {
    assert.ok(hasRules(rules), JSON.stringify(rules));
  }
});
