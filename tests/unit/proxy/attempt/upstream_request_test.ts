import assert from "node:assert/strict";
import { NO_TOKENS, TokenGuard } from "../../../../src/core/token_guard.ts";
import {
  guessAuthStyle,
  upstreamHeaders,
  upstreamUrl,
} from "../../../../src/proxy/attempt/upstream_request.ts";

Deno.test("upstreamUrl() joins the endpoint and the request", () => {
  const table: [endpoint: string, path: string, query: string, url: string][] = [
    ["https://a.example/v1", "/v1/models", "", "https://a.example/v1/models"],
    ["https://a.example/v1/", "/v1/models", "", "https://a.example/v1/models"],
    ["https://a.example", "/v1/models", "", "https://a.example/v1/models"],
    ["https://a.example/", "/v1/models", "", "https://a.example/v1/models"],
    ["https://a.example:8443/x/y", "/v1/models", "", "https://a.example:8443/x/y/models"],
    ["https://a.example/v1", "/v1", "", "https://a.example/v1"],
    ["https://a.example/v1", "/v1/", "", "https://a.example/v1/"],
    ["https://a.example/v1", "/v1/v1/x", "", "https://a.example/v1/v1/x"],
    ["https://a.example/v1", "/v1/files/a%2Fb", "", "https://a.example/v1/files/a%2Fb"],
    ["https://a.example/v1", "/v1/x", "a=1&a=2", "https://a.example/v1/x?a=1&a=2"],
    ["https://a.example/o?api-version=3", "/v1/x", "", "https://a.example/o/x?api-version=3"],
    ["https://a.example/o?api-version=3", "/v1/x", "b=%20", "https://a.example/o/x?api-version=3&b=%20"],
    ["http://[::1]:9/v1", "/v1/x", "", "http://[::1]:9/v1/x"],
  ];
  for (const [endpoint, path, query, url] of table) assert.equal(upstreamUrl(endpoint, path, query), url);
});

Deno.test("guessAuthStyle() knows Anthropic and Azure by their hosts only", () => {
  const table: Record<string, string> = {
    "https://api.anthropic.com/v1": "x-api-key",
    "https://anthropic.com.evil.example/v1": "bearer",
    "https://notanthropic.com/v1": "bearer",
    "https://mine.openai.azure.com/openai": "api-key",
    "https://mine.cognitiveservices.azure.com/openai": "api-key",
    "https://openai.azure.com.evil.example/": "bearer",
    "https://api.openai.com/v1": "bearer",
    "http://127.0.0.1:1/v1": "bearer",
  };
  for (const [endpoint, style] of Object.entries(table)) {
    assert.equal(guessAuthStyle(endpoint), style, endpoint);
  }
});

Deno.test("upstreamHeaders() guesses the style when none is set", () => {
  const upstream = { sk: "sk-1", endpoint: "https://api.anthropic.com/v1", authStyle: null };
  const headers = upstreamHeaders(
    { headers: new Headers({ authorization: "Bearer t" }) },
    upstream,
    NO_TOKENS,
  );
  assert.equal(headers?.get("x-api-key"), "sk-1");
  assert.equal(headers?.has("authorization"), false);
});

Deno.test("upstreamHeaders() of asis leaves out each credential that is a token of the router", () => {
  const upstream = { sk: "asis", endpoint: "https://a.example/v1", authStyle: null };
  const guard = new TokenGuard(["token"]);
  const table: [sent: Record<string, string>, forwarded: Record<string, string> | null][] = [
    [{}, null],
    [{ authorization: "Bearer token" }, null],
    [{ authorization: "bearer token", "x-api-key": "token", "api-key": "token" }, null],
    [{ authorization: "token" }, null],
    [{ authorization: "Bearer own", "x-api-key": "token" }, { authorization: "Bearer own" }],
    [{ authorization: "Bearer token", "x-api-key": "own" }, { "x-api-key": "own" }],
    [{ authorization: "Bearer token", "x-api-key": "Bearer token" }, null],
    [{ authorization: "Basic dXNlcg==" }, { authorization: "Basic dXNlcg==" }],
  ];
  for (const [sent, forwarded] of table) {
    const headers = upstreamHeaders({ headers: new Headers(sent) }, upstream, guard);
    headers?.delete("accept-encoding");
    assert.deepEqual(headers === null ? null : Object.fromEntries(headers), forwarded, JSON.stringify(sent));
  }
});
