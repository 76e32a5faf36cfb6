/**
 * The HTTP status that an error stands for when it came without one of its own: within a 200, or in a stream.
 *
 * @see https://platform.openai.com/docs/guides/error-codes
 * @see https://docs.anthropic.com/en/api/errors
 */
import type { ReportedError } from "./reported_error.ts";

const STATUSES: ReadonlyMap<string, number> = new Map([
  ["invalid_request_error", 400],
  ["invalid_request", 400],
  ["bad_request", 400],
  ["invalid_prompt", 400],
  ["context_length_exceeded", 400],
  ["context_window_exceeded", 400],
  ["string_above_max_length", 400],
  ["unsupported_parameter", 400],
  ["unsupported_value", 400],
  ["content_policy_violation", 400],
  ["content_filter", 400],
  ["INVALID_ARGUMENT", 400],
  ["request_too_large", 413],
  ["not_found_error", 404],
  ["not_found", 404],
  ["model_not_found", 404],
  ["NOT_FOUND", 404],
  ["rate_limit_error", 429],
  ["rate_limit_exceeded", 429],
  ["tokens", 429],
  ["requests", 429],
  ["insufficient_quota", 429],
  ["billing_hard_limit_reached", 429],
  ["RESOURCE_EXHAUSTED", 429],
  ["authentication_error", 401],
  ["invalid_api_key", 401],
  ["UNAUTHENTICATED", 401],
  ["permission_error", 403],
  ["PERMISSION_DENIED", 403],
  ["billing_error", 402],
]);

/** From 400 to 599; 500 when code and type are unknown. */
export function impliedStatus({ code, type }: ReportedError): number {
  return ofLabel(code) ?? ofLabel(type) ?? 500;
}

function ofLabel(label: string | null): number | null {
  if (label === null) return null;
  const status = Number(label);
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : STATUSES.get(label) ?? null;
}
