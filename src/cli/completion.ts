/**
 * `completion bash|zsh|fish`: a script that completes commands, flags and values in that shell.
 *
 * Owns the scripts, which are made from the commander tree and hold everything that they offer: completing
 * starts no process and writes no file, so it is instant. What only the database knows is not offered.
 */
import { UsageError } from "./errors.ts";
import { Argument, type Command, type Option } from "commander";
import type { CommandContext } from "./context.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = typeof SHELLS[number];

/** What a shell can offer at one command. */
interface Place {
  /** The command's words, such as `records list`; empty for the program itself. */
  readonly path: string;
  readonly commands: readonly Described[];
  readonly flags: readonly Flag[];
  /** Accepted words of each operand; empty where anything may stand. */
  readonly operands: readonly (readonly string[])[];
}

interface Described {
  readonly name: string;
  readonly description: string;
}

/** `name` has its dashes. */
interface Flag extends Described {
  readonly short: string | null;
  /** The next word is its value. */
  readonly hasValue: boolean;
  readonly isFile: boolean;
  readonly values: readonly string[];
}

/** Adds `completion` to the program, whose other commands must be there when it runs. */
export function defineCompletionCommand(program: Command, { terminal }: CommandContext): void {
  const shell = new Argument("<shell>", SHELLS.join(", "));
  shell.argChoices = [...SHELLS];
  const name = program.name();
  program.command("completion")
    .description("print a script that completes commands and flags in your shell")
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

/** Every command, the program itself first. */
function placesOf(program: Command): Place[] {
  const [root, ...rest] = placesBelow(program, "");
  if (root === undefined) return [];
  // No command means `serve`, and so its flags stand alone.
  const serve = rest.find(({ path }) => path === "serve");
  const own = new Set(root.flags.map(({ name }) => name));
  return [{
    ...root,
    flags: [...root.flags, ...serve?.flags.filter(({ name }) => !own.has(name)) ?? []],
  }, ...rest];
}

function placesBelow(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const below = help.visibleCommands(command);
  const names = below.map((each) => each.name()).filter((name) => name !== "help");
  const place: Place = {
    path,
    commands: below.map((each) => ({ name: each.name(), description: brief(each.description()) })),
    flags: help.visibleOptions(command).map(flagOf),
    operands: command.registeredArguments.map(({ argChoices }) => argChoices ?? []),
  };
  return [
    place,
    ...below.flatMap((each) => {
      const places = placesBelow(each, `${path} ${each.name()}`.trim());
      return each.name() === "help" ? places.map((helped) => ({ ...helped, operands: [names] })) : places;
    }),
  ];
}

function flagOf(option: Option): Flag {
  const value = /[<[]([^<>[\]]+)[>\]]/.exec(option.flags)?.[1] ?? "";
  return {
    name: option.long ?? option.short ?? "",
    short: option.long ? option.short ?? null : null,
    description: brief(option.description),
    hasValue: option.required,
    isFile: value === "path" || value === "file",
    values: option.argChoices ?? (value.includes("|") ? value.split("|") : []),
  };
}

/** The first clause: lists have one short line for each word. */
function brief(description: string): string {
  return (description.split(/[;:]\s|\s\(|\n|\.\s/)[0] ?? "").trimEnd();
}

const WRITERS: Readonly<Record<Shell, (name: string, places: readonly Place[]) => string[]>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

function bashScript(name: string, places: readonly Place[]): string[] {
  const run = functionName(name);
  return [
    `# bash completion for ${name}, made by \`${name} completion bash\``,
    `${run}() {`,
    "  local current=\"${COMP_WORDS[COMP_CWORD]}\" place='' position=0 flag='' head='' word i",
    "  local commands='' flags='' offered=''",
    "  COMPREPLY=()",
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    word="${COMP_WORDS[i]}"',
    "    # bash makes a word of its own of the = in --flag=value.",
    '    if [[ $word == = ]]; then flag="${COMP_WORDS[i - 1]}"; continue; fi',
    "    if [[ -n $flag ]]; then flag=''; continue; fi",
    '    case "$word" in',
    "      -*=*) ;;",
    `      ${valueFlags(places).join("|")}) flag="$word" ;;`,
    "      -*) ;;",
    '      *) case "$place $word" in',
    `        ${
      places.slice(1).map(({ path }) => stepTo(path)).join("|")
    }) place="\${place:+$place }$word" position=0 ;;`,
    "        *) position=$((position + 1)) ;;",
    "      esac ;;",
    "    esac",
    "  done",
    "  if [[ $current == = ]]; then",
    "    flag=\"${COMP_WORDS[COMP_CWORD - 1]}\" current=''",
    "  elif [[ -z $flag && $current == -*=* ]]; then",
    '    flag="${current%%=*}" head="${current%%=*}=" current="${current#*=}"',
    "  fi",
    "  if [[ -n $flag ]]; then",
    '    [[ $flag == --* ]] || flag="-$flag"',
    '    case "$place:$flag" in',
    ...valueCases(places).map(({ keys, flag }) =>
      flag.isFile
        ? `      ${keys.join("|")}) local IFS=$'\\n'; COMPREPLY=($(compgen -P "$head" -f -- "$current")); ` +
          "compopt -o filenames 2>/dev/null; return ;;"
        : `      ${keys.join("|")}) offered=${quote(flag.values.join(" "))} ;;`
    ),
    "    esac",
    "  else",
    '    case "$place" in',
    ...places.map(({ path, commands, flags }) =>
      `      ${quote(path)}) commands=${quote(commands.map((each) => each.name).join(" "))} ` +
      `flags=${quote(flags.flatMap(spellings).join(" "))} ;;`
    ),
    "    esac",
    '    case "$place:$position" in',
    ...operandCases(places).map(({ key, words }) => `      ${key}) offered=${quote(words.join(" "))} ;;`),
    "    esac",
    '    [[ $position -gt 0 ]] || offered="$offered $commands"',
    '    [[ $current != -* && -n ${offered// /} ]] || offered="$flags"',
    '    [[ $current != -[!-]* || " $flags " == *" $current "* ]] || current="-$current"',
    "  fi",
    '  COMPREPLY=($(compgen -P "$head" -W "$offered" -- "$current"))',
    "}",
    `complete -F ${run} ${name}`,
  ];
}

function zshScript(name: string, places: readonly Place[]): string[] {
  const run = `_${name}`;
  const list = (words: readonly Described[]) =>
    words.map((word) => quote(`${word.name.replaceAll(":", "\\:")}:${word.description}`)).join(" ");
  return [
    `#compdef ${name}`,
    `# zsh completion for ${name}, made by \`${name} completion zsh\``,
    `${run}() {`,
    "  local place='' flag='' word",
    "  local -a offered subcommands flags",
    "  integer position=0 i",
    "  for ((i = 2; i < CURRENT; i++)); do",
    '    word="${words[i]}"',
    "    if [[ -n $flag ]]; then flag=''; continue; fi",
    '    case "$word" in',
    "      (-*=*) ;;",
    `      (${valueFlags(places).join("|")}) flag="$word" ;;`,
    "      (-*) ;;",
    '      (*) case "$place $word" in',
    `        (${
      places.slice(1).map(({ path }) => stepTo(path)).join("|")
    }) place="\${place:+$place }$word" position=0 ;;`,
    "        (*) position=$((position + 1)) ;;",
    "      esac ;;",
    "    esac",
    "  done",
    "  if [[ -z $flag && $PREFIX == -*=* ]]; then",
    "    flag=\"${PREFIX%%=*}\"; compset -P '*='",
    "  fi",
    "  if [[ -n $flag ]]; then",
    '    [[ $flag == --* ]] || flag="-$flag"',
    '    case "$place:$flag" in',
    ...valueCases(places).map(({ keys, flag }) =>
      flag.isFile
        ? `      (${keys.join("|")}) _files; return ;;`
        : `      (${keys.join("|")}) offered=(${flag.values.map(quote).join(" ")}) ;;`
    ),
    "      (*) return 1 ;;",
    "    esac",
    "    _describe value offered; return",
    "  fi",
    '  case "$place" in',
    ...places.map(({ path, commands, flags }) =>
      `    (${quote(path)}) subcommands=(${list(commands)}) flags=(${
        list(flags.flatMap((flag) => spellings(flag).map((spelling) => ({ ...flag, name: spelling }))))
      }) ;;`
    ),
    "  esac",
    '  case "$place:$position" in',
    ...operandCases(places).map(({ key, words }) =>
      `    (${key}) offered=(${words.map(quote).join(" ")}) ;;`
    ),
    "  esac",
    "  ((position == 0)) && offered+=($subcommands)",
    "  if [[ $PREFIX != -* ]] && (($#offered)); then",
    "    _describe command offered; return",
    "  fi",
    '  [[ $PREFIX == -[^-]?* ]] && PREFIX="-$PREFIX"',
    "  _describe -o flag flags",
    "}",
    `if [[ "\${funcstack[1]}" == ${run} ]]; then ${run} "$@"; else compdef ${run} ${name}; fi`,
  ];
}

function fishScript(name: string, places: readonly Place[]): string[] {
  const run = `_${functionName(name)}_at`;
  const add = (path: string, rest: string) =>
    `complete -c ${name} -n ${quote(`${run} ${quote(path)}`)} ${rest}`;
  return [
    `# fish completion for ${name}, made by \`${name} completion fish\``,
    `# Whether the words before the cursor lead to a command, and to its operand with that number, if given.`,
    `function ${run}`,
    "  set -l place ''",
    "  set -l position 0",
    "  set -l skip 0",
    "  for word in (commandline -opc)[2..-1]",
    "    if test $skip = 1",
    "      set skip 0",
    "      continue",
    "    end",
    "    switch $word",
    "      case '-*=*'",
    `      case ${valueFlags(places).join(" ")}`,
    "        set skip 1",
    "      case '-*'",
    "      case '*'",
    '        set -l next (string trim -- "$place $word")',
    `        if contains -- "$next" ${places.slice(1).map(({ path }) => quote(path)).join(" ")}`,
    '          set place "$next"',
    "          set position 0",
    "        else",
    "          set position (math $position + 1)",
    "        end",
    "    end",
    "  end",
    '  test "$place" = "$argv[1]"; and test -z "$argv[2]" -o "$position" = "$argv[2]"',
    "end",
    `complete -c ${name} -f`,
    ...places.flatMap(({ path, commands, flags, operands }) => [
      ...commands.map((command) =>
        `complete -c ${name} -n ${quote(`${run} ${quote(path)} 0`)} -a ${command.name} -d ${
          quote(command.description)
        }`
      ),
      ...operands.flatMap((words, at) =>
        words.length === 0
          ? []
          : [`complete -c ${name} -n ${quote(`${run} ${quote(path)} ${at}`)} -a ${quote(words.join(" "))}`]
      ),
      ...flags.map((flag) => add(path, fishFlag(flag))),
    ]),
  ];
}

function fishFlag({ name, short, description, hasValue, isFile, values }: Flag): string {
  return [
    name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
    ...(short === null ? [] : [`-s ${short.slice(1)}`]),
    ...(hasValue ? [isFile ? "-rF" : "-x"] : []),
    ...(values.length === 0 ? [] : [`-a ${quote(values.join(" "))}`]),
    `-d ${quote(description)}`,
  ].join(" ");
}

/** Every flag that takes the next word, with one dash and two; a name means the same for every command. */
function valueFlags(places: readonly Place[]): string[] {
  const names = places.flatMap(({ flags }) =>
    flags.filter(({ hasValue }) => hasValue).map(({ name }) => name)
  );
  return [...new Set(names)].flatMap((name) => [name, name.slice(1)]);
}

/** Commands and flags whose values are known, as quoted `place:--flag`; those with the same values together. */
function valueCases(places: readonly Place[]): { readonly keys: readonly string[]; readonly flag: Flag }[] {
  const cases = new Map<string, { keys: string[]; flag: Flag }>();
  for (const { path, flags } of places) {
    for (const flag of flags.filter(({ isFile, values }) => isFile || values.length > 0)) {
      const same = flag.isFile ? "" : flag.values.join(" ");
      const found = cases.get(same) ?? { keys: [], flag };
      found.keys.push(quote(`${path}:${flag.name}`));
      cases.set(same, found);
    }
  }
  return [...cases.values()];
}

function operandCases(
  places: readonly Place[],
): { readonly key: string; readonly words: readonly string[] }[] {
  return places.flatMap(({ path, operands }) =>
    operands.flatMap((words, at) => words.length === 0 ? [] : [{ key: quote(`${path}:${at}`), words }])
  );
}

/** The place before, a space, the next word. */
function stepTo(path: string): string {
  return quote(path.includes(" ") ? path : ` ${path}`);
}

function spellings({ name, short }: Flag): string[] {
  return short === null ? [name] : [name, short];
}

function functionName(name: string): string {
  return `_${name.replaceAll("-", "_")}`;
}

/** One word of any of the shells. */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
