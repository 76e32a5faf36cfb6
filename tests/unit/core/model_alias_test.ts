/** withModel(): only the model changes, whatever the body looks like. */
import assert from "node:assert/strict";
import { withModel } from "../../../src/core/model_alias.ts";

const rename = (body: string, contentType: string | null = "application/json") =>
  new TextDecoder().decode(withModel(new TextEncoder().encode(body), contentType, 'n"ew'));

const CASES: readonly (readonly [string, string])[] = [
  ['{"model":"old"}', '{"model":"n\\"ew"}'],
  ['{ "model" : "old" , "n":1.0 }', '{ "model" : "n\\"ew" , "n":1.0 }'],
  ['{"messages":[{"model":"inner"}],"model":"old"}', '{"messages":[{"model":"inner"}],"model":"n\\"ew"}'],
  ['{"metadata":{"model":"inner"},"model":"old"}', '{"metadata":{"model":"inner"},"model":"n\\"ew"}'],
  ['{"text":"\\"model\\":\\"x\\"","model":"o\\\\"}', '{"text":"\\"model\\":\\"x\\"","model":"n\\"ew"}'],
  ['{"mod\\u0065l":"old"}', '{"mod\\u0065l":"n\\"ew"}'],
  ['{"model":"a","model":"b"}', '{"model":"n\\"ew","model":"n\\"ew"}'],
  ['{"a":"model","model":"b"}', '{"a":"model","model":"n\\"ew"}'],
  ['{"model":null,"x":"y"}', '{"model":null,"x":"y"}'],
  ['{"model":["x"],"y":"model"}', '{"model":["x"],"y":"model"}'],
  ['{"model":"old"', '{"model":"n\\"ew"'],
  ['["model","x"]', '["model","x"]'],
  ["", ""],
];

for (const [body, expected] of CASES) {
  Deno.test(`withModel() of ${body}`, () => assert.equal(rename(body), expected));
}

Deno.test("withModel() replaces the field of a form and leaves its files alone", () => {
  const form = (model: string) =>
    `--b\r\nContent-Disposition: form-data; name="file"; filename="model"\r\n\r\nmodel\r\n` +
    `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n${model}\r\n--b--\r\n`;
  assert.equal(rename(form("whisper-1"), "multipart/form-data; boundary=b"), form('n"ew'));
});
