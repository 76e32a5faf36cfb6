import assert from "node:assert/strict";
import { RECORD_COLUMNS } from "../../../../src/store/database/record_columns.ts";
import {
  partParams,
  progressParams,
  PUT_PART,
  recordParams,
  UPDATE_PROGRESS,
  UPSERT_RECORD,
} from "../../../../src/store/write/record_statements.ts";
import { makeRecord } from "../support.ts";

/** Every value is another one, so that none can take the place of a second. */
const RECORD = makeRecord({
  requestId: "request_id",
  ip: "ip",
  body: "body",
  model: "model",
  response: "response",
  isStream: false,
  elapsedMs: 1,
  status: 12,
  upstreamId: 3,
  authorization: "authorization",
  method: "method",
  path: "path",
  firstByteMs: 4,
  firstTokenMs: 5,
  usage: { inputTokens: 6, outputTokens: 7, cachedTokens: 8, reasoningTokens: 9, details: { images: 14 } },
  finishReason: "finish_reason",
  reasoning: "reasoning",
  responseModel: "response_model",
  requestBytes: 10,
  responseBytes: 11,
  userAgent: "user_agent",
  client: "client",
  error: "error",
  isTruncated: true,
  affinity: "owner",
  queuedMs: 13,
  areTokensEstimated: true,
  costNano: 15,
});

const EXPECTED: Readonly<Record<string, unknown>> = {
  created_at: "2024-01-02 03:04:05.678000+00:00",
  elapsed_time: 1_000_000,
  status: 12,
  upstream_id: 3,
  is_stream: 0,
  outcome: "complete",
  attempts: 2,
  first_byte_ms: 4,
  first_token_ms: 5,
  input_tokens: 6,
  output_tokens: 7,
  cached_tokens: 8,
  reasoning_tokens: 9,
  tool_calls: null,
  request_bytes: 10,
  response_bytes: 11,
  is_truncated: 1,
  affinity: "owner",
  queued_ms: 13,
  usage_details: '{"images":14}',
  tokens_are_estimated: 1,
  cost_nano: 15,
};

/** What is not expected to be something else is its column's name. */
function expectedOf(columns: readonly string[]): unknown[] {
  return columns.map((name) => Object.hasOwn(EXPECTED, name) ? EXPECTED[name] : name);
}

Deno.test("recordParams() are in the order of the statement's columns", () => {
  const columns = /INSERT INTO records\(id, ([^)]+)\)/.exec(UPSERT_RECORD)?.[1]?.split(", ") ?? [];
  assert.deepEqual(columns, Object.keys(RECORD_COLUMNS));
  assert.deepEqual(recordParams(RECORD, "instance"), expectedOf(columns));
});

Deno.test("progressParams() are in the order of the statement's columns", () => {
  const columns = [...UPDATE_PROGRESS.matchAll(/(\w+) = \?/g)].map((match) => match[1] ?? "");
  assert.deepEqual(progressParams(RECORD), expectedOf(columns));
});

Deno.test("partParams() are in the order of the statement's columns", () => {
  const columns = /record_parts\(([^)]+)\)/.exec(PUT_PART)?.[1]?.split(/,\s*/) ?? [];
  assert.deepEqual(columns.slice(0, 2), ["record_id", "n"]);
  assert.deepEqual(partParams(RECORD, 77, 8), [77, 8, ...expectedOf(columns.slice(2))]);
});
