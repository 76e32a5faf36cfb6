import assert from "node:assert/strict";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import { retryDelayMs } from "../../../src/core/retry.ts";
import type { AttemptOutcome } from "../../../src/core/types.ts";

function delay(
  outcome: AttemptOutcome,
  headers: Record<string, string> | null = null,
  random = 0.5,
): number | null {
  return retryDelayMs(outcome, {
    headers: headers === null ? null : new HeaderFields(Object.entries(headers)),
    maxWaitMs: 5_000,
    wallNowMs: Date.UTC(2026, 0, 1),
    random,
  });
}

const response = (status: number): AttemptOutcome => ({ type: "response", status });

Deno.test("retryDelayMs() waits about half a second after failures that may pass", () => {
  for (const status of [500, 502, 503, 504]) {
    assert.equal(delay(response(status), {}, 0), 400);
    assert.equal(delay(response(status), {}, 1), 600);
  }
  assert.equal(delay({ type: "connect_error", message: "", isReset: true }), 500);
});

Deno.test("retryDelayMs() waits for as long as the upstream says, within the limit", () => {
  assert.equal(delay(response(429), { "retry-after": "2" }), 2_010);
  assert.equal(delay(response(503), { "retry-after": "5" }), 5_010);
  assert.equal(delay(response(429), { "retry-after": "0" }), 10);
  assert.equal(delay(response(429), { "retry-after-ms": "50", "retry-after": "9" }), 60);
  assert.equal(delay(response(429), { "retry-after": "Thu, 01 Jan 2026 00:00:03 GMT" }), 3_010);
  assert.equal(delay(response(503), { "retry-after": "5.1" }), null);
  assert.equal(delay(response(500), { "retry-after": "60" }), null);
});

Deno.test("retryDelayMs() refuses everything else", () => {
  const no: [AttemptOutcome, Record<string, string> | null][] = [
    [response(429), {}],
    [response(429), { "retry-after": "soon" }],
    [response(500), { "x-should-retry": "false" }],
    [response(400), { "retry-after": "1" }],
    [response(401), {}],
    [response(408), {}],
    [response(501), {}],
    [response(529), {}],
    [{ type: "connect_error", message: "", isReset: false }, null],
    [{ type: "timeout", phase: "headers", limitMs: 1 }, null],
    [{ type: "bad_stream", message: "", isCut: true, isFinished: false, error: null }, {}],
    [{ type: "no_credential" }, null],
  ];
  for (const [outcome, headers] of no) assert.equal(delay(outcome, headers), null, JSON.stringify(outcome));
});
