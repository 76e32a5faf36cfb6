/**
 * The command line of the benchmark.
 */
import { Argument, Command, InvalidArgumentError, Option } from "commander";
import { CONTENDER_NAMES, type ContenderName } from "./measure/result.ts";

export interface Options {
  /** Names of scenarios; empty: all. */
  readonly scenarios: readonly string[];
  readonly rounds: number | null;
  readonly quick: boolean;
  readonly pin: boolean;
  /** A file, or `-` for standard output. */
  readonly json: string | null;
  /** A compiled router, or `source`; null: the built one when there is one. */
  readonly ours: string | null;
  /** A compiled relay. */
  readonly relay: string | null;
  readonly only: readonly ContenderName[];
  readonly directory: string | null;
}

/** @throws {CommanderError} for an invalid command line, or after printing help */
export function parseOptions(args: readonly string[], scenarios: readonly string[]): Options {
  const command = new Command("deno task bench")
    .description("Measures openai-api-route beside other proxies, in turns, and prints medians and ratios.")
    .addArgument(new Argument("[scenarios...]", "what to measure; default: all").choices(scenarios))
    .option("--rounds <number>", "how often each contender is measured; default: 5, quick: 3", wholeNumber)
    .option("--quick", "short runs, for a first impression")
    .option("--pin", "proxy on core 0, upstream and load on core 1")
    .option(
      "--json <file>",
      "also write everything as JSON; -: to standard output, and tables to standard error",
    )
    .option(
      "--ours <path>",
      "the executable to measure, or the word source; default: what was built, else the source",
    )
    .option("--relay <path>", "a compiled scripts/bench/contenders/relay_server.ts to use as the bare relay")
    .addOption(
      new Option("--only <names>", `contenders, separated by commas: ${CONTENDER_NAMES.join(", ")}`)
        .argParser(contenders),
    )
    .option("--directory <path>", "where databases and logs go while it runs; default: the cache folder")
    .exitOverride();
  command.parse(args, { from: "user" });
  const given = command.opts<Partial<Omit<Options, "scenarios">>>();
  return {
    scenarios: command.processedArgs[0] ?? [],
    rounds: given.rounds ?? null,
    quick: given.quick ?? false,
    pin: given.pin ?? false,
    json: given.json ?? null,
    ours: given.ours ?? null,
    relay: given.relay ?? null,
    // With limits only when asked for: it is ours once more.
    only: given.only ?? CONTENDER_NAMES.filter((name) => name !== "limited"),
    directory: given.directory ?? null,
  };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new InvalidArgumentError("a whole number above 0 is expected");
  }
  return value;
}

function contenders(text: string): ContenderName[] {
  return text.split(",").map((name) => {
    const found = CONTENDER_NAMES.find((each) => each === name.trim());
    if (found === undefined) {
      throw new InvalidArgumentError(`there is no ${name}; there are ${CONTENDER_NAMES.join(", ")}`);
    }
    return found;
  });
}
