/**
 * Errors of this program in the form of Anthropic's Messages API, whose clients read no other.
 *
 * Pure. OpenAI's form: errors.ts.
 *
 * @see https://docs.anthropic.com/en/api/errors
 */
import type { RouterError } from "./errors.ts";

/** The body of such an error. */
export interface AnthropicEnvelope {
  readonly type: "error";
  readonly error: { readonly type: string; readonly message: string };
  /** null when the request was refused before it got a number. */
  readonly request_id: string | null;
}

export function toAnthropicEnvelope(error: RouterError, requestId: string | null): AnthropicEnvelope {
  const { status, message, reported } = error;
  const type = reported?.type ?? anthropicErrorType(status);
  return { type: "error", error: { type, message }, request_id: requestId };
}

/** Those statuses that have a type of their own. */
const TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  408: "timeout_error",
  413: "request_too_large",
  429: "rate_limit_error",
  504: "timeout_error",
  529: "overloaded_error",
};

/** Anthropic's `error.type` for a status. */
function anthropicErrorType(status: number): string {
  return TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
}
