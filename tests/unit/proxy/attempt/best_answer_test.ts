import assert from "node:assert/strict";
import { HeldBudget } from "../../../../src/proxy/assess/held_budget.ts";
import { BestAnswer, type FailedAnswer } from "../../../../src/proxy/attempt/best_answer.ts";
import { HeaderFields } from "../../../../src/core/header_fields.ts";
import { createCapture } from "../../../../src/capture/create.ts";
import { anUpstream } from "../../../support/upstream_value.ts";

function anAnswer(rank: number, bytes: number): FailedAnswer {
  const captured = createCapture({ kind: "chat", status: 400, contentType: null, isEventStream: false })
    .finish(true);
  const head = { upstream: anUpstream(), status: 400, headers: new HeaderFields(), contentLength: null };
  const reply = { ...head, type: "whole", bytes: new Uint8Array(), captured, problem: null } as const;
  return { reply, rank, error: null, bytes };
}

Deno.test("BestAnswer keeps the best, of equals the last", () => {
  const best = new BestAnswer<string>(new HeldBudget(100));
  assert.deepEqual([best.kept, best.rank], [null, Infinity]);
  for (
    const [name, rank, kept] of [["a", 4, "a"], ["b", 6, "a"], ["c", 4, "c"], ["d", 2, "d"]] as const
  ) {
    best.offer(name, anAnswer(rank, 1));
    assert.equal(best.kept?.attempt, kept);
  }
  assert.equal(best.rank, 2);
});

Deno.test("BestAnswer holds no more memory than that of one answer, and none that the budget has not", () => {
  const budget = new HeldBudget(100);
  const best = new BestAnswer<string>(budget);
  best.offer("a", anAnswer(4, 60));
  best.offer("b", anAnswer(4, 60));
  assert.equal(best.kept?.attempt, "b");
  best.release();
  assert.equal(best.kept, null);
  best.offer("c", anAnswer(4, 101));
  assert.equal(best.kept, null);
  budget.open().take(100);
  assert.equal(budget.isExceeded, false);
});
