/** readFields(): what is read from a body, and when upstreams may read something else. */
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
}

/** The fields of a body read whole, with and without its text, and in pieces; throws when they differ. */
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

Deno.test("readFields() finds the model's position in bytes", () => {
  const body = '{"é中😀":1,"model":"gr\u00fcn","stream":true}';
  const { model, isStream, modelPlace, problem } = read(body);
  assert.deepEqual({ model, isStream, problem }, { model: "grün", isStream: true, problem: null });
  assert.ok(modelPlace);
  const bytes = encoder.encode(body).subarray(modelPlace.start, modelPlace.end);
  assert.equal(new TextDecoder().decode(bytes), '"grün"');
});

Deno.test("a model's name is bounded, however it is written", () => {
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
  ["\0\0\0\x18ftypisom", "video/mp4", null],
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
  [utf16('{"model":"m"}'), {}, /not JSON/],
  [utf32('{"model":"m"}'), { contentType: "application/octet-stream" }, /not JSON/],
  ['/* */{"model":"m"}', { contentType: "application/octet-stream" }, /not JSON/],
  ['\n//\n{"model":"m"}', { contentType: "x/y" }, /not JSON/],
  ['\x01{"model":"m"}', { contentType: "x/y" }, /not JSON/],
  [' \ufeff{"model":"m"}', { contentType: "x/y" }, /not JSON/],
  [`${" ".repeat(5000)}{'model':'m'}`, { contentType: "x/y" }, /not JSON/],
  [Uint8Array.from([0xff, 0xfe, ...utf16('{"model":"m"}')]), { contentType: "x/y" }, /not JSON/],
];

for (const [body, options, problem] of READ_DIFFERENTLY) {
  const name = typeof body === "string" ? JSON.stringify(body) : `${body.length} bytes of another coding`;
  Deno.test(`upstreams may read ${name} differently (${JSON.stringify(options)})`, () => {
    assert.match(read(body, options).problem ?? "", problem);
  });
}

const FORM = "multipart/form-data; boundary=b";
const field = (name: string, value: string, more = "") =>
  `--b\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
const FILE = field("file", "RIFF", '; filename="a \\"b\\".wav"\r\nContent-Type: audio/wav');

const part = (disposition: string) => `--b\r\nContent-disposition: ${disposition}\r\n\r\nm\r\n`;
const DOTNET_FILE = "form-data; name=file; filename=a.wav; filename*=utf-8''a.wav";

Deno.test("every upstream reads plain forms alike", () => {
  const forms: [body: string, contentType: string, model: string | null][] = [
    [`${field("model", "m")}${FILE}--b--\r\n`, FORM, "m"],
    [`${FILE}${field("stream", "true")}${field("model", "m")}--b--`, FORM, "m"],
    [`\r\n${field("model", "m")}--b--`, 'Multipart/Form-Data; boundary="b"', "m"],
    [`${field("model", "m", "\r\nContent-Type: text/plain; charset=utf-8")}--b--`, FORM, "m"],
    [`${field("model", "m", "\r\nContent-Transfer-Encoding: 8bit")}--b--`, FORM, "m"],
    [`${FILE}--b--`, FORM, null],
    // As .NET writes them.
    [`${part("form-data; name=model")}${part(DOTNET_FILE)}--b--`, FORM, "m"],
    [
      `${
        part("form-data; name=model").replace("--b", "--b\r\nContent-Type: text/plain; charset=utf-8")
      }--b--`,
      FORM,
      "m",
    ],
    [`${part("FORM-DATA;NAME=model")}--b--`, FORM, "m"],
    [`${part('form-data ;\t name="model"')}--b--`, FORM, "m"],
    [`${part('form-data; filename="a;b.wav"; name="file"')}${field("model", "m")}--b--`, FORM, "m"],
    [`${part('form-data; size=4; name="file"; filename="a b.wav"')}${field("model", "m")}--b--`, FORM, "m"],
    [`${part('form-data; name="file"; filename="C:\\dir\\a.wav"')}${field("model", "m")}--b--`, FORM, "m"],
    [`${field("models", "m")}--b--`, FORM, null],
  ];
  for (const [body, contentType, model] of forms) {
    const fields = read(body, { contentType });
    assert.deepEqual([fields.problem, fields.model], [null, model], body);
  }
});

Deno.test("upstreams may read other forms differently", () => {
  const model = field("model", "m");
  const raw = (head: string, value = "m") => `--b\r\n${head}\r\n\r\n${value}\r\n--b--`;
  const disposition = 'Content-Disposition: form-data; name="model"';
  const forms: (string | [body: string, contentType: string])[] = [
    '{"model":"m"}',
    `preamble\r\n${model}--b--`,
    model,
    `${model}--b`,
    `${model}--b--\r\nepilogue`,
    `${model}${model}--b--`,
    `${field("Model", "m")}--b--`,
    `${field(" model", "m")}--b--`,
    `${field("model", "m", '; filename="x"')}--b--`,
    `${field("_charset_", "utf-16")}${model}--b--`,
    `${field("model", "m", "\r\nContent-Type: text/plain; charset=utf-16")}--b--`,
    `${field("model", "bQ==", "\r\nContent-Transfer-Encoding: base64")}--b--`,
    `${field("model", "=6d", "\r\nContent-Transfer-Encoding: quoted-printable")}--b--`,
    `${field("model", "m\0")}--b--`,
    `${field("model", "m".repeat(5000))}--b--`,
    `${field("file", `x\n--b\n${disposition}\n\nm`)}--b--`,
    `${field("file", `x\r--b\r${disposition}\r\rm`)}--b--`,
    `${field("a", "1").repeat(100)}${model}--b--`,
    raw("Content-Disposition: form-data; name='model'"),
    raw("Content-Disposition: form-data; name*=utf-8''model"),
    raw('Content-Disposition: form-data; name="mo\\del"'),
    raw('Content-Disposition: form-data; name = "model"'),
    raw('Content-Disposition: form-data; name="a"; name="model"'),
    raw("Content-Disposition: form-data; name=a; NAME=model"),
    raw('Content-Disposition: form-data; name="a" model; x="b"'),
    raw("Content-Disposition: form-data; name=mo'del"),
    raw("Content-Disposition: form-data; name=model; filename*=utf-8''a"),
    raw('Content-Disposition: form-data; filename="model"; name="file"'),
    raw('Content-Disposition: form-data; filename="a\\"; name=\\"model"; name="file"'),
    raw('Content-Disposition: form-data; name="file"; filename="a\\"; name=\\"model"'),
    raw('Content-Disposition: form-data; name="file"; filename="a\\"; x="b"'),
    raw('Content-Disposition: form-data; name="file'),
    raw('Content-Disposition: form-data, name="file"'),
    raw("Content-Disposition: form-data;"),
    raw('Content-Disposition : form-data; name="model"'),
    raw('Content-Disposition: attachment; name="model"'),
    raw(`${disposition}\r\n${disposition}`),
    raw('Content-Disposition: form-data;\r\n name="model"'),
    raw(`X: y\n${disposition}`),
    raw("X-Other: y"),
    [`${model}--b--`, "multipart/form-data; charset=utf-16; boundary=b"],
    [`${model}--b--`, "multipart/form-data; boundary=b; boundary=c"],
    [`${model}--b--`, "multipart/form-data; boundary=c"],
  ];
  for (const each of forms) {
    const [body, contentType] = typeof each === "string" ? [each, FORM] : each;
    assert.notEqual(read(body, { contentType }).problem, null, body);
  }
});
