/**
 * Errors of the operator's operations, as the admin API and the page answer them.
 */
import { ControlError, type ControlErrorCode } from "../../control/errors.ts";
import { RouterError, type RouterErrorCode } from "../../core/errors.ts";

const ANSWERS: Readonly<Record<ControlErrorCode, readonly [status: number, code: RouterErrorCode]>> = {
  invalid: [400, "invalid_request"],
  not_found: [404, "not_found"],
  ambiguous: [404, "not_found"],
  duplicate: [409, "duplicate"],
  token_exists: [400, "invalid_request"],
  conflict: [409, "invalid_request"],
  key_required: [400, "key_required"],
  unusable: [400, "invalid_request"],
  not_replayable: [409, "not_replayable"],
  database_unavailable: [503, "database_unavailable"],
  database_busy: [503, "database_busy"],
  failed: [500, "internal_error"],
};

/** Seconds after which a refused change may be tried again, for `Retry-After`. */
const BUSY_RETRY_SECONDS = "2";

/** Headers of the answer to an error (RFC 9110 section 10.2.3). */
export function refusalHeaders({ code }: RouterError): Record<string, string> {
  return code === "database_busy" ? { "retry-after": BUSY_RETRY_SECONDS } : {};
}

/** What to answer; null for a fault of this program. */
export function refusalOf(error: unknown): RouterError | null {
  if (error instanceof RouterError) return error;
  if (!(error instanceof ControlError)) return null;
  const [status, code] = ANSWERS[error.code];
  const hint = error.hint === null ? "" : `; ${error.hint}`;
  return new RouterError(status, code, sentenceOf(error) + hint, { cause: error });
}

/** A field keeps its spelling; any other beginning gets a capital. */
function sentenceOf({ message, isAboutValue }: ControlError): string {
  return isAboutValue ? message : message.replace(/^\p{Ll}/u, (first) => first.toUpperCase());
}
