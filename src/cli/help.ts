/**
 * Help: its layout on screens of any width, and the command `help`.
 *
 * Owns which command's help is printed. Texts are with the commands.
 */
import { type Command, Help } from "commander";
import type { UsageError } from "./errors.ts";

const DEFAULT_HELP_WIDTH = 100;
const MIN_HELP_WIDTH = 30;
/** Descriptions in a narrower column than this stand below what they describe. */
const MIN_DESCRIPTION_WIDTH = 36;
const INDENT = "  ";

/** As wide as the screen, but lines that are longer than a book's are hard to read. */
export function helpWidth(columns: number | null): number {
  return Math.max(MIN_HELP_WIDTH, Math.min(columns ?? DEFAULT_HELP_WIDTH, DEFAULT_HELP_WIDTH));
}

/** For commander's `configureHelp`. Descriptions name choices and defaults where they help. */
export const HELP_LAYOUT: Partial<Help> = {
  minWidthToWrap: MIN_HELP_WIDTH / 2,
  optionDescription: (option) => option.description,
  argumentDescription: (argument) => argument.description,
  formatItem: (term, termWidth, description, helper) => {
    const width = helper.helpWidth ?? DEFAULT_HELP_WIDTH;
    if (description === "" || width - termWidth >= MIN_DESCRIPTION_WIDTH + 2 * INDENT.length) {
      return Help.prototype.formatItem.call(helper, term, termWidth, description, helper);
    }
    const indent = INDENT.repeat(3);
    const below = helper.boxWrap(description, width - indent.length).replaceAll("\n", `\n${indent}`);
    return `${INDENT}${term}\n${indent}${below}`;
  },
};

function helperOf(width: number): Help {
  return Object.assign(new Help(), HELP_LAYOUT, { helpWidth: width });
}

/** A line of text, wrapped. */
export function helpLine(text: string, width: number): string {
  return helperOf(width).boxWrap(text, width);
}

/** Lines of terms and descriptions, laid out as those of the commands. */
export function helpItems(
  items: readonly (readonly [term: string, description: string])[],
  width: number,
): string {
  const helper = helperOf(width);
  const termWidth = Math.max(...items.map(([term]) => term.length));
  return items.map(([term, description]) => helper.formatItem(term, termWidth, description, helper)).join(
    "\n",
  );
}

/**
 * Prints the help of the command with these words; of the nearest one above when there is none such.
 *
 * @throws UsageError for words that are no command, made by `refuse` of the first such word and the command above it
 */
export function printHelp(
  program: Command,
  words: readonly string[],
  refuse: (word: string, group: Command) => UsageError,
): void {
  let command = program;
  for (const word of words) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) {
      command.outputHelp();
      throw refuse(word, command);
    }
    command = next;
  }
  command.outputHelp();
}
