import assert from "node:assert/strict";
import { endpointKind } from "../../../src/core/api_path.ts";
import { classify } from "../../../src/core/endpoint.ts";

Deno.test("classify() reads model and stream from the body only", () => {
  const JSON_TYPE = "application/json";
  const form = 'multipart/form-data; boundary="b"';
  const part = (name: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  const table: [
    path: string,
    type: string | null,
    body: string | null,
    model: string | null,
    isStream: boolean,
  ][] = [
    ["/v1/chat/completions", JSON_TYPE, '{"model":"m","stream":true}', "m", true],
    ["/v1/chat/completions", null, ' \n{"model":"m","stream":false}', "m", false],
    ["/v1/chat/completions", JSON_TYPE, '\ufeff{"model":"m"}', "m", false],
    ["/v1/chat/completions", JSON_TYPE, '{"stream":"true"}', null, false],
    ["/v1/chat/completions", JSON_TYPE, '{"model":"","stream":1}', null, false],
    ["/v1/chat/completions", JSON_TYPE, '{"model":{"a":1}}', null, false],
    ["/v1/chat/completions", JSON_TYPE, '{"model":"m"', null, false],
    ["/v1/chat/completions", JSON_TYPE, '[{"model":"m"}]', null, false],
    ["/v1/chat/completions", JSON_TYPE, "null", null, false],
    ["/v1/chat/completions", JSON_TYPE, null, null, false],
    [
      "/v1/audio/transcriptions",
      form,
      `${part("model", "whisper-1")}${part("stream", "True")}--b--`,
      "whisper-1",
      true,
    ],
    ["/v1/audio/transcriptions", form, `${part("model", "whisper-1")}--b--`, "whisper-1", false],
    ["/v1/files", "application/octet-stream", "\u0000\u0001", null, false],
    ["/v1/models/gpt-4o", null, null, "gpt-4o", false],
    ["/v1/models/org/name", null, null, "org/name", false],
    ["/v1/models", null, null, null, false],
  ];
  for (const [path, type, body, model, isStream] of table) {
    const bytes = body === null ? null : new TextEncoder().encode(body);
    const { kind, model: foundModel, isStream: foundStream } = classify(path, { contentType: type, bytes });
    assert.equal(kind, endpointKind(path));
    assert.deepEqual(
      { foundModel, foundStream },
      { foundModel: model, foundStream: isStream },
      `${path} ${body}`,
    );
  }
});

Deno.test("classify() takes the model that the path names, if the body names no other one", () => {
  const ask = (path: string, body: string | null, isStrict = true) =>
    classify(path, {
      contentType: "application/json",
      bytes: body === null ? null : new TextEncoder().encode(body),
      isStrict,
    });
  const azure = "/v1/openai/deployments/gpt%2D4o/chat/completions";
  const plain = ask(azure, "{}");
  assert.deepEqual([plain.kind, plain.model, plain.problem], ["chat", "gpt-4o", null]);
  assert.equal(azure.slice(plain.modelInPath?.start, plain.modelInPath?.end), "gpt%2D4o");
  const same = ask(azure, '{"model":"gpt-4o"}');
  assert.deepEqual([same.model, same.problem], ["gpt-4o", null]);
  assert.ok(same.modelInPath && same.modelPlace);
  const other = ask(azure, '{"model":"cheap"}');
  assert.deepEqual([other.model, other.modelInPath], ["cheap", null]);
  assert.match(other.problem ?? "", /path names/);
  assert.equal(ask(azure, '{"model":"cheap"}', false).problem, null);
});
