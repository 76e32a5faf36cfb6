/**
 * Records for the tests of the observe room.
 */
import type { RequestRecord } from "../../../src/core/types.ts";

export function record(fields: Partial<RequestRecord> = {}): RequestRecord {
  return {
    requestId: "01JGXYZ",
    createdAtMs: 0,
    ip: "1.2.3.4",
    method: "POST",
    path: "/v1/chat/completions",
    body: "BODY-TEXT",
    model: "gpt-4o",
    isStream: true,
    response: "RESPONSE-TEXT",
    reasoning: "",
    toolCalls: [],
    responseModel: null,
    finishReason: "stop",
    usage: null,
    elapsedMs: 1234.4,
    firstByteMs: 100,
    firstTokenMs: 200,
    status: 200,
    outcome: "complete",
    upstreamId: 1,
    attempts: [],
    authorization: "sk-…wxyz",
    client: null,
    userAgent: null,
    requestBytes: 0,
    responseBytes: 0,
    error: null,
    isTruncated: false,
    affinity: null,
    queuedMs: null,
    areTokensEstimated: false,
    costNano: null,
    ...fields,
  };
}
