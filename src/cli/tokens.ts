/**
 * `token show`, `set`, `add`, `remove`: what clients must send.
 *
 * Owns the flags, and which tokens are printed in full.
 */
import { requireAdminToken, requireClientToken, requireTokenName, Tokens } from "../control/tokens.ts";
import type { Command } from "commander";
import { maskSecret } from "../core/secrets.ts";
import { type CommandContext, type DatabaseFlags, databaseOption, withConfig } from "./context.ts";
import { adminTokenOf, randomAdminToken, randomToken } from "../store/config/initial_tokens.ts";
import { CommandError, UsageError } from "./errors.ts";
import { formatJson } from "./output.ts";
import { readSecret } from "./secret_input.ts";
import { listedTokens, printTokenTable } from "./token_list.ts";

interface NameFlags extends DatabaseFlags {
  readonly name?: string;
}

interface SetFlags extends NameFlags {
  readonly admin?: boolean;
}

interface ShowFlags extends DatabaseFlags {
  readonly masked?: boolean;
  readonly json?: boolean;
  readonly admin?: boolean;
}

const NAME_TEXT = "shown in records and logs instead of the token";
const TOKEN_TEXT = "the token; - reads it from standard input (default: a random one)";

/** Adds the `token` command and its subcommands to the program. */
export function defineTokenCommands(program: Command, context: CommandContext): void {
  const token = program.command("token").description("show, add, set or remove the tokens that clients send")
    .helpGroup("Tokens:");
  token.command("show")
    .description("print the tokens; without names, one per line, when the output is not a terminal")
    .argument("[name]", "print only the token of this name, for scripts")
    .option("--masked", "print masked tokens")
    .option("--json", "print JSON")
    .option("--admin", "print the token of the admin page instead")
    .addOption(databaseOption())
    .action((name: string | undefined, flags: ShowFlags) =>
      flags.admin ? showAdminToken(context, { name, flags }) : showTokens(context, { name, flags })
    );
  token.command("add")
    .description("accept another token")
    .argument("[token]", TOKEN_TEXT)
    .option("--name <name>", NAME_TEXT)
    .addOption(databaseOption())
    .action((given: string | undefined, flags: NameFlags) => addToken(context, { given, flags }));
  token.command("set")
    .description("accept only this token")
    .argument("[token]", TOKEN_TEXT)
    .option("--name <name>", NAME_TEXT)
    .option(
      "--admin",
      "replace the token of the admin page, which ends every login; the clients' tokens stay",
    )
    .addOption(databaseOption())
    .action((given: string | undefined, flags: SetFlags) =>
      flags.admin ? replaceAdminToken(context, { given, flags }) : setToken(context, { given, flags })
    );
  token.command("remove")
    .description("stop accepting a token")
    .argument("<token>", "its name, its masked form or the token itself")
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => removeToken(context, { which, flags }));
}

function showTokens(
  context: CommandContext,
  { name, flags }: { readonly name: string | undefined; readonly flags: ShowFlags },
): void {
  const { terminal } = context;
  withConfig({ ...context, flags }, (config, { records }) => {
    const known = new Tokens({ config });
    const show = (secret: string) => flags.masked ? maskSecret(secret) : secret;
    const tokens = listedTokens(known.list(), { config, records, show });
    if (name !== undefined) {
      terminal.print(show(known.named(name).secret));
    } else if (flags.json) {
      terminal.print(formatJson(tokens));
    } else if (tokens.length === 0) {
      terminal.note("no tokens: without one the server refuses to start; make one with: token add");
    } else if (terminal.columns === null) {
      // Piped: `TOKEN=$(openai-api-route token show)` gets the token and nothing else.
      for (const { token } of tokens) terminal.print(token);
    } else {
      printTokenTable(terminal, { tokens, width: terminal.columns });
    }
  });
}

interface GivenToken {
  readonly given: string | undefined;
  readonly flags: NameFlags;
}

async function addToken(context: CommandContext, { given, flags }: GivenToken): Promise<void> {
  const token = await readToken(context, { given, flags });
  withConfig({ ...context, flags, access: "change" }, (config) => {
    const { name, secret } = new Tokens({ config }).add(token);
    report(context, { verb: "added", name, secret, isRandom: given === undefined });
  });
}

async function setToken(context: CommandContext, { given, flags }: GivenToken): Promise<void> {
  const token = await readToken(context, { given, flags });
  const access = { access: "change", isCreating: true, isSettingTokens: true } as const;
  withConfig({ ...context, flags, ...access }, (config) => {
    const { name, secret } = new Tokens({ config }).replaceAll(token);
    report(context, { verb: "set", name, secret, isRandom: given === undefined });
  });
}

function showAdminToken(
  context: CommandContext,
  { name, flags }: { readonly name: string | undefined; readonly flags: ShowFlags },
): void {
  if (name !== undefined) throw new UsageError("the admin token has no name: give either a name or --admin");
  withConfig({ ...context, flags }, (config) => {
    const secret = adminTokenOf(config);
    if (secret === null) {
      throw new CommandError(
        "there is no admin token yet: the server makes one when it starts, and `token set --admin` makes one now",
      );
    }
    const token = flags.masked ? maskSecret(secret) : secret;
    context.terminal.print(flags.json ? formatJson({ token }) : token);
  });
}

async function replaceAdminToken(
  context: CommandContext,
  { given, flags }: { readonly given: string | undefined; readonly flags: SetFlags },
): Promise<void> {
  if (flags.name !== undefined) throw new UsageError("the admin token has no name: leave --name out");
  const secret = given === undefined ? randomAdminToken() : await readSecretToken(context, given);
  requireAdminToken(secret);
  withConfig({ ...context, flags, access: "change" }, (config) => {
    new Tokens({ config }).setAdmin(secret);
    report(context, { verb: "set", name: "admin", secret, isRandom: given === undefined });
  });
}

function removeToken(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: DatabaseFlags },
): void {
  withConfig({ ...context, flags, access: "change" }, (config) => {
    const { name } = new Tokens({ config }).remove(which);
    context.terminal.print(`removed token ${name}`);
  });
}

/** Checked before any database is opened. */
async function readToken(
  context: CommandContext,
  { given, flags: { name } }: GivenToken,
): Promise<{ readonly name: string | undefined; readonly secret: string }> {
  const secret = given === undefined ? randomToken() : await readSecretToken(context, given);
  if (name !== undefined) requireTokenName(name.trim());
  return { name, secret };
}

async function readSecretToken({ terminal }: CommandContext, given: string): Promise<string> {
  if (given.trim() === "") {
    throw new UsageError(
      "an empty token would leave the server without any, and it refuses to start: " +
        "give a token, or none to get a random one",
    );
  }
  const secret = await readSecret(given, { what: "the token", terminal });
  requireClientToken(secret);
  return secret;
}

function report(
  { terminal }: CommandContext,
  { verb, name, secret, isRandom }: { verb: string; name: string; secret: string; isRandom: boolean },
): void {
  terminal.print(`${verb} token ${name} ${isRandom ? secret : maskSecret(secret)}`);
}
