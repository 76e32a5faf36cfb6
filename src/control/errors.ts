/**
 * The errors of the operator's operations.
 *
 * Owns what kinds there are. Exit codes, flags and HTTP statuses are the callers' business. No text holds a secret.
 */

export type ControlErrorCode =
  /** An input has a value that it must not have. */
  | "invalid"
  | "not_found"
  /** Several things match where one is meant. */
  | "ambiguous"
  /** An upstream like this, or of this name, exists. */
  | "duplicate"
  /** A token like this, or of this name, exists. */
  | "token_exists"
  /** Clients or the server depend on what would be changed. */
  | "conflict"
  /** The upstream's key must be given again. */
  | "key_required"
  /** The row of the upstream has a mistake. */
  | "unusable"
  | "not_replayable"
  | "database_unavailable"
  /** Another program holds the database's write lock; nothing was changed. */
  | "database_busy"
  /** A fault of this program. */
  | "failed";

interface ControlErrorDetails {
  /** Machine name of the wrong input, as the admin API spells it. */
  readonly field?: string;
  /** What is wrong with the field's value; follows the field's name in a sentence. */
  readonly problem?: string;
  /** What to do, without a full stop. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** An operation that was refused or has failed. `message` is one line and says why; {@link hint} says what to do. */
export class ControlError extends Error {
  override readonly name = "ControlError";
  readonly field: string | null;
  readonly hint: string | null;
  /** What is wrong with the field's value; null: the message is not about it. */
  readonly problem: string | null;

  constructor(readonly code: ControlErrorCode, message: string, details: ControlErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.field = details.field ?? null;
    this.hint = details.hint ?? null;
    this.problem = details.problem ?? null;
  }

  /** Whether the message is about the value of the field, and begins with its name. */
  get isAboutValue(): boolean {
    return this.field !== null && this.problem !== null;
  }

  /** The message, in which a field that it begins with is spelled as the reader knows it. */
  messageWith(spell: (field: string) => string): string {
    return this.field === null || this.problem === null
      ? this.message
      : `${spell(this.field)} ${this.problem}`;
  }
}

/** The value of a field is refused; `problem` follows the field's name in the message. */
export function invalidValue(field: string, problem: string): ControlError {
  return new ControlError("invalid", `${field} ${problem}`, { field, problem });
}
