/**
 * What a command can fail with, and the exit code that each failure means.
 *
 * Messages are one line, say what to do, and hold no secret.
 */
import { UsageError } from "../control/errors.ts";
import { SettingsError } from "../config/settings.ts";

/** Exit codes of the program: 2 when the command was typed wrong, 1 for everything else. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;
export type ExitCode = typeof EXIT[keyof typeof EXIT];

export function exitCodeOf(error: unknown): ExitCode {
  return error instanceof UsageError || error instanceof SettingsError ? EXIT.usage : EXIT.failure;
}
