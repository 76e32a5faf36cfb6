import assert from "node:assert/strict";
import { NO_TOKENS, TokenGuard } from "../../../../src/core/token_guard.ts";
import {
  bearerToken,
  clientCredentials,
  clientHeaders,
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

Deno.test("bearerToken() takes the scheme in any case", () => {
  const table: [value: string, token: string | null][] = [
    ["Bearer a", "a"],
    ["bearer a", "a"],
    ["BEARER    a  ", "a"],
    ["Bearer a b", "a b"],
    ["Bearer", null],
    ["Bearer ", null],
    ["Bearera", null],
    ["Basic a", null],
    ["a", null],
    ["", null],
  ];
  for (const [value, token] of table) assert.equal(bearerToken(value), token, value);
});

Deno.test("clientCredentials() lists every credential, Authorization first", () => {
  const headers = new Headers({ "api-key": "3", "x-api-key": "2", "authorization": "Bearer 1" });
  assert.deepEqual(clientCredentials(headers), ["1", "2", "3"]);
  assert.deepEqual(clientCredentials(new Headers({ "x-api-key": "  " })), []);
  assert.deepEqual(clientCredentials(new Headers({ "authorization": "Basic x" })), []);
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

Deno.test("clientHeaders() of an answer of our own has ours only", () => {
  const headers = clientHeaders(null, { requestId: "R", upstreamName: null, attempts: 2 });
  assert.deepEqual(Object.fromEntries(headers), {
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "*",
    "content-security-policy": "sandbox; default-src 'none'",
    "x-content-type-options": "nosniff",
    "x-oar-attempts": "2",
    "x-oar-request-id": "R",
  });
});

Deno.test("clientHeaders() makes any upstream name a legal header value", () => {
  for (const name of ["Büro\r\nx: y", "\u{1f600}", "a\ud800b", " padded "]) {
    const headers = clientHeaders(null, { requestId: "R", upstreamName: name, attempts: 1 });
    assert.match(headers.get("x-oar-upstream") ?? "", /^[\x21-\x7e][\x20-\x7e]*$/);
  }
});
