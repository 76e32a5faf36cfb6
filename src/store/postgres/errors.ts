/**
 * What can go wrong with PostgreSQL, and what a caller should do about it.
 *
 * Owns the classification by SQLSTATE (https://www.postgresql.org/docs/current/errcodes-appendix.html) and by the
 * runtime's codes. Pure. A message holds neither values of rows nor secrets: the server quotes values in some of its
 * messages, so those are replaced by the name of the condition.
 */
import { cleanText } from "../../core/clean_text.ts";
import { messageOf } from "../../core/errors.ts";

/**
 * `retry`: the same again may succeed, at this host or at another. `poison`: never with these values; other rows are
 * fine. `setup`: only after a person has changed something; the message says what.
 */
export type PgErrorKind = "retry" | "poison" | "setup";

export interface PgErrorDetails {
  readonly kind: PgErrorKind;
  /** SQLSTATE, or the runtime's code (`ECONNREFUSED`), or `TIMEOUT`, `CLOSED`, `BUSY`; null: there is none. */
  readonly code: string | null;
  /** The connection cannot be used any more, and another host may be able to help. */
  readonly isConnectionLost: boolean;
  /** The transaction was being committed: nobody knows whether it has been. */
  readonly isOutcomeUnknown?: boolean;
  readonly cause?: unknown;
}

/** Typed failure of everything in this folder; `message` is one line for people. */
export class PgError extends Error {
  override readonly name = "PgError";
  readonly kind: PgErrorKind;
  readonly code: string | null;
  readonly isConnectionLost: boolean;
  readonly isOutcomeUnknown: boolean;

  constructor(message: string, { cause, ...details }: PgErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = details.kind;
    this.code = details.code;
    this.isConnectionLost = details.isConnectionLost;
    this.isOutcomeUnknown = details.isOutcomeUnknown ?? false;
  }
}

/** What to do about an error, whatever threw it. */
export function classify(error: unknown): PgErrorKind {
  if (error instanceof PgError) return error.kind;
  const code = codeOf(error);
  if (code !== null && isSqlState(code)) return kindOfState(code, error);
  if (code !== null) return SETUP_CODES.has(code) ? "setup" : "retry";
  // A value that the client cannot send: too long for a text, or of a type that has no form.
  return error instanceof RangeError || error instanceof TypeError ? "poison" : "retry";
}

/** The rows' day has no partition (yet): 23514 is a constraint's, which has a name, or a partition's, which has none. */
export function isMissingPartition(error: unknown): boolean {
  const thrown = error instanceof PgError ? error.cause : error;
  return codeOf(thrown) === "23514" && textOf(thrown, "constraint") === null;
}

/** The error as a {@link PgError}. @param place shown in the message: a host, or what was done */
export function toPgError(error: unknown, place: string): PgError {
  if (error instanceof PgError) return error;
  const code = codeOf(error);
  return new PgError(`${place}: ${problemOf(error, code)}`, {
    kind: classify(error),
    code,
    isConnectionLost: isConnectionLost(error, code),
    cause: error,
  });
}

/** No permission for the socket; the file of a certificate that cannot be used. */
const SETUP_CODES: ReadonlySet<string> = new Set(["EACCES", "EPERM"]);

/** By the first two characters. */
const KIND_BY_CLASS: Readonly<Record<string, PgErrorKind>> = {
  "08": "retry",
  "0A": "setup",
  "21": "poison",
  "22": "poison",
  "23": "poison",
  "25": "retry",
  "28": "setup",
  "3D": "setup",
  "3F": "setup",
  "40": "retry",
  "42": "setup",
  "44": "poison",
  "53": "retry",
  "54": "poison",
  "55": "retry",
  "57": "retry",
  "58": "retry",
  P0: "poison",
  XX: "retry",
};

function kindOfState(code: string, error: unknown): PgErrorKind {
  if (code === "23514" && isMissingPartition(error)) return "retry";
  return KIND_BY_CLASS[code.slice(0, 2)] ?? "retry";
}

/**
 * Whether the session is over, or of no use: the server went away or is going (57P0x), does not let in, is not the one
 * that takes writes any more (25006), or ended the session (25P03).
 */
function isConnectionLost(error: unknown, code: string | null): boolean {
  if (code === null) return !(error instanceof RangeError || error instanceof TypeError);
  if (!isSqlState(code)) return true;
  return /^(?:08|28|3D|57P|58)/.test(code) || code === "25006" || code === "25P03" || code === "53300" ||
    textOf(error, "severity") === "FATAL" || textOf(error, "severity") === "PANIC";
}

/** Classes whose messages quote no values of rows. */
const QUOTABLE = /^(?:08|0A|25|28|3D|3F|40|42|53|54|55|57|58)/;

const CONDITIONS: Readonly<Record<string, string>> = {
  "22001": "a value is too long for its column",
  "22003": "a number is out of range for its column",
  "22008": "a time is out of range",
  "22021": "a text holds characters that PostgreSQL cannot store",
  "22P02": "a value has the wrong form for its column",
  "22P05": "a text holds characters that PostgreSQL cannot store",
  "23502": "a value is missing",
  "23503": "a row refers to one that is not there",
  "23505": "a row of this key is there already",
  "23514": "a value is not allowed",
};

const UNKNOWN_AUTHORITY = "name the certificate of the authority by sslrootcert=";
const OTHER_NAME = "connect by a name that the certificate is for";

const HINTS: Readonly<Record<string, string>> = {
  "28P01": "check the password in the URL, PGPASSWORD or ~/.pgpass",
  "28000": "check the user and the server's pg_hba.conf",
  "3D000": "create the database first: createdb NAME",
  "42501": "grant this user what is missing, or connect as the owner of the schema oar",
  "53300": "the server has no connection free; raise max_connections or put PgBouncer in front",
  "53100": "the server's disk is full",
  EACCES: "this user may not open the socket",
  ENOENT: "there is no such socket; check host=",
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  ERR_TLS_CERT_ALTNAME_INVALID: OTHER_NAME,
};

const NO_TLS =
  "switch ssl on in its postgresql.conf, or say sslmode=disable where the network is yours alone";

/** Deno before 2.9 has no codes for the certificates'. */
const HINTS_BY_TEXT: readonly (readonly [RegExp, string])[] = [
  [/\bUnknownIssuer\b/, UNKNOWN_AUTHORITY],
  [/\bcertificate not valid for name\b/, OTHER_NAME],
  [/\bdoes not support SSL\b/, NO_TLS],
];

const MAX_MESSAGE_LENGTH = 200;

function problemOf(error: unknown, code: string | null): string {
  const hint = code === null
    ? HINTS_BY_TEXT.find(([pattern]) => pattern.test(messageOf(error)))?.[1]
    : HINTS[code];
  const suffix = `${code === null ? "" : ` (${code})`}${hint === undefined ? "" : `; ${hint}`}`;
  if (code !== null && isSqlState(code) && !QUOTABLE.test(code)) {
    const where = [textOf(error, "table"), textOf(error, "column") ?? textOf(error, "constraint")]
      .filter((part) => part !== null).join(".");
    const condition = isMissingPartition(error)
      ? "there is no partition for this day"
      : CONDITIONS[code] ?? "the server refuses the statement";
    return `${condition}${where === "" ? "" : ` in ${bounded(where)}`}${suffix}`;
  }
  const message = bounded(messageOf(error)) || "an error without a text";
  return `${message}${code !== null && message.includes(code) ? suffix.replace(` (${code})`, "") : suffix}`;
}

function bounded(text: string): string {
  const line = cleanText(text.slice(0, 4 * MAX_MESSAGE_LENGTH));
  return line.length <= MAX_MESSAGE_LENGTH ? line : `${line.slice(0, MAX_MESSAGE_LENGTH).toWellFormed()}…`;
}

function codeOf(error: unknown): string | null {
  return textOf(error, "code");
}

function textOf(
  error: unknown,
  name: "code" | "constraint" | "column" | "severity" | "table",
): string | null {
  if (typeof error !== "object" || error === null) return null;
  const value: unknown = Reflect.get(error, name);
  return typeof value === "string" && value !== "" ? value : null;
}

/** Five capital letters or digits; the runtime's codes that are as short begin with E and hold no digit. */
function isSqlState(code: string): boolean {
  return /^[0-9A-Z]{5}$/.test(code) && !/^E[A-Z]{4}$/.test(code);
}
