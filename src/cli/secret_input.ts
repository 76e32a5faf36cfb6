/**
 * Secrets on their way in: from the command line, or from standard input so that no shell history keeps them. On a terminal
 * they are asked for, and not shown.
 */
import { MAX_KEY_TEXT_LENGTH } from "../control/upstream_keys.ts";
import { MAX_KEYS } from "../store/config/upstream_row.ts";
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

/** Before the name of a file with keys. */
const FROM_FILE = "@";

/**
 * The keys of an upstream, one a line: words that were given, `@file`, or `-` for standard input. In a file and a pipe, empty
 * lines and those that begin with `#` do not count.
 *
 * @throws UsageError that says which line is no key, without showing it
 */
export async function readKeys(
  given: readonly string[],
  { what, terminal }: { readonly what: string; readonly terminal: Terminal },
): Promise<string> {
  const keys: string[] = [];
  for (const each of given) {
    if (each.startsWith(FROM_FILE)) {
      keys.push(...keyLines(readKeyFile(each.slice(FROM_FILE.length), what), `${what} ${each}`));
    } else if (each === FROM_INPUT && terminal.prompts === undefined) {
      const text = await terminal.readInput();
      if (text.trim() === "") throw new UsageError(`standard input holds nothing for ${what}`);
      keys.push(...keyLines(text, `${what}: standard input`));
    } else {
      keys.push(await readSecret(each, { what, terminal }));
    }
  }
  const all = [...new Set(keys)];
  if (all.length > MAX_KEYS) throw new UsageError(`${what}: more than ${MAX_KEYS} keys`);
  return all.join("\n");
}

/** @param from names the text in messages */
function keyLines(text: string, from: string): string[] {
  if (text.length > MAX_KEY_TEXT_LENGTH) throw new UsageError(`${from} is larger than 1 MiB`);
  const keys: string[] = [];
  text.replace(/^\ufeff/, "").split(/\r\n|[\r\n]/).forEach((line, index) => {
    const key = line.trim();
    if (key === "" || key.startsWith("#")) return;
    if (!/^[\x21-\x7e]+$/.test(key)) {
      throw new UsageError(
        `${from}: line ${index + 1} is no key: one word of visible ASCII characters, without spaces`,
      );
    }
    keys.push(key);
  });
  if (keys.length === 0) throw new UsageError(`${from} holds no key`);
  return keys;
}

function readKeyFile(path: string, what: string): string {
  try {
    if (Deno.statSync(path).size > MAX_KEY_TEXT_LENGTH) {
      throw new UsageError(`${what} ${FROM_FILE}${path} is larger than 1 MiB`);
    }
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const why = error instanceof Deno.errors.NotFound ? "there is no such file" : "it cannot be read";
    throw new UsageError(`${what} ${FROM_FILE}${path}: ${why}`);
  }
}

async function readFromInput(what: string, terminal: Terminal): Promise<string> {
  if (terminal.prompts === undefined) return await terminal.readInput();
  return await terminal.prompts.askSecret(`${what} (not shown): `) ?? "";
}
