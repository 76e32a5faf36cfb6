/** Which texts of replies are errors. */
import assert from "node:assert/strict";
import { ERROR_TEXT_LENGTH, errorTextsProblem, isErrorText } from "../../../src/core/error_texts.ts";

Deno.test("patterns are globs without case; one without wildcard may stand anywhere in the beginning", () => {
  const pad = "x".repeat(ERROR_TEXT_LENGTH);
  const table: readonly [text: string, pattern: string, isError: boolean][] = [
    ["Your QUOTA exceeded.", "quota exceeded", true],
    ["  quota exceeded", "quota*", true],
    ["your quota exceeded", "quota*", false],
    ["quota exceeded", "*exceeded", true],
    ["quota exceeded today", "*exceeded", false],
    ["a\nquota\nb", "a*b", true],
    [`${pad}quota`, "quota", false],
    ["", "*", false],
    ["余额不足，请充值", "余额不足", true],
  ];
  for (const [text, pattern, isError] of table) {
    assert.equal(isErrorText(text, [pattern], { isOpen: false }), isError, `${pattern} of ${text}`);
  }
  assert.equal(isErrorText("anything", [], { isOpen: false }), false);
});

Deno.test("while more may follow, no pattern matches the end of the text", () => {
  assert.equal(isErrorText("quota exceeded", ["*exceeded"], { isOpen: true }), false);
  assert.equal(isErrorText("quota exceeded", ["exceeded"], { isOpen: true }), true);
});

Deno.test("the patterns are bounded", () => {
  assert.equal(errorTextsProblem(["a"]), null);
  assert.notEqual(errorTextsProblem(["a".repeat(201)]), null);
  assert.notEqual(errorTextsProblem(Array.from({ length: 51 }, () => "a")), null);
});
