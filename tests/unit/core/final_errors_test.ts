import assert from "node:assert/strict";
import { isFinalError, isTooLong } from "../../../src/core/final_errors.ts";
import type { ReportedError } from "../../../src/core/reported_error.ts";

const error = (code: string | null, type: string | null = null, message = "m"): ReportedError => ({
  message,
  code,
  type,
});

Deno.test("isFinalError() looks at code and type", () => {
  const codes = new Set(["content_filter", "1301"]);
  assert.ok(isFinalError(error("content_filter"), codes));
  assert.ok(isFinalError(error(null, "content_filter"), codes));
  assert.ok(isFinalError(error("1301", "x"), codes));
  assert.equal(isFinalError(error("Content_Filter", "content_filters"), codes), false);
  assert.equal(isFinalError(error(null, null, "content_filter"), codes), false);
  assert.equal(isFinalError(null, codes), false);
  assert.equal(isFinalError(error("content_filter"), new Set()), false);
});

Deno.test("isTooLong() knows the ways in which providers say it", () => {
  const yes: [ReportedError | null, number][] = [
    [null, 413],
    [error("context_length_exceeded", "invalid_request_error"), 400],
    [error(null, "request_too_large"), 200],
    [error("string_above_max_length"), 422],
    [error(null, "invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum"), 400],
    [
      error(null, null, "This model's maximum context length is 8192 tokens. However, you requested 9000"),
      400,
    ],
    [error("context_length_exceeded"), 500],
  ];
  for (const [stated, status] of yes) assert.ok(isTooLong(stated, status), JSON.stringify([stated, status]));
  const no: [ReportedError | null, number][] = [
    [null, 400],
    [error("rate_limit_exceeded", "tokens", "maximum context length of your tier"), 429],
    [error(null, "invalid_request_error", "messages: field required"), 400],
    [error(null, "server_error", "cannot allocate the context window"), 500],
    [error(null, null, "x".repeat(600) + "prompt is too long"), 400],
  ];
  for (const [stated, status] of no) {
    assert.equal(isTooLong(stated, status), false, JSON.stringify([stated, status]));
  }
});
