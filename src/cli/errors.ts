/**
 * What a command can fail with: its text on the command line, and its exit code.
 *
 * Owns the spelling of fields as flags, and the hints that name commands. Texts are one line and hold no secret.
 */
import { SettingsError } from "../config/settings.ts";
import { ControlError, type ControlErrorCode } from "../control/errors.ts";
import { messageOf } from "../core/errors.ts";

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The command was understood and cannot be done: exit code 1. */
export class CommandError extends Error {
  override readonly name = "CommandError";
}

/** Exit codes of the program: 2 when the command was typed wrong, 1 for everything else. */
export const EXIT = { ok: 0, failure: 1, usage: 2 } as const;
export type ExitCode = typeof EXIT[keyof typeof EXIT];

export function exitCodeOf(error: unknown): ExitCode {
  const isUsage = error instanceof UsageError || error instanceof SettingsError ||
    (error instanceof ControlError && error.code === "invalid");
  return isUsage ? EXIT.usage : EXIT.failure;
}

/** What the person at the command line reads. */
export function textOf(error: unknown): string {
  if (!(error instanceof ControlError)) return messageOf(error);
  const message = error.messageWith(flagOf);
  const hint = HINTS[`${error.code} ${error.field}`] ?? error.hint;
  return hint === null ? message : `${message}: ${hint}`;
}

/** Fields whose flag is not just their name. */
const FLAGS: Readonly<Record<string, string>> = {
  key: "--key",
  timeoutSeconds: "--timeout",
  setHeaders: "--set-header",
  maxBodyBytes: "--max-body",
  streamTimeoutSeconds: "--stream-timeout",
  errorTexts: "--error-text",
};

/** `--model-map` for `modelMap` */
function flagOf(field: string): string {
  return FLAGS[field] ?? `--${field.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** By code and field, where the command line has more to say than that there is a list. */
const HINTS: Readonly<Partial<Record<`${ControlErrorCode} ${string}`, string>>> = {
  "duplicate name": "use another --name",
  "token_exists name": "use another --name",
  "not_found upstream": "see them with `openai-api-route list`",
  "not_found token": "see them with `token list`",
  "not_found record": "see them with `openai-api-route records list`",
  "not_found upstreamId": "add one with `openai-api-route add`, or name one with --upstream",
  "not_replayable upstreamId": "choose another with --upstream",
  "conflict token": "add another first (token add), or replace it (token set)",
  "invalid token": "run `token add` once for each token",
  "invalid force": "leave it out for a random one (--name says its name), or insist with --force",
};
