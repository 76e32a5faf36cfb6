/** What the record of a request says that it used. */
import assert from "node:assert/strict";
import type { CapturedReply, Outcome } from "../../../../src/core/types.ts";
import type { Usage } from "../../../../src/core/usage.ts";
import { recordedUsage } from "../../../../src/proxy/ledger/recorded_usage.ts";

const BEGUN: Usage = { inputTokens: 1_000, outputTokens: 1, cachedTokens: 5, reasoningTokens: null };

function recorded(outcome: Outcome, fields: Partial<CapturedReply>, usage = BEGUN) {
  const captured: CapturedReply = {
    ...{ model: "claude", text: "word ".repeat(500), reasoning: "", toolCalls: [], finishReason: null },
    ...{ usage, bytes: 9_000, isTruncated: false, isComplete: outcome === "complete", parseErrors: 0 },
    ...fields,
  };
  return recordedUsage({ outcome, captured }, {
    inbound: { kind: "messages", method: "POST" },
    requestText: { text: "{}", isTruncated: false, bytes: 2 },
  });
}

Deno.test("whoever leaves before the last report used what was said until then", () => {
  for (const outcome of ["client_gone", "upstream_cut", "idle_timeout", "error_event"] as const) {
    const { usage, areTokensEstimated } = recorded(outcome, {});
    const { outputTokens, ...rest } = usage ?? BEGUN;
    assert.deepEqual(rest, { inputTokens: 1_000, cachedTokens: 5, reasoningTokens: null }, outcome);
    assert.ok((outputTokens ?? 0) > 400, `${outcome}: ${outputTokens}`);
    assert.ok(areTokensEstimated, outcome);
  }
});

Deno.test("a report that is the last, or near what was said, stays as it is", () => {
  const isKept = ({ usage, areTokensEstimated }: ReturnType<typeof recorded>, output: number) =>
    assert.deepEqual([usage?.outputTokens, areTokensEstimated], [output, false]);
  isKept(recorded("complete", {}), 1);
  isKept(recorded("client_gone", { finishReason: "end_turn" }), 1);
  isKept(recorded("client_gone", {}, { ...BEGUN, outputTokens: 450 }), 450);
  isKept(recorded("client_gone", { text: "" }), 1);
});
