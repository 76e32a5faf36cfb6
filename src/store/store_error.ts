/**
 * What fails in the store.
 */

/** Typed failure of the store; `message` is for people and says what to do. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  constructor(
    readonly code:
      | "duplicate"
      | "not_found"
      | "invalid"
      | "missing"
      | "unreadable"
      | "foreign"
      | "newer"
      /** The database is of an older version, and must be upgraded before it can be read. */
      | "outdated"
      | "locked"
      | "readonly"
      | "full",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
