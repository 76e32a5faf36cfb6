/**
 * The completion script for fish.
 */
import { NAMES_COMMAND } from "./names.ts";
import type { Flag, Place } from "./places.ts";
import { functionName, quote, valueFlags } from "./words.ts";

export function fishScript(name: string, places: readonly Place[]): string[] {
  const run = `_${functionName(name)}_at`;
  const names = `_${functionName(name)}_names`;
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
    `function ${names}`,
    `  set -l typed (string replace -r '^~/' "$HOME/" -- (commandline -opc))`,
    `  $typed[1] ${NAMES_COMMAND} $argv[1] -- $typed[2..-1] 2>/dev/null`,
    "end",
    `complete -c ${name} -f`,
    ...places.flatMap(({ path, commands, flags, operands, fileOperands, nameOperands }) => [
      ...nameOperands.flatMap((kind, at) =>
        kind === null
          ? []
          : [`complete -c ${name} -n ${quote(`${run} ${quote(path)} ${at}`)} -a '(${names} ${kind})'`]
      ),
      ...fileOperands.map((at) => `complete -c ${name} -n ${quote(`${run} ${quote(path)} ${at}`)} -F`),
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
      ...flags.map((flag) => add(path, fishFlag(flag, names))),
    ]),
  ];
}

/** @param command prints the names of a kind */
function fishFlag(
  { name, short, description, hasValue, isFile, values, names }: Flag,
  command: string,
): string {
  return [
    name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
    ...(short === null ? [] : [`-s ${short.slice(1)}`]),
    ...(hasValue ? [isFile ? "-rF" : "-x"] : []),
    ...(values.length === 0 ? [] : [`-a ${quote(values.join(" "))}`]),
    ...(names === null ? [] : [`-a '(${command} ${names})'`]),
    `-d ${quote(description)}`,
  ].join(" ");
}
