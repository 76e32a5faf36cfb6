import assert from "node:assert/strict";
import {
  endpointKind,
  modelInPath,
  mustNameModel,
  withoutRepeatedVersion,
} from "../../../src/core/api_path.ts";
import { withPathModel } from "../../../src/core/model_alias.ts";

Deno.test("endpointKind() names the kind of call by its whole path", () => {
  const table: Record<string, string> = {
    "/v1/chat/completions": "chat",
    "/v1/chat/completions/": "chat",
    "/v1/chat/c%6Fmpletions": "chat",
    "/v1/openai/deployments/gpt/chat/completions": "chat",
    "/v1/openai/deployments/chat/completions": "completions",
    "/v1/openai/deployments/files/embeddings": "embeddings",
    "/v1/projects/p/locations/l/endpoints/openapi/chat/completions": "chat",
    "/v1/engines/davinci/completions": "completions",
    "/v1/chat/completions/chatcmpl-1": "other",
    "/v1/chat/completions/chatcmpl-1/messages": "other",
    "/v1/completions": "completions",
    "/v1/organization/usage/completions": "other",
    "/v1/organization/usage/embeddings": "other",
    "/v1/organization/usage/images": "other",
    "/v1/openai/organization/usage/moderations": "other",
    "/v1/responses": "responses",
    "/v1/responses/resp_1": "responses",
    "/v1/responses/compact": "responses",
    "/v1/responses/input_tokens": "other",
    "/v1/responses/resp_1/input_items": "other",
    "/v1/responses/resp_1/cancel": "other",
    "/v1/messages": "messages",
    "/v1/anthropic/messages": "messages",
    "/v1/messages/count_tokens": "other",
    "/v1/messages/batches": "other",
    "/v1/messages/batches/b/results": "other",
    "/v1/threads/t/messages": "other",
    "/v1/threads/t/messages/m": "other",
    "/v1/openai/threads/t/messages": "other",
    "/v1/threads/runs": "other",
    "/v1/threads/t/runs/r/steps": "other",
    "/v1/assistants": "other",
    "/v1/assistants/a/files": "other",
    "/v1/fine_tuning/jobs/j/events": "other",
    "/v1/fine_tuning/checkpoints/ft:gpt:x/permissions": "other",
    "/v1/embeddings": "embeddings",
    "/v1/images/generations": "images",
    "/v1/images/edits": "images",
    "/v1/images/upscale": "images",
    "/v1/audio/speech": "audio",
    "/v1/audio/transcriptions": "audio",
    "/v1/audio/voices": "other",
    "/v1/audio/voice_consents": "other",
    "/v1/moderations": "moderations",
    "/v1/models": "models",
    "/v1/models/org/name": "models",
    "/v1/models/org/embeddings": "models",
    "/v1/files": "files",
    "/v1/files/file-1/content": "files",
    "/v1/uploads/1/parts": "files",
    "/v1/containers/c/files/f/content": "files",
    "/v1/vector_stores/v/files": "files",
    "/v1/vector_stores/v/search": "other",
    "/v1/batches": "other",
    "/v1/conversations/c/items": "other",
    "/v1/chatcompletions": "other",
    "/v1/constructor": "other",
    "/v1/": "other",
    "/v1": "other",
  };
  for (const [path, kind] of Object.entries(table)) assert.equal(endpointKind(path), kind, path);
});

Deno.test("a repeated /v1 counts once", () => {
  const table: Record<string, string> = {
    "/v1/v1/messages": "/v1/messages",
    "/v1/v1/v1/messages": "/v1/messages",
    "/v1/v1": "/v1",
    "/v1/v1/": "/v1/",
    "/v1/v10/messages": "/v1/v10/messages",
    "/v1/messages": "/v1/messages",
    "/v1/a/v1/v1": "/v1/a/v1/v1",
  };
  for (const [path, plain] of Object.entries(table)) assert.equal(withoutRepeatedVersion(path), plain, path);
});

Deno.test("mustNameModel() counts every path that a server could read as a call of a model", () => {
  const must = [
    "/v1/chat/completions",
    "/v1/chat/completions/",
    "/v1/Chat/Completions",
    "/v1/chat/completion%73",
    "/v1/chat/completion%2573",
    "/v1/chat%2fcompletions",
    "/v1/chat%5Ccompletions",
    "/v1/chat/completions;v=1",
    "/v1/chat/completions%3fx",
    "/v1/chat/completions%20",
    "/v1/openai/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/responses/compact",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/embeddings",
    "/v1/images/edits",
    "/v1/audio/speech",
    "/v1/moderations",
    "/v1/rerank",
    "/v1/videos",
    "/v1/realtime/client_secrets",
    "/v1/models",
    "/v1/models%2Fx",
  ];
  for (const path of must) assert.ok(mustNameModel("POST", path), path);
  for (const method of ["PUT", "PATCH", "DELETE", "post"]) {
    assert.ok(mustNameModel(method, "/v1/chat/completions"), method);
  }
  const free = [
    "/v1/responses/resp_1/cancel",
    "/v1/chat/completions/chatcmpl-1",
    "/v1/threads",
    "/v1/threads/t/messages",
    "/v1/threads/runs",
    "/v1/files",
    "/v1/uploads/u/parts",
    "/v1/batches",
    "/v1/messages/batches",
    "/v1/conversations",
    "/v1/audio/voices",
    "/v1/vector_stores",
    "/v1/videos/v/remix",
  ];
  for (const path of free) assert.ok(!mustNameModel("POST", path), path);
  for (const path of must) assert.ok(!mustNameModel("GET", path) && !mustNameModel("HEAD", path), path);
});

Deno.test("modelInPath() finds the model, and withPathModel() puts another one in its place", () => {
  const table: [path: string, name: string | null, other: string][] = [
    ["/v1/models/best", "best", "/v1/models/meta%2Fx%3Ay"],
    ["/v1/models/best/", "best", "/v1/models/meta%2Fx%3Ay/"],
    ["/v1/models/org%2Fbest", "org/best", "/v1/models/meta%2Fx%3Ay"],
    ["/v1/models/org/best", "org/best", "/v1/models/meta/x%3Ay"],
    ["/v1/mod%65ls/b%65st", "best", "/v1/mod%65ls/meta%2Fx%3Ay"],
    ["/v1/models/100%25", "100%", "/v1/models/meta%2Fx%3Ay"],
    [
      "/v1/openai/deployments/best/chat/completions",
      "best",
      "/v1/openai/deployments/meta%2Fx%3Ay/chat/completions",
    ],
    ["/v1/openai/Deployments/best/chat", "best", "/v1/openai/Deployments/meta%2Fx%3Ay/chat"],
    ["/v1/engines/best/completions", "best", "/v1/engines/meta%2Fx%3Ay/completions"],
    ["/v1/models", null, ""],
    ["/v1/models/", null, ""],
    ["/v1/engines", null, ""],
    ["/v1/files/models/x", null, ""],
    ["/v1/chat/completions", null, ""],
    ["/v1", null, ""],
  ];
  for (const [path, name, other] of table) {
    const found = modelInPath(path);
    assert.equal(found?.name ?? null, name, path);
    if (found !== null) assert.equal(withPathModel(path, found, "meta/x:y"), other, path);
  }
});
