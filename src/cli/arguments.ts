/**
 * Spelling: turns what people (and scripts of the Go program) type into what commander parses.
 *
 * Pure. Owns one dash or two, `-flag=value`, switches with a value, the modes `-add` and `-list`, and commands
 * that come after flags. Must not judge values or unknown flags: commander and the settings do.
 */
import { UsageError } from "./errors.ts";
import type { Command } from "commander";

type FlagKind = "value" | "switch" | "optional";

/** The Go program's modes, and its flags that each of them ignored. */
const GO_MODES: Readonly<Record<string, readonly string[]>> = {
  add: ["addr", "noauth"],
  list: ["addr", "noauth", "sk", "endpoint"],
};

/** Words of Go's flag package that switch a mode off, as in `-add=false`. */
const GO_FALSE = ["0", "f", "F", "false", "FALSE", "False"];

interface Flag {
  readonly name: string;
  /** As given to commander. */
  readonly text: string;
}

interface Scanned {
  readonly flags: readonly Flag[];
  readonly words: readonly string[];
  /** Which of the Go program's modes were asked for. */
  readonly modes: readonly string[];
  /** A flag that no command has. */
  readonly hasUnknown: boolean;
}

/**
 * The same command line in one spelling: command words first, then `--flag=value`, then operands. No command
 * means `serve`.
 *
 * @throws UsageError when two modes are asked for
 */
export function normaliseArguments(args: readonly string[], program: Command): string[] {
  const scanned = scanFor(program, args);
  const [mode, ...more] = new Set(scanned.modes);
  if (mode === undefined) return arrange(scanned, program);
  if (more.length > 0) throw new UsageError("-add and -list are two commands: give one of them");
  const ignored = GO_MODES[mode] ?? [];
  return arrange({
    ...scanned,
    flags: scanned.flags.filter(({ name }) => !ignored.includes(name)),
    words: [mode, ...scanned.words],
  }, program);
}

/**
 * `add --sk` as scripts for the Go program call it: it asks nobody there, and the upstream may not be up yet.
 *
 * @param words in the one spelling of {@link normaliseArguments}
 */
export function withoutUpstreamTest(words: readonly string[]): readonly string[] {
  const [command, ...rest] = words;
  const isGoSpelling = command === "add" && rest.some((word) => word.startsWith("--sk="));
  return isGoSpelling && !rest.includes("--no-test") ? ["add", "--no-test", ...rest] : words;
}

/** A flag may be a switch of one command and have a value of `serve`: the command decides, where it is named. */
function scanFor(program: Command, args: readonly string[]): Scanned {
  const shorts = shortFlags(program);
  const scanned = scan(args, { kinds: flagKinds(program, DEFAULT_COMMAND), shorts });
  const command = scanned.modes[0] ?? scanned.words[0] ?? DEFAULT_COMMAND;
  return command === DEFAULT_COMMAND ? scanned : scan(args, { kinds: flagKinds(program, command), shorts });
}

/** What is meant when no command is given. */
const DEFAULT_COMMAND = "serve";

interface KnownFlags {
  readonly kinds: ReadonlyMap<string, FlagKind>;
  /** Of one letter. */
  readonly shorts: ReadonlySet<string>;
}

function scan(args: readonly string[], { kinds, shorts }: KnownFlags): Scanned {
  const flags: Flag[] = [];
  const words: string[] = [];
  const modes: string[] = [];
  let hasUnknown = false;
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] ?? "";
    if (arg === "--") return { flags, words: [...words, ...args.slice(at + 1)], modes, hasUnknown };
    const match = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg);
    const [, name = "", inline] = match ?? [];
    const isOff = inline !== undefined && GO_FALSE.includes(inline);
    const kind = kinds.get(name);
    if (match === null) words.push(arg);
    else if (Object.hasOwn(GO_MODES, name)) modes.push(...(isOff ? [] : [name]));
    else if (name.length === 1) {
      // Its value must not be taken for a command.
      if (!shorts.has(name)) hasUnknown = true;
      flags.push({ name, text: name === "V" ? "-v" : `-${name}` });
    } else if (kind === "switch") flags.push(...(isOff ? [] : [{ name, text: `--${name}` }]));
    else if (kind === "optional") flags.push({ name, text: `--${name}=${inline ?? "yes"}` });
    else if (kind === "value" && inline !== undefined) flags.push({ name, text: `--${name}=${inline}` });
    else if (kind === "value") {
      const next = args[at + 1];
      const hasValue = next !== undefined && !isFlag(next, kinds);
      if (hasValue) at++;
      flags.push({ name, text: hasValue ? `--${name}=${next}` : `--${name}` });
    } else {
      // Its value is dropped: nothing takes it, and the intended flag is easier to suggest without it.
      hasUnknown = true;
      flags.push({ name, text: `--${name}` });
    }
  }
  return { flags, words, modes, hasUnknown };
}

/** A forgotten value must not swallow the flag that follows. */
function isFlag(arg: string, kinds: ReadonlyMap<string, FlagKind>): boolean {
  const name = /^--?([^-=][^=]*)/.exec(arg)?.[1] ?? "";
  return kinds.has(name) || Object.hasOwn(GO_MODES, name);
}

function arrange({ flags: scannedFlags, words, hasUnknown }: Scanned, program: Command): string[] {
  const flags = scannedFlags.map(({ text }) => text);
  if (words.length === 0) {
    const isAsking = flags.some((flag) => ["--help", "-h", "--version", "-v"].includes(flag));
    return isAsking ? flags : [DEFAULT_COMMAND, ...flags];
  }
  let command = program.commands.find((each) => each.name() === words[0]);
  // An unknown word stays in front too, so that commander can say which command was meant; but with an unknown
  // flag, the word may be just its value.
  if (command === undefined && hasUnknown) return [DEFAULT_COMMAND, ...flags];
  let depth = 1;
  while (command !== undefined && command.commands.length > 0 && depth < words.length) {
    command = command.commands.find((each) => each.name() === words[depth]);
    depth++;
  }
  const operands = words.slice(depth);
  const needsMark = operands.some((word) => word.length > 1 && word.startsWith("-"));
  return [...words.slice(0, depth), ...flags, ...(needsMark ? ["--"] : []), ...operands];
}

/** Flags of one letter; `-V` is `-v` in many other programs. */
function shortFlags(command: Command): Set<string> {
  const own = command.options.flatMap(({ short }) => short ? [short.slice(1)] : []);
  return new Set(["h", "V", ...own, ...command.commands.flatMap((each) => [...shortFlags(each)])]);
}

/** Whether each flag takes a value. @param preferred the command whose own flags count, where others have another kind */
function flagKinds(program: Command, preferred: string): Map<string, FlagKind> {
  const kinds = kindsOf(program);
  const own = program.commands.find((each) => each.name() === preferred);
  for (const [name, kind] of own === undefined ? [] : kindsOf(own)) kinds.set(name, kind);
  return kinds;
}

function kindsOf(command: Command): Map<string, FlagKind> {
  const kinds = new Map<string, FlagKind>([["help", "switch"]]);
  for (const option of command.options) {
    const kind = option.required ? "value" : option.optional ? "optional" : "switch";
    // Commander calls the first of two long names the short one.
    for (const name of [option.short, option.long]) {
      if (name?.startsWith("--")) kinds.set(name.slice(2), kind);
    }
  }
  for (const each of command.commands) {
    for (const [name, kind] of kindsOf(each)) kinds.set(name, kind);
  }
  return kinds;
}
