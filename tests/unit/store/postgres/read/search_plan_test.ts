/** What is typed into the search, as a `tsquery`. What it finds: tests/contract. */
import assert from "node:assert/strict";
import { PgError } from "../../../../../src/store/postgres/errors.ts";
import type { PgStore } from "../../../../../src/store/postgres/query.ts";
import { planSearch } from "../../../../../src/store/postgres/read/search_plan.ts";
import { Tokenizer } from "../../../../../src/store/search/tokenizer.ts";

/** A database in which so many words share a beginning. */
function words(count: number): Pick<PgStore, "read"> {
  return { read: <Row>() => Promise.resolve([{ count }] as Row[]) };
}

async function planned(text: string, db = words(1)): Promise<string | null> {
  const tokenizer = new Tokenizer();
  try {
    return (await planSearch(db, { text, tokenizer }))?.sure ?? null;
  } finally {
    tokenizer.close();
  }
}

Deno.test("planSearch() makes words, beginnings and phrases", async () => {
  const plans = [
    ["fox", "('fox':*)"],
    ["Quick FOX", "('quick':*) & ('fox':*)"],
    ['"quick brown"', "('quick' <-> 'brown')"],
    ["gpt-4o", "('gpt' <-> '4o':*)"],
    ["机场", "('机' <-> '场')"],
    ["crème %", "('creme':*)"],
    ["'a' | !b & c:*", "('a':*) & ('b':*) & ('c':*)"],
    ["%", null],
    ["\\", null],
  ] as const;
  for (const [text, sure] of plans) assert.equal(await planned(text), sure, text);
});

Deno.test("planSearch() takes a short beginning of very many words as a whole word", async () => {
  assert.equal(await planned("ab", words(256)), "('ab':*)");
  assert.equal(await planned("ab", words(257)), "('ab')");
  assert.equal(await planned("abc", words(257)), "('abc':*)");
});

Deno.test("planSearch() takes a short beginning as a whole word when its words cannot be counted in time", async () => {
  const error = new PgError("too slow", { kind: "retry", code: "57014", isConnectionLost: false });
  assert.equal(await planned("ab", { read: () => Promise.reject(error) }), "('ab')");
});

Deno.test("records some of whose words or positions are not stored are possible hits", async () => {
  const tokenizer = new Tokenizer();
  try {
    const phrase = await planSearch(words(1), { text: '"quick brown" fox', tokenizer });
    assert.equal(
      phrase?.possible,
      "(('quick' <-> 'brown') & ('fox':*)) | ('+' & ('quick' & 'brown') & ('fox':*)) | '-'",
    );
    assert.equal(phrase.direct, '("quick brown") AND ("fox" *)');
    const word = await planSearch(words(1), { text: "fox", tokenizer });
    assert.equal(word?.possible, "(('fox':*)) | '-'");
  } finally {
    tokenizer.close();
  }
});
