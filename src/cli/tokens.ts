/**
 * `token show`, `list`, `set`, `add`, `remove`: what clients must send. What each may do is in token_rules.ts.
 *
 * Owns the flags, and which tokens are printed in full.
 */
import { ClientTokens } from "../control/client_tokens.ts";
import { hasRules } from "../control/client_token_values.ts";
import {
  looksLikeToken,
  MIN_TOKEN_LENGTH,
  type ReplacedToken,
  requireAdminToken,
  requireClientToken,
  requireTokenName,
  Tokens,
} from "../control/tokens.ts";
import { spentBy } from "../control/token_spend.ts";
import { parseTimeZone } from "../config/settings.ts";
import type { Command } from "commander";
import { dayIn } from "../core/days.ts";
import { cleanText } from "../core/clean_text.ts";
import { maskSecret } from "../core/secrets.ts";
import { type CommandContext, type DatabaseFlags, databaseOption } from "./context.ts";
import { withConfig, withDatabase } from "./database.ts";
import { adminTokenOf, randomAdminToken, randomToken } from "../store/config/initial_tokens.ts";
import { CommandError, UsageError } from "./errors.ts";
import { formatJson } from "./output.ts";
import { isYes } from "./prompts.ts";
import { PUBLISHED_TOKEN } from "./published_token.ts";
import { FROM_INPUT, readSecret } from "./secret_input.ts";
import { listedTokens, printRuleTable, printTokenTable, shownTokens } from "./token_list.ts";
import {
  defineRuleCommands,
  NOT_AGAIN,
  noteRules,
  type RuleFlags,
  rulesOf,
  unknownUpstreams,
  withRuleFlags,
} from "./token_rules.ts";
import { digest } from "../store/config/token_list.ts";

interface AddFlags extends DatabaseFlags, RuleFlags {
  readonly name?: string;
  readonly hashed?: boolean;
  /** The token itself. */
  readonly value?: string;
  readonly force?: boolean;
}

interface SetFlags extends AddFlags {
  readonly admin?: boolean;
  readonly yes?: boolean;
}

interface ShowFlags extends DatabaseFlags {
  readonly masked?: boolean;
  readonly json?: boolean;
  readonly admin?: boolean;
}

const NAME_TEXT = "shown in records and logs instead of the token";
const VALUE_TEXT =
  "the token; - reads it from standard input, and asks on a terminal (default: a random one)";
const FORCE_TEXT = `accept one of fewer than ${MIN_TOKEN_LENGTH} characters, which could be guessed`;

/** Tokens that one line names. */
const MAX_LISTED = 50;

/** Adds the `token` command and its subcommands to the program. */
export function defineTokenCommands(program: Command, context: CommandContext): void {
  const token = program.command("token").description("show, add, set or remove the tokens that clients send")
    .helpGroup("Tokens:");
  token.command("show")
    .description("print the tokens; without names, one per line, when the output is not a terminal")
    .argument("[token]", "print only the token of this name, for scripts")
    .option("--masked", "print masked tokens")
    .option("--json", "print JSON")
    .option("--admin", "print the token of the admin page instead")
    .addOption(databaseOption())
    .action((name: string | undefined, flags: ShowFlags) =>
      flags.admin ? showAdminToken(context, { name, flags }) : showTokens(context, { name, flags })
    );
  token.command("list")
    .description("list the tokens, masked: what each may do, until when, and when it was last used")
    .option("--json", "print JSON")
    .addOption(databaseOption())
    .action((flags: ShowFlags) => listTokens(context, flags));
  const add = token.command("add")
    .description(
      "make a random token of this name, and print it; with rules, or --hashed, only its digest is kept",
    )
    .argument("[name]", NAME_TEXT)
    .option("--value <token>", VALUE_TEXT)
    .option("--name <name>", "the name, too")
    .option("--force", FORCE_TEXT)
    .option(
      "--hashed",
      "keep its digest only, so that it cannot be shown again; the Go program does not know it",
    );
  withRuleFlags(add).optionsGroup("Options:").addOption(databaseOption())
    .action((name: string | undefined, flags: AddFlags) => addToken(context, wantedToken({ name, flags })));
  token.command("set")
    .description("accept only this token; says which others are removed, and asks on a terminal")
    .argument("[value]", VALUE_TEXT)
    .option("--value <token>", "the token, too")
    .option("--name <name>", NAME_TEXT)
    .option("-y, --yes", "do not ask")
    .option("--force", `do not ask, and ${FORCE_TEXT}`)
    .option(
      "--admin",
      "replace the token of the admin page, which ends every login; the clients' tokens stay",
    )
    .addOption(databaseOption())
    .action((value: string | undefined, flags: SetFlags) => {
      const wanted = { given: one(value, flags.value, "the token"), flags };
      return flags.admin ? replaceAdminToken(context, wanted) : setToken(context, wanted);
    });
  token.command("remove")
    .description("stop accepting a token")
    .argument("<token>", "its name, its masked form, the number of its row or the token itself")
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => removeToken(context, { which, flags }));
  defineRuleCommands(token, context);
}

async function listTokens(context: CommandContext, flags: ShowFlags): Promise<void> {
  const { terminal } = context;
  await withDatabase({ ...context, flags }, async (database) => {
    const totals = await database.records.clientTotals();
    const config = await database.config();
    const nowMs = Date.now();
    const spent = await spentBy(config.listClientTokens(), {
      today: dayIn(parseTimeZone(context.env))(nowMs),
      read: (query) => database.records.spend(query),
    });
    const tokens = listedTokens(config, { totals, spent, nowMs });
    if (flags.json) return terminal.print(formatJson(tokens));
    if (tokens.length === 0) return terminal.note(NO_TOKENS);
    printRuleTable(terminal, tokens);
  });
}

const NO_TOKENS = "no tokens: without one the server refuses to start; make one with: token add";

async function showTokens(
  context: CommandContext,
  { name, flags }: { readonly name: string | undefined; readonly flags: ShowFlags },
): Promise<void> {
  const { terminal } = context;
  await withDatabase({ ...context, flags }, async (database) => {
    const config = await database.config();
    const known = new Tokens({ config });
    const show = (secret: string) => flags.masked ? maskSecret(secret) : secret;
    if (name !== undefined) return terminal.print(show(known.named(name).secret));
    const totals = await database.records.clientTotals();
    const tokens = shownTokens(config, { totals, show });
    const hashed = config.listClientTokens().length;
    if (flags.json) {
      terminal.print(formatJson(tokens));
    } else if (tokens.length === 0) {
      if (hashed === 0) terminal.note(NO_TOKENS);
    } else if (terminal.columns === null) {
      // Piped: `TOKEN=$(openai-api-route token show)` gets the token and nothing else.
      for (const { token } of tokens) terminal.print(token);
    } else {
      printTokenTable(terminal, { tokens, width: terminal.columns });
    }
    if (hashed > 0 && !flags.json) {
      const count = hashed === 1 ? "1 more token is" : `${hashed} more tokens are`;
      terminal.note(`${count} kept as digests, and cannot be printed: see token list`);
    }
  });
}

interface GivenToken<Flags extends AddFlags = AddFlags> {
  /** The token itself; undefined: a random one. */
  readonly given: string | undefined;
  readonly flags: Flags;
}

/** Of the two ways to give something. @throws UsageError when both are used */
function one(operand: string | undefined, flag: string | undefined, what: string): string | undefined {
  if (operand !== undefined && flag !== undefined) throw new UsageError(`${what} is given twice`);
  return operand ?? flag;
}

/** `token add -` is an older spelling of `--value -`. @throws UsageError without showing what may be a token */
function wantedToken({ name, flags }: { name: string | undefined; flags: AddFlags }): GivenToken {
  if (name === FROM_INPUT) return { given: one(name, flags.value, "the token"), flags };
  if (name !== undefined && flags.name !== undefined) {
    throw new UsageError(
      "token add takes the name first and the token itself by --value: token add NAME --value TOKEN",
    );
  }
  return { given: flags.value, flags: { ...flags, ...(name === undefined ? {} : { name }) } };
}

async function addToken(context: CommandContext, { given, flags }: GivenToken): Promise<void> {
  const token = await readToken(context, { given, flags });
  const rules = rulesOf(flags);
  const isRow = flags.hashed === true || hasRules(rules);
  const { secret } = token;
  const { name, unknown } = await withConfig({ ...context, flags, access: "change" }, (config) => {
    if (!isRow) return { name: new Tokens({ config }).add(token).name, unknown: [] };
    const named = token.name === undefined ? {} : { name: token.name };
    const { name } = new ClientTokens({ config }).add({ ...rules, ...named, secret });
    return { name, unknown: unknownUpstreams(config, rules) };
  });
  report(context, { verb: "added", name, secret, isRandom: given === undefined });
  if (isRow) {
    context.terminal.note(NOT_AGAIN);
    noteRules(context, { input: rules, unknown });
  }
  if (!looksLikeToken(name)) return;
  context.terminal.note(
    "the name looks like a token, and records and logs show names: a token itself is given with --value " +
      "(remove this one with `token remove`)",
  );
}

async function setToken(context: CommandContext, { given, flags }: GivenToken<SetFlags>): Promise<void> {
  const token = await readToken(context, { given, flags });
  await withDatabase({ ...context, flags, access: "change", isCreating: true }, async (database) => {
    const replaced = new Tokens({ config: await database.config() }).replacedBy(token.secret);
    await confirmRemoval(context, { removed: replaced, flags });
    const { removed, set } = await database.change((config) => {
      const tokens = new Tokens({ config });
      const removed = tokens.replacedBy(token.secret);
      requireSame(removed, replaced);
      return { removed, set: tokens.replaceAll(token) };
    }, { isSettingTokens: true });
    if (removed.length > 0) context.terminal.note(`no longer accepted: ${listOf(removed)}`);
    report(context, { verb: "set", ...set, isRandom: given === undefined });
  });
}

/** Nobody was asked about a token that was added meanwhile. @throws CommandError */
function requireSame(removed: readonly ReplacedToken[], asked: readonly ReplacedToken[]): void {
  const known = new Set(asked.map((token) => token.digest));
  if (removed.every((token) => known.has(token.digest))) return;
  throw new CommandError("somebody has added a token meanwhile; nothing was changed: repeat it");
}

/**
 * Says which tokens will no longer be accepted. Nobody needs to confirm that the published token of the Go program goes:
 * its documents ask for that.
 *
 * @throws CommandError when nobody agreed
 */
async function confirmRemoval(
  { terminal }: CommandContext,
  { removed, flags }: { readonly removed: readonly ReplacedToken[]; readonly flags: SetFlags },
): Promise<void> {
  const published = digest(PUBLISHED_TOKEN);
  if (flags.yes || flags.force || removed.every((token) => token.digest === published)) return;
  if (terminal.prompts === undefined) {
    throw new CommandError(
      `this would remove ${
        listOf(removed)
      }, which clients may use; nothing was changed: repeat it with --yes, ` +
        "or accept another one beside them with `token add`",
    );
  }
  terminal.note(`these tokens will no longer be accepted: ${listOf(removed)}`);
  if (isYes(await terminal.prompts.ask("Remove them? [y/N] "))) return;
  throw new CommandError("nothing was changed");
}

/** Their names, and the tokens masked. */
function listOf(tokens: readonly ReplacedToken[]): string {
  const shown = tokens.slice(0, MAX_LISTED).map(({ name, token }) =>
    `${cleanText(name)} (${cleanText(token)})`
  );
  return [...shown, ...tokens.length > MAX_LISTED ? [`${tokens.length - MAX_LISTED} more`] : []].join(", ");
}

async function showAdminToken(
  context: CommandContext,
  { name, flags }: { readonly name: string | undefined; readonly flags: ShowFlags },
): Promise<void> {
  if (name !== undefined) throw new UsageError("the admin token has no name: give either a name or --admin");
  const secret = await withConfig({ ...context, flags }, adminTokenOf);
  if (secret === null) {
    throw new CommandError(
      "there is no admin token yet: the server makes one when it starts, and `token set --admin` makes one now",
    );
  }
  const token = flags.masked ? maskSecret(secret) : secret;
  context.terminal.print(flags.json ? formatJson({ token }) : token);
}

async function replaceAdminToken(
  context: CommandContext,
  { given, flags }: GivenToken<SetFlags>,
): Promise<void> {
  if (flags.name !== undefined) throw new UsageError("the admin token has no name: leave --name out");
  const secret = given === undefined ? randomAdminToken() : await readSecretToken(context, given);
  if (given !== undefined) requireClientToken(secret, { isShortAllowed: true });
  requireAdminToken(secret);
  await withConfig(
    { ...context, flags, access: "change" },
    (config) => new Tokens({ config }).setAdmin(secret),
  );
  report(context, { verb: "set", name: "admin", secret, isRandom: given === undefined });
}

async function removeToken(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: DatabaseFlags },
): Promise<void> {
  const { name } = await withConfig(
    { ...context, flags, access: "change" },
    (config) => new ClientTokens({ config }).remove(which),
  );
  context.terminal.print(`removed token ${name}`);
}

/** Checked before any database is opened, and before anybody is asked. */
async function readToken(
  context: CommandContext,
  { given, flags: { name, force } }: GivenToken,
): Promise<{ readonly name: string | undefined; readonly secret: string }> {
  if (name !== undefined) requireTokenName(name.trim());
  if (given === undefined) return { name, secret: randomToken() };
  const secret = await readSecretToken(context, given);
  requireClientToken(secret, { isShortAllowed: force ?? false });
  return { name, secret };
}

async function readSecretToken({ terminal }: CommandContext, given: string): Promise<string> {
  if (given.trim() === "") {
    throw new UsageError(
      "an empty token would leave the server without any, and it refuses to start: " +
        "give a token, or none to get a random one",
    );
  }
  return await readSecret(given, { what: "the token", terminal });
}

function report(
  { terminal }: CommandContext,
  { verb, name, secret, isRandom }: { verb: string; name: string; secret: string; isRandom: boolean },
): void {
  terminal.print(`${verb} token ${name} ${isRandom ? secret : maskSecret(secret)}`);
}
