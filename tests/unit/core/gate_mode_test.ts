import assert from "node:assert/strict";
import { RouterError } from "../../../src/core/errors.ts";
import { askedGate } from "../../../src/core/gate_mode.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";

function asked(...values: readonly string[]): ReturnType<typeof askedGate> {
  return askedGate(new HeaderFields(values.map((value) => ["x-oar-gate", value])));
}

Deno.test("askedGate() reads the mode that a request asks for", () => {
  assert.equal(asked(), null);
  assert.equal(asked("whole"), "whole");
  assert.equal(asked(" Content "), "content");
  assert.equal(asked("NONE"), "none");
});

Deno.test("askedGate() refuses everything else, and says what is accepted", () => {
  for (const values of [["off"], [""], ["whole", "whole"], ["whole, none"]]) {
    const error = asked(...values);
    assert.ok(error instanceof RouterError);
    assert.equal(error.status, 400);
    assert.match(error.message, /whole, content or none/);
  }
});
