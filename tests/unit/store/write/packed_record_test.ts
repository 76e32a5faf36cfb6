import assert from "node:assert/strict";
import type { RequestRecord } from "../../../../src/core/types.ts";
import { packRecord, unpackRecord } from "../../../../src/store/write/packed_record.ts";
import { makeRecord } from "../support.ts";

/** Every value is another one, so that none can take the place of a second. */
const RECORD: RequestRecord = {
  requestId: "id",
  createdAtMs: 1,
  ip: "ip",
  method: "method",
  path: "path",
  body: "body",
  model: "model",
  isStream: true,
  response: "response",
  reasoning: "reasoning",
  toolCalls: [{ id: null, name: "name", arguments: "arguments" }],
  responseModel: "response model",
  finishReason: "finish reason",
  usage: { inputTokens: 2, outputTokens: 3, cachedTokens: null, reasoningTokens: 5 },
  elapsedMs: 6,
  firstByteMs: 7,
  firstTokenMs: 8,
  status: 9,
  outcome: "upstream_cut",
  upstreamId: 10,
  attempts: [{
    index: 11,
    upstreamId: 12,
    upstreamName: "upstream",
    startedAtMs: 13,
    durationMs: 14,
    status: 15,
    errorClass: "timeout",
    message: "message",
    partial: "partial",
    keyN: 3,
    isChanged: true,
    usage: { inputTokens: 19, outputTokens: null, cachedTokens: 0, reasoningTokens: null },
    costNano: 20,
  }],
  authorization: "authorization",
  client: "client",
  userAgent: "user agent",
  requestBytes: 16,
  responseBytes: 17,
  error: "error",
  isTruncated: false,
  affinity: "session",
  queuedMs: 18,
  areTokensEstimated: true,
  costNano: 12_345,
};

Deno.test("unpackRecord() gives what packRecord() was given, across threads", () => {
  for (const record of [RECORD, makeRecord(), { ...RECORD, usage: null, attempts: [], isStream: false }]) {
    assert.deepEqual(unpackRecord(structuredClone(packRecord(record))), record);
  }
});
