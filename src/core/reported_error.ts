/**
 * An error as the reply of an upstream states it, whatever its status and shape.
 *
 * @see https://platform.openai.com/docs/guides/error-codes
 */

export interface ReportedError {
  /** For people; at most 2,000 characters. */
  readonly message: string;
  /** `error.code` (`insufficient_quota`, `rate_limit_exceeded`, `1113`), a number as its digits; null when not given. */
  readonly code: string | null;
  /** `error.type` (`invalid_request_error`, `overloaded_error`); null when not given. */
  readonly type: string | null;
}

/** An error of which no more than a text is known. */
export function errorOfText(message: string): ReportedError {
  return { message, code: null, type: null };
}
