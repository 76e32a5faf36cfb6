import assert from "node:assert/strict";
import { parseSearch, termExpression } from "../../../../src/store/search/query.ts";

const TABLE: readonly (readonly [string, readonly string[]])[] = [
  ["", []],
  ["  \t\n", []],
  ["hello", ['"hello" *']],
  ["hello  world", ['"hello" *', '"world" *']],
  ['"hello world"', ['"hello world"']],
  ['say "hello world" twice', ['"say" *', '"hello world"', '"twice" *']],
  ['5" disk', ['"5" *', '"disk" *']],
  ['a""b', ['"a" *', '""', '"b" *']],
  ["NEAR(a b) AND NOT c* OR ^d", [
    '"NEAR(a" *',
    '"b)" *',
    '"AND" *',
    '"NOT" *',
    '"c*" *',
    '"OR" *',
    '"^d" *',
  ]],
  ["request:x {a}", ['"request:x" *', '"{a}" *']],
  ["模型", ['" 模  型 "']],
  ["GPT模型", ['"GPT 模  型 "']],
  ["模型x", ['" 模  型 x" *']],
  ["ＧＰＴ　４", ['"GPT" *', '"4" *']],
  ["a\0b", ['"a" *', '"b" *']],
  ["x\ud800", ['"x\ufffd" *']],
];

Deno.test("parseSearch() quotes everything that it is given", () => {
  for (const [query, expected] of TABLE) {
    assert.deepEqual(parseSearch(query).map(termExpression), expected, JSON.stringify(query));
  }
});

Deno.test("parseSearch() bounds the number of terms and their length", () => {
  assert.equal(parseSearch("w ".repeat(100_000)).length, 32);
  assert.ok((parseSearch("x".repeat(100_000))[0]?.text.length ?? 0) <= 1_000);
});

Deno.test("parseSearch() takes 32 words of all terms together", () => {
  const words = (query: string) =>
    parseSearch(query).flatMap(({ text }) => text.match(/[\p{L}\p{N}]+/gu) ?? []).length;
  assert.equal(words(`"${"a ".repeat(450)}"`), 32);
  assert.equal(words(`"${"a ".repeat(20)}" "${"b ".repeat(20)}"`), 32);
  assert.equal(words("a-".repeat(400)), 32);
  assert.equal(words("\u4f60".repeat(400)), 32);
  assert.equal(parseSearch("a-".repeat(400)).at(-1)?.isPrefix, false);
});
