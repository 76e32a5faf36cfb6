import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { cutBytes, cutText, redactedStart } from "../../../src/core/cut_text.ts";
import { redactSecrets } from "../../../src/core/secrets.ts";

Deno.test("cutText() returns at most maxLength characters, and marks what it cut", () => {
  assert.equal(cutText("12345", 5), "12345");
  assert.equal(cutText("123456", 5), "1234…");
  assert.equal(cutText("", 0), "");
});

Deno.test("cutText() does not split a character", () => {
  assert.equal(cutText("123\u{1f600}67", 5), "123…");
  assert.ok(cutText("\ud83d".repeat(20), 5).length <= 5);
});

Deno.test("redactedStart() shows no part of a secret, wherever it is in the text", () => {
  const secret = "sk-0123456789abcdefghijklmnopqrstuvwxyz";
  const redact = (text: string) => redactSecrets(text, [secret]);
  for (let at = 0; at < 1200; at++) {
    const shown = redactedStart(`${"x".repeat(at)}${secret}${"y".repeat(5_000)}`, 100, redact);
    assert.ok(shown.length <= 101, shown);
    assert.ok(!shown.includes("sk-0"), `${at}: ${shown}`);
  }
});

Deno.test("redactedStart() passes on no more than needed of a long text", () => {
  let seen = 0;
  redactedStart("x".repeat(1_000_000), 100, (text) => {
    seen = text.length;
    return text;
  });
  assert.ok(seen < 2_000, String(seen));
});

Deno.test("cutBytes() returns at most maxBytes of UTF-8, whole characters only, and marks what it cut", () => {
  for (const character of ["a", "é", "水", "🎈"]) {
    const size = Buffer.byteLength(character);
    for (let count = 0; count < 20; count++) {
      const text = character.repeat(count);
      const cut = cutBytes(text, 24);
      if (Buffer.byteLength(text) <= 24) {
        assert.equal(cut, text);
        continue;
      }
      assert.equal(cut, `${character.repeat(Math.floor((24 - 3) / size))}…`);
      assert.ok(cut.isWellFormed() && Buffer.byteLength(cut) <= 24);
    }
  }
});
