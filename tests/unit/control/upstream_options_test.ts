/** The options of an upstream as they are given. */
import assert from "node:assert/strict";
import { readOptionTexts, toOptionValues } from "../../../src/control/upstream_options.ts";

Deno.test("a patch with a number that JSON cannot carry is refused, and not stored as null, which would remove the member", () => {
  for (const bodyPatch of ['{"a":1e999}', '{"a":{"b":[-1e400]}}', '{"a":9007199254740993}']) {
    assert.throws(
      () => toOptionValues(readOptionTexts({ bodyPatch })),
      /bodyPatch holds a number/,
      bodyPatch,
    );
  }
  assert.deepEqual(toOptionValues({ bodyPatch: { a: null, b: 1.5 } }), { body_patch: '{"a":null,"b":1.5}' });
});
