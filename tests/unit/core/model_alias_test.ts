/** withModel() puts the alias where classify() found the model, and changes nothing else. */
import assert from "node:assert/strict";
import { classify } from "../../../src/core/endpoint.ts";
import { withModel } from "../../../src/core/model_alias.ts";

function rename(body: string, { isInPieces = false, contentType = "application/json" } = {}): string {
  const bytes = new TextEncoder().encode(body);
  const text = isInPieces ? null : body;
  const { modelPlace } = classify("/v1/chat/completions", { contentType, bytes, text });
  return modelPlace === null ? body : new TextDecoder().decode(withModel(bytes, modelPlace, 'n"ew'));
}

const CASES: readonly (readonly [string, string])[] = [
  ['{"model":"old"}', '{"model":"n\\"ew"}'],
  ['{ "model" : "old" , "n":1.0 }', '{ "model" : "n\\"ew" , "n":1.0 }'],
  ['{"messages":[{"model":"inner"}],"model":"old"}', '{"messages":[{"model":"inner"}],"model":"n\\"ew"}'],
  ['{"metadata":{"model":"inner"},"model":"old"}', '{"metadata":{"model":"inner"},"model":"n\\"ew"}'],
  ['{"text":"\\"model\\":\\"x\\"","model":"o\\\\"}', '{"text":"\\"model\\":\\"x\\"","model":"n\\"ew"}'],
  ['{"mod\\u0065l":"old"}', '{"mod\\u0065l":"n\\"ew"}'],
  ['{"a":"model","model":"b"}', '{"a":"model","model":"n\\"ew"}'],
  [
    '{"\u6a21\u578b":"\ud83d\ude00","model":"gr\u00fcn","é":1}',
    '{"\u6a21\u578b":"\ud83d\ude00","model":"n\\"ew","é":1}',
  ],
  ['\ufeff{"model":"old"}', '\ufeff{"model":"n\\"ew"}'],
  ['{"model":null,"x":"y"}', '{"model":null,"x":"y"}'],
  ['{"model":["x"],"y":"model"}', '{"model":["x"],"y":"model"}'],
  ['{"model":"old"', '{"model":"old"'],
  ['["model","x"]', '["model","x"]'],
  ["", ""],
];

for (const [body, expected] of CASES) {
  Deno.test(`withModel() of ${body}`, () => {
    const withBom = new TextDecoder("utf-8", { ignoreBOM: true });
    const plain = (text: string) => withBom.decode(new TextEncoder().encode(text)).replace(/^\ufeff/, "");
    assert.equal(plain(rename(body)), plain(expected));
    assert.equal(plain(rename(body, { isInPieces: true })), plain(expected));
  });
}

Deno.test("withModel() replaces the field of a form and leaves its files alone", () => {
  const form = (model: string) =>
    `--b\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\nmodel\r\n` +
    `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n--b--\r\n`;
  assert.equal(rename(form("whisper-1"), { contentType: "multipart/form-data; boundary=b" }), form('n"ew'));
});
