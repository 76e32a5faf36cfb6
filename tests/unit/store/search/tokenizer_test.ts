/**
 * The tokenizer without a table, compared with that of FTS5.
 */
import assert from "node:assert/strict";
import { MemoryIndex } from "../../../../src/store/search/memory_index.ts";
import { normalizeForSearch } from "../../../../src/store/search/text.ts";
import { Tokenizer } from "../../../../src/store/search/tokenizer.ts";

/** Checks that both see the same words. */
function compare(texts: Iterable<string>): void {
  const tokenizer = new Tokenizer();
  const index = new MemoryIndex();
  for (const text of texts) {
    assert.deepEqual(tokenizer.wordsOf(text), index.wordsOf(text), JSON.stringify(text));
  }
  tokenizer.close();
  index.close();
}

Deno.test("wordsOf() sees the words that FTS5 sees", () => {
  compare([
    "",
    "a",
    "Hello, World! x",
    "ÄÖÜ straße ﬁn İstanbul ΣΊΣΥΦΟΣ",
    "e\u0301te\u0301 \u0301start end\u0301",
    "\u0301\u0302",
    "don't e-mail_x 1.5 a/b",
    "NUL\0in",
    normalizeForSearch("你好世界 日本語テスト ภาษาไทย 👍🏽 🇩🇪 1️⃣"),
    "\u{10400}\u{1d7d8}\u{1f44d}\u{e000}\ue000x",
    "x".repeat(40_000).slice(0, 30_000),
    "\n\t tabs\u00a0nbsp\u200bzwsp\u200dzwj\ufeffbom",
  ]);
});

Deno.test("wordsOf() judges every character as FTS5 does: alone, at the beginning, in the middle, at the end", () => {
  // All of the first plane, and where the others have letters, numbers or marks.
  function* texts(): Generator<string> {
    for (let first = 1; first < 0x20000; first += 4_096) {
      const parts: string[] = [];
      for (let code = first; code < first + 4_096; code++) {
        if (code >= 0xd800 && code < 0xe000) continue;
        const character = String.fromCodePoint(code);
        parts.push(`A${character}b ${character} ${character}c d${character}`);
      }
      yield parts.join(" ");
    }
  }
  compare(texts());
});
