import assert from "node:assert/strict";
import { RouterError } from "../../../src/core/errors.ts";
import { HeaderFields } from "../../../src/core/header_fields.ts";
import type { EndpointKind } from "../../../src/core/types.ts";
import { errorForms, refusal } from "../../../src/http/error_answer.ts";

const ERROR = new RouterError(502, "upstream_cut", "it broke off");
const QUOTA = new RouterError(502, "upstream_invalid", "out of credit", {
  reported: { message: "out of credit", code: "insufficient_quota", type: "overloaded_error" },
});

function callOf(kind: EndpointKind, path = `/v1/${kind}`) {
  return { kind, path, model: "m", requestId: "01J", startedAtMs: 1_700_000_000_000 };
}

function eventOf(error: RouterError, kind: EndpointKind): { name: string | null; data: unknown } {
  const text = new TextDecoder().decode(errorForms.event(error, callOf(kind)));
  const [, , name = null, data = ""] = /^(event: (.*)\n)?data: (.*)\n\n$/.exec(text) ?? assert.fail(text);
  return { name, data: JSON.parse(data) };
}

Deno.test("an error event has the form of the API that was called", () => {
  for (const kind of ["chat", "completions", "audio", "images", "other"] as const) {
    assert.deepEqual(eventOf(ERROR, kind), { name: null, data: ERROR.toEnvelope() });
  }
  assert.deepEqual(eventOf(ERROR, "messages"), {
    name: "error",
    data: { type: "error", error: { type: "api_error", message: "it broke off" }, request_id: "01J" },
  });
  const { name, data } = eventOf(ERROR, "responses") as {
    name: string;
    data: { type: string; sequence_number: number; response: Record<string, unknown> };
  };
  assert.deepEqual([name, data.type, data.sequence_number], ["response.failed", "response.failed", 0]);
  const { id, object, status, model, output, error, created_at } = data.response;
  assert.deepEqual({ id, object, status, model, output, error, created_at }, {
    id: "resp_01J",
    object: "response",
    status: "failed",
    model: "m",
    output: [],
    error: { code: "upstream_cut", message: "it broke off" },
    created_at: 1_700_000_000,
  });
});

Deno.test("what an upstream reported keeps its type and code", () => {
  const messages = eventOf(QUOTA, "messages").data as { error: { type: string } };
  assert.equal(messages.error.type, "overloaded_error");
  const responses = eventOf(QUOTA, "responses").data as { response: { error: { code: string } } };
  assert.equal(responses.response.error.code, "insufficient_quota");
});

Deno.test("documents are Anthropic's for the messages API and below it, OpenAI's for the rest", () => {
  const typeOf = (path: string | null, status = 502) => {
    const { body, headers } = refusal(new RouterError(status, "invalid_request", "no"), [], path);
    assert.equal(headers.get("content-type"), "application/json");
    const document = JSON.parse(new TextDecoder().decode(body)) as {
      type?: string;
      error: { type: string };
      request_id?: null;
    };
    if (document.type !== undefined) assert.equal(document.request_id, null);
    return `${document.type ?? "openai"} ${document.error.type}`;
  };
  for (
    const path of [
      "/v1/messages",
      "/v1/messages/",
      "/v1/messages/count_tokens",
      "/v1/v1/messages",
      "/v1/v1/v1/messages",
      "/v1/anthropic/v1/messages",
      "/v1/%6Dessages",
    ]
  ) {
    assert.equal(typeOf(path), "error api_error", path);
  }
  for (const path of [null, "/v1/chat/completions", "/v1/threads/t/messages", "/v1/messagesx", "/messages"]) {
    assert.equal(typeOf(path), "openai server_error", String(path));
  }
  const types = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
  };
  for (const [status, type] of Object.entries(types)) {
    assert.equal(typeOf("/v1/messages", Number(status)), `error ${type}`);
  }
});

Deno.test("the answer of an admitted request names it", () => {
  const { body } = errorForms.answer(ERROR, new HeaderFields(), callOf("messages"));
  assert.equal(JSON.parse(new TextDecoder().decode(body)).request_id, "01J");
});
