import assert from "node:assert/strict";
import { classify, endpointKind } from "../../../src/core/endpoint.ts";

Deno.test("endpointKind() names the kind of call by its path", () => {
  const table: Record<string, string> = {
    "/v1/chat/completions": "chat",
    "/v1/chat/completions/": "chat",
    "/v1/openai/deployments/gpt/chat/completions": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/responses/resp_1": "responses",
    "/v1/messages": "messages",
    "/v1/embeddings": "embeddings",
    "/v1/images/generations": "images",
    "/v1/audio/speech": "audio",
    "/v1/audio/transcriptions": "audio",
    "/v1/moderations": "moderations",
    "/v1/models": "models",
    "/v1/models/org/name": "models",
    "/v1/files": "files",
    "/v1/files/file-1/content": "files",
    "/v1/uploads/1/parts": "files",
    "/v1/batches": "other",
    "/v1/chatcompletions": "other",
    "/v1": "other",
  };
  for (const [path, kind] of Object.entries(table)) assert.equal(endpointKind(path), kind, path);
});

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
