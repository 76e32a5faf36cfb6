import assert from "node:assert/strict";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { readFields } from "../../../src/core/request_fields.ts";
import { estimatedTokens, jsonSize, requestSize } from "../../../src/core/token_estimate.ts";

function estimate(text: string, headers: [string, string][] = []): number {
  return estimatedTokens({ headers: new HeaderFields(headers), body: new TextEncoder().encode(text) });
}

Deno.test("a request's tokens are guessed from its length and its own limit", () => {
  assert.equal(estimatedTokens({ headers: new HeaderFields(), body: null }), 0);
  assert.equal(estimate("x".repeat(401)), 101);
  const length = (text: string) => Math.ceil(text.length / 4);
  for (const name of ["max_tokens", "max_completion_tokens", "max_output_tokens"]) {
    const text = `{"model":"m","${name}":500,"messages":[]}`;
    assert.equal(estimate(text), length(text) + 500, name);
  }
});

Deno.test("what is no limit does not count, and no limit is endless", () => {
  for (const value of ["-5", '"many"', "null", "[1]", "1e999"]) {
    const text = `{"max_tokens":${value}}`;
    const most = value === "1e999" ? 1_000_000 : 0;
    assert.equal(estimate(text), Math.ceil(text.length / 4) + most, value);
  }
  const text = '{"max_tokens":500}';
  assert.equal(estimate(text, [["content-encoding", "gzip"]]), 5);
  assert.equal(estimate("{".repeat(4_000)), 1_000);
});

Deno.test("input, the limit of the output and the number of replies are told apart", () => {
  const size = (text: string, decoded: string | null = null) =>
    requestSize({
      headers: new HeaderFields(decoded === null ? [] : [["content-encoding", "gzip"]]),
      body: new TextEncoder().encode(text),
      decodedBody: decoded === null ? null : new TextEncoder().encode(decoded),
    });
  assert.deepEqual(size('{"max_tokens":50,"n":3}'), { input: 6, outputLimit: 50, choices: 3 });
  assert.deepEqual(size("{}"), { input: 1, outputLimit: null, choices: 1 });
  for (const value of ["-3", '"x"', "0", "1e999", "null"]) {
    assert.equal(size(`{"n":${value}}`).choices, value === "1e999" ? 128 : 1, value);
  }
  assert.equal(size('{"n":2,"best_of":5}').choices, 5);
  // A coded body counts by what it says.
  assert.deepEqual(size("zip", '{"max_tokens":70,"x":1}'), { input: 6, outputLimit: 70, choices: 1 });
});

Deno.test("what the classification of a request has found says the same, and of any length", () => {
  const headers = new HeaderFields();
  for (
    const text of [
      '{"model":"日本","max_tokens":50,"n":3}',
      '{"n":2,"best_of":5,"max_completion_tokens":"70"}',
      '{"max_output_tokens":1e999,"messages":[{"max_tokens":9}]}',
      '{"model":"m"}',
    ]
  ) {
    const bytes = new TextEncoder().encode(text);
    for (const known of [text, null]) {
      const { json } = readFields({ contentType: "application/json", bytes, text: known });
      assert.deepEqual(json && jsonSize(json), requestSize({ headers, body: bytes }), text);
    }
  }
  const bytes = new TextEncoder().encode(`{"x":"${"a".repeat(2 * 1024 * 1024)}","max_tokens":7}`);
  const { json } = readFields({ contentType: null, bytes });
  assert.equal(json && jsonSize(json).outputLimit, 7);
});
