/**
 * What an error thrown by node:sqlite means.
 *
 * Owns the classification. `exec` throws without a result code (Deno 2.9.6), so the message decides there.
 * Result codes: https://www.sqlite.org/rescode.html
 */
import { messageOf } from "../../core/errors.ts";
import { StoreError } from "../store.ts";

/** Why the database cannot take a write now; `gone`: its file or directory is not there. */
export type TroubleReason = "full" | "readonly" | "locked" | "gone" | "other";

const REASON_BY_CODE: Readonly<Record<number, TroubleReason>> = {
  5: "locked",
  6: "locked",
  8: "readonly",
  13: "full",
  14: "gone",
};

const REASON_BY_MESSAGE: readonly (readonly [RegExp, TroubleReason])[] = [
  [/\bis locked\b|\bbusy\b/i, "locked"],
  [/\breadonly database\b|\bread-only\b/i, "readonly"],
  [/\bdisk is full\b|\bno space left\b|\bdisk quota exceeded\b/i, "full"],
  [/unable to open database/i, "gone"],
];

/** Too big, constraint, mismatch, out of range: the row's own fault, not the database's. */
const RECORD_FAULT_CODES: ReadonlySet<number> = new Set([18, 19, 20, 25]);

/** SQLite's primary result code, null when the error carries none. */
function primaryCode(error: unknown): number | null {
  if (typeof error !== "object" || error === null || !("errcode" in error)) return null;
  return typeof error.errcode === "number" ? error.errcode & 0xff : null;
}

export function troubleOf(error: unknown): TroubleReason {
  if (error instanceof StoreError) {
    if (error.code === "locked" || error.code === "readonly" || error.code === "full") return error.code;
    return error.code === "unreadable" ? "gone" : "other";
  }
  const code = primaryCode(error);
  const byCode = code === null ? undefined : REASON_BY_CODE[code];
  if (byCode !== undefined) return byCode;
  const message = messageOf(error);
  return REASON_BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1] ?? "other";
}

/** The values of one record cannot be stored, while other records can. */
export function isRecordFault(error: unknown): boolean {
  const code = primaryCode(error);
  if (code !== null) return RECORD_FAULT_CODES.has(code);
  return error instanceof TypeError || error instanceof RangeError;
}

/**
 * The system could not read or write, for a reason that SQLite does not tell (SQLITE_IOERR): a full disk is one of them,
 * where the index of the journal cannot be made.
 */
export function isIoError(error: unknown): boolean {
  return primaryCode(error) === 10 || /\bdisk i\/o error\b/i.test(messageOf(error));
}

/** The bytes are not a (whole) SQLite database. */
export function isNotADatabase(error: unknown): boolean {
  const code = primaryCode(error);
  if (code === 11 || code === 26) return true;
  return /not a database|malformed|unsupported file format/i.test(messageOf(error));
}

const MAX_MESSAGE_LENGTH = 200;

/** What went wrong, in one short line: `exec` puts the whole statement into its message. */
export function briefMessage(error: unknown): string {
  const text = messageOf(error);
  const end = text.lastIndexOf(" at offset ") < 0 ? -1 : text.indexOf(" in ");
  const [message = ""] = (end < 0 ? text : text.slice(0, end)).split("\n", 1);
  return message.length <= MAX_MESSAGE_LENGTH
    ? message
    : `${message.slice(0, MAX_MESSAGE_LENGTH).toWellFormed()}…`;
}

/** The error as a {@link StoreError} whose message starts with what could not be done. */
export function toStoreError(error: unknown, action: string): StoreError {
  if (error instanceof StoreError) return error;
  const cause = { cause: error };
  if (isNotADatabase(error)) {
    return new StoreError(
      "foreign",
      `${action}: it is not an intact SQLite database; name another file with --database, or restore a backup`,
      cause,
    );
  }
  const reason = troubleOf(error);
  switch (reason) {
    case "locked":
      return new StoreError(
        "locked",
        `${action}: another program keeps it locked; close that program (or its transaction) and try again`,
        cause,
      );
    case "readonly":
      return new StoreError(
        "readonly",
        `${action}: it is read-only; make the file and its directory writable for this user`,
        cause,
      );
    case "full":
      return new StoreError("full", `${action}: the disk is full; free some space and try again`, cause);
    case "gone":
      return new StoreError(
        "unreadable",
        `${action}: it cannot be opened; check that it exists and that this user may read and write it and its directory`,
        cause,
      );
    case "other":
      return new StoreError("unreadable", `${action}: ${briefMessage(error)}`, cause);
    default:
      return reason satisfies never;
  }
}
