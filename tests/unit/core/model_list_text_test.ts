import assert from "node:assert/strict";
import { type ModelPage, readModelPage, withId } from "../../../src/core/model_list_text.ts";

function read(text: string): ModelPage | null {
  const reading = readModelPage(text);
  for (;;) {
    const step = reading.next();
    if (step.done) return step.value;
  }
}

const ids = (text: string) => read(text)?.models.map(({ id }) => id) ?? null;

const NO_LISTS = [
  ...[
    "",
    " ",
    "null",
    "7",
    "{}",
    '{"data":{}}',
    '{"data":7}',
    '{"data":[{"id":"m"}',
    '{"data":[{"id":"m"}]} x',
  ],
  ...[
    '{"data":[{"id":"m"},]}',
    '{"data":[{id:"m"}]}',
    '{"data":["m"',
    '{"data"',
    '{"data":[{"id":"m\\"}]}',
    "[[]",
  ],
  ...['{"data":[{"id":"m"} {"id":"n"}]}', `{"data":${"[".repeat(100_000)}`, "{data:[]}", '{"models":null}'],
];

Deno.test("readModelPage() refuses what is no list", () => {
  for (const text of NO_LISTS) assert.equal(read(text), null, text.slice(0, 60));
});

const LISTS: [string, string[]][] = [
  ['{"object":"list","data":[]}', []],
  ['{"data":null}', []],
  ['[{"id":"a"},{"id":"b"}]', ["a", "b"]],
  ['{"models":[{"model":"a"},{"name":"b"},{"slug":"c"},{"id":"d"}]}', ["a", "b", "c", "d"]],
  ['{"data":[{"name":"a"},{"id":"b"}]}', ["b"]],
  ['\ufeff{"data":[]}'.slice(1), []],
  ['{"data":[{"id":"a"},{"id":"b"},{"id":"a"}]}', ["a", "b"]],
  ['{"data":[{"id":""},{"id":7},{"id":"\\ud800"},{"id":"a\\u0000"},null,[],{"id":"é"}]}', ["é"]],
  [`{"data":[{"id":"${"x".repeat(513)}"},{"id":"y"}]}`, ["y"]],
  ['{"x":{"data":[{"id":"no"}]},"data":[{"id":"a","s":"]}\\\\\\"{["}]}', ["a"]],
];

Deno.test("readModelPage() reads names in all forms, each once", () => {
  for (const [text, expected] of LISTS) assert.deepEqual(ids(text), expected, text.slice(0, 60));
});

Deno.test("readModelPage() keeps objects as they came, and of very long ones the name", () => {
  const raw = '{ "id" : "a", "n": 1.0, "id2":"\\u00e9" }';
  const long = `{"id":"b","d":"${"x".repeat(70_000)}"}`;
  assert.deepEqual(read(`{"data": [ ${raw} , ${long}]}`)?.models, [
    { id: "a", raw },
    { id: "b", raw: null },
  ]);
});

Deno.test("readModelPage() knows whether there are more", () => {
  const page = (rest: string) => read(`{"data":[{"type":"model","id":"a"}],${rest}}`);
  assert.deepEqual(
    [page('"has_more":true,"last_id":"x"')?.hasMore, page('"has_more":true,"last_id":"x"')?.lastId],
    [true, "x"],
  );
  assert.equal(page('"has_more":"true"')?.hasMore, false);
  assert.equal(page('"last_id":7')?.lastId, null);
  assert.equal(page('"x":1')?.isAnthropic, true);
  assert.equal(read('{"data":[{"id":"a","object":"model"}]}')?.isAnthropic, false);
});

Deno.test("readModelPage() lets others have their turn", () => {
  const text = `{"data":[${
    Array.from({ length: 10_000 }, (_, n) => `{"id":"m${n}","d":"${"x".repeat(100)}"}`)
  }]}`;
  const reading = readModelPage(text);
  let turns = 0;
  while (!reading.next().done) turns++;
  assert.ok(turns >= 5, String(turns));
});

Deno.test("withId() replaces the id alone", () => {
  assert.equal(
    withId('{ "a":{"id":"no"}, "id" : "m" , "n":1.0}', 'x"y'),
    '{ "a":{"id":"no"}, "id" : "x\\"y" , "n":1.0}',
  );
  assert.equal(withId('{"id":"one","\\u0069d":"two"}', "x"), '{"id":"one","\\u0069d":"x"}');
  assert.equal(withId('{"name":"m"}', "x"), null);
  assert.equal(withId("[]", "x"), null);
});

Deno.test("readModelPage() does not parse what is long, only its name", () => {
  const deep = `${"[".repeat(400_000)}${"]".repeat(400_000)}`;
  const long = "x".repeat(70_000);
  assert.deepEqual(ids(`{"data":[{"d":${deep},"id":"a"},${deep},"${long}",{"d":"${long}","name":"b"}]}`), [
    "a",
  ]);
  assert.deepEqual(ids(`{"models":[{"d":"${long}","name":"b"},{"d":"${long}","id":"\\u0061"}]}`), ["b", "a"]);
  assert.deepEqual(ids(`{"data":[{"id":"a","d":{"${long}":[?]}}]}`), ["a"], "nobody looked");
});
