/** What the end of a reply means for the record. */
import assert from "node:assert/strict";
import { errorOfText } from "../../../../src/core/reported_error.ts";
import type { CapturedReply } from "../../../../src/core/types.ts";
import type { ReplyProblem } from "../../../../src/proxy/assess/assessment.ts";
import { type ReplyFacts, verdictOnRelay, verdictOnWhole } from "../../../../src/proxy/ledger/verdict.ts";

function captured(isComplete: boolean, finishReason: string | null = null): CapturedReply {
  return {
    text: "",
    reasoning: "",
    toolCalls: [],
    model: null,
    finishReason,
    usage: null,
    bytes: 1,
    isComplete,
    isTruncated: false,
    parseErrors: 0,
  };
}

const FACTS: ReplyFacts = {
  status: 200,
  isEventStream: true,
  hasContent: true,
  error: null,
  defect: null,
  isLookUp: false,
};
const ERROR = errorOfText("no");

Deno.test("verdictOnRelay() calls nothing complete that is not", () => {
  const outcome = (isComplete: boolean, facts: Partial<ReplyFacts>) =>
    verdictOnRelay({ type: "end" }, captured(isComplete), { ...FACTS, ...facts }).outcome;
  assert.equal(outcome(true, {}), "complete");
  assert.equal(outcome(false, {}), "upstream_cut");
  assert.equal(outcome(true, { error: ERROR }), "error_event");
  assert.equal(outcome(false, { isEventStream: false, defect: "unreadable" }), "error_event");
  assert.equal(outcome(true, { hasContent: false }), "empty");
  assert.equal(
    verdictOnRelay({ type: "terminal" }, captured(false), { ...FACTS, isEventStream: false }).outcome,
    "upstream_cut",
  );
});

Deno.test("verdictOnRelay() of a look-up asks only whether it came whole", () => {
  for (const facts of [{ error: ERROR }, { hasContent: false }, {}]) {
    const all = { ...FACTS, ...facts, isLookUp: true };
    assert.equal(verdictOnRelay({ type: "end" }, captured(true), all).outcome, "complete");
    assert.equal(verdictOnRelay({ type: "terminal" }, captured(false), all).outcome, "complete");
    assert.equal(
      verdictOnRelay({ type: "cut", message: "gone" }, captured(false), all).outcome,
      "upstream_cut",
    );
  }
});

Deno.test("verdictOnWhole() calls a finished answer without a word complete, and no other problem", () => {
  const problem = (isFinished: boolean): ReplyProblem => (
    { type: "bad_reply", message: "the reply says nothing", isCut: false, isFinished, error: null }
  );
  assert.equal(verdictOnWhole(200, captured(true, "length"), problem(true)).outcome, "complete");
  assert.deepEqual(verdictOnWhole(200, captured(false), problem(false)), {
    outcome: "error_event",
    status: 200,
    error: "the reply says nothing",
    errorClass: "bad_reply",
  });
  assert.equal(verdictOnWhole(200, captured(false), null).outcome, "upstream_cut");
});
