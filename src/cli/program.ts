/**
 * The command line: the commander tree, its help, and what every failure looks like.
 *
 * Owns exit codes and the one line that a failure prints. The commands themselves are in the other files.
 */
import { cleanText } from "../core/clean_text.ts";
import { Command, CommanderError } from "commander";
import { SETTING_FLAGS } from "../config/flags.ts";
import { ALERT_VARIABLES, type Environment, readEnvironment } from "../config/environment.ts";
import { parseSettings } from "../config/settings.ts";
import { statement } from "../observe/statement.ts";
import { maskSecret } from "../core/secrets.ts";
import { normaliseArguments, withoutUpstreamTest } from "./arguments.ts";
import { defineBackupCommands } from "./backups.ts";
import { defineCostsCommand } from "./costs.ts";
import { defineCompletionCommand } from "./completion.ts";
import { type CommandContext, settingOption } from "./context.ts";
import { defineDoctorCommand } from "./doctor.ts";
import { EXIT, type ExitCode, exitCodeOf, textOf, UsageError } from "./errors.ts";
import { defineHealthCommand } from "./health.ts";
import { HELP_LAYOUT, helpItems, helpLine, helpWidth, printHelp } from "./help.ts";
import { defineRecordCommands } from "./records.ts";
import { defineSelftestCommand } from "./selftest.ts";
import { defineStoreCommands } from "./store.ts";
import { commandsWith, suggestCommand, suggestFlag } from "./suggestions.ts";
import { defineTokenCommands } from "./tokens.ts";
import { defineUpstreamCommands } from "./upstreams.ts";
import { NAME, versionText } from "../config/version.ts";

const INTRODUCTION =
  `Stands in front of any number of OpenAI-compatible APIs ("upstreams"), answers each request from the first ` +
  `one that works, and records every reply in a SQLite file.`;

const EXAMPLES = `
Start here:
  ${NAME} add --key sk-... --endpoint https://api.openai.com/v1
  ${NAME} list
  ${NAME}
Then point any OpenAI client at http://localhost:8888/v1, with the token that
"${NAME} token show" prints as its API key.`;

/** A longer word that is no command is more likely a key in the wrong place. */
const LONGEST_SHOWN_WORD = 20;
/** The same for flags. */
const LONGEST_SHOWN_FLAG = 32;

/** The variables that the program knows, and those that look like its own; it keeps no other. */
export function processEnvironment(): Environment {
  return readEnvironment(Deno.env.toObject());
}

/**
 * Runs one command line to its end.
 *
 * @param args without the program's own name
 * @returns the exit code: 0, 2 when the command was typed wrong, 1 for any other failure; never throws
 */
export async function runProgram(args: readonly string[], context: CommandContext): Promise<number> {
  const run: { exitCode: number; words: readonly string[] } = { exitCode: EXIT.ok, words: [] };
  try {
    const program = defineProgram(context, (exitCode) => run.exitCode = exitCode);
    try {
      const words = normaliseArguments(args, program);
      // Somebody is looking.
      run.words = terminalIsWatched(context) ? words : withoutUpstreamTest(words);
      const asked = helpWords(program, run.words);
      if (asked !== null) return helpFor(program, asked);
      await program.parseAsync(run.words, { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      // A group of commands without one of them.
      if (error.code === "commander.help") return helpFor(program, run.words.slice(0, 1));
      // Help and version also end by an error, with the exit code 0.
      if (error.exitCode !== EXIT.ok) throw toUsageError(error, { program, words: run.words });
    }
    return run.exitCode;
  } catch (error) {
    return reportFailure(error, context, failureFormat(run.words, context.env));
  }
}

function terminalIsWatched({ terminal }: CommandContext): boolean {
  return terminal.noteScreen !== undefined;
}

function defineProgram(context: CommandContext, onServed: (exitCode: number) => void): Command {
  const { terminal } = context;
  const program = new Command(NAME)
    .description(`${INTRODUCTION}\n${EXAMPLES}`)
    .optionsGroup("Help:")
    .version(versionText(), "-v, --version", "print the version of this program and of Deno")
    .helpOption("-h, --help", "show help for the program or for one command")
    .addHelpCommand(
      new Command("help").argument("[command...]").description("show help for the program or for one command")
        .helpGroup(
          "Help:",
        ),
    )
    .usage("[command] [flags]")
    .configureHelp(HELP_LAYOUT)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.print(text.trimEnd()),
      // Commander's messages arrive as errors too, and are printed once, in our words.
      writeErr: () => {},
      getOutHelpWidth: () => helpWidth(terminal.columns),
    });
  const serveCommand = defineServe(program, { context, onServed });
  defineUpstreamCommands(program, context);
  defineTokenCommands(program, context);
  defineRecordCommands(program, context);
  defineCostsCommand(program, context);
  defineBackupCommands(program, context);
  defineStoreCommands(program, context);
  defineSelftestCommand(program, context);
  defineDoctorCommand(program, context);
  defineHealthCommand(program, context);
  defineCompletionCommand(program, context);
  program.command("version").description("print the version of this program and of Deno").helpGroup("Help:")
    .action(() => terminal.print(versionText()));
  return program.addHelpText("after", () => serveHelp(serveCommand, helpWidth(terminal.columns)));
}

function defineServe(
  program: Command,
  { context, onServed }: { context: CommandContext; onServed: (exitCode: number) => void },
): Command {
  const command = program.command("serve")
    .description("answer requests; the default when no command is given")
    .helpGroup("Server:");
  for (const setting of SETTING_FLAGS) command.addOption(settingOption(setting));
  return command
    .addHelpText("after", () => alertHelp(helpWidth(context.terminal.columns)))
    .action(async (flags: Record<string, string | undefined>) => {
      const settings = parseSettings({ flags, env: context.env });
      // The other commands start faster without the server.
      const { serve } = await import("./serve.ts");
      onServed(await serve(settings, context.env));
    });
}

function alertHelp(width: number): string {
  const variables = ALERT_VARIABLES.map(({ variable, description }) => [variable, description] as const);
  const title = helpLine("Alerts (environment only; their values are secrets):", width);
  return `\n${title}\n${helpItems(variables, width)}`;
}

/** The flags of `serve`, for the program's own help: most people never type the word `serve`. */
function serveHelp(command: Command, width: number): string {
  const help = command.helpInformation();
  const flags = help.slice(help.indexOf(`\n${SETTING_FLAGS[0].group}:`), help.indexOf("\nOptions:"));
  const title = "Flags of the server, with one dash or two, each also an environment variable:";
  return `\n${helpLine(title, width)}\n${flags.trimEnd()}\n${alertHelp(width)}`;
}

/** `help token add` and `token help add`; null: another command. */
function helpWords(program: Command, words: readonly string[]): string[] | null {
  const isGroup = program.commands.some((each) => each.name() === words[0] && each.commands.length > 0);
  const isAsking = words[0] === "help" || (isGroup && words[1] === "help");
  return isAsking ? words.filter((word) => word !== "help" && !word.startsWith("-")) : null;
}

/** @throws UsageError when a word is no command */
function helpFor(program: Command, words: readonly string[]): ExitCode {
  printHelp(program, words, (word, group) => noSuchCommand(word, { group, program, similar: "" }));
  return EXIT.ok;
}

interface UnknownWord {
  readonly group: Command;
  readonly program: Command;
  /** What commander found by the letters. */
  readonly similar: string;
}

function noSuchCommand(word: string, { group, program, similar }: UnknownWord): UsageError {
  const shown = word.length > LONGEST_SHOWN_WORD ? maskSecret(word) : word;
  const meant = suggestCommand(word, group, program);
  const hint = meant === null ? similar : ` (Did you mean ${meant}?)`;
  const place = group === program ? "" : `${group.name()} `;
  return new UsageError(
    `unknown command ${JSON.stringify(`${place}${shown}`)}${hint || `; see: ${NAME} ${place}--help`}`,
  );
}

/** What commander found wrong, in one line without what was typed as a value: it may be a key. */
function toUsageError(
  error: CommanderError,
  { program, words }: { readonly program: Command; readonly words: readonly string[] },
): UsageError {
  const [problem = "", ...suggestion] = error.message.replace(/^error: /, "").split("\n");
  const hint = suggestion.length > 0 ? ` ${suggestion.join(" ")}` : "";
  const more = `; see: ${NAME} --help`;
  switch (error.code) {
    case "commander.unknownOption": {
      const flag = /'([^'=]*)/.exec(problem)?.[1] ?? "";
      const owners = commandsWith(flag, program);
      if (owners.length > 0) {
        return new UsageError(`${flag} does not belong here, but to: ${owners.join(", ")}`);
      }
      const meant = suggestFlag(flag, commandOf(program, words), program);
      const shown = flag.length > LONGEST_SHOWN_FLAG ? maskSecret(flag) : flag;
      return new UsageError(
        `unknown flag ${shown}${meant === null ? hint || more : ` (Did you mean ${meant}?)`}`,
      );
    }
    case "commander.unknownCommand": {
      const word = /'(.*)'/s.exec(problem)?.[1] ?? "";
      const above = program.commands.find((each) => each.name() === words[0]) ?? program;
      return noSuchCommand(word, { group: above, program, similar: hint });
    }
    case "commander.excessArguments":
      return new UsageError(problem.replace(/(but got \d+).*/s, "$1") + more);
    default:
      return new UsageError(problem + (hint || more));
  }
}

/** The command that the words lead to. */
function commandOf(program: Command, words: readonly string[]): Command | null {
  const command = program.commands.find((each) => each.name() === words[0]) ?? null;
  return command?.commands.find((each) => each.name() === words[1]) ?? command;
}

/** A server that logs JSON fails in JSON, too; the other commands talk to people. */
function failureFormat(words: readonly string[], env: Environment): "text" | "json" {
  if (words[0] !== "serve") return "text";
  const flag = words.findLast((word) => word.startsWith(LOG_FORMAT_FLAG))?.slice(LOG_FORMAT_FLAG.length);
  return (flag ?? env["OAR_LOG_FORMAT"] ?? "").trim().toLowerCase() === "json" ? "json" : "text";
}

const LOG_FORMAT_FLAG = "--log-format=";

function reportFailure(error: unknown, { terminal, env }: CommandContext, format: "text" | "json"): ExitCode {
  const text = cleanText(textOf(error));
  const stack = env["OAR_DEBUG"] === "1" && error instanceof Error ? error.stack ?? "" : null;
  if (format === "json") {
    terminal.note(statement({ format, level: "fatal", message: text, ...(stack === null ? {} : { stack }) }));
  } else {
    terminal.note(`${NAME}: ${text}`);
    if (stack !== null) terminal.note(stack);
  }
  return exitCodeOf(error);
}
