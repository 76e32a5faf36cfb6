import assert from "node:assert/strict";
import { beginning, findText, inParts } from "../../../src/dashboard/record_texts.ts";
import { record } from "./fake_service.ts";

Deno.test("inParts() loses nothing, cuts at line ends if possible, and never within a character", () => {
  for (
    const text of [
      "",
      "short",
      "line\n".repeat(1_000),
      "x".repeat(999),
      "😀".repeat(700),
      `${"a".repeat(95)}\nb`,
    ]
  ) {
    const parts = inParts(text, 100);
    assert.equal(parts.join(""), text);
    assert.ok(parts.every((part) => part.length <= 100 && part.length > 0 && part.isWellFormed()));
  }
  assert.ok(inParts("line\n".repeat(1_000), 99).slice(0, -1).every((part) => part.endsWith("\n")));
});

Deno.test("beginning() does not cut a character in two", () => {
  assert.equal(beginning("ab😀", 3), "ab");
  assert.equal(beginning("ab😀", 4), "ab😀");
});

Deno.test("findText() finds every text of a record by its key", () => {
  const stored = record(1, {
    body: JSON.stringify({
      messages: [{ role: "system", content: "Be kind." }, { role: "user", content: "Hi" }],
    }),
    reasoning: "Hmm.",
    response: "Hello",
    toolCalls: [{ id: null, name: "f", arguments: '{"a":1}' }],
  });
  assert.equal(findText(stored, "t0p0"), "Be kind.");
  assert.equal(findText(stored, "t1p0"), "Hi");
  assert.equal(findText(stored, "reply"), "Hello");
  assert.equal(findText(stored, "reasoning"), "Hmm.");
  assert.equal(findText(stored, "call0"), '{\n  "a": 1\n}');
  assert.equal(findText(stored, "raw-reply"), "Hello");
  assert.match(findText(stored, "raw-request") ?? "", /^\{\n {2}"messages"/);
  for (const key of ["t2p0", "t0p9", "call1", "constructor", "", "t0p0x"]) {
    assert.equal(findText(stored, key), null);
  }
});
