import assert from "node:assert/strict";
import { answerRank, isTelling } from "../../../src/core/answer_rank.ts";
import type { AttemptOutcome } from "../../../src/core/types.ts";

const response = (status: number): AttemptOutcome => ({ type: "response", status });

function inBand(code: string | null, type: string | null, isCut = false): AttemptOutcome {
  return { type: "bad_stream", message: "", isCut, isFinished: false, error: { message: "m", code, type } };
}

const finished: AttemptOutcome = {
  type: "bad_reply",
  message: "",
  isCut: false,
  isFinished: true,
  error: null,
};

Deno.test("answerRank() prefers what tells the client most", () => {
  /** Best first; those of one line are equals. */
  const order: AttemptOutcome[][] = [
    [finished],
    [response(400), response(413), response(415), response(422)],
    [inBand(null, "invalid_request_error"), inBand("context_length_exceeded", null), inBand("400", null)],
    [response(404)],
    [inBand("model_not_found", "invalid_request_error"), inBand(null, "not_found_error")],
    [response(429)],
    [inBand("429", null), inBand(null, "rate_limit_error")],
    [response(401), response(403)],
    [inBand("invalid_api_key", "invalid_request_error"), inBand(null, "PERMISSION_DENIED")],
    [response(500), response(503), response(529), response(599)],
    [inBand(null, "overloaded_error"), inBand(null, null), inBand("1302", null)],
    [response(402), response(409), response(418), response(451)],
    [{ ...finished, isFinished: false }],
  ];
  const ranks = order.map((equals) => [...new Set(equals.map(answerRank))]);
  for (const [at, equals] of ranks.entries()) {
    assert.equal(equals.length, 1, JSON.stringify(order[at]));
    if (at > 0) assert.ok(Number(ranks[at - 1]?.[0]) < Number(equals[0]), JSON.stringify(order[at]));
  }
  assert.deepEqual(order.map(([outcome]) => isTelling(Number(outcome && answerRank(outcome)))), [
    ...[true, true, true, true, true],
    ...[false, false, false, false, false, false, false, false],
  ]);
});

Deno.test("answerRank() of what cannot be relayed is null", () => {
  const none: AttemptOutcome[] = [
    response(302),
    response(600),
    response(99),
    { type: "connect_error", message: "", isReset: false },
    { type: "timeout", phase: "headers", limitMs: 1 },
    { type: "timeout", phase: "first_token", limitMs: 1 },
    { type: "no_credential" },
    { type: "client_gone" },
    inBand("400", null, true),
    { ...finished, isCut: true },
  ];
  for (const outcome of none) assert.equal(answerRank(outcome), null, JSON.stringify(outcome));
});
