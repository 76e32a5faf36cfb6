/**
 * `token show`, `set`, `add`, `remove`: what clients must send.
 *
 * Owns what a token may look like and that one always remains: without any, the server refuses to start.
 */
import { CommandError, UsageError } from "../control/errors.ts";
import { chooseName, findToken, noSuchToken } from "../control/token_names.ts";
import type { Command } from "commander";
import { maskSecret } from "../core/secrets.ts";
import { type CommandContext, type DatabaseFlags, databaseOption, withConfig } from "./context.ts";
import type { ConfigStore } from "../store/store.ts";
import {
  adminTokenOf,
  MIN_ADMIN_TOKEN_LENGTH,
  randomAdminToken,
  randomToken,
  setAdminToken,
} from "../store/config/initial_tokens.ts";
import { formatJson, formatTable } from "./output.ts";
import { readSecret } from "./secret_input.ts";

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
const TOKEN_TEXT = "the token; - reads it from standard input, none makes a random one";

/** Adds the `token` command and its subcommands to the program. */
export function defineTokenCommands(program: Command, context: CommandContext): void {
  const token = program.command("token").description("show, add, set or remove the tokens that clients send")
    .helpGroup("Tokens:");
  token.command("show")
    .description("print the tokens; bare, one a line, when the output is not a terminal")
    .argument("[name]", "print only this token, bare, for scripts")
    .option("--masked", "print masked tokens")
    .option("--json", "print JSON")
    .option("--admin", "print the token of the admin page instead")
    .addOption(databaseOption())
    .action((name: string | undefined, flags: ShowFlags) =>
      flags.admin ? showAdminToken(context, { name, flags }) : showTokens(context, { name, flags })
    );
  token.command("add")
    .description("accept one more token")
    .argument("[token]", TOKEN_TEXT)
    .option("--name <name>", NAME_TEXT)
    .addOption(databaseOption())
    .action((given: string | undefined, flags: NameFlags) => addToken(context, { given, flags }));
  token.command("set")
    .description("accept this token and no other")
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
    .description("no longer accept a token")
    .argument("<token>", "its name, its masked form or the token itself")
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => removeToken(context, { which, flags }));
}

function showTokens(
  context: CommandContext,
  { name, flags }: { readonly name: string | undefined; readonly flags: ShowFlags },
): void {
  const { terminal } = context;
  withConfig({ ...context, flags }, (config) => {
    const tokens = config.listTokens().map((token) => ({
      name: token.name,
      token: flags.masked ? maskSecret(token.secret) : token.secret,
    }));
    if (name !== undefined) {
      const token = tokens.find((each) => each.name === name);
      if (token === undefined) throw noSuchToken("that name");
      terminal.print(token.token);
    } else if (flags.json) {
      terminal.print(formatJson(tokens));
    } else if (tokens.length === 0) {
      terminal.note("no tokens: without one the server refuses to start; make one with: token add");
    } else if (terminal.columns === null) {
      // Piped: `TOKEN=$(openai-api-route token show)` gets the token and nothing else.
      for (const { token } of tokens) terminal.print(token);
    } else {
      const columns = [
        { title: "NAME", cell: (token: { name: string }) => token.name },
        { title: "TOKEN", cell: (token: { token: string }) => token.token },
      ];
      formatTable(tokens, { columns, width: null }).forEach(terminal.print);
    }
  });
}

interface GivenToken {
  readonly given: string | undefined;
  readonly flags: NameFlags;
}

async function addToken(context: CommandContext, { given, flags }: GivenToken): Promise<void> {
  const secret = await readToken(context, given);
  withConfig({ ...context, flags }, (config) => {
    const tokens = config.listTokens();
    const twin = tokens.find((token) => token.secret === secret);
    if (twin !== undefined) throw new CommandError(`this token is accepted already, as ${twin.name}`);
    const name = chooseName(flags.name, tokens);
    config.setTokens([...tokens, { name, secret }]);
    report(context, { verb: "added", name, secret, isRandom: given === undefined });
  });
}

async function setToken(context: CommandContext, { given, flags }: GivenToken): Promise<void> {
  const secret = await readToken(context, given);
  const name = chooseName(flags.name, []);
  withConfig({ ...context, flags, isSettingTokens: true }, (config) => {
    config.setTokens([{ name, secret }]);
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
  const secret = given === undefined ? randomAdminToken() : await readToken(context, given);
  if (secret.length < MIN_ADMIN_TOKEN_LENGTH || !/^[\x21-\x7e]+$/.test(secret)) {
    throw new UsageError(
      `the admin token must be at least ${MIN_ADMIN_TOKEN_LENGTH} visible ASCII characters without spaces: ` +
        "give none to get a random one",
    );
  }
  withConfig({ ...context, flags }, (config) => {
    refuseClientToken(config, secret);
    setAdminToken(config, secret);
    report(context, { verb: "set", name: "admin", secret, isRandom: given === undefined });
  });
}

function refuseClientToken(config: ConfigStore, secret: string): void {
  if (config.listTokens().every((token) => token.secret !== secret)) return;
  throw new CommandError("clients send this token, and it must not open the admin page: choose another");
}

function removeToken(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: DatabaseFlags },
): void {
  withConfig({ ...context, flags }, (config) => {
    const tokens = config.listTokens();
    const token = findToken(tokens, which);
    const rest = tokens.filter((each) => each !== token);
    if (rest.length === 0) {
      throw new CommandError(
        `${token.name} is the only token, and without one the server refuses to start: ` +
          `add another first (token add), or replace it (token set)`,
      );
    }
    config.setTokens(rest);
    context.terminal.print(`removed token ${token.name}`);
  });
}

async function readToken({ terminal }: CommandContext, given: string | undefined): Promise<string> {
  if (given === undefined) return randomToken();
  if (given.trim() === "") {
    throw new UsageError(
      "an empty token would leave the server without any, and it refuses to start: " +
        "give a token, or none to get a random one",
    );
  }
  const secret = await readSecret(given, { what: "the token", terminal });
  if (secret.includes(",")) {
    throw new UsageError("a token must not contain commas: run `token add` once for each token");
  }
  return secret;
}

function report(
  { terminal }: CommandContext,
  { verb, name, secret, isRandom }: { verb: string; name: string; secret: string; isRandom: boolean },
): void {
  terminal.print(`${verb} token ${name} ${isRandom ? secret : maskSecret(secret)}`);
}
