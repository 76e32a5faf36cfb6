/**
 * Failures of the store, as operations report them.
 */
import { ControlError, type ControlErrorCode } from "./errors.ts";
import { StoreError } from "../store/store.ts";

const CODES: Readonly<Record<StoreError["code"], ControlErrorCode>> = {
  duplicate: "duplicate",
  not_found: "not_found",
  invalid: "invalid",
  missing: "database_unavailable",
  unreadable: "database_unavailable",
  foreign: "database_unavailable",
  newer: "database_unavailable",
  outdated: "database_unavailable",
  locked: "database_busy",
  readonly: "database_unavailable",
  full: "database_unavailable",
};

/** Runs the action. @throws ControlError in place of a StoreError */
export async function withControlErrors<T>(action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new ControlError(CODES[error.code], error.message, { cause: error });
  }
}
