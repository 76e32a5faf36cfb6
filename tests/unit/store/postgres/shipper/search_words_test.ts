/**
 * The words of a record as a `tsvector`.
 */
import assert from "node:assert/strict";
import {
  lexemeOf,
  searchWords,
  SOME_POSITIONS_MISSING,
  SOME_WORDS_MISSING,
} from "../../../../../src/store/postgres/shipper/search_words.ts";
import { Tokenizer } from "../../../../../src/store/search/tokenizer.ts";

const tokenizer = new Tokenizer();

function wordsOf(body: string, response = ""): string {
  return searchWords({ body, response, reasoning: null, toolCalls: [] }, tokenizer);
}

/** Positions by lexeme, and the size as PostgreSQL counts it. */
function read(vector: string): { readonly positions: Map<string, number[]>; readonly bytes: number } {
  const positions = new Map<string, number[]>();
  let bytes = 0;
  for (const [, lexeme = "", list] of vector.matchAll(/'([^']*)'(?::([\d,]+))?/g)) {
    assert.ok(!positions.has(lexeme), `${lexeme} is there twice`);
    const numbers = list === undefined ? [] : list.split(",").map(Number);
    positions.set(lexeme, numbers);
    bytes += new TextEncoder().encode(lexeme).length + 1 + (numbers.length > 0 ? 2 + 2 * numbers.length : 0);
  }
  return { positions, bytes };
}

Deno.test("request and reply have positions, with a gap between them that no phrase bridges", () => {
  assert.equal(wordsOf("Hello big World hello", "reply"), "'hello':1,4 'big':2 'world':3 'reply':13");
});

Deno.test("Chinese and Japanese are words by character, JSON is unpacked, accents and case do not count", () => {
  assert.equal(wordsOf('{"messages":[{"role":"user","content":"你好 Été"}]}'), "'你':1 '好':2 'ete':3");
});

Deno.test("nothing to find is no text", () => {
  assert.equal(wordsOf("", "!?"), "");
});

Deno.test("a word beyond the last position is there without one, and the record says so", () => {
  const { positions } = read(wordsOf(Array.from({ length: 16_400 }, (_, n) => `w${n}`).join(" ")));
  assert.deepEqual(positions.get("w16382"), [16_383]);
  assert.deepEqual(positions.get("w16383"), []);
  assert.ok(positions.has(SOME_POSITIONS_MISSING));
  assert.ok(!positions.has(SOME_WORDS_MISSING));
});

Deno.test("a lexeme has at most 255 positions", () => {
  const { positions } = read(wordsOf("的 ".repeat(300)));
  assert.equal(positions.get("的")?.length, 255);
  assert.ok(positions.has(SOME_POSITIONS_MISSING));
  assert.ok(!read(wordsOf("的 ".repeat(255))).positions.has(SOME_POSITIONS_MISSING));
});

Deno.test("more than a vector holds is left out, and the record says so", () => {
  const words = Array.from({ length: 60_000 }, (_, n) => `${"ж".repeat(12)}${n}`).join(" ");
  const { positions, bytes } = read(wordsOf(words, words.replaceAll("ж", "щ")));
  assert.ok(bytes < 2 ** 20, `${bytes} bytes`);
  assert.ok(positions.size > 20_000);
  assert.ok(positions.has(SOME_WORDS_MISSING));
});

Deno.test("lexemeOf() cuts a word to 2,000 bytes, between characters", () => {
  assert.equal(lexemeOf("short"), "short");
  assert.equal(lexemeOf("ж".repeat(1_000)), "ж".repeat(1_000));
  assert.equal(lexemeOf(`a${"ж".repeat(1_000)}`), `a${"ж".repeat(999)}`);
  assert.equal(lexemeOf("语".repeat(700)), "语".repeat(666));
  assert.equal(lexemeOf("𝒳".repeat(501)), "𝒳".repeat(500));
});
