/**
 * How client tokens are named and found.
 */
import { maskSecret } from "../core/secrets.ts";
import type { ClientToken } from "../core/types.ts";
import { CommandError, UsageError } from "./errors.ts";

/** @throws UsageError, CommandError */
export function chooseName(given: string | undefined, tokens: readonly ClientToken[]): string {
  const taken = new Set(tokens.map((token) => token.name));
  if (given === undefined) {
    let number = tokens.length + 1;
    while (taken.has(`token-${number}`)) number++;
    return `token-${number}`;
  }
  const name = given.trim();
  if (!/^[^\s,=:\p{C}]{1,64}$/u.test(name)) {
    throw new UsageError("--name must be one word of at most 64 characters, without commas, = or :");
  }
  if (taken.has(name)) throw new CommandError(`a token named ${name} exists already: use another --name`);
  return name;
}

/** By the token itself, else by name or masked form. @throws CommandError */
export function findToken(tokens: readonly ClientToken[], which: string): ClientToken {
  const exact = tokens.find((token) => token.secret === which);
  if (exact !== undefined) return exact;
  const [found, ...more] = tokens.filter((token) => [token.name, maskSecret(token.secret)].includes(which));
  if (found === undefined) throw noSuchToken("that name, masked form or text");
  if (more.length > 0) throw new CommandError("several tokens look like that: give the token itself");
  return found;
}

/** Does not repeat what was typed: it may be a secret with a typing mistake. */
export function noSuchToken(what: string): CommandError {
  return new CommandError(`no token has ${what}: see them with \`token show\``);
}
