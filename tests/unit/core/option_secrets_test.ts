/** Which options of an upstream are secrets, and in which forms they are masked. */
import assert from "node:assert/strict";
import { applySetHeaders, setHeaderProblem } from "../../../src/core/set_headers.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { isSecretHeader } from "../../../src/core/option_secrets.ts";
import { keysOf } from "../../../src/core/secrets.ts";
import { NO_SHAPING } from "../../../src/core/upstream_options.ts";

Deno.test("a header's value is a secret by its name, or by its length", () => {
  const table: readonly [name: string, value: string, isSecret: boolean][] = [
    ["x-portkey-api-key", "abcd", true],
    ["helicone-auth", "Bearer abc", true],
    ["x-team", "a-team", false],
    ["x-team", "0123456789abcdef", true],
    ["anthropic-beta", "context-1m-2025-08-07", false],
    ["x-key", "abc", false],
  ];
  for (const [name, value, isSecret] of table) assert.equal(isSecretHeader(name, value), isSecret, name);
});

Deno.test("keysOf() has the secrets of headers and proxy in all forms", () => {
  const keys = keysOf({
    sk: "asis",
    endpoint: "https://a.example/v1",
    shaping: {
      ...NO_SHAPING,
      setHeaders: {
        "helicone-auth": "Bearer abc/def0123456789",
        "x-none": null,
        "x-config": '{"api_key":"0123456789abcdef"}',
      },
      proxy: "http://me:p%40ssword@127.0.0.1:1",
    },
  });
  for (
    const form of [
      "Bearer abc/def0123456789",
      "abc/def0123456789",
      "abc\\/def0123456789",
      "0123456789abcdef",
      '{\\"api_key\\":\\"0123456789abcdef\\"}',
      "p@ssword",
      "p%40ssword",
      btoa("me:p@ssword"),
    ]
  ) assert.ok(keys.includes(form), form);
});

Deno.test("headers of the message, of the connection and of the credential cannot be set, whatever their case", () => {
  for (
    const name of [
      "Host",
      "content-length",
      "Transfer-Encoding",
      "AUTHORIZATION",
      "x-api-key",
      "api-key",
      "Cookie",
      "te",
      "connection",
      "proxy-authorization",
      "a b",
      "",
      "x".repeat(200),
    ]
  ) {
    assert.notEqual(setHeaderProblem(name, "hidden-value"), null, name);
    assert.ok(!setHeaderProblem(name, "hidden-value")?.includes("hidden-value"));
    assert.notEqual(setHeaderProblem(name, null), null, name);
  }
  for (const value of ["a\nb", "a\r", "\0", "…", 5, {}, "x".repeat(5_000)]) {
    assert.notEqual(setHeaderProblem("x-a", value), null);
  }
  for (const value of ["", "a\tb", "é", null]) assert.equal(setHeaderProblem("X-A", value), null);
});

Deno.test("applySetHeaders() says whether anything changed", () => {
  const headers = () => new HeaderFields([["a", "1"], ["b", "2"], ["b", "3"]]);
  const table: readonly [set: Record<string, string | null>, isChanged: boolean, fields: string[][]][] = [
    [{}, false, [["a", "1"], ["b", "2"], ["b", "3"]]],
    [{ a: "1", c: null }, false, [["a", "1"], ["b", "2"], ["b", "3"]]],
    [{ b: "4" }, true, [["a", "1"], ["b", "4"]]],
    [{ a: null }, true, [["b", "2"], ["b", "3"]]],
  ];
  for (const [set, isChanged, fields] of table) {
    const all = headers();
    assert.equal(applySetHeaders(all, set), isChanged);
    assert.deepEqual([...all], fields);
  }
});
