/**
 * `completion bash|zsh|fish`: a script that completes commands, flags and values in that shell.
 *
 * Owns the scripts, which are made from the commander tree and hold everything that they offer, but for the names of
 * upstreams and tokens: these they ask this program for, which only reads (completion/names.ts).
 */
import { UsageError } from "./errors.ts";
import { Argument, type Command } from "commander";
import { defineNamesCommand } from "./completion/names.ts";
import { bashScript } from "./completion/bash.ts";
import { fishScript } from "./completion/fish.ts";
import { type Place, placesOf } from "./completion/places.ts";
import { zshScript } from "./completion/zsh.ts";
import type { CommandContext } from "./context.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = typeof SHELLS[number];

/** Adds `completion` to the program, whose other commands must be there when it runs. */
export function defineCompletionCommand(program: Command, context: CommandContext): void {
  const { terminal } = context;
  defineNamesCommand(program, context);
  const shell = new Argument("<shell>", SHELLS.join(", "));
  shell.argChoices = [...SHELLS];
  const name = program.name();
  program.command("completion")
    .description("print a script that completes commands, flags and names in your shell")
    .helpGroup("Help:")
    .addArgument(shell)
    .addHelpText(
      "after",
      [
        "\nFor every new shell:",
        `  bash  echo 'source <(${name} completion bash)' >> ~/.bashrc`,
        `  zsh   echo 'source <(${name} completion zsh)' >> ~/.zshrc  (after compinit)`,
        `  fish  ${name} completion fish > ~/.config/fish/completions/${name}.fish`,
      ].join("\n"),
    )
    .action((given: string) => {
      const found = SHELLS.find((each) => each === given);
      if (found === undefined) throw new UsageError(`completion knows ${SHELLS.join(", ")}`);
      terminal.print(completionScript(found, program));
    });
}

/** The script for one shell; without a line break at its end. */
export function completionScript(shell: Shell, program: Command): string {
  return WRITERS[shell](program.name(), placesOf(program)).join("\n");
}

const WRITERS: Readonly<Record<Shell, (name: string, places: readonly Place[]) => string[]>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};
