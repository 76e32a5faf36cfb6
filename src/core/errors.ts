/**
 * The OpenAI error envelope, and the errors with which this program itself answers.
 *
 * Owns the wire shape of errors. Must not know about HTTP frameworks or upstream replies.
 * Shape: https://platform.openai.com/docs/guides/error-codes/api-errors
 */
import type { FixedHeaders } from "./fixed_headers.ts";
import type { ReportedError } from "./reported_error.ts";

/** Codes of the program's own errors; the client sees them as `error.code`. */
export type RouterErrorCode =
  | "invalid_authorization"
  | "token_disabled"
  | "token_expired"
  | "model_not_allowed"
  | "invalid_request"
  | "request_too_large"
  | "request_timeout"
  | "too_many_requests"
  | "rate_limit_exceeded"
  | "insufficient_quota"
  | "budget_reserved"
  | "budget_unavailable"
  | "price_unknown"
  | "router_busy"
  | "not_found"
  | "model_not_found"
  | "no_upstream"
  | "no_credential"
  | "upstream_unreachable"
  | "upstream_timeout"
  | "upstream_redirect"
  | "upstream_cut"
  | "upstream_invalid"
  | "upstream_error"
  | "deadline_exceeded"
  | "login_required"
  | "cross_site"
  | "wrong_host"
  | "duplicate"
  | "key_required"
  | "not_replayable"
  | "database_unavailable"
  | "database_busy"
  | "internal_error";

/** The body of the program's own errors. */
export interface ErrorEnvelope {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: null;
    /** A {@link RouterErrorCode}, or the upstream's own code. */
    readonly code: string | null;
  };
}

/** How a request beyond a limit of its token is refused. */
export interface LimitRefusal {
  /** `error.type` in OpenAI's form. */
  readonly type: "requests" | "tokens" | "insufficient_quota" | "invalid_request_error" | "server_error";
  /** Header fields of the answer, such as `retry-after`; names in lower case. */
  readonly headers: FixedHeaders;
}

/** An error with which the program answers. `message` says what to do and holds no secret. */
export class RouterError extends Error {
  override readonly name = "RouterError";
  /** The upstream's error that this one passes on; null: the error is the program's own. */
  readonly reported: ReportedError | null;
  /** When the client may try again; null: nobody knows. */
  readonly retryAfterSeconds: number | null;
  /** What the refusal of a limit says besides; null: it is none. */
  readonly limit: LimitRefusal | null;

  constructor(
    readonly status: number,
    readonly code: RouterErrorCode,
    message: string,
    options?: ErrorOptions & {
      readonly reported?: ReportedError;
      readonly retryAfterSeconds?: number;
      readonly limit?: LimitRefusal;
    },
  ) {
    super(message, options);
    this.reported = options?.reported ?? null;
    this.retryAfterSeconds = options?.retryAfterSeconds ?? null;
    this.limit = options?.limit ?? null;
  }

  toEnvelope(): ErrorEnvelope {
    const type = this.reported?.type ?? this.limit?.type ?? errorType(this.status);
    const code = this.reported === null ? this.code : this.reported.code;
    return { error: { message: this.message, type, param: null, code } };
  }
}

/** OpenAI's `error.type` for a status. */
function errorType(status: number): string {
  if (status === 401 || status === 403) return "authentication_error";
  if (status === 404) return "not_found_error";
  if (status === 429) return "rate_limit_error";
  if (status < 500) return "invalid_request_error";
  return "server_error";
}

/** The message of anything thrown, without a stack. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
