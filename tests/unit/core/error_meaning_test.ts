import assert from "node:assert/strict";
import {
  type ErrorMeaning,
  impliedStatus,
  isAboutObject,
  isCodedMistake,
  isTooLong,
  meaningOf,
} from "../../../src/core/error_meaning.ts";
import type { ReportedError } from "../../../src/core/reported_error.ts";

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
    ["perhaps_no_credit", null, null, "error: INSUFFICIENT-BALANCE"],
    ["perhaps_no_credit", null, null, "insufficient_user_quota"],
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
    ["client", null, "not_found_error"],
    ["client", "invalid_prompt", null],
    ["client", "unsupported_parameter", "invalid_request_error"],
    ["client", "unsupported_value", null],
    ["client", "string_above_min_length", null],
    ["client", "content_policy_violation", null],
    ["client", "content_filter", null],
    ["client", "invalid_image_url", null],
    ["client", "image_too_large", null],
    ["client", "previous_response_not_found", "invalid_request_error"],
    ["client", "400", "INVALID_ARGUMENT"],
    ["client", "DataInspectionFailed", null],
    ["client", "missing_required_parameter", null],
    ["client", "409", null],
  ],
  "a request that is too long": [
    [
      "too_long",
      "context_length_exceeded",
      "invalid_request_error",
      "This model's maximum context length is 8192",
    ],
    ["too_long", "string_above_max_length", null],
    ["too_long", null, "request_too_large"],
    ["too_long", null, "ContextWindowExceededError"],
    ["too_long", null, "exceed_context_size_error"],
    ["too_long", "context_length_exceeded", null, "The text quotes: insufficient balance"],
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

const error = (code: string | null, type: string | null = null, message = "m"): ReportedError => ({
  message,
  code,
  type,
});

Deno.test("impliedStatus() reads the code first, then the type", () => {
  const table: [code: string | null, type: string | null, status: number][] = [
    ["401", null, 401],
    ["599", "invalid_request_error", 599],
    ["418", null, 418],
    ["200", null, 500],
    ["600", "not_found_error", 404],
    ["1301", "invalid_request_error", 400],
    ["model_not_found", "invalid_request_error", 404],
    ["previous_response_not_found", "invalid_request_error", 400],
    [null, "INVALID_ARGUMENT", 400],
    [null, "request_too_large", 413],
    [null, "permission_error", 403],
    [null, "billing_error", 402],
    ["insufficient_quota", "insufficient_quota", 429],
    ["tokens", null, 429],
    [null, "overloaded_error", 500],
    ["toString", "constructor", 500],
    [null, null, 500],
  ];
  for (const [code, type, status] of table) {
    assert.equal(impliedStatus(error(code, type)), status, `${code} ${type}`);
  }
});

Deno.test("an error whose words say that the credit is used up is no client's mistake", () => {
  const low = "Your credit balance is too low to access the API.";
  assert.equal(impliedStatus(error(null, "invalid_request_error", low)), 429);
  assert.equal(impliedStatus(error("1113", null, "余额不足")), 429);
  assert.equal(
    impliedStatus(error("402", null, "This request requires more credits, or fewer max_tokens.")),
    402,
  );
  assert.equal(impliedStatus(error("context_length_exceeded", null, `it quotes: ${low}`)), 400);
});

Deno.test("the spelling of a name does not matter, whatever is read from it", () => {
  const spelt: [names: string[], status: number][] = [
    [["invalid_request_error", "InvalidRequestError", "INVALID_REQUEST", "invalid-request"], 400],
    [["context_length_exceeded", "ContextLengthExceeded", "Context-Length-Exceeded"], 400],
    [["unsupported_parameter", "UnsupportedParameter"], 400],
    [["request_too_large", "RequestTooLarge"], 413],
    [["not_found_error", "NotFoundError", "NOT_FOUND", "endpoint_not_found"], 404],
    [["model_not_found", "ModelNotFound", "MODEL-NOT-FOUND"], 404],
    [["rate_limit_exceeded", "RateLimitError", "Throttling.RateQuota", "RESOURCE_EXHAUSTED"], 429],
    [["insufficient_quota", "InsufficientQuota"], 429],
    [["authentication_error", "AuthenticationError", "UNAUTHENTICATED", "Invalid-API-Key"], 401],
    [["permission_error", "PermissionDenied", "PERMISSION_DENIED"], 403],
  ];
  for (const [names, status] of spelt) {
    for (const name of names) {
      assert.equal(impliedStatus(error(name)), status, name);
      assert.equal(impliedStatus(error(null, name)), status, name);
    }
  }
  assert.ok(isTooLong(error("ContextLengthExceeded"), 200));
  assert.ok(isTooLong(error(null, "Context_Window_Exceeded"), 500));
  assert.ok(isCodedMistake(error("Context-Length-Exceeded")));
  assert.ok(isCodedMistake(error("InvalidPrompt")));
  assert.ok(!isCodedMistake(error("ServerError", "invalid_request_error")));
  assert.ok(isAboutObject(error("PreviousResponseNotFound")));
});

Deno.test("isTooLong() knows the ways in which providers say it", () => {
  const yes: [ReportedError | null, number][] = [
    [null, 413],
    [error("context_length_exceeded", "invalid_request_error"), 400],
    [error(null, "request_too_large"), 200],
    [error("string_above_max_length"), 422],
    [error(null, "invalid_request_error", "prompt is too long: 205000 tokens > 200000 maximum"), 400],
    [error(null, null, "PROMPT IS\nTOO LONG"), 400],
    [
      error(null, null, "This model's maximum context length is 8192 tokens. However, you requested 9000"),
      400,
    ],
    [error(null, null, "This model's maximum prompt length is 131072"), 400],
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
