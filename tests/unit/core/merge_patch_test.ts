/** Merge patches (RFC 7396) spliced into JSON texts: what they mean, and that every other byte stays. */
import assert from "node:assert/strict";
import { patched, preparePatch } from "../../../src/core/merge_patch.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function apply(text: string, patch: Record<string, unknown>): string {
  return decoder.decode(patched(encoder.encode(text), preparePatch(patch)));
}

type Json = Record<string, unknown>;

/** RFC 7396 section 2, of objects. */
function merged(target: unknown, patch: Json): Json {
  const result: Json = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete result[name];
    else result[name] = isObject(value) ? merged(result[name], value) : value;
  }
  return result;
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

Deno.test("the examples of RFC 7396, appendix A, in which target and patch are objects", () => {
  const table: readonly [target: string, patch: Json, result: string][] = [
    ['{"a":"b"}', { a: "c" }, '{"a":"c"}'],
    ['{"a":"b"}', { b: "c" }, '{"a":"b","b":"c"}'],
    ['{"a":"b"}', { a: null }, "{}"],
    ['{"a":"b","b":"c"}', { a: null }, '{"b":"c"}'],
    ['{"a":["b"]}', { a: "c" }, '{"a":"c"}'],
    ['{"a":"c"}', { a: ["b"] }, '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', { a: { b: "d", c: null } }, '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', { a: [1] }, '{"a":[1]}'],
    ['{"e":null}', { a: 1 }, '{"e":null,"a":1}'],
    ["{}", { a: { bb: { ccc: null } } }, '{"a":{"bb":{}}}'],
  ];
  for (const [target, patch, result] of table) assert.equal(apply(target, patch), result);
});

Deno.test("every byte that is not concerned stays: blanks, numbers, escapes, order", () => {
  const table: readonly [target: string, patch: Json, result: string][] = [
    [
      '\ufeff { "a" : 1.0e+2 , "b":"\\u00e9\\/" }\n',
      { c: true },
      '\ufeff { "a" : 1.0e+2 , "b":"\\u00e9\\/","c":true }\n',
    ],
    ['{ "a" : 1 , "b" : 2 , "c" : 3 }', { b: null }, '{ "a" : 1 , "c" : 3 }'],
    ['{ "a" : 1 , "b" : 2 , "c" : 3 }', { a: null, b: null }, '{ "c" : 3 }'],
    ['{ "a" : 1 , "b" : 2 , "c" : 3 }', { b: null, c: null, d: 4 }, '{ "a" : 1,"d":4 }'],
    ['{ "a" : 1 }', { a: null, b: 2 }, '{ "b":2 }'],
    ["{\n}", { a: 1 }, '{"a":1\n}'],
    [
      '{"a":{"n":12345678901234567890,"x":1},"z":-0}',
      { a: { x: 2 } },
      '{"a":{"n":12345678901234567890,"x":2},"z":-0}',
    ],
    ['{"a":"}\\\\\\"{","b":[{"b":1},"]"]}', { b: 1 }, '{"a":"}\\\\\\"{","b":1}'],
    ['{"\\u0061":1,"é":2}', { a: 5, "é": null }, '{"\\u0061":5}'],
    ['{"a":1}', { "__proto__x": 1, "constructor": 2 }, '{"a":1,"__proto__x":1,"constructor":2}'],
  ];
  for (const [target, patch, result] of table) assert.equal(apply(target, patch), result, target);
});

Deno.test("of a key that comes twice, each is patched, so that any parser finds the patch", () => {
  assert.equal(apply('{"a":1,"b":0,"a":2}', { a: 3 }), '{"a":3,"b":0,"a":3}');
  assert.equal(apply('{"a":1,"b":0,"a":2,"\\u0061":3}', { a: null }), '{"b":0}');
  assert.equal(apply('{"a":{"x":1},"a":5}', { a: { y: 1 } }), '{"a":{"x":1,"y":1},"a":{"y":1}}');
});

Deno.test("what is no JSON object is left alone, as the same array", () => {
  const patch = preparePatch({ a: 1, b: null });
  const texts = [
    "",
    "[]",
    "[1]",
    '"a"',
    "1",
    "null",
    "{",
    '{"a"',
    '{"a":',
    '{"a":1',
    '{"a":1,}',
    '{"a":1 "b":2}',
    "{a:1}",
    '{"a":1}{}',
    '{"a":"b',
    '{"a":[}',
    "a=1&b=2",
  ];
  for (const text of texts) {
    const bytes = encoder.encode(text);
    assert.equal(patched(bytes, patch), bytes, text);
  }
  const bytes = encoder.encode('{"x":1}');
  assert.equal(patched(bytes, preparePatch({})), bytes);
  assert.equal(patched(bytes, preparePatch({ b: null })), bytes, "nothing to remove");
});

Deno.test("a patched text means what RFC 7396 says, for random objects, patches and blanks", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor(seed / 65_536) % below;
  };
  const names = ["a", "b", "é", 'q"', "long name", ""];
  const value = (depth: number, nulls: boolean): unknown => {
    const kind = random(depth > 2 ? 5 : 8);
    if (kind === 0) return nulls ? null : false;
    if (kind === 1) return random(1000) / 8;
    if (kind === 2) return 'text \\ " } ] , : é \n';
    if (kind === 3) return [random(3), { a: null }, "]"];
    if (kind === 4) return true;
    return object(depth + 1, nulls);
  };
  const object = (depth: number, nulls: boolean): Json =>
    Object.fromEntries(
      Array.from({ length: random(5) }, () => [names[random(names.length)] ?? "", value(depth, nulls)]),
    );
  for (let round = 0; round < 3_000; round++) {
    const target = object(0, false);
    const patch = object(0, true);
    const text = JSON.stringify(target, null, round % 3);
    assert.deepEqual(
      JSON.parse(apply(text, patch)),
      merged(target, patch),
      `${text} ${JSON.stringify(patch)}`,
    );
  }
});

Deno.test("the work is linear in the body: runs of backslashes, quotes and brackets", () => {
  const size = 400_000;
  for (const inner of ["\\\\".repeat(size), '\\"'.repeat(size)]) {
    assert.equal(apply(`{"x":"${inner}","a":1}`, { a: null }), `{"x":"${inner}"}`);
  }
  const nested = `${"[".repeat(size)}${"]".repeat(size)}`;
  assert.equal(apply(`{"x":${nested},"a":1}`, { a: 2 }), `{"x":${nested},"a":2}`);
  const many = Array.from({ length: 50_000 }, () => '"a":1').join(",");
  assert.equal(apply(`{${many},"b":1}`, { a: null }), '{"b":1}');
});

Deno.test("a body whose keys come again and again neither grows without bounds nor escapes the patch", () => {
  const value = "x".repeat(10_000);
  const repeated = (member: string, count: number) => `{${`${member},`.repeat(count)}"b":1}`;
  assert.equal(apply(repeated('"a":1', 20), { a: value }), repeated(`"a":"${value}"`, 20));
  for (const member of ['"a":1', '"a":{}', '"b":1,"a":1', '"\\u0061":1']) {
    assert.equal(apply(repeated(member, 100_000), { a: value }), `{"a":"${value}"}`);
    assert.equal(apply(repeated(member, 100_000), { a: { c: value } }), `{"a":{"c":"${value}"}}`);
  }
  assert.equal(apply(`{"n":${repeated('"a":{}', 100_000)}}`, { n: { a: { c: 1 } } }), '{"n":{"a":{"c":1}}}');
  assert.equal(apply(repeated('"b":1,"a":1', 100_000), { a: null }), "{}");
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, n]));
  assert.deepEqual(JSON.parse(apply(JSON.stringify(many), many)), many);
});
