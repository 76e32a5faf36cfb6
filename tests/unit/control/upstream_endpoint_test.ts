import assert from "node:assert/strict";
import { keysOf } from "../../../src/core/secrets.ts";
import { baseUrlOf, showEndpoint } from "../../../src/control/upstream_endpoint.ts";

const SECRET = "0123456789abcdefghij";

Deno.test("showEndpoint() masks each query value that keysOf() takes for a secret, and no other", () => {
  for (const name of ["key", "token", "secret", "sig", "pass", "code", "auth", "cred", "jwt", "hmac"]) {
    const endpoint = `https://api.example.com/v1?${name}=${SECRET}`;
    assert.deepEqual(keysOf({ sk: "asis", endpoint }), [SECRET], name);
    assert.equal(showEndpoint(endpoint), `https://api.example.com/v1?${name}=012…ghij`);
  }
  const plain = "https://api.example.com/v1?api-version=2026-01-01-preview";
  assert.deepEqual(keysOf({ sk: "asis", endpoint: plain }), []);
  assert.equal(showEndpoint(plain), plain);
});

Deno.test("baseUrlOf() takes an API call, slashes and a fragment off the end, and nothing else", () => {
  const kept = [
    "https://api.example.com",
    "https://api.example.com/v1",
    "https://api.example.com/v1beta/openai",
    "https://example.openai.azure.com/openai/deployments/embeddings",
    "https://example.openai.azure.com/openai/deployments/gpt-4o?api-version=2026-01-01",
    "https://completions",
    "https://completions:8443",
    "https://api.example.com/chat/v1",
    "https://api.example.com/my-models",
    "https://api.example.com/v1?next=/chat/completions",
  ];
  for (const endpoint of kept) assert.equal(baseUrlOf(endpoint), endpoint);
  const calls = [
    ...["chat/completions", "completions", "responses", "messages", "models", "embeddings", "rerank"],
    ...["images/generations", "audio/speech", "audio/transcriptions", "moderations", "responses/compact"],
    ...["messages/count_tokens", "Chat/Completions", "chat/completions/", "chat/completions//"],
    ...["chat/completions/chat/completions", "models/", "", "/", "//"],
  ];
  for (const call of calls) {
    assert.equal(baseUrlOf(`https://api.example.com/v1/${call}`), "https://api.example.com/v1", call);
    assert.equal(baseUrlOf(` HTTPS://api.example.com/${call}#top `), "HTTPS://api.example.com", call);
    assert.equal(
      baseUrlOf(`https://x.example/openai/deployments/gpt-4o/${call}?api-version=1`),
      "https://x.example/openai/deployments/gpt-4o?api-version=1",
      call,
    );
  }
  assert.equal(baseUrlOf(" no URL/models "), "no URL/models");
});
