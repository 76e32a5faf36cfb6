/**
 * Failures of the store and of shared command code, as the admin API answers them.
 */
import { CommandError, UsageError } from "./errors.ts";
import { RouterError, type RouterErrorCode } from "../core/errors.ts";
import { StoreError } from "../store/store.ts";

const STORE_FAILURES: Readonly<Record<StoreError["code"], readonly [number, RouterErrorCode]>> = {
  duplicate: [409, "duplicate"],
  not_found: [404, "not_found"],
  invalid: [400, "invalid_request"],
  unreadable: [503, "database_unavailable"],
  foreign: [503, "database_unavailable"],
  newer: [503, "database_unavailable"],
  locked: [503, "database_unavailable"],
  readonly: [503, "database_unavailable"],
  full: [503, "database_unavailable"],
};

/** Runs the action; what it throws of the store's and the commands' errors comes out as a RouterError. */
export async function answering<T>(
  action: () => T | Promise<T>,
  refusal: readonly [number, RouterErrorCode] = [400, "invalid_request"],
): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof StoreError) {
      const [status, code] = STORE_FAILURES[error.code];
      throw new RouterError(status, code, error.message, { cause: error });
    }
    if (error instanceof CommandError || error instanceof UsageError) {
      // Shared with the command line, whose flags are this API's fields.
      throw new RouterError(...refusal, error.message.replace(/--(?=[a-z])/g, ""), { cause: error });
    }
    throw error;
  }
}
