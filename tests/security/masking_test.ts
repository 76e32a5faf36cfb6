/** Where masking begins and ends, at every split of a stream and every cut of a text. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { formatJson } from "../../src/cli/output.ts";
import { redactKept, redactSecrets } from "../../src/core/secrets.ts";
import { NO_TOKENS } from "../../src/core/token_guard.ts";
import { maskFor } from "../../src/proxy/relay/masking.ts";
import { upstreamHeaders } from "../../src/proxy/attempt/upstream_request.ts";

const KEY = "sk-secret-0123456789";
const MASKED = "sk-*****************";
const ERROR = `data: {"error":{"message":"bad key ${KEY}"}}\n\n`;
const CONTENT = `data: {"choices":[{"delta":{"content":"${KEY}, sk-sec"}}]}\n\n`;

const mask = maskFor({ sk: KEY, endpoint: "https://a.example/v1" }) ?? assert.fail("a key has a mask");

Deno.test("maskWithin() masks whole occurrences and leaves every other chunk the object that it was", () => {
  const chunk = (text: string) => new TextEncoder().encode(text);
  assert.equal(Buffer.from(mask.maskWithin(chunk(ERROR))).toString(), ERROR.replaceAll(KEY, MASKED));
  for (const text of [CONTENT.replace(KEY, "x"), KEY.slice(0, -1), ""]) {
    const bytes = chunk(text);
    assert.equal(mask.maskWithin(bytes), bytes);
  }
});

Deno.test("redactSecrets() masks a key that was cut at the end of a text", () => {
  for (let length = 12; length < KEY.length; length++) {
    assert.equal(redactSecrets(`bad key ${KEY.slice(0, length)}`, [KEY]), "bad key sk-…");
  }
  assert.equal(redactSecrets(`bad key ${KEY.slice(0, 11)}`, [KEY]), "bad key sk-secret-0");
  assert.equal(redactSecrets("sk-secret-012, sk-secret-012 x", [KEY]), "sk-secret-012, sk-secret-012 x");
});

Deno.test("redactSecrets() takes a secret literally, including characters of patterns and replacements", () => {
  const secret = "$&-$&-secret-$&$&";
  assert.equal(redactSecrets(`a ${secret} b`, [secret]), "a $&-…$&$& b");
});

Deno.test("redactKept() does not mask keys that are words: a record keeps its text", () => {
  assert.equal(redactKept("run ollama with EMPTY", ["ollama", "EMPTY", "asis"]), "run ollama with EMPTY");
  assert.equal(redactKept(`my key is ${KEY}`, [KEY]), "my key is sk-…6789");
});

Deno.test("formatJson() keeps the meaning and controls no terminal", () => {
  const value = { name: "a\x1b[2J\u009b31m\u202eb\u2028\ufeff\u{e0001}ü" };
  const text = formatJson(value);
  assert.deepEqual(JSON.parse(text), value);
  assert.match(text, /^[\n\x20-\x7eü]+$/);
});

Deno.test("no header of a client becomes the credential of an upstream that has its own", () => {
  const headers = new Headers({
    "authorization": "Bearer own",
    "x-api-key": "own",
    "api-key": "own",
    "cookie": "own",
    "proxy-authorization": "own",
    "connection": "authorization, x-api-key",
  });
  for (const authStyle of ["bearer", "x-api-key", "api-key"] as const) {
    const upstream = { sk: KEY, endpoint: "https://a.example/v1", authStyle };
    const sent = [...upstreamHeaders({ headers }, upstream, NO_TOKENS) ?? []];
    assert.doesNotMatch(JSON.stringify(sent), /own/);
    assert.equal(sent.filter(([, value]) => value.includes(KEY)).length, 1);
  }
});
