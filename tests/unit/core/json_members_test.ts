/** The scanner accepts what JSON.parse accepts, and finds the same members, wherever the text is split. */
import assert from "node:assert/strict";
import { type JsonMembers, JsonMemberScanner, MAX_DEPTH } from "../../../src/core/json_members.ts";

const WATCHED = ["model", "stream", "stream_options"];

function scan(pieces: readonly string[], isStrict = true): JsonMembers {
  const scanner = new JsonMemberScanner(WATCHED, { isStrict });
  for (const piece of pieces) scanner.push(piece);
  return scanner.end();
}

function valueOf(text: string, members: JsonMembers, name: string): unknown {
  const span = members.spans.get(name);
  return span === undefined ? undefined : JSON.parse(text.slice(span.start, span.end));
}

function parse(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

/** Checks a text whole, split at one place, and character by character. */
function check(text: string, at: number): void {
  const parsed = parse(text);
  for (const pieces of [[text], [text.slice(0, at), text.slice(at)], text.split("")]) {
    const members = scan(pieces);
    assert.equal(members.problem === null, parsed !== null, `${JSON.stringify(text)}: ${members.problem}`);
    if (parsed === null) continue;
    const isObject = typeof parsed.value === "object" && parsed.value !== null &&
      !Array.isArray(parsed.value);
    for (const name of WATCHED) {
      const expected: unknown = isObject ? (parsed.value as Record<string, unknown>)[name] : undefined;
      assert.deepEqual(valueOf(text, members, name), expected, JSON.stringify(text));
    }
  }
}

/** Mulberry32: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c */
function randomOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const LEAVES = [
  "true",
  "false",
  "null",
  "0",
  "-0",
  "12",
  "-3.25",
  "1e9",
  "1E+2",
  "0.5e-3",
  '""',
  '"a"',
  '"\\""',
  '"\\\\"',
  '"\\u00e9\\ud83d"',
  '"\u00e9\u4e2d\ud83d\ude00"',
  '"\\b\\f\\n\\r\\t\\/"',
  '"x{y}[z],:"',
];
const KEYS = [
  '"model"',
  '"stream"',
  '"stream_options"',
  '"a"',
  '""',
  '"mod\\u0065l"',
  '"modelx"',
  '"Model"',
  '"\\\\"',
];
const BLANKS = ["", "", "", " ", "\n", "\t\r\n "];
const JUNK = [...'{}[],:"\\0-+.eEtfn \n\u0000\u001f\u007fx1'];

function randomJson(random: (below: number) => number, depth: number): string {
  const blank = () => BLANKS[random(BLANKS.length)] ?? "";
  const kind = depth > 4 ? 0 : random(4);
  if (kind < 2) return `${blank()}${LEAVES[random(LEAVES.length)]}${blank()}`;
  const items = Array.from({ length: random(5) }, () => randomJson(random, depth + 1));
  if (kind === 2) return `${blank()}[${items.join(",") || blank()}]${blank()}`;
  const members = items.map((item) => `${blank()}${KEYS[random(KEYS.length)]}${blank()}:${item}`);
  return `${blank()}{${members.join(",") || blank()}}${blank()}`;
}

Deno.test("the scanner agrees with JSON.parse on thousands of valid and mutated texts, however they are split", () => {
  const random = randomOf(18);
  for (let round = 0; round < 3000; round++) {
    const text = randomJson(random, 0);
    check(text, random(text.length + 1));
    const at = random(text.length + 1);
    const junk = JUNK[random(JUNK.length)] ?? "";
    const mutated = [
      text.slice(0, at) + junk + text.slice(at),
      text.slice(0, at) + text.slice(at + 1),
      text.slice(0, at),
    ][random(3)] ?? "";
    check(mutated, random(mutated.length + 1));
  }
});

const PROBLEMS: readonly (readonly [text: string, problem: RegExp])[] = [
  ["", /empty/],
  ['{"a":NaN}', /not a JSON value/],
  ['{"a":Infinity}', /not a JSON value/],
  ["{'a':1}", /double quotes/],
  ["{a:1}", /double quotes/],
  ['{"a":1,}', /double quotes/],
  ["[1,]", /not a JSON value/],
  ['{"a":1}{"b":2}', /follows/],
  ['{"a":1} //', /follows/],
  ['/**/{"a":1}', /not a JSON value/],
  ['{"a":"\t"}', /control character/],
  ['{"a":"\\x41"}', /escape/],
  ['{"a":"\\u00g0"}', /escape/],
  ['{"a" 1}', /colon/],
  ['{"a":1 "b":2}', /comma/],
  ['{"a":01}', /comma/],
  ['{"a":1.}', /number/],
  ['{"a":-}', /number/],
  ['{"a":+1}', /not a JSON value/],
  ['{"a":trueish}', /comma/],
  ['{"a":1', /too early/],
  ['{"a', /too early/],
  [`${"[".repeat(MAX_DEPTH + 1)}`, /deep/],
];

for (const [text, problem] of PROBLEMS) {
  Deno.test(`the scanner tells why ${JSON.stringify(text.slice(0, 30))} is not JSON`, () => {
    assert.match(scan([text]).problem ?? "", problem);
    assert.match(scan(text.split("")).problem ?? "", problem);
  });
}

Deno.test("the scanner reports members that parsers read in different ways", () => {
  const ambiguous = (text: string) => [...scan([text]).ambiguous, ...scan(text.split("")).ambiguous];
  for (
    const text of [
      '{"model":"a","model":"b"}',
      '{"model":"a","mod\\u0065l":"b"}',
      '{"Model":"a"}',
      '{"model":"a","MODEL":"b"}',
      '{"\\u004dodel":"a"}',
    ]
  ) assert.deepEqual(ambiguous(text), ["model", "model"], text);
  for (const text of ['{"model":"a","models":"b"}', '{"model":"a","x":{"model":"b"}}', '[{"Model":1}]']) {
    assert.deepEqual(ambiguous(text), [], text);
  }
});

Deno.test("the scanner skips a byte order mark, as text and as bytes, only at the start", () => {
  for (const mark of ["\ufeff", "\u00ef\u00bb\u00bf"]) {
    assert.equal(scan([`${mark}{"model":"m"}`]).problem, null);
    assert.equal(scan([...mark, '{"model":"m"}']).problem, null);
    assert.notEqual(scan([`{${mark}"model":"m"}`]).problem, null);
    assert.notEqual(scan([` {"model":"m"}${mark}`]).problem, null);
  }
});

Deno.test("without strictness, the scanner accepts control characters in strings, and nothing else invalid", () => {
  assert.equal(scan(['{"a":"\t"}'], false).problem, null);
  assert.notEqual(scan(['{"a":\u000b1}'], false).problem, null);
});
