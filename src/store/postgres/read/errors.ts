/**
 * What a failure of PostgreSQL means to those who read records. Pure.
 */
import { StoreError } from "../../store.ts";
import { PgError, toPgError } from "../errors.ts";

/** The server has ended a statement that took longer than it may. */
export function isTimeUp(error: unknown): boolean {
  return error instanceof PgError && error.code === "57014";
}

/** Nor did it end it soon: it may be busy, or gone. */
export function isWithoutAnswer(error: unknown): boolean {
  return error instanceof PgError && error.code === "TIMEOUT";
}

/** The error as a {@link StoreError} whose message starts with what could not be done. */
export function toReadError(error: unknown, action: string): StoreError {
  if (error instanceof StoreError) return error;
  const cause = { cause: error };
  if (isTimeUp(error)) {
    return new StoreError(
      "locked",
      `${action}: PostgreSQL took too long; try again, or ask for a shorter time`,
      cause,
    );
  }
  const known = toPgError(error, "PostgreSQL");
  if (known.code === "42P01" || known.code === "3F000") {
    return new StoreError(
      "missing",
      `${action}: the database has no records yet; start the server with it once`,
      cause,
    );
  }
  return new StoreError(
    known.code === "BUSY" ? "locked" : "unreadable",
    `${action}: ${known.message}`,
    cause,
  );
}
