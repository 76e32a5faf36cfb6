/**
 * `token edit`, `enable`, `disable`, `rotate`: tokens that are kept as digests, and what they may do.
 *
 * Owns the flags for that, which `token add` has too, and what is said about a change.
 */
import type { Command } from "commander";
import {
  type ClientTokenInput,
  type ClientTokenTexts,
  readClientTokenTexts,
} from "../control/client_token_values.ts";
import { ClientTokens, type EditedClientToken } from "../control/client_tokens.ts";
import { requireTokenName } from "../control/tokens.ts";
import { cleanText } from "../core/clean_text.ts";
import { GATE_MODES } from "../core/gate_mode.ts";
import { formatTime } from "../core/times.ts";
import { randomToken } from "../store/config/initial_tokens.ts";
import type { ConfigStore } from "../store/store.ts";
import {
  choiceOption,
  type CommandContext,
  type DatabaseFlags,
  databaseOption,
  quietRegistry,
} from "./context.ts";
import { withConfig } from "./database.ts";
import { UsageError } from "./errors.ts";

export type RuleFlags = ClientTokenTexts;

interface EditFlags extends DatabaseFlags, RuleFlags {
  readonly name?: string;
  readonly enable?: boolean;
  readonly disable?: boolean;
}

const WHICH_TEXT = "its name, its number or the token itself";
export const NOT_AGAIN = "it is kept as a digest, and cannot be shown again";

/** Adds the flags to a command. */
export function withRuleFlags(command: Command): Command {
  return command
    .optionsGroup("What it may do:")
    .option("--rpm <number>", "requests in a minute; none: any number")
    .option("--tpm <number>", "tokens in a minute, of requests and replies; none: any number")
    .option("--parallel <number>", "requests at once; none: any number")
    .option(
      "--budget <budget>",
      "US dollars in a day, week, month (also without a word) or in total, such as 20/month; none: no budget",
    )
    .option("--allow <globs>", "models that it may use, such as 'gpt-4o*,o3'; none: every model")
    .option("--deny <globs>", "models that it may not use; none: no such")
    .option("--upstreams <names>", "upstreams that it may use, by name or number; none: all")
    .addOption(choiceOption("--gate <mode>", {
      description: "how its streams are held unless a request says otherwise; default: as all others",
      choices: [...GATE_MODES, "default"],
    }))
    .option("--expires <time>", "when it ends, such as 90d, 12h or 2027-01-31 (UTC); never: it does not");
}

/** Adds the commands to `token`. */
export function defineRuleCommands(token: Command, context: CommandContext): void {
  const edit = token.command("edit")
    .description(
      "change what a token may do; one that is in the list becomes a row, which is kept as a digest",
    )
    .argument("<token>", WHICH_TEXT)
    .option("--name <name>", "another name; what it has used stays with the old one")
    .option("--enable", "accept it again")
    .option("--disable", "refuse it until it is enabled");
  withRuleFlags(edit).optionsGroup("Options:").addOption(databaseOption())
    .action((which: string, flags: EditFlags) => editToken(context, { which, flags }));
  for (const action of ["enable", "disable"] as const) {
    token.command(action)
      .description(action === "enable" ? "accept a token again" : "refuse a token until it is enabled")
      .argument("<token>", WHICH_TEXT)
      .addOption(databaseOption())
      .action((which: string, flags: DatabaseFlags) =>
        editToken(context, { which, flags: { ...flags, [action]: true } })
      );
  }
  token.command("rotate")
    .description("give a token that is kept as a digest another random value, and print it this once")
    .argument("<token>", WHICH_TEXT)
    .addOption(databaseOption())
    .action((which: string, flags: DatabaseFlags) => rotateToken(context, { which, flags }));
}

/** What the flags say about it. @throws ControlError `invalid` */
export function rulesOf(flags: RuleFlags): ClientTokenInput {
  return readClientTokenTexts(flags, Date.now());
}

async function editToken(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: EditFlags },
): Promise<void> {
  const input = editOf(flags);
  if (Object.keys(input).length === 0) {
    throw new UsageError("nothing to change: give at least one of the flags that `token edit --help` lists");
  }
  const { edited, unknown } = await withConfig({ ...context, flags, access: "change" }, (config) => ({
    edited: new ClientTokens({ config }).edit({ which, input }),
    unknown: unknownUpstreams(config, input),
  }));
  context.terminal.print(`${verbOf(input)} token ${edited.name}`);
  noteEdit(context, edited);
  noteRules(context, { input, unknown });
}

/** @throws UsageError, ControlError `invalid` */
function editOf(flags: EditFlags): ClientTokenInput {
  const { name, enable = false, disable = false } = flags;
  if (enable && disable) throw new UsageError("give either --enable or --disable");
  if (name !== undefined) requireTokenName(name.trim());
  return {
    ...rulesOf(flags),
    ...(name === undefined ? {} : { name: name.trim() }),
    ...(enable || disable ? { isEnabled: enable } : {}),
  };
}

function verbOf({ isEnabled, ...rest }: ClientTokenInput): string {
  if (isEnabled === undefined || Object.keys(rest).length > 0) return "edited";
  return isEnabled ? "enabled" : "disabled";
}

function noteEdit({ terminal }: CommandContext, { name, oldName, isMoved }: EditedClientToken): void {
  if (isMoved) {
    terminal.note(
      "it was in the list, and is a row now: its value stays the same, but the Go program no longer accepts it, and " +
        NOT_AGAIN,
    );
  }
  if (name === oldName) return;
  terminal.note(
    `records and counts so far stay with the name ${
      cleanText(oldName)
    }; what its budget has spent stays with it`,
  );
}

/** What may not be meant, although it is accepted. */
export function noteRules(
  { terminal }: CommandContext,
  { input: { expiresAtMs }, unknown }: {
    readonly input: ClientTokenInput;
    readonly unknown: readonly string[];
  },
): void {
  if (expiresAtMs !== undefined && expiresAtMs !== null) {
    const isOver = expiresAtMs <= Date.now();
    terminal.note(
      `${isOver ? "it has expired already, at" : "it expires at"} ${formatTime(expiresAtMs)}`,
    );
  }
  if (unknown.length === 0) return;
  terminal.note(`no upstream is called ${unknown.map(cleanText).join(", ")}: such a name allows nothing`);
}

/** Those that the input names, and that are not there. */
export function unknownUpstreams(config: ConfigStore, { upstreams = [] }: ClientTokenInput): string[] {
  if (upstreams.length === 0) return [];
  const known = new Set(
    quietRegistry(config).snapshot().upstreams.flatMap(({ id, name }) => [String(id), name]),
  );
  return upstreams.filter((name) => !known.has(name));
}

async function rotateToken(
  context: CommandContext,
  { which, flags }: { readonly which: string; readonly flags: DatabaseFlags },
): Promise<void> {
  const secret = randomToken();
  const { name } = await withConfig(
    { ...context, flags, access: "change" },
    (config) => new ClientTokens({ config }).rotate({ which, secret }),
  );
  context.terminal.print(`rotated token ${name} ${secret}`);
  context.terminal.note(`the value before is no longer accepted; ${NOT_AGAIN}`);
}
