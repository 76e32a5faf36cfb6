/**
 * Secrets on their way in: from the command line, or from standard input so that no shell history keeps them. On a terminal
 * they are asked for, and not shown.
 */
import { UsageError } from "./errors.ts";
import type { Terminal } from "./output.ts";

/** Means "read it from standard input" where a secret is asked for. */
export const FROM_INPUT = "-";

/**
 * The secret that was given, trimmed.
 *
 * @param what names it in messages, such as `--key`
 * @throws UsageError when it cannot be sent as a header, without showing it
 */
export async function readSecret(
  given: string,
  { what, terminal }: { readonly what: string; readonly terminal: Terminal },
): Promise<string> {
  const secret = (given === FROM_INPUT ? await readFromInput(what, terminal) : given).trim();
  if (secret === "") {
    throw new UsageError(
      given === FROM_INPUT ? `standard input holds nothing for ${what}` : `${what} must not be empty`,
    );
  }
  if (!/^[\x21-\x7e]+$/.test(secret)) {
    throw new UsageError(`${what} must be one word of visible ASCII characters, without spaces`);
  }
  return secret;
}

async function readFromInput(what: string, terminal: Terminal): Promise<string> {
  if (terminal.prompts === undefined) return await terminal.readInput();
  return await terminal.prompts.askSecret(`${what} (not shown): `) ?? "";
}
