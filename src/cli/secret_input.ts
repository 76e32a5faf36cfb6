/**
 * Secrets on their way in: from the command line, or from the keyboard or a pipe so that no shell history keeps them.
 */
import { UsageError } from "./errors.ts";
import type { Terminal } from "./output.ts";

/** Means "ask for it, or read it from standard input" where a secret is expected. */
const FROM_INPUT = "-";

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
  const secret = (given === FROM_INPUT ? await inputOf(terminal, what) : given).trim();
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

async function inputOf(terminal: Terminal, what: string): Promise<string> {
  if (terminal.promptSecret === undefined) return await terminal.readInput();
  const typed = terminal.promptSecret(`value for ${what} (it is not shown): `);
  if (typed === null) throw new UsageError("nothing was changed: the input was broken off");
  return typed;
}
