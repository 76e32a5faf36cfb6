import assert from "node:assert/strict";
import { endsOfIds, isPartOfId, pictureOf, withPictureWords } from "../../../../src/store/search/parts.ts";

Deno.test("endsOfIds() gives every end of a run of letters and digits, and of nothing else", () => {
  assert.deepEqual(endsOfIds("see AB12CD34, please"), ["B12CD34", "12CD34", "2CD34", "CD34"]);
  for (const text of ["", "words only", "1234567890", "gpt4", "a1", "x".repeat(80) + "1", "中文12345678"]) {
    assert.deepEqual(endsOfIds(text), [], text);
  }
});

Deno.test("endsOfIds() is bounded, whatever the text", () => {
  for (const text of ["a1b2c3d4e5 ".repeat(10_000), "a1".repeat(1_000_000), `${"1".repeat(1_000_000)}a`]) {
    assert.ok(endsOfIds(text).reduce((sum, end) => sum + end.length, 0) <= 8 * 1024);
  }
});

Deno.test("pictures become words, and words pictures", () => {
  assert.equal(withPictureWords("a👍b"), "a u1f44d b");
  assert.equal(pictureOf("u1f44d"), "👍");
  for (const word of ["u", "u41", "uffffff", "thumb", "u1f44d1f44d"]) {
    assert.equal(pictureOf(word), null, word);
  }
  assert.deepEqual(["9D44C745", "abcd", "1234", "a1", "a-b1"].map(isPartOfId), [
    true,
    false,
    false,
    false,
    false,
  ]);
});
