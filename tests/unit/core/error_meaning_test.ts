import assert from "node:assert/strict";
import { type ErrorMeaning, isAboutObject, meaningOf } from "../../../src/core/error_meaning.ts";

type Row = readonly [
  expected: ErrorMeaning | null,
  code: string | null,
  type: string | null,
  message?: string,
];

/** Errors as providers write them. */
const TABLE: Readonly<Record<string, readonly Row[]>> = {
  "out of credit, by code or type": [
    ["no_credit", "insufficient_quota", "insufficient_quota", "You exceeded your current quota"],
    [
      "no_credit",
      "billing_hard_limit_reached",
      "invalid_request_error",
      "Billing hard limit has been reached",
    ],
    ["no_credit", "billing_not_active", "billing_not_active"],
    ["no_credit", "credit_balance_exhausted", null],
    ["no_credit", null, "billing_error", "Your account has a billing issue"],
    ["no_credit", "insufficient_user_quota", "new_api_error", "用户额度不足"],
    ["no_credit", "Arrearage", null, "Access denied, please make sure your account is in good standing."],
    ["no_credit", "AccountOverdueError", "Forbidden"],
    ["no_credit", null, "exceeded_current_quota_error", "Your account is suspended"],
    ["no_credit", "402", null, "Insufficient credits. Add more using the settings page"],
    ["no_credit", "pre_consume_token_quota_failed", "new_api_error"],
  ],
  "out of credit, by words": [
    ["perhaps_no_credit", null, "invalid_request_error", "Your credit balance is too low to access the API."],
    ["perhaps_no_credit", "1113", null, "余额不足或无可用资源包,请充值。"],
    ["perhaps_no_credit", null, null, "您的账户已欠费"],
    ["perhaps_no_credit", "30001", null, "Sorry, your account balance is insufficient"],
    ["perhaps_no_credit", null, "unknown_error", "Insufficient Balance"],
    ["perhaps_no_credit", "402", null, "This request requires more credits, or fewer max_tokens."],
    ["perhaps_no_credit", null, "invalid_request_error", "Insufficient account balance"],
  ],
  "too many requests, which is not that": [
    ["rate", "rate_limit_exceeded", "tokens", "Rate limit reached for gpt-4o on tokens per min"],
    ["rate", null, "rate_limit_error", "This request would exceed your rate limit"],
    [
      "rate",
      "429",
      "RESOURCE_EXHAUSTED",
      "You exceeded your current quota, please check your plan and billing details. Please retry in 20s",
    ],
    ["rate", "Throttling.RateQuota", null, "Requests rate limit exceeded"],
    ["rate", null, "rate_limit_error", "Insufficient quota per minute, try again in 3 s"],
  ],
  "the client's mistake": [
    ["client", null, "invalid_request_error", "messages: at least one message is required"],
    [
      "client",
      "context_length_exceeded",
      "invalid_request_error",
      "This model's maximum context length is 8192",
    ],
    ["client", null, "not_found_error"],
    ["client", "invalid_prompt", null],
    ["client", "unsupported_parameter", "invalid_request_error"],
    ["client", "unsupported_value", null],
    ["client", "string_above_max_length", null],
    ["client", null, "request_too_large"],
    ["client", "content_policy_violation", null],
    ["client", "content_filter", null],
    ["client", "invalid_image_url", null],
    ["client", "image_too_large", null],
    ["client", "previous_response_not_found", "invalid_request_error"],
    ["client", "400", "INVALID_ARGUMENT"],
    ["client", "DataInspectionFailed", null],
    ["client", "missing_required_parameter", null],
    ["client", "context_length_exceeded", null, "The text quotes: insufficient balance"],
  ],
  "a model that is not there": [
    ["model", "model_not_found", "invalid_request_error", "The model `x` does not exist"],
    ["model", "DeploymentNotFound", null],
    ["model", "model_not_supported", null],
    ["model", "ModelNotOpen", null],
  ],
  "the key": [
    ["key", "invalid_api_key", "invalid_request_error"],
    ["key", null, "authentication_error"],
    ["key", null, "permission_error"],
    ["key", "401", "UNAUTHENTICATED"],
  ],
  "the upstream": [
    ["upstream", "server_error", "server_error"],
    ["upstream", null, "overloaded_error"],
    ["upstream", null, "api_error"],
    ["upstream", "503", "UNAVAILABLE"],
    ["upstream", "500", null, "invalid_request_error"],
    ["upstream", "InternalServerError", null],
  ],
  "nothing that is known": [
    [null, null, null, "quota"],
    [null, null, null, "overloaded"],
    [null, "x".repeat(5_000), null],
    [null, "", ""],
  ],
};

for (const [name, rows] of Object.entries(TABLE)) {
  Deno.test(`meaningOf(): ${name}`, () => {
    for (const [expected, code, type, message = ""] of rows) {
      assert.equal(meaningOf({ message, code, type }), expected, `${code} ${type} ${message}`);
    }
  });
}

Deno.test("an error about an object that the request names is told from one about model or path", () => {
  const about = (message: string, code: string | null = null) => isAboutObject({ message, code, type: null });
  assert.ok(about("No such File object: file-abc123def"));
  assert.ok(about("Previous response with id 'resp_0123abcdef' not found."));
  assert.ok(about("No thread found with id 'thread_abc123def'."));
  assert.ok(about("gone", "previous_response_not_found"));
  assert.ok(!about("The model `gpt-4o` does not exist or you do not have access to it."));
  assert.ok(!about("404 page not found"));
  assert.ok(!about("Not Found: /v1/chat/completions/chat/completions"));
  assert.ok(!about("model: claude-3-item-batch"));
});
