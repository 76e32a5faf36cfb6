import assert from "node:assert/strict";
import { type MakeText, plainMs, superlinear } from "../../../support/processor_time.ts";
import { normalizeForSearch, searchText } from "../../../../src/store/search/text.ts";

const NOTHING = { body: null, response: null, reasoning: null, toolCalls: [] };

function requestOf(body: string): string {
  return searchText({ ...NOTHING, body }).request;
}

function replyOf(response: string): string {
  return searchText({ ...NOTHING, response }).reply;
}

Deno.test("searchText() takes the texts of a request, not how they were packed", () => {
  const body = {
    model: "gpt-4o",
    temperature: 0.5,
    stream: true,
    messages: [
      { role: "system", content: "Be brief." },
      { role: "user", content: [{ type: "text", text: "What is this?\nTell me" }] },
      {
        role: "assistant",
        tool_calls: [{ id: "call_1", function: { name: "look", arguments: '{"at":7}' } }],
      },
    ],
  };
  assert.equal(requestOf(JSON.stringify(body)), "Be brief.\nWhat is this?\nTell me\nlook\nat\n7");
});

Deno.test("searchText() finds characters behind JSON escapes, also in JSON inside JSON", () => {
  assert.equal(requestOf('{"input":"\\u0063af\\u00e9"}'), "café");
  assert.equal(requestOf('{"arguments":"{\\"city\\":\\"K\\\\u00f6ln\\\\nWest\\"}"}'), "city\nKöln\nWest");
  assert.equal(replyOf('{"answer":"\\u0041\\nB","n":[1,true,null]}'), "answer\nA\nB\nn\n1\ntrue\nnull");
});

Deno.test("searchText() takes what is not JSON as it is", () => {
  for (const text of ["plain", "{not json", "[link](x)", '"a literal"']) {
    assert.equal(requestOf(text), text);
    assert.equal(replyOf(text), text);
  }
  assert.deepEqual(searchText(NOTHING), { request: "", reply: "" });
});

Deno.test("searchText() leaves out file contents", () => {
  const base64 = "iVBORw0KGgo/+A".repeat(10_000);
  assert.equal(requestOf(JSON.stringify({ url: `data:image/png;base64,${base64}==`, t: "seen" })), " \nseen");
  assert.equal(replyOf(`before ![](data:image/png;base64,iVBO) after`), "before ![]( ) after");
  assert.equal(replyOf(`key ${"ab12".repeat(50)} end`), "key   end");
  assert.equal(replyOf("short/path-name_of.a+b=c").trim(), "short/path-name_of.a+b=c");
});

Deno.test("searchText() takes reasoning, and names and arguments of tool calls", () => {
  const { reply } = searchText({
    ...NOTHING,
    response: "said",
    reasoning: "thought",
    toolCalls: [{ id: "c", name: "get_weather", arguments: '{"city":"\\u5317"}' }, {
      id: null,
      name: "run",
      arguments: '{"cut of',
    }],
  });
  assert.equal(reply, 'said\nthought\nget_weather\ncity\n 北 \nrun\n{"cut of');
});

Deno.test("searchText() is bounded, in length and in depth", () => {
  const long = "word ".repeat(1_000_000);
  assert.ok(requestOf(JSON.stringify({ a: long, b: long })).length <= 512 * 1024 + 1);
  assert.ok(replyOf(long).length <= 512 * 1024);
  assert.equal(requestOf("[".repeat(5_000) + '"deep"' + "]".repeat(5_000)), "");
});

Deno.test("searchText() needs time in proportion to the length, whatever the text", () => {
  const length = 2_000_000;
  const words: MakeText = (characters) => "a plain word ".repeat(characters / 13);
  const plain = plainMs(replyOf, words, length);
  for (const part of ["a", "data:", "data:a/", "[", "中"]) {
    const make: MakeText = (characters) => part.repeat(characters / part.length);
    assert.equal(superlinear(replyOf, { length, make, plainMs: plain }), null, part);
  }
});

Deno.test("searchText() leaves out runs of 200 characters and more that no word has, wherever they are", () => {
  for (let offset = 0; offset <= 410; offset++) {
    const before = "- ".repeat(offset / 2) + (offset % 2 === 0 ? "" : "é");
    assert.equal(replyOf(`${before}${"Ab0_".repeat(50)} end`), `${before}  end`, `at ${offset}`);
    const word = "x".repeat(199);
    assert.equal(replyOf(`${before}${word} end`), `${before}${word} end`, `at ${offset}`);
  }
});

Deno.test("normalizeForSearch() makes words of characters in scripts without spaces", () => {
  const table: readonly (readonly [string, string])[] = [
    ["plain text", "plain text"],
    ["用GPT", " 用 GPT"],
    ["データ", " デ  ー  タ "],
    ["ไทย", " ไ  ท  ย "],
    ["한국어", "한국어"],
    ["ﬁne Ⅳ ｱ", "fine IV  ア "],
    ["\u{20000}", " \u{20000} "],
  ];
  for (const [text, expected] of table) assert.equal(normalizeForSearch(text), expected);
});

Deno.test("normalizeForSearch() cuts runs of what normalization sorts, as the stream-safe format does", () => {
  const marks = "\u0301\u0316".repeat(15);
  assert.equal(normalizeForSearch(`a${marks}b`), `a${marks}b`.normalize("NFKC"));
  assert.equal(normalizeForSearch(`a${marks.repeat(9)}b`), `a${marks}b`.normalize("NFKC"));
  const astral = "\u{1e000}\u{1e001}".repeat(15);
  assert.equal(normalizeForSearch(`a${astral.repeat(9)}b`), `a${astral}b`.normalize("NFKC"));
  for (let length = 1; length < 200; length++) {
    const text = `${"x".repeat(length)}${"\u0301".repeat(length)}`;
    const expected = `${"x".repeat(length)}${"\u0301".repeat(Math.min(30, length))}`.normalize("NFKC");
    assert.equal(normalizeForSearch(text), expected, String(length));
  }
});

// Whatever decomposes into marks alone is sorted with them.
Deno.test("normalizeForSearch() cuts runs of every character that becomes nothing but marks", () => {
  const passed: string[] = [];
  for (let code = 0x80; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff) continue;
    const character = String.fromCodePoint(code);
    if (!/^\p{M}+$/u.test(character.normalize("NFKD"))) continue;
    const normalized = normalizeForSearch(`${character}\u0316`.repeat(40)).replaceAll(" ", "");
    const marks = [...normalized.normalize("NFKD")].length;
    if (marks > 30 * [...character.normalize("NFKD")].length) passed.push(code.toString(16));
  }
  assert.deepEqual(passed, []);
});

Deno.test("searchText() is bounded where normalization makes a text longer", () => {
  const { request } = searchText({
    body: "\ufdfa".repeat(500_000),
    response: null,
    reasoning: null,
    toolCalls: [],
  });
  assert.ok(request.length <= 512 * 1024);
});
