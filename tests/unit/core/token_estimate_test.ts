import assert from "node:assert/strict";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { estimatedTokens } from "../../../src/core/token_estimate.ts";

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
