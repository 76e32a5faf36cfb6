/** Texts are cut to what a channel takes, never within a character. */
import assert from "node:assert/strict";
import { fitJsonBytes, fitLength } from "../../../src/notify/fit_text.ts";

const jsonBytes = (text: string) => new TextEncoder().encode(JSON.stringify(text)).length - 2;

const SAMPLES = [
  "plain text",
  "上游服务暂时不可用",
  "😀😀😀😀",
  'a "quoted" \\ text',
  "line\nline\nline",
  "a\u0001\u001fb",
  "é".repeat(9),
  "\ud800x\udc00",
];

Deno.test("fitJsonBytes() keeps as much as fits into any number of bytes, and a text that fits as it is", () => {
  for (const text of SAMPLES) {
    const whole = jsonBytes(text);
    for (let max = 3; max <= whole + 2; max++) {
      const fitted = fitJsonBytes(text, max);
      if (whole <= max) {
        assert.equal(fitted, text);
        continue;
      }
      assert.ok(jsonBytes(fitted) <= max, `${text} in ${max}: ${fitted}`);
      assert.ok(fitted.endsWith("…") && text.startsWith(fitted.slice(0, -1)));
      assert.equal(fitted.isWellFormed(), fitted.slice(0, -1).isWellFormed());
      const kept = fitted.slice(0, -1);
      const next = String.fromCodePoint(text.codePointAt(kept.length) ?? 0);
      assert.ok(jsonBytes(kept + next) + 3 > max, "one more character would not fit");
    }
  }
});

Deno.test("fitLength() counts as JavaScript does, and cuts no pair of surrogates", () => {
  assert.equal(fitLength("abcdef", 6), "abcdef");
  assert.equal(fitLength("abcdefg", 6), "abcde…");
  assert.equal(fitLength("abc😀😀", 6), "abc😀…");
  assert.equal(fitLength("abcd😀😀", 6), "abcd…");
  assert.ok(fitLength("😀".repeat(2000), 2000).isWellFormed());
});
