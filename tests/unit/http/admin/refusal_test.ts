import assert from "node:assert/strict";
import { ControlError, invalidValue } from "../../../../src/control/errors.ts";
import { RouterError } from "../../../../src/core/errors.ts";
import { refusalOf } from "../../../../src/http/admin/refusal.ts";

Deno.test("an error of an operation has a status, a code and one sentence with its hint", () => {
  const cases: readonly [error: ControlError, status: number, code: string, message: string][] = [
    [invalidValue("timeoutSeconds", "cannot be 0"), 400, "invalid_request", "timeoutSeconds cannot be 0"],
    [
      new ControlError("duplicate", "upstream 1 is named a already", { hint: "choose another name" }),
      409,
      "duplicate",
      "Upstream 1 is named a already; choose another name",
    ],
    [
      new ControlError("conflict", "token a is the only token"),
      409,
      "invalid_request",
      "Token a is the only token",
    ],
    [new ControlError("not_replayable", "it was cut"), 409, "not_replayable", "It was cut"],
    [
      new ControlError("failed", "the replay left no record"),
      500,
      "internal_error",
      "The replay left no record",
    ],
  ];
  for (const [error, status, code, message] of cases) {
    const refusal = refusalOf(error);
    assert.deepEqual([refusal?.status, refusal?.code, refusal?.message], [status, code, message]);
  }
});

Deno.test("a refusal stays as it is, and a fault of the program is none", () => {
  const refusal = new RouterError(404, "not_found", "Nothing is here");
  assert.equal(refusalOf(refusal), refusal);
  assert.equal(refusalOf(new TypeError("x is undefined")), null);
});
