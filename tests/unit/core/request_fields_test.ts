/** readFields(): what is read of a body, and when upstreams may read something else. */
import assert from "node:assert/strict";
import {
  JsonPieces,
  MAX_MODEL_LENGTH,
  readFields,
  type RequestFields,
} from "../../../src/core/request_fields.ts";

const encoder = new TextEncoder();
const JSON_TYPE = "application/json";

interface Options {
  readonly contentType?: string | null;
  readonly contentEncoding?: string;
}

/** The fields of a body that came at once, with and without its text, and in pieces: the same, or it throws. */
function read(body: string | Uint8Array<ArrayBuffer>, options: Options = {}): RequestFields {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const view = {
    contentType: JSON_TYPE,
    ...options,
    bytes,
    isStrict: true,
  };
  const pieces = new JsonPieces({ isStrict: true });
  for (let at = 0; at < bytes.length; at += 7) pieces.push(bytes.subarray(at, at + 7));
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  const fields = readFields({ ...view, text });
  assert.deepEqual(readFields(view), fields);
  assert.deepEqual(readFields({ ...view, members: pieces.end() }), fields);
  return fields;
}

Deno.test("readFields() finds the model's place in bytes", () => {
  const body = '{"é中😀":1,"model":"gr\u00fcn","stream":true}';
  const { model, isStream, modelPlace, problem } = read(body);
  assert.deepEqual({ model, isStream, problem }, { model: "grün", isStream: true, problem: null });
  assert.ok(modelPlace);
  const bytes = encoder.encode(body).subarray(modelPlace.start, modelPlace.end);
  assert.equal(new TextDecoder().decode(bytes), '"grün"');
});

Deno.test("a model's name has a bound, however it is written", () => {
  for (const character of ["a", "é", "中", "\\u0061", "\\n"]) {
    const length = 1;
    const name = (count: number) => `{"model":"${character.repeat(count)}"}`;
    const fits = read(name(MAX_MODEL_LENGTH / length));
    assert.equal(fits.model?.length, MAX_MODEL_LENGTH);
    for (const count of [MAX_MODEL_LENGTH + 1, 100_000]) {
      const { model, shownModel, modelPlace, problem } = read(name(count));
      assert.equal(model, null);
      assert.equal(modelPlace, null);
      assert.match(problem ?? "", /longer than 256/);
      assert.equal(shownModel?.length, MAX_MODEL_LENGTH + 1);
      assert.ok(shownModel?.endsWith("…"));
      assert.equal(shownModel?.slice(0, 3), fits.model?.slice(0, 3));
    }
  }
});

const READ_ALIKE: readonly (readonly [body: string, contentType: string | null, model: string | null])[] = [
  ['{"model":"m"}', JSON_TYPE, "m"],
  ['{"model":"m"}', null, "m"],
  ['{"model":"m"}', "application/json; charset=utf-8", "m"],
  ['{"model":"m"}', 'application/json; charset="UTF-8"', "m"],
  ['{"model":"m"}', "text/plain", "m"],
  ['{"model":"m"}', "application/octet-stream", "m"],
  ['\ufeff{"model":"m"}', JSON_TYPE, "m"],
  ['{"model":"m","Messages":[]}', JSON_TYPE, "m"],
  ['{"model":"m","tools":[{"Model":"n"}]}', JSON_TYPE, "m"],
  ['{"model":null}', JSON_TYPE, null],
  ['{"model":""}', JSON_TYPE, null],
  ["{}", JSON_TYPE, null],
  ["[1]", JSON_TYPE, null],
  ["v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\n", "application/sdp", null],
  ["RIFF....WAVE", "audio/wav", null],
];

for (const [body, contentType, model] of READ_ALIKE) {
  Deno.test(`every upstream reads ${JSON.stringify(body)} alike (${contentType})`, () => {
    const fields = read(body, { contentType });
    assert.equal(fields.problem, null);
    assert.equal(fields.model, model);
  });
}

const utf16 = (text: string) => Uint8Array.from([...text].flatMap((each) => [each.charCodeAt(0), 0]));
const utf32 = (text: string) => Uint8Array.from([...text].flatMap((each) => [0, 0, 0, each.charCodeAt(0)]));

const READ_DIFFERENTLY: readonly (readonly [
  body: string | Uint8Array<ArrayBuffer>,
  options: Options,
  problem: RegExp,
])[] = [
  ['{"model":"m","x":NaN}', {}, /not JSON/],
  ['{"model":"m","x":1,}', {}, /not JSON/],
  ['{"model":"m","x":"\t"}', {}, /not JSON/],
  ['{"model":"m"} trailing', {}, /not JSON/],
  ['{"model":"m"}\0', {}, /not JSON/],
  ["{'model':'m'}", {}, /not JSON/],
  ['/* */{"model":"m"}', {}, /not JSON/],
  ["model=m", {}, /not JSON/],
  ['{"model":"m","model":"n"}', {}, /twice/],
  ['{"Model":"m"}', {}, /other letters/],
  ['{"MODEL":"n","model":"m"}', {}, /other letters/],
  ['{"model":7}', {}, /not a string/],
  ['{"model":["m"]}', {}, /not a string/],
  ['{"model":{"m":1}}', {}, /not a string/],
  ['{"model":" m"}', {}, /blank/],
  ['{"model":"m\\u0000"}', {}, /control/],
  ['{"model":"m\\ud800"}', {}, /blank|control/],
  ['{"model":"m"}', { contentType: "application/x-www-form-urlencoded" }, /form/],
  ["model=m", { contentType: "application/x-www-form-urlencoded" }, /form/],
  ['{"model":"m"}', { contentType: "multipart/form-data" }, /form/],
  ['{"model":"m"}', { contentType: "multipart/mixed; boundary=b" }, /form/],
  ['{"model":"m"}', { contentType: "application/json; charset=utf-16" }, /charset/],
  ['{"model":"m"}', { contentEncoding: "gzip" }, /compressed/],
  ['{"model":"m"}', { contentEncoding: "identity, zstd" }, /compressed/],
  [utf16('{"model":"m"}'), {}, /not JSON/],
  [utf32('{"model":"m"}'), { contentType: "application/octet-stream" }, /not JSON/],
  [Uint8Array.from([0xff, 0xfe, ...utf16('{"model":"m"}')]), { contentType: "x/y" }, /not JSON/],
];

for (const [body, options, problem] of READ_DIFFERENTLY) {
  const name = typeof body === "string" ? JSON.stringify(body) : `${body.length} bytes of another coding`;
  Deno.test(`upstreams may read ${name} differently (${JSON.stringify(options)})`, () => {
    assert.match(read(body, options).problem ?? "", problem);
  });
}
