/**
 * `records list`, `show`, `tail`, `export`, `replay`, `recost`: the recorded requests.
 *
 * Owns the flags and what help says about them; each command is in a file of `records/`.
 */
import type { Command } from "commander";
import { choiceOption, type CommandContext, databaseOption, settingOption } from "./context.ts";
import { PRICES_FLAG } from "../config/prices_path.ts";
import { exportRecords, FORMATS } from "./records/export.ts";
import { addFilterOptions } from "./records/filters.ts";
import { DEFAULT_LIMIT, listRecords, MAX_LIMIT } from "./records/list.ts";
import type { ReplayFlags } from "./records/replay.ts";
import { type ShowFlags, showRecord } from "./records/show.ts";
import { tailRecords } from "./records/tail.ts";

const WHICH = "its number, or its request id (the header x-oar-request-id)";

/** Adds the `records` command and its subcommands to the program. */
export function defineRecordCommands(program: Command, context: CommandContext): void {
  const records = program.command("records")
    .description("look at recorded requests, export them, send them again")
    .helpGroup("Records:");

  addFilterOptions(
    records.command("list")
      .description("show records, newest first")
      .option("--limit <count>", `how many at most, up to ${MAX_LIMIT} (default ${DEFAULT_LIMIT})`)
      .option("--before <id>", "only records older than this number: the next page")
      .option("--count", "print only how many there are")
      .option("--json", "print a JSON array"),
  ).action((flags) => listRecords(context, flags));

  records.command("show")
    .description("show one record: the conversation, the reply, the attempts")
    .argument("<id>", WHICH)
    .option("--json", "print JSON, with everything that was recorded")
    .option("--raw", "print the request's text and the reply's text, unchanged")
    .addOption(databaseOption())
    .action((which: string, flags: ShowFlags) => showRecord(context, { which, flags }));

  addFilterOptions(
    records.command("tail")
      .description("show the newest records, oldest first; with -f, further ones as they end")
      .usage("[-f] [-n 10] [flags]")
      .argument("[count]", "how many records to show first, as in -n 10 (default 10)")
      .option("-f, --follow", "keep showing new records, until Ctrl-C")
      .option("-n", "the count follows")
      .option("--json", "print JSON, one record a line"),
  ).action((count: string | undefined, flags) => tailRecords(context, { count, flags }));

  addFilterOptions(
    records.command("export")
      .description("write records, oldest first; memory use does not grow with their number")
      .addOption(choiceOption("--format <format>", {
        description: `${FORMATS.join(", ")}: JSON lines with everything but the attempts, a table for ` +
          "spreadsheets, or chat examples for fine-tuning",
        choices: FORMATS,
      }))
      .option("--output <file>", "a new file, readable by its owner only (default: standard output)"),
  ).action((flags) => exportRecords(context, flags));

  defineReplay(records, context);
  defineRecost(records, context);
}

function defineRecost(records: Command, context: CommandContext): void {
  addFilterOptions(
    records.command("recost")
      .description("compute the costs of stored records again, with the prices of now (SQLite)")
      .usage("--since <when> [flags]")
      .addOption(settingOption(PRICES_FLAG).helpGroup("Options:"))
      .option("--json", "print JSON"),
  ).action(async (flags) => {
    // The other commands start faster without the prices.
    const { recostRecords } = await import("./records/recost.ts");
    await recostRecords(context, flags);
  });
}

function defineReplay(records: Command, context: CommandContext): void {
  records.command("replay")
    .description(
      "send a recorded request again, and compare the replies; the new one is not recorded. " +
        "Query and headers were not recorded, so they are not sent again",
    )
    .argument("<id>", WHICH)
    .option(
      "--upstream <upstream>",
      "where to, by its id or its name (default: the one that answered, else the first)",
    )
    .option("--json", "print JSON: the record, the replay and the differences")
    .addOption(databaseOption())
    .action(async (which: string, flags: ReplayFlags) => {
      // The other commands start faster without the parts that talk to upstreams.
      const { replayRecord } = await import("./records/replay.ts");
      await replayRecord(context, { which, flags });
    });
}
