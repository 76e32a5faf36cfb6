/**
 * What an operation of the operator can fail with.
 *
 * Messages are one line, say what to do, and hold no secret.
 */

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command was understood and cannot be done: exit code 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}
