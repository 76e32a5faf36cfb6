import assert from "node:assert/strict";
import { keysOf } from "../../../src/core/secrets.ts";
import { showEndpoint } from "../../../src/control/upstream_endpoint.ts";

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
